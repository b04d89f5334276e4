"""As much of Binance's REST as an order needs, on loopback, with the headers of the real one. Prints its port.

It sees to it that what is measured is an order: one that is not signed, or not the wanted one, is refused.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import itertools
import json
import socket
import time
from decimal import Decimal
from urllib.parse import parse_qsl

KEY, SECRET = "k" * 64, "s" * 64
FIRST_ID = 28_457_000_001
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
QUANTITY, PRICE = Decimal("0.001"), Decimal(60_000)
_PLENTY = 10_000_000

_ids = itertools.count(FIRST_ID)

_HEADERS = """\
Content-Type: application/json;charset=UTF-8
Connection: keep-alive
Date: Fri, 02 Jan 2026 00:00:00 GMT
Server: nginx
Vary: Accept-Encoding
x-mbx-uuid: 6e9f7a52-6a1c-4c57-9a51-2b7a1c9c1a10
x-mbx-used-weight: 1
x-mbx-used-weight-1m: 1
x-mbx-order-count-10s: 1
x-mbx-order-count-1d: 1
Strict-Transport-Security: max-age=31536000; includeSubdomains
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block
X-Content-Type-Options: nosniff
Content-Security-Policy: default-src 'self'
Cache-Control: no-cache, no-store, must-revalidate
Pragma: no-cache
Expires: 0
X-Cache: Miss from cloudfront
Via: 1.1 e0a1b2c3d4e5f60718293a4b5c6d7e8f.cloudfront.net (CloudFront)
X-Amz-Cf-Pop: FRA60-P1
X-Amz-Cf-Id: Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmE==
"""
_HEAD = _HEADERS.replace("\n", "\r\n").encode()

_INFO = {
    "timezone": "UTC",
    "serverTime": 0,
    "rateLimits": [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": _PLENTY},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": _PLENTY},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": _PLENTY},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": _PLENTY},
    ],
    "exchangeFilters": [],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
            "icebergAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
                {
                    "filterType": "NOTIONAL",
                    "minNotional": "5.0",
                    "applyMinToMarket": True,
                    "maxNotional": "9000000.0",
                    "applyMaxToMarket": False,
                    "avgPriceMins": 5,
                },
            ],
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
        }
    ],
}


def answer(method: str, path: str, query: str, body: str, key: str) -> tuple[int, object]:
    """Status and JSON."""
    if (method, path) == ("POST", "/api/v3/order"):
        return placed("&".join(filter(None, (query, body))), key)
    if path == "/api/v3/time":
        return 200, {"serverTime": time.time_ns() // 1_000_000}
    if path == "/api/v3/exchangeInfo":
        return 200, _INFO
    return (200, {}) if path == "/api/v3/ping" else (404, {"code": -1000, "msg": f"no {method} {path} here"})


def placed(text: str, key: str) -> tuple[int, object]:
    payload, _, signature = text.rpartition("&signature=")
    if key != KEY or hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest() != signature:
        return 400, {"code": -1022, "msg": "Signature for this request is not valid."}
    given = dict(parse_qsl(payload))
    if given | ORDER != given or (Decimal(given["quantity"]), Decimal(given["price"])) != (QUANTITY, PRICE):
        return 400, {"code": -1013, "msg": f"not the order that is measured: {given}"}
    now = time.time_ns() // 1_000_000
    return 200, {
        "symbol": "BTCUSDT",
        "orderId": next(_ids),
        "orderListId": -1,
        "clientOrderId": given.get("newClientOrderId", "6gCrw2kRUAF9CvJDGP16IP"),
        "transactTime": now,
        "price": "60000.00000000",
        "origQty": "0.00100000",
        "executedQty": "0.00000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": now,
        "fills": [],
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; an answer leaves in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.waiting = b""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            first, *rows = self.waiting[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
            size = end + 4 + int(headers.get("content-length", 0))
            if len(self.waiting) < size:
                return
            body, self.waiting = self.waiting[end + 4 : size].decode(), self.waiting[size:]
            method, target, _ = first.split(" ")
            path, _, query = target.partition("?")
            self.reply(*answer(method, path, query, body, headers.get("x-mbx-apikey", "")))

    def reply(self, status: int, content: object) -> None:
        body = json.dumps(content, separators=(",", ":")).encode()
        self.transport.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), _HEAD, body))


async def serve() -> None:
    gc.disable()
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
