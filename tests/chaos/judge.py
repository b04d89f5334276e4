"""The judge: what the client said, against what the exchange's ledger holds.

It hears every snapshot that a user could see, every request that leaves, and every error; at the end, when calm has
lasted as long as the promise needs, it compares.
"""

import re
import sqlite3
from collections import Counter, deque
from decimal import Decimal

from exconnect.errors import ExconnectError
from exconnect.mock.fixed import decimal
from exconnect.mock.world import USER
from exconnect.model.enums import OrderStatus
from exconnect.trading.journal import Journal, _unpacked
from exconnect.trading.orders import RANKS

SLACK_S = 0.1
AT_ONCE_S = 0.05
TRIES_AGAIN_S = 0.5  # pauses while the time or an instrument is asked for once more, for which other threads wait
CROWDED = 18  # calls of one kind in a second: Bybit takes 20, and a little of that is kept back
FIRST = ("/time", "/exchangeInfo", "/instruments-info")
CANCELS = frozenset({"cancel_order", "cancel_orders", "cancel_all_orders"})
PLACES = frozenset({"/api/v3/order", "/api/v3/order/cancelReplace", "/v5/order/create", "/v5/order/create-batch"})
_IDS = re.compile(r'(?:newClientOrderId=|"orderLinkId":")([A-Za-z0-9_-]+)')
_DENIED = frozenset({OrderStatus.REJECTED, OrderStatus.NEVER_SENT, OrderStatus.NOT_ACCEPTED})
_LIVE = RANKS[OrderStatus.ACCEPTED]
_STATUSES = {"expired_in_match": "expired"}


class Judge:
    """Of one schedule."""

    def __init__(self, stage):
        self._stage = stage
        self._out = stage.outcome
        self._engine = stage.market.core.world.engine
        self._secret = stage.market.core.keys.hmac()[1]
        self._seen = {}  # by process, client order id and number: the newest snapshot
        self._unknown = set()
        self._ends = {}  # by client order id: the end that a user was told
        self._sent = Counter()
        self._cancels = {}  # by task: since when its user waits for a cancel to leave
        self._learning = {}  # by task: of which process it asks for the time, or for what is traded
        self._learnt = {}  # by process: when it last had an answer to that
        self._left = deque(maxlen=200)  # path and time of what left last
        self._db = None

    # ------------------------------------------------------------ while it goes on

    def listen(self, trader):
        """Hear what this process's users can see."""
        number = len(self._stage.traders)
        trader.venue.account.orders.listen(lambda order: self._heard(trader, number, order))

    def _heard(self, trader, number, order):
        if trader.process.is_dead:
            return
        name = order.client_order_id
        if order.status is OrderStatus.UNKNOWN:
            self._unknown.add(name)
        # By the number too: orders that one cancel of all has ended have one name, if nobody here knows their own.
        before = self._seen.get((number, name, order.order_id)) or self._seen.get((number, name, None))
        self._seen[number, name, order.order_id] = order
        self._stage.timeline.tell("heard:", _said(order), order.source)
        if before is not None:
            self._compare(before, order)
            if before.status is OrderStatus.NEVER_SENT and order.status is OrderStatus.PENDING_NEW:
                self._ends.pop(name, None)  # begun again, perhaps by another thread, which may have sent it by now
        if order.status is OrderStatus.NEVER_SENT and trader.process.is_taken_for_dead:
            return  # it speaks of itself: an heir may have sent it
        self.told(order)

    def _compare(self, before, order):
        if order.filled_quantity < before.filled_quantity:
            self._out.regressed.append(f"{before.filled_quantity} were filled, then {order.filled_quantity}: {order}")
        if RANKS[before.status] >= _LIVE and RANKS[order.status] < RANKS[before.status]:
            self._out.regressed.append(f"{before.status}, then {order.status}: {order}")
        if not {fill.id for fill in before.fills} <= {fill.id for fill in order.fills}:
            self._out.regressed.append(f"a fill is gone: {order}")

    def told(self, order):
        """A user sees this order."""
        if not order.is_done:
            return
        self._ends[order.client_order_id] = (order, self._sent[order.client_order_id])
        for real in self._orders(order.client_order_id):
            if real.status != "rejected" and decimal(real.filled) > order.filled_quantity:
                self._out.lost.append(f"{decimal(real.filled)} had been filled when a user was told {_said(order)}")

    def open(self, symbol):
        """Numbers of the orders that the exchange has open, of a symbol or of the account."""
        orders = self._engine.orders.items()
        ours = {number: real.market.symbol for number, real in orders if real.owner == USER and real.is_open}
        return {number for number, whose in ours.items() if symbol in (None, whose)}

    def swept(self, before):
        """A cancel of everything has come back; these were open when it was asked for."""
        for number in before & self.open(None):
            self._out.violations.append(f"{self._engine.orders[number].placed_id} survived a cancel of all orders")

    def ended(self):
        """What users were told of ends so far."""
        return {name: order for name, (order, _) in self._ends.items() if order.status not in _DENIED}

    def recovered(self, ended, orders):
        """These count as open in the process that is left, after it has recovered; `ended` was told before that."""
        for order in orders:
            if order.client_order_id in ended and RANKS[order.status] >= _LIVE:  # not to know any more is honest
                told = ended[order.client_order_id]
                self._out.regressed.append(f"a user was told {_said(told)}, and after recovery {_said(order)}")

    def timed(self, call, _name, *args, **kwargs):
        """Make a call; it must come back in the time that it was given."""
        stage, begun = self._stage, self._stage.timeline.now
        process = stage.timeline.current.process
        stops = process.stops
        stage.timeline.tell(call.__name__, args, kwargs)
        if call.__name__ in CANCELS and not self._must_look_first(call, args):
            self._cancels[stage.timeline.current] = begun, stops
        try:
            return call(*args, **kwargs)
        finally:
            self._cancels.pop(stage.timeline.current, None)
            self.count_exposure()
            took, given = stage.timeline.now - begun, kwargs.get("timeout", stage.timeout)
            if call.__name__ == "cancel_orders":
                given += len(args[0])  # each is asked for, however long those before it have taken
            is_disturbed = process.is_dead or process.stops != stops or stage.is_preempted
            if took > given + SLACK_S and not is_disturbed:
                self._out.violations.append(f"{call.__name__} was given {given} s and took {took:.3f}")

    @staticmethod
    def _must_look_first(call, args):
        """Whether nobody here knows of anything to cancel: then it waits for whatever a read has to wait for."""
        return call.__name__ == "cancel_all_orders" and args == (None,) and not call.__self__.orders.open()

    def count_exposure(self):
        """The true position is never beyond what the journal reports as filled, and what it reports as possible.

        Order by order, which is stricter: what is filled is known, or the order counts as one that may be.
        """
        rows = ()
        if self._stage.journal.exists():
            rows = self._journal().execute("SELECT client_order_id, snapshot FROM intent").fetchall()
        kept = {name: _unpacked(snapshot) for name, snapshot in rows}
        for real in self._engine.orders.values():
            if real.owner != USER or not real.filled:
                continue
            order = kept.get(real.placed_id)
            if order is None:
                self._out.violations.append(f"{decimal(real.filled)} of {real.placed_id} is filled, and in no journal")
            elif order.is_done and order.filled_quantity < decimal(real.filled):
                self._out.violations.append(f"{_said(order)} by the journal, which is less than the position")

    def leaves(self, process):
        """A request is about to leave; if it is the first of a cancel, it waited for nothing but what must be known."""
        stage = self._stage
        begun, stops = self._cancels.pop(stage.timeline.current, (None, 0))
        if begun is None or stage.is_preempted or process.stops != stops or "limit" in stage.weather.kinds:
            return
        is_ready = process not in self._learning.values() and self._learnt.get(process, -1.0) + TRIES_AGAIN_S < begun
        if is_ready and stage.timeline.now - begun > AT_ONCE_S and not self._is_crowded(begun):
            self._out.violations.append(f"a cancel waited {stage.timeline.now - begun:.3f} s before it left")

    def _is_crowded(self, begun):
        """Whether cancels of others have used up what the exchange takes of one kind in a second."""
        lately = Counter(path for path, at in self._left if path.startswith("/v5/") and at > begun - 1.0)
        return max(lately.values(), default=0) >= CROWDED

    def answered(self, process):
        """A request has been answered, or its answer is not waited for any more."""
        if self._learning.pop(self._stage.timeline.current, None):
            self._learnt[process] = self._stage.timeline.now

    def attempted(self, process):
        """An attempt was written down, so an order leaves: not of a process whose orders were handed over."""
        where = "SELECT COUNT(*) FROM epoch WHERE process = ? AND retired_ms IS NULL"
        if not self._journal().execute(where, (process.identity,)).fetchone()[0]:
            self._out.violations.append(f"{process.identity} was taken over, and sends an order")

    def raised(self, trader, operation, error):
        """A user got an error."""
        text = f"{error} {error!r} {error.details}"
        self._stage.timeline.tell(operation, "raised", repr(error))
        if self._secret in text:
            self._out.violations.append(f"{operation}: an error shows the secret")
        if not isinstance(error, ExconnectError):
            self._out.violations.append(f"{operation}: {type(error).__name__} is none of ours")

    def sent(self, request):
        """A request leaves: if it places, each of its attempts must have been written down before."""
        self._out.requests += 1
        self._left.append((request.path, self._stage.timeline.now))
        if request.path.endswith(FIRST):
            self._learning[self._stage.timeline.current] = self._stage.timeline.current.process
        if request.method != "POST" or request.path not in PLACES:
            return
        text = f"{request.query}&{request.body.decode()}"
        for name in set(_IDS.findall(text)):
            self._sent[name] += 1
            where = "SELECT attempts FROM attempt WHERE client_order_id = ?"
            row = self._journal().execute(where, (name,)).fetchone()
            written = 0 if row is None else len(row[0].splitlines())
            if written < self._sent[name]:
                self._out.violations.append(f"{name} left {self._sent[name]} times, and {written} were written down")

    def _journal(self):
        if self._db is None:
            self._db = sqlite3.connect(self._stage.journal, isolation_level=None, check_same_thread=False)
        return self._db

    def _orders(self, name):
        return [real for real in self._engine.orders.values() if real.placed_id == name and real.owner == USER]

    # ------------------------------------------------------------ at the end

    def conclude(self, trader):
        """In calm weather, with the client that is left: does it know the truth?"""
        journal = Journal(self._stage.journal, trader.env)
        kept = {order.client_order_id: order for order in journal.orders()}
        store = trader.venue.account.orders
        known = dict(kept)
        for order in store.history(None, store.MOST):
            if order.client_order_id not in kept and self._has_other_name(order):
                continue
            recorded = kept.get(order.client_order_id)
            # What another process has found out is in the journal; here nobody may have asked for it since.
            if order.is_definite or recorded is None or not recorded.is_definite:
                known[order.client_order_id] = order
        real = {}
        for order in self._engine.orders.values():
            if order.owner == USER:
                real.setdefault(order.placed_id, []).append(order)
        self._out.orders = len(known.keys() | real.keys())
        self._out.unknown = len(self._unknown)
        for name in sorted(known.keys() | real.keys()):
            self._verdict(known.get(name), real.get(name, []), name)
        for name, order in sorted(known.items()):
            self._check_replay(order, kept.get(name))
            if real.get(name):
                self._check_fills(trader, order, real[name][0])
        for name, (order, sent) in sorted(self._ends.items()):
            self._check_end(order, sent, real.get(name, []))
        self._check_exchange()

    def _has_other_name(self, order):
        """Whether it is one of ours under the name that a cancel of all has given it."""
        real = self._engine.orders.get(int(order.order_id or 0))
        return real is not None and order.client_order_id == real.client_id != real.placed_id

    def _verdict(self, order, real, name):
        out = self._out
        if len(real) > 1:
            out.duplicated.append(f"{name} was accepted {len(real)} times")
        if order is None:
            out.lost.append(f"{name} is on the exchange and in no journal")
        elif not real:
            self._judge_absent(order)
        elif order.status in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW):
            if real[0].client_id != name:
                return  # a cancel of all has given it another name, and no answer ever said what its number is
            out.stuck.append(f"{_said(order)}, the exchange says {real[0].status}")
        elif order.status in _DENIED and real[0].status != "rejected":
            out.lost.append(f"{_said(order)}, the exchange says {real[0].status}")
        elif order.status != _status(real[0]) or order.filled_quantity != decimal(real[0].filled):
            what = f"{_said(order)}, the exchange says {real[0].status}, {decimal(real[0].filled)} filled"
            (out.lost if order.is_done else out.stuck).append(what)

    def _judge_absent(self, order):
        if order.status in _DENIED:
            return
        if order.status in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW):
            if not any(self._is_like(order, real) for real in self._engine.orders.values()):
                self._out.stuck.append(f"{_said(order)}, and the exchange never got it")
            return
        self._out.lost.append(f"{_said(order)}, and the exchange never got it")

    @staticmethod
    def _is_like(order, real):
        """Whether it might be the order under a name that a cancel of all has given it."""
        terms = (order.side, order.quantity, order.price or 0)
        is_renamed = real.owner == USER and real.client_id != real.placed_id
        return is_renamed and terms == (real.side, decimal(real.quantity), decimal(real.price))

    def _check_replay(self, order, kept):
        """An end that a user was shown is in the journal. What is open is asked for again by whoever reads it."""
        if kept is None:
            if order.status is not OrderStatus.NEVER_SENT:
                self._out.violations.append(f"{_said(order)} is in no journal")
        elif order.is_done and (not kept.is_done or kept.filled_quantity < order.filled_quantity):
            self._out.violations.append(f"{_said(order)}, the journal says {kept.status} {kept.filled_quantity}")

    def _check_fills(self, trader, order, real):
        here = trader.venue.account.orders.get(order.client_order_id)
        if not real.fills or not order.is_definite or (here is not None and not here.is_definite):
            return  # where another process has found out, this one may not know its number
        fills = self._stage.asked(lambda: trader.client.fetch_fills(order.symbol, order=order, timeout=30.0))
        told = {fill.id for fill in fills}
        if told != {str(fill.trade_id) for fill in real.fills}:
            self._out.lost.append(f"{_said(order)} has fills {sorted(told)}, the exchange says {len(real.fills)}")
        if sum((fill.quantity for fill in fills), Decimal(0)) != decimal(real.filled):
            self._out.lost.append(f"the fills of {_said(order)} do not add up")

    def _check_end(self, order, sent, real):
        """The end that a user was told is the end that it came to, unless it was sent again after that."""
        if not real or self._sent[order.client_order_id] > sent or self._has_other_name(order):
            return
        if order.status in _DENIED:
            if real[0].status != "rejected":
                self._out.lost.append(f"a user was told {_said(order)}, the exchange says {real[0].status}")
        elif order.status != _status(real[0]) or order.filled_quantity != decimal(real[0].filled):
            what = f"{real[0].status} {decimal(real[0].filled)}"
            self._out.lost.append(f"a user was told {_said(order)}, the exchange says {what}")

    def _check_exchange(self):
        """Its own rules, as far as somebody who has just started, or was told to wait, can know of them."""
        stage = self._stage
        for text in stage.market.core.world.record.violations:
            if "accepted twice" not in text and len(stage.traders) == 1 and "limit" not in stage.weather.kinds:
                self._out.violations.append(f"the exchange: {text}")

    def close(self):
        """When all threads have ended."""
        self._out.violations += self._stage.timeline.failures
        if self._db is not None:
            self._db.close()


def _status(real):
    """What it is called here: an amend to less than is filled ends an order, and all of it is filled then."""
    if 0 < real.quantity <= real.filled:
        return OrderStatus.FILLED
    return OrderStatus(_STATUSES.get(real.status, real.status))


def _said(order):
    return f"{order.client_order_id} is {order.status}, {order.filled_quantity} filled"
