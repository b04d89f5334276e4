"""ccxt for orders, ccxt.pro for streams: there the user's own loop waits for the next batch, and nothing is called."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import ccxt
import ccxt.pro
from peer import Base

PAIR = "BTC/USDT"


class Peer(Base):
    distribution = "ccxt"
    rest, pro = ccxt.binance, ccxt.pro.binance

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        self._heard: list[Any] = []
        self._errors = 0
        self.socket: Any = None
        self._top: Any = None

    def settings(self) -> dict[str, Any]:
        rest = f"{self.rest_url}/api/v3"
        sockets = {"spot": f"{self.stream_url}/ws", "ws-api": {"spot": f"{self.private_url}/ws-api/v3"}}
        return {
            "apiKey": self.key,
            "secret": self.secret,
            "urls": {"api": {"public": rest, "private": rest, "ws": sockets}},
            # Currencies and margin modes come from hosts that are no part of spot trading.
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
        }

    def connect(self, *, retries: bool = False, debug: bool = False) -> None:
        self.client = self.rest(self.settings())
        self.client.load_markets()
        if retries:
            self.client.options["maxRetriesOnFailure"] = 3

    def place(self, side: str, quantity: Any, price: Any = None) -> Any:
        kind = "market" if price is None else "limit"
        return self.client.create_order(PAIR, kind, side, float(quantity), price)["id"]

    def read(self) -> Any:
        return self.client.fetch_balance()

    def time(self) -> Any:
        return self.client.fetch_time()

    def seen_open(self) -> int:
        return len(self.client.fetch_open_orders(PAIR))

    # streams: a loop in a thread, as the examples of ccxt.pro have it

    def _run(self, watch: Any, seen: Any) -> None:
        async def loop() -> None:
            self.socket = self.pro(self.settings())
            while True:
                try:
                    seen(await watch(self.socket))
                except Exception:
                    self._errors += 1
                    await asyncio.sleep(0.1)

        threading.Thread(target=lambda: asyncio.run(loop()), daemon=True).start()

    def trades(self, listener: Any) -> None:
        self._run(lambda pro: pro.watch_trades(PAIR), lambda batch: [listener(trade) for trade in batch])

    def user_events(self, listener: Any) -> None:
        self._run(lambda pro: pro.watch_my_trades(PAIR), lambda batch: [listener(str(trade["id"])) for trade in batch])

    def keep_book(self) -> None:
        def seen(book: Any) -> None:
            self._top = book["bids"][:10], book["asks"][:10]

        self._run(lambda pro: pro.watch_order_book(PAIR), seen)

    def top(self) -> Any:
        return self._top

    def stop(self) -> None:
        """Its loop is a daemon of the program's own."""

    def doubts(self) -> int:
        return self._errors
