"""An exchange that does not exist: a session, a sequencer, a server and a venue, to show that the engine knows none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from exconnect.endpoints import Endpoints
from exconnect.environment import Environment
from exconnect.errors import MalformedMessage, UnknownSymbol
from exconnect.metrics import Registry
from exconnect.model.enums import InstrumentStatus, MarketType, OrderType, Side
from exconnect.model.instrument import Instrument
from exconnect.model.market import Candle, Ticker, Trade
from exconnect.model.values import datetime_of
from exconnect.protocol.book import Verdict
from exconnect.protocol.exchange import Exchange, Market
from exconnect.protocol.session import Acked, BookUpdate, Closing, Refused, Topic, Unknown
from exconnect.runtime.jobs import Jobs

BTC, ETH = "BTC/USDT", "ETH/USDT"


def topic_name(topic: Topic) -> str:
    return ":".join(filter(None, (topic.kind, topic.exchange_symbol, topic.interval)))


class ToySession:
    """Speaks JSON: {"sub": [...]} and {"unsub": [...]} out, {"ack": [...]}, {"nak": [...]} and data in."""

    silence = 60.0

    def __init__(self):
        self.heard_at = None
        self.wanted, self.sent, self.acked = {}, {}, set()

    def route(self):
        return "/toy"

    def opened(self, now, at):
        self.sent, self.acked, self.heard_at = {}, set(), now
        return []

    def want(self, topics):
        self.wanted = {topic_name(topic): topic for topic in topics}
        return frozenset(topic for name, topic in self.wanted.items() if name in self.acked)

    def due(self, now, at):
        frames = []
        if missing := [name for name in self.wanted if name not in self.sent]:
            frames.append(json.dumps({"sub": missing}))
        if surplus := [name for name in self.sent if name not in self.wanted]:
            frames.append(json.dumps({"unsub": surplus}))
            self.acked -= set(surplus)
        self.sent = dict(self.wanted)
        return frames, now + 30.0

    def pinged(self, now):
        pass

    def overdue(self, now):
        return "no data" if now - self.heard_at > self.silence else None

    def receive(self, text, now, received_at):  # noqa: PLR0911 - one for each kind
        self.heard_at = now
        try:
            message = json.loads(text)
        except ValueError:
            raise MalformedMessage("no JSON", {"text": text[:60]}) from None
        match message:
            case {"ack": names}:
                self.acked |= set(names)
                return [Acked(frozenset(self.wanted[name] for name in names if name in self.wanted))]
            case {"nak": names}:
                return [Refused(frozenset(self.wanted[name] for name in names), "not here")]
            case {"closing": why}:
                return [Closing(why)]
            case {"crash": why}:
                raise RuntimeError(why)
            case {"broken": symbol, **rest}:
                raise MalformedMessage("broken", {"symbol": symbol, **rest})
            case {"book": symbol, **rest}:
                return [
                    BookUpdate(
                        symbol,
                        rest["first"],
                        rest["last"],
                        rest["bids"],
                        rest["asks"],
                        1,
                        received_at,
                        is_snapshot=rest.get("whole", False),
                    )
                ]
            case {"trade": symbol, "id": number}:
                return [
                    Trade(
                        exchange="toy",
                        symbol=symbol,
                        id=str(number),
                        price=Decimal(100),
                        quantity=Decimal(1),
                        side=Side.BUY,
                        received_at=received_at,
                    )
                ]
            case {"tick": symbol, "last": last}:
                return [Ticker(exchange="toy", symbol=symbol, last=Decimal(last))]
            case {"candle": symbol, "at": minute, "closed": closed}:
                price = Decimal(100)
                return [
                    Candle(
                        exchange="toy",
                        symbol=symbol,
                        interval="1m",
                        open_time=datetime_of(minute * 60_000),
                        open=price,
                        high=price,
                        low=price,
                        close=price,
                        volume=price,
                        is_closed=closed,
                    )
                ]
            case _:
                return [Unknown(str(message)[:20])]  # fmt: skip


class ToySequencer:
    """Ids are contiguous; the book starts from a REST snapshot."""

    needs_snapshot = True

    def __init__(self):
        self.last_id = 0

    def anchor(self, snapshot_id):
        self.last_id = snapshot_id

    def judge(self, update):
        if update.last_id <= self.last_id:
            return Verdict.DROP
        if update.first_id > self.last_id + 1:
            return Verdict.RESYNC
        self.last_id = update.last_id
        return Verdict.APPLY


class StreamedSequencer(ToySequencer):
    """The book starts with a snapshot in the stream itself."""

    needs_snapshot = False

    def judge(self, update):
        if update.is_snapshot:
            self.last_id = update.last_id
            return Verdict.RESET
        if not self.last_id or update.first_id > self.last_id + 1:
            return Verdict.RESYNC
        return super().judge(update)


SPOT = Market(
    MarketType.SPOT,
    prefix="",
    stream_path="",
    book_depths=(100, 500, 1000),
    intervals=frozenset({"1m"}),
    has_consecutive_trades=True,
)


def toy_exchange(endpoints: Endpoints, *, session=ToySession, sequencer=ToySequencer, market=SPOT) -> Exchange:
    return Exchange(
        name="toy",
        endpoints={"live": endpoints},
        markets={MarketType.SPOT: market},
        pools=(),
        capabilities=frozenset(),
        rest=SimpleNamespace(book_snapshot=lambda instrument, depth: ("book", instrument.symbol, depth)),
        sign=None,
        encode=None,
        error=None,
        usage=None,
        session=lambda market: session(),
        sequencer=lambda market: sequencer(),
        parse_symbol=lambda symbol: symbol.replace("/", ""),
    )


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("/")
    return Instrument(
        exchange="toy",
        symbol=symbol,
        exchange_symbol=base + quote,
        market=MarketType.SPOT,
        base=base,
        quote=quote,
        status=InstrumentStatus.TRADING,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.01"),
        min_quantity=Decimal("0.01"),
        order_types=frozenset({OrderType.LIMIT}),
    )


class Zombies:
    """Never tells of any."""

    def listen(self, hear):
        pass


class ToyVenue:
    """What a stream may use of a venue. `snapshot(symbol)` answers for REST."""

    def __init__(self, url: str, snapshot: Callable[[str], BookUpdate] | None = None, *, ca_file=None, **exchange):
        self.env = Environment()
        self.endpoints = Endpoints("http://127.0.0.1:1", url, url)
        self.exchange = toy_exchange(self.endpoints, **exchange)
        self.proxy = None
        self.ca_file = ca_file
        self.metrics = Registry()
        self.unknown: set[str] = set()
        self.down: list[Exception] = []  # raised by the next look-ups
        self.asked: list[tuple[str, int]] = []
        self.listed: list[tuple[str, ...]] = []
        self.snapshot = snapshot or (lambda symbol: whole(symbol, 10))
        self._jobs: dict[str, Jobs] = {}
        self.zombies = Zombies()

    def instrument(self, symbol, timeout):
        if self.down:
            raise self.down.pop()
        if symbol in self.unknown or "/" not in symbol:
            raise UnknownSymbol(f"no such symbol: {symbol}", {"symbol": symbol})
        return instrument(symbol)

    def listing(self, exchange_symbols, timeout):
        if self.down:
            raise self.down.pop()
        self.listed.append(exchange_symbols)

    def call(self, call, timeout):
        _, symbol, depth = call
        self.asked.append((symbol, depth))
        return self.snapshot(symbol)

    def server_now_ms(self):
        return self.env.wall_ms()

    def jobs(self, name):
        return self._jobs.setdefault(name, Jobs(self.env, f"exconnect.toy.jobs.{name}"))

    def close(self):
        for jobs in self._jobs.values():
            jobs.close()


def whole(symbol: str, last: int, bid: str = "99", ask: str = "101") -> BookUpdate:
    return BookUpdate(
        symbol, last, last, [[bid, "1"], ["98", "1"]], [[ask, "1"], ["102", "1"]], 1, datetime_of(0), is_snapshot=True
    )


class ToyServer:
    """Scripted: acknowledges what is subscribed, and sends what the test says."""

    def __init__(self, *, ssl=None, acks=True):
        self.acks = acks
        self.refused: set[str] = set()
        self.topics: set[str] = set()
        self.requests: list[dict] = []
        self.connections: list = []
        self.count = 0
        self.goodbyes: list[int | None] = []
        self.news = threading.Condition()
        self._server = serve(self._talk, "127.0.0.1", 0, ssl=ssl, ping_interval=None, compression=None)
        self._thread = threading.Thread(target=self._server.serve_forever, name="toy-server")
        self._threads: list[threading.Thread] = []
        scheme = "ws" if ssl is None else "wss"
        self.url = f"{scheme}://localhost:{self._server.socket.getsockname()[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self.drop()
        self._thread.join()
        for thread in self._threads:
            thread.join()

    def _talk(self, connection):
        self._threads.append(threading.current_thread())
        with self.news:
            self.connections.append(connection)
            self.count += 1
            self.topics = set()
            self.news.notify_all()
        try:
            for text in connection:
                self._hear(connection, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            with self.news:
                self.connections.remove(connection)
                self.goodbyes.append(connection.protocol.close_code)
                self.news.notify_all()

    def _hear(self, connection, message):
        with self.news:
            self.requests.append(message)
            names = message.get("sub", [])
            good = [name for name in names if name not in self.refused]
            self.topics |= set(good)
            self.topics -= set(message.get("unsub", []))
            if self.acks:
                if good:
                    connection.send(json.dumps({"ack": good}))
                if bad := [name for name in names if name in self.refused]:
                    connection.send(json.dumps({"nak": bad}))
            self.news.notify_all()

    def until(self, ready: Callable[[], bool], timeout: float = 30.0):
        with self.news:
            assert self.news.wait_for(ready, timeout), "the server did not see what it should"

    def send(self, *messages, raw: str | bytes | None = None):
        """To the newest connection."""
        connection = self.connections[-1]
        for message in messages:
            connection.send(json.dumps(message))
        if raw is not None:
            connection.send(raw)

    def send_all(self, *messages):
        """To every connection, the newest first: what a successor hears early is what it has to hold back."""
        for connection in reversed(self.connections):
            for message in messages:
                connection.send(json.dumps(message))

    def trades(self, *ids, symbol=BTC):
        self.send(*({"trade": symbol, "id": number} for number in ids))

    def book(self, first, last=None, bids=(), asks=(), symbol=BTC, **more):
        self.send(
            {"book": symbol, "first": first, "last": last or first, "bids": list(bids), "asks": list(asks), **more}
        )

    def drop(self):
        """Cut every connection without a word."""
        import contextlib
        import socket

        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
