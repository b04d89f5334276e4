"""unicorn-binance-websocket-api: streams only."""

from __future__ import annotations

import json
from typing import Any

from peer import SYMBOL, Base
from unicorn_binance_websocket_api import BinanceWebSocketApiManager


class Peer(Base):
    distribution = "unicorn-binance-websocket-api"

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        self.stream: Any = None

    def connect(self, *, retries: bool = False, debug: bool = False) -> None:
        self.client = BinanceWebSocketApiManager(
            exchange="binance.com",
            websocket_base_uri=f"{self.stream_url}/",
            websocket_api_base_uri=f"{self.private_url}/ws-api/v3",
            restful_base_uri=f"{self.rest_url}/",
            warn_on_update=False,
            disable_colorama=True,
            output_default="dict",
        )

    def trades(self, listener: Any) -> None:
        def seen(message: dict[str, Any]) -> None:
            if "data" in message:
                listener(message)

        self.stream = self.client.create_stream(["trade"], [SYMBOL.lower()], process_stream_data=seen)

    def user_events(self, listener: Any) -> None:
        def seen(message: Any) -> None:
            event = json.loads(message) if isinstance(message, str) else message
            inner = event.get("event", event.get("data", event))
            if isinstance(inner, dict) and inner.get("x") == "TRADE":
                listener(str(inner["t"]))

        self.stream = self.client.create_stream(
            ["arr"], ["!userData"], api_key=self.key, api_secret=self.secret, process_stream_data=seen
        )

    def claims(self) -> bool:
        return bool(self.client.get_stream_info(self.stream)["status"] == "running")

    def stop(self) -> None:
        self.client.stop_manager()
