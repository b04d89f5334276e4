"""Binance's new SDK: blocking REST, streams on asyncio, here on a loop in a thread."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot
from peer import SYMBOL, Base


class Peer(Base):
    distribution = "binance-sdk-spot"

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        self._loop = asyncio.new_event_loop()
        self._connection: Any = None
        self._errors = 0

    def connect(self, *, retries: bool = False, debug: bool = False) -> None:
        rest = ConfigurationRestAPI(api_key=self.key, api_secret=self.secret, base_path=self.rest_url)
        api = ConfigurationWebSocketAPI(
            api_key=self.key, api_secret=self.secret, stream_url=f"{self.private_url}/ws-api/v3"
        )
        streams = ConfigurationWebSocketStreams(stream_url=f"{self.stream_url}/stream")
        self.client = Spot(config_rest_api=rest, config_ws_api=api, config_ws_streams=streams)

    def place(self, side: str, quantity: Any, price: Any = None) -> Any:
        kind = {"type": "MARKET"} if price is None else {"type": "LIMIT", "time_in_force": "GTC", "price": price}
        done = self.client.rest_api.new_order(symbol=SYMBOL, side=side.upper(), quantity=quantity, **kind)
        return done.data()

    def read(self) -> Any:
        return self.client.rest_api.get_account().data()

    def time(self) -> Any:
        return self.client.rest_api.time().data()

    def seen_open(self) -> int:
        return len(self.client.rest_api.get_open_orders(symbol=SYMBOL).data())

    def filled(self, value: Any) -> bool:
        return bool(value.status == "FILLED")

    # streams

    def _begin(self, start: Any) -> None:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(start(), self._loop).result(15)

    def trades(self, listener: Any) -> None:
        async def start() -> None:
            self._connection = await self.client.websocket_streams.create_connection()
            self._connection.on_connection("error", self._failed)
            stream = await self._connection.trade(symbol=SYMBOL.lower())
            stream.on("message", listener)

        self._begin(start)

    def user_events(self, listener: Any) -> None:
        def seen(event: Any) -> None:
            told = getattr(event, "actual_instance", event)
            if getattr(told, "x", None) == "TRADE":
                listener(str(told.t))

        async def start() -> None:
            self._connection = await self.client.websocket_api.create_connection()
            stream = (await self._connection.user_data_stream_subscribe_signature()).stream
            stream.on("message", seen)

        self._begin(start)

    def _failed(self, _: Any) -> None:
        self._errors += 1

    def told(self) -> int:
        return self._errors

    def doubts(self) -> int:
        return self._errors

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._connection.close_connection(), self._loop).result(10)
