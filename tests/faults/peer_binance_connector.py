"""Binance's own connector of old, by now deprecated."""

from __future__ import annotations

import json
from typing import Any

from binance.spot import Spot
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
from peer import SYMBOL, Base


class Peer(Base):
    distribution = "binance-connector"

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        self.stream: Any = None
        self._errors = 0

    def connect(self, *, retries: bool = False, debug: bool = False) -> None:
        self.client = Spot(api_key=self.key, api_secret=self.secret, base_url=self.rest_url)

    def place(self, side: str, quantity: Any, price: Any = None) -> Any:
        kind = {"type": "MARKET"} if price is None else {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        return self.client.new_order(SYMBOL, side=side.upper(), quantity=quantity, **kind)

    def read(self) -> Any:
        return self.client.account()

    def time(self) -> Any:
        return self.client.time()

    def seen_open(self) -> int:
        return len(self.client.get_open_orders(SYMBOL))

    # streams

    def trades(self, listener: Any) -> None:
        def failed(*_: Any) -> None:
            self._errors += 1

        self.stream = SpotWebsocketStreamClient(
            self.stream_url, on_message=lambda _, text: self._seen(text, listener), on_error=failed
        )
        self.stream.trade(SYMBOL, id=1)

    @staticmethod
    def _seen(text: str, listener: Any) -> None:
        message = json.loads(text)
        if "e" in message:
            listener(message)

    def stop(self) -> None:
        self.stream.stop()

    def claims(self) -> bool:
        return bool(self.stream.socket_manager.is_alive())

    def told(self) -> int:
        return self._errors

    def doubts(self) -> int:
        return self._errors
