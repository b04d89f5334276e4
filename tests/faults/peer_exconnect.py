"""exconnect."""

from __future__ import annotations

from typing import Any

from peer import Base

from exconnect import BookNotReady, Client, Credentials, ExconnectError, StreamStatus, UnknownSymbol

PAIR = "BTC/USDT"


class Peer(Base):
    distribution = "exconnect"

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        self.exchange = address["exchange"]
        self.stream: Any = None
        self._failed = self._doubts = 0
        self._states: list[str] = []
        self._last: str | None = None

    def connect(self, *, retries: bool = False, debug: bool = False) -> None:
        url = f"{self.rest_url} {self.stream_url} {self.private_url}"
        self.client = Client(self.exchange, environment=url, credentials=Credentials(self.key, self.secret))
        self.client.orders.on_change(lambda order: self._states.append(order.status.value))

    def place(self, side: str, quantity: Any, price: Any = None) -> Any:
        kind = {"type": "market"} if price is None else {"price": price}
        try:
            order = self.client.place_order(PAIR, side, quantity, **kind, timeout=4)
        except ExconnectError as error:
            self._last = error.client_order_id
            raise
        self._last = order.client_order_id
        return order

    def read(self) -> Any:
        return self.client.fetch_balances()

    def time(self) -> Any:
        return self.client.fetch_time()

    def learn(self) -> None:
        self.client.fetch_instruments()

    def state(self) -> str | None:
        """Without asking the exchange."""
        order = self._last and self.client.orders.get(self._last)
        return order.status.value if order else None

    def remembered(self) -> int:
        self.client.recover(timeout=10)
        return sum(order.status.value == "filled" for order in self.client.orders.history())

    def seen_open(self) -> int:
        return len(self.client.fetch_open_orders())

    def states(self) -> list[str]:
        return self._states

    def filled(self, value: Any) -> bool:
        return value.status.value == "filled"

    # streams

    def trades(self, listener: Any) -> None:
        self.stream = self.client.stream(PAIR)
        self.stream.on_trade(listener)
        self._watch()

    def _watch(self) -> None:
        self.stream.on_notice(self._noticed)
        self.stream.on_status(self._changed)
        self.stream.start()

    def _noticed(self, notice: Any) -> None:
        self._failed += type(notice).__name__ == "HandlerFailed"

    def _changed(self, change: Any) -> None:
        self._doubts += change.status in (StreamStatus.SUSPECT, StreamStatus.DOWN)

    def user_events(self, listener: Any) -> None:
        self.stream = self.client.stream(PAIR)
        self.stream.on_fill(lambda fill: listener(fill.id))
        self._watch()
        self.stream.wait_live(20)

    def keep_book(self) -> None:
        self.stream = self.client.stream(PAIR)
        self.stream.on_book(lambda _: None)
        self._watch()

    def top(self) -> Any:
        try:
            book = self.stream.book(PAIR)
        except (BookNotReady, UnknownSymbol):
            return None
        return list(book.bids[:10]), list(book.asks[:10])

    def stop(self) -> None:
        self.client.close()

    def claims(self) -> bool:
        return self.stream.status is StreamStatus.LIVE

    def told(self) -> int:
        return self._failed

    def doubts(self) -> int:
        return self._doubts

    def guard(self) -> str | None:
        try:
            self.stream.wait(0.1)
        except ExconnectError as error:
            return type(error).__name__
        return None
