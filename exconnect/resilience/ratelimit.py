"""Rate budgets: reserve before sending, correct by what the exchange reports, obey when it says stop.

A pool is a fixed window aligned to the exchange's clock, or one that rolls. What is reserved counts at once; the
answer's headers hold the exchange's own count, other programs on this address included, and win: upwards always,
downwards when nothing else is under way. Each lane has a ceiling, so that what matters more finds room. A cancel waits
for no budget but its own, where cancels have one; told to stop, it stops like all that counts against the same limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from exconnect.environment import Environment
from exconnect.errors import WouldExceedLimit
from exconnect.protocol.call import Cost, Lane, Pool, Usage
from exconnect.resilience.breaker import PartState

# The part of a window that a lane may fill. What is above the last of them is headroom for other programs.
CEILINGS = {
    Lane.CANCEL: 0.97,  # enforced where windows roll only: there, cancels have a budget that nothing else uses
    Lane.PLACE: 0.90,
    Lane.QUERY: 0.80,
    Lane.STREAM: 0.80,
    Lane.MARKET: 0.55,
    Lane.HISTORY: 0.40,
}
_UNLIMITED = float("inf")
_EVERYTHING = ("", "")  # among bans of (kind, account)
_EDGE_S = 0.02  # our clock may be this much ahead when a new window begins
_REOPEN_S = 0.05  # after a ban the lanes open one after the other, cancels first
_STRIKE_S = 300.0  # a second refusal within so long means that the ceilings are too high
_PENANCE_S = 900.0
_MAX_PLANS = 1_000


class _Window:
    """One pool's budget, for this address or for one account."""

    __slots__ = ("heard", "in_flight", "index", "key", "length", "limit", "name", "used")
    binds_cancels = False

    def __init__(self, pool: Pool, share: float, account: str) -> None:
        self.name = pool.name
        self.key = (pool.kind, account)
        self.length = pool.seconds * 1000
        self.limit = _part(pool, share)
        self.index = -1
        self.used = 0
        self.in_flight = 0
        self.heard = 0  # number of the latest reservation when a header was last believed

    def roll(self, wall_ms: int) -> None:
        """Into the window of `wall_ms`. What is under way may be counted there, so it is carried over."""
        index = wall_ms // self.length
        if index > self.index:
            self.index = index
            self.used = self.in_flight
        elif index < self.index - 1:  # not the jitter of an offset: the clock was far ahead before it was synced
            self.index = index

    def resets_in(self, wall_ms: int) -> float:
        """Seconds until the window ends."""
        return (self.length - wall_ms % self.length) / 1000

    def end(self, amount: int, wall_ms: int) -> None:
        """What was under way has arrived."""
        self.in_flight -= amount

    def hear(self, reported: int, index: int, number: int, latest: int, wall_ms: int) -> None:
        """Believe a header that came back for reservation `number`; `latest` is the newest one."""
        if index != self.index:
            return  # a header of the last window says nothing here
        if self.in_flight == 0 and number > self.heard:
            self.used = reported
        elif reported + self.in_flight > self.used:  # of what is under way the exchange may have counted nothing yet
            self.used = reported + self.in_flight
        self.heard = latest


class _RollingWindow(_Window):
    """So many in any so many seconds: what has arrived counts from when its answer came, which is later than it did."""

    __slots__ = ("arrived", "span")
    binds_cancels = True

    def __init__(self, pool: Pool, share: float, account: str) -> None:
        super().__init__(pool, share, account)
        self.span = self.length
        self.length = 1  # there is a new window in every millisecond
        self.arrived: deque[tuple[int, int]] = deque()

    def roll(self, wall_ms: int) -> None:
        """Forget what arrived too long ago."""
        arrived = self.arrived
        if arrived and arrived[-1][0] > wall_ms + self.span:  # the clock was far ahead before it was synced
            arrived = self.arrived = deque((wall_ms, amount) for _, amount in arrived)
        while arrived and arrived[0][0] <= wall_ms - self.span:
            self.used -= arrived.popleft()[1]
        self.index = wall_ms

    def resets_in(self, wall_ms: int) -> float:
        """Seconds until something is forgotten."""
        return (self.arrived[0][0] + self.span - wall_ms if self.arrived else self.span) / 1000

    def end(self, amount: int, wall_ms: int) -> None:
        """What was under way counts from now on, for a whole window."""
        self.in_flight -= amount
        self.arrived.append((wall_ms, amount))

    def hear(self, reported: int, index: int, number: int, latest: int, wall_ms: int) -> None:
        """Believe a header that counts more than we do: there are other programs."""
        if reported > self.used:
            self.arrived.append((wall_ms, reported - self.used))
            self.used = reported


def _part(pool: Pool, share: float) -> int:
    return max(int(pool.limit * share), 1)


class _Item(NamedTuple):
    window: _Window
    amount: int
    refunded: bool


class Grant:
    """Budget that was reserved for one call; goes back by `settle` or `cancel`."""

    __slots__ = ("indexes", "items", "number")

    def __init__(self, items: tuple[_Item, ...], indexes: list[int], number: int) -> None:
        self.items = items
        self.indexes = indexes
        self.number = number


class Hold(NamedTuple):
    """What waits because the exchange said stop; `kind` None: everything. `lane` is that of the call which was told."""

    kind: str | None
    lane: Lane
    until: float
    since: datetime
    ends: datetime
    cause: str


class RateLimiter:
    """All budgets of one exchange at one address. `share` is the part of every limit that is ours.

    `wall_ms` is the exchange's time as well as it is known. `changed` is notified when budget comes back or a
    ban begins, and `version` then differs: what waits for budget waits on it.
    """

    def __init__(self, share: float = 1.0, env: Environment | None = None) -> None:
        self._share = share
        self._env = env or Environment()
        self.changed = self._env.condition()
        self.version = 0
        self._pools: dict[str, Pool] = {}
        self._windows: dict[tuple[str, str], _Window] = {}
        self._plans: dict[tuple[tuple[Cost, ...], str], tuple[_Item, ...]] = {}
        self._bans: dict[tuple[str, str], float] = {}  # until when
        self._holds: dict[tuple[str, str], Hold] = {}  # the latest of each, also when it is over
        self._strikes: dict[tuple[str, str], float] = {}  # when the exchange last said stop, as for bans
        self._penances: dict[tuple[str, str], float] = {}  # until when the ceilings are lower
        self._number = 0

    def learn(self, pools: Iterable[Pool]) -> None:
        """The limits as the exchange announces them; what is used so far stays used. None of nothing is a limit."""
        with self.changed:
            limits = (pool for pool in pools if pool.limit > 0 and pool.seconds > 0)
            news = [pool for pool in limits if self._pools.get(pool.name) != pool]
            if not news:
                return
            for pool in news:
                self._pools[pool.name] = pool
                for (name, _), window in self._windows.items():
                    if name == pool.name:
                        window.limit = _part(pool, self._share)
            self._plans.clear()
            self._notify()

    def reserve(self, costs: tuple[Cost, ...], lane: Lane, account: str, now: float, wall_ms: int) -> Grant | float:
        """Budget from every pool that these costs touch, or from none: then in how many seconds to ask again.

        Raises:
            WouldExceedLimit: it costs more than this lane may ever use.
        """
        with self.changed:
            wait = self._banned(costs, lane, account, now) if self._bans else 0.0
            items = self._plans.get((costs, account))
            if items is None:
                items = self._plan(costs, account)
            is_cancel = lane is Lane.CANCEL
            is_penitent = bool(self._penances) and not is_cancel
            for window, amount, _ in items:
                if wall_ms // window.length != window.index:
                    window.roll(wall_ms)
                share = _UNLIMITED if is_cancel and not window.binds_cancels else CEILINGS[lane]
                penance = self._penance(window, now) if is_penitent else 0.0
                if penance or window.used + amount > window.limit * share:
                    wait = max(wait, self._lack(window, amount, share, penance, wall_ms))
            if wait > 0:
                return wait
            self._number += 1
            for window, amount, _ in items:
                window.used += amount
                window.in_flight += amount
            return Grant(items, [item.window.index for item in items], self._number)

    def settle(self, grant: Grant, usage: Usage | None, *, succeeded: bool, wall_ms: int) -> None:
        """The call is over. `usage` is what its answer reported, None if there was no answer."""
        reported = usage.used if usage is not None else {}
        with self.changed:
            freed = False
            for (window, amount, refunded), index in zip(grant.items, grant.indexes, strict=True):
                if wall_ms // window.length != window.index:
                    window.roll(wall_ms)  # first, so that it is carried over
                before = window.used
                window.end(amount, wall_ms)
                if succeeded and refunded:
                    window.used -= amount
                if window.name in reported:
                    window.hear(reported[window.name], index, grant.number, self._number, wall_ms)
                freed = freed or window.used < before
            if freed:
                self._notify()

    def cancel(self, grant: Grant) -> None:
        """The call was never sent: as if nothing had been reserved."""
        with self.changed:
            for window, amount, _ in grant.items:
                window.in_flight -= amount
                window.used -= amount  # in a later window too: it was carried over
            self._notify()

    def ban(
        self,
        seconds: float,
        now: float,
        *,
        kind: str | None = None,
        account: str = "",
        lane: Lane = Lane.MARKET,
        cause: str | None = None,
    ) -> None:
        """The exchange said stop, for so long: everything from this address, or what uses pools of one kind.

        `lane` and `cause` are for who asks how things stand; without a `cause` it is not worth telling.
        """
        with self.changed:
            key = _EVERYTHING if kind is None else (kind, account if self._scope(kind) == "account" else "")
            known = self._bans.get(key, now)
            if now >= known:
                if now - self._strikes.get(key, float("-inf")) <= _STRIKE_S:
                    self._penances[key] = now + _PENANCE_S
                self._strikes[key] = now
            until = self._bans[key] = max(now + seconds, known)
            if cause is not None:
                before, wall = self._holds.get(key), self._env.wall()
                since = before.since if before is not None and now < before.until else wall
                self._holds[key] = Hold(kind, lane, until, since, wall + timedelta(seconds=until - now), cause)
            self._notify()

    def holds(self, account: str, now: float) -> list[Hold]:
        """What is held back now."""
        return [hold for hold in self._holds_of(account) if now < hold.until]

    def state(self, account: str, now: float) -> PartState | None:
        """`"open"` while something is held back, with the cause and for how long; None: nothing ever was."""
        known, held = self._holds_of(account), self.holds(account, now)
        if not known:
            return None
        if not held:
            return PartState("closed", max(hold.ends for hold in known), None)
        worst = max(held, key=lambda hold: (hold.kind is None, hold.until))
        what = "everything" if worst.kind is None else f"what counts as {worst.kind}"
        cause = f"{worst.cause}; {what} is held back for {worst.until - now:.1f} s more"
        return PartState("open", worst.since, cause)

    def uses(self, account: str, wall_ms: int) -> dict[str, tuple[int, int, float]]:
        """By pool: units used of the limit, and in how many seconds the window ends."""
        with self.changed:
            found = {}
            for pool in self._pools.values():
                window = self._window(pool, account)
                window.roll(wall_ms)
                found[pool.name] = (window.used, window.limit, window.resets_in(wall_ms))
            return found

    def _penance(self, window: _Window, now: float) -> float:
        """Seconds for which less of it may be used: it, or everything, was too much twice."""
        until = max(self._penances.get(key, now) for key in (_EVERYTHING, window.key))
        return until - now if until > now else 0.0

    def _lack(self, window: _Window, amount: int, share: float, penance: float, wall_ms: int) -> float:
        ceiling = max(window.limit * share, 1.0)  # what may be done once in a window may be done
        if amount > ceiling:
            name, limit = window.name, window.limit
            text = f"costs {amount} of {name}, and calls of this sort may use {int(ceiling)} of {limit} at most"
            raise WouldExceedLimit(text, {"limit": name})
        if penance:
            ceiling = max(ceiling / 2, 1.0)
            if amount > ceiling:
                return penance
        return 0.0 if window.used + amount <= ceiling else window.resets_in(wall_ms) + _EDGE_S

    def _banned(self, costs: tuple[Cost, ...], lane: Lane, account: str, now: float) -> float:
        wait = 0.0
        kinds = {cost.kind for cost in costs}
        for (kind, of), until in list(self._bans.items()):
            if now >= until + len(Lane) * _REOPEN_S:
                del self._bans[kind, of]
            elif not kind or (kind in kinds and of in ("", account)):
                wait = max(wait, until + lane * _REOPEN_S - now)
        return wait

    def _holds_of(self, account: str) -> list[Hold]:
        with self.changed:
            return [hold for (_, of), hold in self._holds.items() if of in ("", account)]

    def _plan(self, costs: tuple[Cost, ...], account: str) -> tuple[_Item, ...]:
        items = tuple(
            _Item(self._window(pool, account), cost.amount, cost.refunded)
            for cost in costs
            for pool in self._pools.values()
            if pool.kind == cost.kind and cost.amount
        )
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[costs, account] = items
        return items

    def _window(self, pool: Pool, account: str) -> _Window:
        key = (pool.name, account if pool.scope == "account" else "")
        window = self._windows.get(key)
        if window is None:
            made = _RollingWindow if pool.is_rolling else _Window
            window = self._windows[key] = made(pool, self._share, key[1])
        return window

    def _scope(self, kind: str) -> str:
        return next((pool.scope for pool in self._pools.values() if pool.kind == kind), "ip")

    def _notify(self) -> None:
        self.version += 1
        self.changed.notify_all()
