"""What happens on one exchange: streams, orders, a lost connection, and a look at the exchange's own ledger."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Self

from exconnect.cli.demo.telling import Telling
from exconnect.cli.demo.witness import Witness
from exconnect.cli.output import shown
from exconnect.client import Client
from exconnect.environment import Environment
from exconnect.errors import BookNotReady, ExconnectError
from exconnect.mock import MockExchange
from exconnect.model.enums import OrderStatus, OrderType, StreamStatus
from exconnect.model.events import StatusChanged
from exconnect.model.order import Order
from exconnect.runtime.actor import Thread

SYMBOLS = ("BTC/USDT", "ETH/USDT")

_LIVE_S, _RECOVERY_S, _SETTLE_S = 15.0, 30.0, 10.0
_QUANTITY, _LESS = Decimal("0.05"), Decimal("0.03")
_MARKET_QUANTITY = Decimal("0.5")
_BELOW = Decimal("0.99")  # of the best bid: far enough that the market hardly gets there
_HIDDEN = "no book is shown until it is right again"
_MISSED = "what it misses is told once it is back"

# When each act begins, as a part of the whole time.
_PLACE, _AMEND, _MARKET, _LOSE, _CANCEL, _END = 0.1, 0.25, 0.35, 0.45, 0.8, 1.0


@dataclass(slots=True)
class Life:
    """An order's newest snapshot, and what became of it step by step."""

    name: str
    order: Order
    steps: list[str]


class Performance:
    """One exchange's story, in a thread of its own; `failure` is what ended it early."""

    def __init__(self, mock: MockExchange, client: Client, seconds: float, telling: Telling) -> None:
        self.exchange = client.exchange
        self.mock = mock
        self.client = client
        self.telling = telling
        self.env = Environment()
        self.witness = Witness(self.env)
        self.stream = client.stream(*SYMBOLS)
        self.symbols = SYMBOLS
        self.lives: list[Life] = []
        self.matches: list[str] = []  # symbols whose book was in the end the exchange's own
        self.has_fills = False  # whether every fill of its orders was told of
        self.recovered_s: float | None = None
        self.failure: BaseException | None = None
        self._seconds = seconds
        self._over = threading.Event()
        self._is_deaf = False  # to what happens to the account
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        self.stream.on_book(self.witness.on_book)
        self.stream.on_trade(self.witness.on_trade)
        self.stream.on_ticker(self.witness.on_ticker)
        self.stream.on_fill(self.witness.on_fill)
        self.stream.on_status(self._tell_status)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.stream.close()
        if self._thread is not None:
            self._thread.join(_LIVE_S)

    def begin(self) -> Thread:
        """Start the story."""
        self._thread = self.env.spawn(f"exconnect-demo.{self.exchange}", self._run)
        return self._thread

    # ------------------------------------------------------------ the story

    def _run(self) -> None:
        try:
            self._tell_all()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it, unless it has ended the story itself
            if not self._over.is_set():
                self.failure = error

    def _tell_all(self) -> None:
        self.stream.start()
        self._need(self.stream.wait_live(_LIVE_S), "the stream did not become live")
        self._say("●", f"is live: {', '.join(map(self._price, SYMBOLS))}", "green")
        self._until(_PLACE)
        resting = self._place_limit()
        self._until(_AMEND)
        self._amend(resting)
        self._until(_MARKET)
        self._place_market()
        self._until(_LOSE)
        self._lose_connection()
        self._until(_CANCEL)
        self._cancel(resting)
        self._until(_END)
        self.witness.wait_until(lambda: all(self.witness.facts(SYMBOLS).values()), _SETTLE_S)
        self._compare()

    def _until(self, part: float) -> None:
        self._over.wait(max(self._seconds * part - self.telling.elapsed(), 0.0))
        self._need(not self._over.is_set(), "the demo was ended")

    def _need(self, fact: bool, text: str) -> None:  # noqa: FBT001 - an assertion
        if not fact:
            raise BookNotReady(text, {"exchange": self.exchange, "state": str(self.stream.status)})

    def _place_limit(self) -> Life:
        symbol = SYMBOLS[0]
        bid = self.stream.book(symbol).bids[0].price
        price = self.client.fetch_instrument(symbol).round_price(bid * _BELOW, "down")
        order = self.client.place_order(symbol, "buy", _QUANTITY, price=price)
        return self._born(order, f"limit buy {shown(_QUANTITY)} {symbol} at {shown(price)}")

    def _amend(self, life: Life) -> None:
        order = self.client.amend_order(life.order, quantity=_LESS)
        self._lives_on(life, order, f"amended to {shown(_LESS)}")

    def _place_market(self) -> None:
        """While nobody hears of it: what was missed is told when the connection is there again."""
        symbol = SYMBOLS[1]
        self._say("✂", "hangs up on the account's own stream", "yellow")
        self.mock.faults.add("disconnect", on="private")
        order = self.client.place_order(symbol, "sell", _MARKET_QUANTITY, type="market")
        order = order if order.is_done else self.client.orders.wait(order)
        self._born(order, f"market sell {shown(_MARKET_QUANTITY)} {symbol}", f"at {shown(order.average_price)}")

    def _cancel(self, life: Life) -> None:
        order = self.client.cancel_order(life.order)
        filled = f", {shown(order.filled_quantity)} filled" if order.filled_quantity else ""
        self._lives_on(life, order, f"{order.status}{filled}")

    def _born(self, order: Order, name: str, *more: str) -> Life:
        life = Life(name, order, [" ".join((str(order.status), *more))])
        self.lives.append(life)
        self._say("→", f"{name}: {life.steps[0]}  ({order.client_order_id})", "cyan")
        return life

    def _lives_on(self, life: Life, order: Order, what: str) -> None:
        life.order = order
        life.steps.append(what)
        self._say("→", f"{life.name}: {life.steps[-1]}", "cyan")

    def _lose_connection(self) -> None:
        before, begun = self.stream.metrics()["reconnects"], self.env.now()
        updates = self.witness.updates.copy()
        self._say("✂", "hangs up on the stream", "yellow")
        self.mock.faults.add("disconnect", on="public")
        self._need(self.witness.wait_until(lambda: self._is_back(before, updates), _RECOVERY_S), "it did not come back")
        self.recovered_s = self.env.now() - begun
        text = f"connected again, books are right again, after {self.recovered_s:.2f} s"
        self._say("●", text, "green")

    def _is_back(self, reconnects: float, updates: dict[str, int]) -> bool:
        has_news = all(self.witness.updates[symbol] > updates.get(symbol, 0) for symbol in SYMBOLS)
        return has_news and self.stream.metrics()["reconnects"] > reconnects and self.stream.status is StreamStatus.LIVE

    def _compare(self) -> None:
        self.mock.activity = 0  # from here on nothing moves: what is on its way arrives, and then both must be equal
        for symbol in SYMBOLS:
            truth = self.mock.ledger.book(symbol)
            if self.witness.compare(symbol, truth, _SETTLE_S):
                self.matches.append(symbol)
                self._say("✓", f"{symbol} equals the exchange's own book at #{truth.sequence}", "green")
        fills = self.mock.ledger.fills()
        self.has_fills = self.witness.has_fills(fills, _SETTLE_S)
        if self.has_fills:
            self._say("✓", f"every fill of its orders was told of: {len(fills)}", "green")
        metrics = self.stream.metrics()
        self.witness.check_steps(int(metrics["reconnects"] + metrics["resyncs"]))

    # ------------------------------------------------------------ what was seen

    def _tell_status(self, change: StatusChanged) -> None:
        if change.status in (StreamStatus.DOWN, StreamStatus.FAILED) and not self._over.is_set():
            meanwhile = _MISSED if change.connection == "private" else _HIDDEN
            self._say("✗", f"{change.connection} is {change.status} ({change.reason}); {meanwhile}", "red")
            self._is_deaf = self._is_deaf or change.connection == "private"
        elif change.status is StreamStatus.LIVE and change.connection == "private" and self._is_deaf:
            self._is_deaf = False
            self._say("●", "private is back", "green")  # of the other connection, its books tell

    def _say(self, glyph: str, text: str, colour: str) -> None:
        self.telling.say(glyph, f"{self.exchange:<9}{text}", colour)

    def _price(self, symbol: str) -> str:
        try:
            book = self.stream.book(symbol)
        except ExconnectError:
            return symbol
        return f"{symbol} {shown(book.bids[0].price)} / {shown(book.asks[0].price)}"

    @property
    def orders(self) -> list[Order]:
        """What became of the orders."""
        return [life.order for life in self.lives]

    @property
    def reconnects(self) -> int:
        """How often the stream connected again."""
        return int(self.stream.metrics()["reconnects"])

    def violations(self) -> list[str]:
        """What the exchange objects to, and what we do."""
        return [*self.mock.ledger.violations, *self.witness.violations, *self._wrong_orders()]

    def _wrong_orders(self) -> list[str]:
        wrong = []
        for order in self.orders:
            truth = self.mock.ledger.order(order.client_order_id)
            known = (str(order.status), order.filled_quantity)
            if truth is None or (truth.status, truth.filled_quantity) != known:
                wrong.append(f"order {order.client_order_id}: {known} here, {truth} in the exchange's ledger")
        return wrong

    def missing(self) -> list[str]:
        """What was to be seen and was not."""
        ends = {order.type: order.status for order in self.orders}
        facts = {
            "a market order that is filled": ends.get(OrderType.MARKET) is OrderStatus.FILLED,
            "a limit order that is over": ends.get(OrderType.LIMIT) in (OrderStatus.CANCELED, OrderStatus.FILLED),
            "every fill of its orders": self.has_fills,
            "a lost connection that came back": self.reconnects >= 1 and self.recovered_s is not None,
            "books that end as the exchange's own": self.matches == list(SYMBOLS),
        }
        return [text for text, is_there in {**self.witness.facts(SYMBOLS), **facts}.items() if not is_there]
