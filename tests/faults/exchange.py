"""The mock exchange in a process of its own, steered by lines of JSON, and another host to which it may redirect.

python exchange.py binance|bybit OPTIONS      the first line that it prints says where it is; it ends with its input
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from exconnect.mock import MockExchange

SYMBOL = "BTC/USDT"
KEYS = ("x-mbx-apikey", "x-bapi-api-key")


class Elsewhere(BaseHTTPRequestHandler):
    """Somebody else's host: writes down what it is sent."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012 - of the process

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        names = {name.lower() for name in self.headers}
        self.seen.append({"key": not names.isdisjoint(KEYS), "signed": "sign" in f"{self.path}{body}{names}".lower()})
        answer = b'{"code": -1, "msg": "elsewhere", "retCode": 1, "retMsg": "elsewhere"}'
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - the names that the standard library asks for

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Steered:
    """One command a line, one answer a line."""

    def __init__(self, mock: MockExchange) -> None:
        self._mock = mock
        self._faults: list[Any] = []

    def address(self) -> dict[str, Any]:
        mock, env = self._mock, self._mock.env()
        key, secret = (next(v for k, v in env.items() if k.endswith(end)) for end in ("API_KEY", "API_SECRET"))
        urls = {"rest_url": mock.rest_url, "stream_url": mock.stream_url, "private_url": mock.private_url}
        return {**urls, "exchange": mock.exchange, "key": key, "secret": secret}

    def fault(self, **plan: Any) -> bool:
        self._faults.append(self._mock.faults.add(**plan))
        return True

    def clear(self) -> bool:
        self._mock.faults.clear()
        return True

    def fired(self, seconds: float = 0.0) -> bool:
        """Whether the newest fault has acted within so many seconds."""
        return self._faults[-1].wait(seconds)

    def activity(self, rate: float) -> bool:
        self._mock.activity = rate
        return True

    def execute(self, **what: Any) -> Decimal:
        return self._mock.execute(SYMBOL, **what)

    def orders(self) -> list[Any]:
        return [asdict(order) for order in self._mock.ledger.orders()]

    def fills(self) -> list[Any]:
        return [asdict(fill) for fill in self._mock.ledger.fills()]

    def requests(self) -> list[Any]:
        return [asdict(request) for request in self._mock.ledger.requests]

    def trades(self) -> list[Any]:
        return [trade.id for trade in self._mock.ledger.trades(SYMBOL)]

    def book(self, depth: int = 10) -> dict[str, Any]:
        book = self._mock.ledger.book(SYMBOL)
        return {"bids": book.bids[:depth], "asks": book.asks[:depth], "sequence": book.sequence}

    def connections(self, kind: str = "public") -> int:
        return self._mock.ledger.connections(kind)

    def elsewhere(self) -> list[Any]:
        return Elsewhere.seen


def plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.timestamp() if isinstance(value, datetime) else str(value)


def main(exchange: str, options: str) -> None:
    other = ThreadingHTTPServer(("localhost", 0), Elsewhere)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    with MockExchange(exchange, seed=7, **json.loads(options)) as mock:
        mock._core.front.elsewhere = f"http://localhost:{other.server_port}/"
        steered = Steered(mock)
        print(json.dumps(steered.address()), flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            answer = getattr(steered, command.pop("do"))(**command)
            print(json.dumps(answer, default=plain), flush=True)
    other.shutdown()
    other.server_close()


if __name__ == "__main__":
    main(*sys.argv[1:])
