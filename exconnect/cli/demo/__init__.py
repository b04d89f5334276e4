"""`exconnect demo`: the main job, on a mock exchange of one's own: no key, no account, no network.

`performance` plays the story of one exchange, `witness` checks what is delivered, `show` is what one sees.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

from exconnect.cli.demo.merged import Merged
from exconnect.cli.demo.performance import SYMBOLS, Performance
from exconnect.cli.demo.show import Show
from exconnect.cli.demo.telling import Telling
from exconnect.cli.output import DONE, FAILED, Output
from exconnect.cli.session import mock_of
from exconnect.client import Client
from exconnect.environment import Environment
from exconnect.errors import InvalidArgument
from exconnect.mock import MockExchange
from exconnect.venue.plan import available

_FRAME_S = 0.1
_ACTIVITY = 40.0  # events per second and symbol: enough to look at, not too many to read


def run(given: argparse.Namespace, output: Output) -> int:
    """Play on a mock of every exchange there is, and say whether all went as it should."""
    if not 0 < given.seconds <= 86_400:
        raise InvalidArgument("--seconds must be above 0, and at most a day", {"argument": "seconds"})
    telling = Telling(Environment())
    with _stage(given, telling) as (performances, books):
        show = Show(output, performances, books, telling, given.seconds)
        try:
            _play(performances, show)
        finally:
            show.leave()
        result = _result(performances, books, round(telling.elapsed(), 1))
        show.summary(result)
    output.result(result)
    return DONE if result["ok"] else FAILED


@contextmanager
def _stage(given: argparse.Namespace, telling: Telling) -> Iterator[tuple[list[Performance], list[Merged]]]:
    """Mocks, clients and streams, all closed at the end whatever happens."""
    with ExitStack() as stack:
        performances = []
        for exchange in available():
            mock = stack.enter_context(mock_of(exchange, seed=given.seed, activity=_ACTIVITY))
            performances.append(_performance(stack, mock, given, telling))
        books = [stack.enter_context(Merged(symbol, performances)) for symbol in SYMBOLS]
        yield performances, books


def _performance(stack: ExitStack, mock: MockExchange, given: argparse.Namespace, telling: Telling) -> Performance:
    options: dict[str, Any] = {} if given.timeout is None else {"timeout": given.timeout}
    client = stack.enter_context(Client(mock.exchange, environment=mock, **options))
    return stack.enter_context(Performance(mock, client, given.seconds, telling))


def _play(performances: Sequence[Performance], show: Show) -> None:
    threads = [performance.begin() for performance in performances]
    while any(thread.is_alive() for thread in threads):
        show.frame()
        threads[0].join(_FRAME_S)
        threads.sort(key=lambda thread: not thread.is_alive())
    show.frame()
    for performance in performances:
        if performance.failure is not None:
            raise performance.failure


def _result(performances: Sequence[Performance], books: Sequence[Merged], seconds: float) -> dict[str, Any]:
    violations = [text for performance in performances for text in performance.violations()]
    return {
        "ok": not violations
        and not any(performance.missing() for performance in performances)
        and all(book.updates and len(book.exchanges) == len(performances) for book in books),
        "seconds": seconds,
        "books": {f"{p.exchange}:{symbol}": _seen(p, symbol) for p in performances for symbol in SYMBOLS},
        "trades": sum(performance.witness.trades for performance in performances),
        "orders": [_order(order) for performance in performances for order in performance.orders],
        "reconnects": sum(performance.reconnects for performance in performances),
        "violations": len(violations),
        "consolidated": {book.symbol: {"updates": book.updates, "exchanges": sorted(book.exchanges)} for book in books},
    }


def _seen(performance: Performance, symbol: str) -> dict[str, Decimal | int | None]:
    book = performance.witness.books.get(symbol)
    bid, ask = (None, None) if book is None else (book.best_bid, book.best_ask)
    return {
        "bid": bid and bid.price,
        "ask": ask and ask.price,
        "updates": performance.witness.updates[symbol],
    }


def _order(order: Any) -> dict[str, Any]:
    return {name: getattr(order, name) for name in ("exchange", "client_order_id", "symbol", "side", "type", "status")}
