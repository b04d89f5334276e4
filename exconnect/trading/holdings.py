"""What the account holds, as far as it was told: the last known balance of every asset, and whether it adds up.

Whatever changes a total is a fill, a fee or a transfer. A change that none of them explains was something else that
nobody told us of, a fill that got lost for instance.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from cachetools import LRUCache

from exconnect.model.account import Balance, Balances
from exconnect.model.values import EXACT, ZERO

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from exconnect.environment import Environment

_TOLERANCE = Decimal("0.0000001")  # exchanges round what is paid
_SETTLES_S = 2.0  # balances and what explains them come in any order
_REMEMBERED = 100_000


class Holdings:
    """Thread-safe. Of two reports about an asset the newer one counts, whichever came first."""

    def __init__(self, exchange: str, env: Environment) -> None:
        self._exchange = exchange
        self._lock = env.lock()
        self._env = env
        self._known: dict[str, tuple[Balance, int]] = {}
        self._open: dict[str, tuple[Decimal, float]] = {}  # what is not explained yet, and when that changed last
        self._explained: LRUCache[Hashable, bool] = LRUCache(_REMEMBERED)

    def put(self, balances: Balances, time_ms: int) -> list[Balance]:
        """All that is held, as asked at `time_ms` or later; what is not in it is zero. Gives what changed."""
        with self._lock:
            gone = [
                Balance(exchange=self._exchange, asset=asset, free=ZERO, locked=ZERO)
                for asset, (balance, _) in self._known.items()
                if asset not in balances and balance.total
            ]
        return self.change((*balances.values(), *gone), time_ms)

    def change(self, balances: Iterable[Balance], time_ms: int) -> list[Balance]:
        """Some assets as they are since `time_ms`. Gives those of which that is news."""
        changed = []
        with self._lock:
            for balance in balances:
                known, since_ms = self._known.get(balance.asset, (None, 0))
                if time_ms < since_ms:
                    continue
                self._known[balance.asset] = balance, time_ms
                if balance != known:
                    changed.append(balance)
                if known is not None:
                    self._book(balance.asset, balance.total - known.total)
        return changed

    def held(self, assets: Iterable[str] | None = None) -> list[Balance]:
        """What is known of these assets, or of all that anything is known of: zeros too."""
        with self._lock:
            names = self._known if assets is None else assets
            return [self._known[asset][0] for asset in names if asset in self._known]

    def balances(self) -> Balances:
        """Everything that is known to be held."""
        with self._lock:
            known = {asset: balance for asset, (balance, _) in self._known.items() if balance.total}
        return Balances(self._exchange, known)

    # ------------------------------------------------------------ whether it adds up

    def explain(self, reason: Hashable, changes: Iterable[tuple[str, Decimal]]) -> None:
        """So much of these assets came (or went, below zero) for this reason, which counts once."""
        with self._lock:
            if reason not in self._explained:
                self._explained[reason] = True
                for asset, quantity in changes:
                    self._book(asset, EXACT.minus(quantity))

    def _book(self, asset: str, quantity: Decimal) -> None:
        if quantity:
            before, _ = self._open.get(asset, (ZERO, 0.0))
            self._open[asset] = EXACT.add(before, quantity), self._env.now()

    def unexplained(self) -> dict[str, Decimal]:
        """Changes of totals for which no reason has come in time."""
        until = self._env.now() - _SETTLES_S
        with self._lock:
            return {asset: rest for asset, (rest, at) in self._open.items() if abs(rest) > _TOLERANCE and at <= until}

    def settle(self) -> None:
        """From here on it adds up: everything there was has been asked for."""
        with self._lock:
            self._open.clear()
