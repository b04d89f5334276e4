"""python-binance: its blocking client, and its threaded manager for streams."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from binance import AsyncClient, BinanceSocketManager, Client, DepthCacheManager, ThreadedWebsocketManager
from peer import SYMBOL, Base


class Peer(Base):
    distribution = "python-binance"

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        Client.API_URL = AsyncClient.API_URL = f"{self.rest_url}/api"
        Client.WS_API_URL = AsyncClient.WS_API_URL = f"{self.private_url}/ws-api/v3"
        BinanceSocketManager.STREAM_URL = f"{self.stream_url}/"
        self.sockets: Any = None
        self._errors = 0
        self._top: Any = None

    def connect(self, *, retries: bool = False, debug: bool = False) -> None:
        self.client = Client(self.key, self.secret, **({"verbose": True} if debug else {}))

    def place(self, side: str, quantity: Any, price: Any = None) -> Any:
        kind = {"type": "MARKET"} if price is None else {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        return self.client.create_order(symbol=SYMBOL, side=side.upper(), quantity=quantity, **kind)

    def read(self) -> Any:
        return self.client.get_account()

    def time(self) -> Any:
        return self.client.get_server_time()

    def seen_open(self) -> int:
        return len(self.client.get_open_orders(symbol=SYMBOL))

    def filled(self, value: Any) -> bool:
        return bool(value["status"] == "FILLED")

    # streams

    def _start(self) -> None:
        self.sockets = ThreadedWebsocketManager(api_key=self.key, api_secret=self.secret)
        self.sockets.start()

    def trades(self, listener: Any) -> None:
        self._start()
        self.sockets.start_trade_socket(listener, SYMBOL)

    def user_events(self, listener: Any) -> None:
        def seen(event: dict[str, Any]) -> None:
            if event.get("e") == "error":
                self._errors += 1
            inner = event.get("event", event)
            if inner.get("x") == "TRADE":
                listener(str(inner["t"]))

        self._start()
        self.sockets.start_user_socket(seen)

    def keep_book(self) -> None:
        async def keep() -> None:
            client = await AsyncClient.create()
            async with DepthCacheManager(client, SYMBOL, ws_interval=100) as cache:
                while True:
                    kept = await cache.recv()
                    self._top = kept.get_bids()[:10], kept.get_asks()[:10]

        threading.Thread(target=lambda: asyncio.run(keep()), daemon=True).start()

    def top(self) -> Any:
        return self._top

    def stop(self) -> None:
        self.sockets.stop()
        self.sockets.join()

    def doubts(self) -> int:
        return self._errors
