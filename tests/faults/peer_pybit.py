"""pybit: Bybit's own client."""

from __future__ import annotations

from typing import Any

import pybit._http_manager as http
import pybit.unified_trading as pybit
from peer import SYMBOL, Base

SPOT = {"category": "spot", "symbol": SYMBOL}


class Peer(Base):
    distribution = "pybit"
    exchange = "bybit"

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        http.HTTP_URL = self.rest_url
        pybit.PUBLIC_WSS = f"{self.stream_url}/v5/public/{{CHANNEL_TYPE}}"
        pybit.PRIVATE_WSS = f"{self.private_url}/v5/private"
        self.socket: Any = None
        self._book = ""

    def connect(self, *, retries: bool = False, debug: bool = False) -> None:
        own = {"force_retry": True} if retries else {"log_requests": True} if debug else {}
        self.client = pybit.HTTP(api_key=self.key, api_secret=self.secret, **own)

    def place(self, side: str, quantity: Any, price: Any = None) -> Any:
        kind = {"orderType": "Market", "marketUnit": "baseCoin"} if price is None else {"orderType": "Limit"}
        more = {} if price is None else {"price": price}
        return self.client.place_order(**SPOT, side=side.capitalize(), qty=quantity, **kind, **more)

    def read(self) -> Any:
        return self.client.get_wallet_balance(accountType="UNIFIED")

    def time(self) -> Any:
        return self.client.get_server_time()

    def seen_open(self) -> int:
        rows = self.client.get_open_orders(**SPOT, openOnly=0)["result"]["list"]
        return sum(row["orderStatus"] in ("New", "PartiallyFilled") for row in rows)

    # streams

    def trades(self, listener: Any) -> None:
        self.socket = pybit.WebSocket(testnet=False, channel_type="spot")
        self.socket.trade_stream(SYMBOL, listener)

    def user_events(self, listener: Any) -> None:
        self.socket = pybit.WebSocket(testnet=False, channel_type="private", api_key=self.key, api_secret=self.secret)
        self.socket.execution_stream(lambda message: [listener(str(row["execId"])) for row in message["data"]])

    def keep_book(self) -> None:
        self.socket = pybit.WebSocket(testnet=False, channel_type="spot")
        self.socket.orderbook_stream(50, SYMBOL, lambda _: None)

    def top(self) -> Any:
        kept = self.socket.data.get(f"orderbook.50.{SYMBOL}")
        if not kept or not kept["b"] or not kept["a"]:
            return None
        bids, asks = (sorted(kept[side], key=lambda level: float(level[0])) for side in "ba")
        return bids[::-1][:10], asks[:10]

    def claims(self) -> bool:
        return bool(self.socket.is_connected())

    def stop(self) -> None:
        self.socket.exit()
