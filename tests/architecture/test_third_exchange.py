"""A third exchange, thrown away afterwards: nine small files and one line, and nothing else in the house changes.

It logs a connection in by a challenge that must be signed, and links the messages of a book by what they name as their
predecessor; neither is how the exchanges that are built do it.
"""

from __future__ import annotations

import pytest

from exconnect import available

FILES = {
    "wire": """
import msgspec
from msgspec import Struct

from exconnect.errors import MalformedMessage


class Frame(Struct, forbid_unknown_fields=False):
    kind: str
    challenge: str = ""
    on: str = ""
    seq: int = 0
    prev: int = -1
    bids: tuple[tuple[str, str], ...] = ()
    asks: tuple[tuple[str, str], ...] = ()


def frame(text: str) -> Frame:
    try:
        return msgspec.json.decode(text, type=Frame)
    except msgspec.DecodeError:
        raise MalformedMessage("no frame of ours", {"text": text[:60]}) from None
""",
    "markets": """
from exconnect.endpoints import Endpoints
from exconnect.model.enums import Capability, MarketType
from exconnect.protocol.call import Pool
from exconnect.protocol.exchange import Market

NAME = "acme"
ENDPOINTS = {"live": Endpoints("https://acme.invalid", "wss://acme.invalid", "wss://acme.invalid")}
SPOT = Market(MarketType.SPOT, "/api", "/feed", (10,), frozenset({"1m"}), private_path="/account")
POOLS = (Pool("calls", "ip", 10, 1),)
CAPABILITIES = frozenset({Capability.QUOTE_QUANTITY})


def parse_symbol(symbol):
    base, _, quote = symbol.partition("/")
    return f"{quote}_{base}".lower() if base.isalpha() and quote.isalpha() else None
""",
    "auth": """
from msgspec.structs import replace


def encode(request):
    return replace(request, query="&".join(f"{name}={value}" for name, value in request.params))


def sign(request, signer, at, recv_window_ms):
    plain = encode(request)
    headers = (("X-Key", signer.key), ("X-Sign", signer.sign(f"{at}{plain.query}".encode())))
    return replace(plain, headers=headers)


def answer_to(challenge, signer):
    return signer.sign(f"let me in: {challenge}".encode())
""",
    "errors": """
from exconnect.errors import ExchangeError, OrderNotFound, RateLimited
from exconnect.protocol.call import Failure, FailureKind, Usage

_MEANINGS = {404: (OrderNotFound, FailureKind.BUSINESS), 429: (RateLimited, FailureKind.LIMIT)}


def error(response):
    if response.status == 200:
        return None
    meaning, kind = _MEANINGS.get(response.status, (ExchangeError, FailureKind.SERVER))
    return Failure(kind, meaning(response.body.decode()))


def usage(response):
    return Usage()
""",
    "book": '''
from exconnect.protocol.book import Verdict


class LinkedSequencer:
    """Each message names the one before it, and numbers may leap; one that names itself says that nothing changed."""

    needs_snapshot = False
    last_id = 0

    def anchor(self, snapshot_id):
        self.last_id = snapshot_id

    def judge(self, update):
        if update.is_snapshot:
            self.last_id = update.last_id
            return Verdict.RESET
        if update.previous_id == update.last_id == self.last_id:
            return Verdict.DROP
        if update.previous_id != self.last_id:
            return Verdict.RESYNC
        self.last_id = update.last_id
        return Verdict.APPLY
''',
    "parse": """
import msgspec
from decimal import Decimal

from exconnect.exchanges.acme.markets import NAME
from exconnect.model.enums import InstrumentStatus, MarketType
from exconnect.model.instrument import Instrument
from exconnect.model.market import Ticker
from exconnect.protocol.exchange import Listing
from exconnect.protocol.session import BookUpdate


def listing(body):
    return Listing(tuple(instrument(*row) for row in msgspec.json.decode(body)))


def instrument(base, quote, tick, lot):
    tick_size, lot_size = Decimal(tick), Decimal(lot)
    names = {"symbol": f"{base}/{quote}", "exchange_symbol": f"{quote}_{base}".lower(), "base": base, "quote": quote}
    sizes = {"tick_size": tick_size, "lot_size": lot_size, "min_quantity": lot_size}
    return Instrument(exchange=NAME, market=MarketType.SPOT, status=InstrumentStatus.TRADING, **names, **sizes)


def ticker(body, symbol):
    bid, ask = msgspec.json.decode(body)
    return Ticker(exchange=NAME, symbol=symbol, bid=Decimal(bid), ask=Decimal(ask))


def book(frame, symbol, received_at):
    ids = (symbol, frame.seq, frame.seq)
    return BookUpdate(*ids, frame.bids, frame.asks, None, received_at, frame.prev < 0, frame.prev)
""",
    "rest": """
from exconnect.exchanges.acme import parse
from exconnect.protocol.call import Call, Cost, Lane, Request

PAGE = {"trades": 10, "candles": 10, "orders": 10, "fills": 10}


def _call(operation, path, params, decode, lane=Lane.MARKET, symbol=None):
    return Call(operation, Request("GET", f"/api/{path}", params), decode, (Cost("calls"),), lane, symbol=symbol)


def time():
    return _call("fetch_time", "time", (), lambda response: int(response.body), Lane.QUERY)


def instruments(exchange_symbols):
    return _call("fetch_instruments", "symbols", (), lambda response: parse.listing(response.body), Lane.QUERY)


def fetch_ticker(instrument):
    params, symbol = (("pair", instrument.exchange_symbol),), instrument.symbol
    return _call("fetch_ticker", "ticker", params, lambda r: parse.ticker(r.body, symbol), symbol=symbol)
""",
    "stream": '''
import json

from exconnect.exchanges.acme import auth, parse, wire
from exconnect.protocol.session import Acked, Unknown


class FeedSession:
    """Public topics; nothing is sent before the exchange has said hello."""

    def __init__(self, market):
        self._path, self._topics = market.stream_path, {}
        self._asked, self._acked, self._welcome = set(), set(), False

    def route(self):
        return self._path

    def opened(self, now, at):
        self._asked, self._acked, self._welcome = set(), set(), False
        return []

    def want(self, topics):
        self._topics = {f"{topic.kind}:{topic.exchange_symbol}": topic for topic in topics}
        return frozenset(self._topics[name] for name in self._acked & self._topics.keys())

    def due(self, now, at):
        missing = sorted(self._topics.keys() - self._asked) if self._welcome else []
        self._asked.update(missing)
        return [json.dumps({"on": name}) for name in missing], now + 1.0

    def receive(self, text, now, received_at):
        frame = wire.frame(text)
        if frame.kind == "hello":
            self._welcome = True
            return ()
        topic = self._topics.get(frame.on)
        if topic is None:
            return (Unknown(frame.kind),)
        if frame.kind == "on":
            self._acked.add(frame.on)
            return (Acked(frozenset({topic})),)
        return (parse.book(frame, topic.symbol, received_at),)

    def pinged(self, now):
        pass

    def overdue(self, now):
        return None


class AccountSession(FeedSession):
    """The same behind a login: what the exchange sends first must come back signed."""

    def __init__(self, market, signer):
        super().__init__(market)
        self._path, self._signer, self._answers = market.private_path, signer, []

    def receive(self, text, now, received_at):
        frame = wire.frame(text)
        if frame.kind == "challenge":
            self._answers.append(json.dumps({"answer": auth.answer_to(frame.challenge, self._signer)}))
            return ()
        return super().receive(text, now, received_at)

    def due(self, now, at):
        answers, self._answers = self._answers, []
        frames, wake = super().due(now, at)
        return [*answers, *frames], wake
''',
    "__init__": """
from exconnect.exchanges.acme import auth, errors, markets, rest
from exconnect.exchanges.acme.book import LinkedSequencer
from exconnect.exchanges.acme.stream import AccountSession, FeedSession
from exconnect.model.enums import MarketType
from exconnect.protocol.exchange import Exchange

EXCHANGE = Exchange(
    markets.NAME, markets.ENDPOINTS, {MarketType.SPOT: markets.SPOT}, markets.POOLS, markets.CAPABILITIES, rest,
    auth.sign, auth.encode, errors.error, errors.usage, FeedSession, lambda market: LinkedSequencer(),
    markets.parse_symbol, private=AccountSession,
)
""",
}

BEGIN = """
import json
from datetime import UTC, datetime
from pathlib import Path

import exconnect
from exconnect.exchanges import load
from exconnect.model.enums import MarketType

assert Path(exconnect.__file__).parent == Path.cwd() / "exconnect"
acme, AT = load("acme"), datetime(2026, 1, 1, tzinfo=UTC)
market = acme.markets[MarketType.SPOT]
"""

CLIENT = """
assert exconnect.available() == EXCHANGES
client = exconnect.Client("acme", credentials=exconnect.Credentials("key-1", "secret"))
assert (client.exchange, client.environment, client.capabilities) == ("acme", "live", acme.capabilities)
for call, capability in (
    (lambda: client.iter_trades("BTC/USDT"), "trade_history"),
    (lambda: client.place_order("BTC/USDT", "sell", "1", stop_price="1", type="stop_loss"), "stop_orders"),
):
    try:
        call()
    except exconnect.NotSupported as error:
        assert (error.capability, error.exchange) == (capability, "acme")
    else:
        raise AssertionError(capability)
stream = client.stream("BTC/USDT")
stream.on_book(print)
client.close()
"""

REST = """
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

ANSWERS = {
    "/api/time": "1700000000000",
    "/api/symbols": '[["BTC", "USDT", "0.1", "0.001"], ["ETH", "USDT", "0.1", "0.001"]]',
    "/api/ticker?pair=usdt_btc": '["99.5", "100.5"]',
}


class Acme(BaseHTTPRequestHandler):
    def do_GET(self):
        body = ANSWERS[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Acme)
Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
with exconnect.Client("acme", environment=f"http://127.0.0.1:{server.server_port}") as client:
    assert client.fetch_time().year == 2023
    assert set(client.fetch_instruments()) == {"BTC/USDT", "ETH/USDT"}
    ticker = client.fetch_ticker("BTC/USDT")
    assert (ticker.exchange, str(ticker.mid)) == ("acme", "100")
    try:
        client.fetch_ticker("BTCUSDT")
    except exconnect.UnknownSymbol as error:
        assert "BTC/USDT" in error.suggestions
    else:
        raise AssertionError("a symbol that is none")
server.shutdown()
"""

LOGIN = """
from exconnect.protocol.session import Acked, Topic
from exconnect.protocol.signing import Signer

session = acme.private(market, Signer("key-1", "hmac", lambda payload: payload.decode().upper()))
topic = Topic("order", "", "")
assert session.want(frozenset({topic})) == frozenset()
assert session.route() == "/account"
for _ in range(2):  # and once more after a reconnect
    assert session.opened(0.0, 0) == []
    assert session.due(0.0, 0)[0] == []
    assert not session.receive('{"kind": "challenge", "challenge": "abc"}', 0.0, AT)
    assert [json.loads(frame) for frame in session.due(0.0, 0)[0]] == [{"answer": "LET ME IN: ABC"}]
    assert not session.receive('{"kind": "hello"}', 0.0, AT)
    assert [json.loads(frame) for frame in session.due(0.0, 0)[0]] == [{"on": "order:"}]
    assert list(session.receive('{"kind": "on", "on": "order:"}', 0.0, AT)) == [Acked(frozenset({topic}))]
assert session.want(frozenset({topic})) == frozenset({topic})
"""

BOOK = """
from exconnect.protocol.book import BookBuilder, Change
from exconnect.protocol.session import Topic

topic = Topic("book", "BTC/USDT", "usdt_btc")
session = acme.session(market)
session.want(frozenset({topic}))
session.opened(0.0, 0)
book = BookBuilder("acme", "BTC/USDT", lambda: acme.sequencer(market))


def hear(seq, prev, **sides):
    frame = {"kind": "book", "on": "book:usdt_btc", "seq": seq, "prev": prev, **sides}
    (update,) = session.receive(json.dumps(frame), 0.0, AT)
    return book.receive(update)


assert hear(10, -1, bids=[["99", "1"]], asks=[["101", "1"]]) is Change.APPLIED
assert hear(17, 10, bids=[["100", "2"]]) is Change.APPLIED  # numbers may leap
assert hear(17, 17) is Change.IGNORED
view = book.view(10)
assert [tuple(map(str, level)) for level in view.bids] == [("100", "2"), ("99", "1")]
assert (view.sequence, view.is_valid, str(view.mid)) == (17, True, "100.5")
assert hear(30, 25, bids=[["100", "0"]]) is Change.BROKEN
assert not book.view(10).is_valid
assert hear(40, -1, bids=[["98", "1"]], asks=[["101", "1"]]) is Change.APPLIED
assert str(book.view(10).best_bid.price) == "98"
assert hear(41, 40, bids=[["102", "1"]]) is Change.BROKEN  # crossed
"""


@pytest.fixture
def third(house):
    """The house with the new folder, and its line in the registry."""
    for name, text in FILES.items():
        house.add(f"exchanges/acme/{name}.py", f'"""Acme: {name}."""\n{text.strip()}')
    registry = house.package / "exchanges" / "__init__.py"
    text = registry.read_text(encoding="utf-8")
    changed = text.replace("_FOLDERS = {\n", '_FOLDERS = {\n    "acme": "exconnect.exchanges.acme",\n')
    assert changed != text
    registry.write_text(changed, encoding="utf-8")
    return house


def test_it_keeps_the_contracts(third):
    code, verdicts, output = third.lint()
    assert code == 0, output
    assert verdicts
    assert all(verdicts.values())


@pytest.mark.parametrize(
    "line", ["import exconnect.exchanges.binance.parse", "import socket", "import exconnect.gateway"]
)
def test_it_is_under_the_contracts(third, line):
    third.add("exchanges/acme/parse.py", line)
    code, _, output = third.lint()
    assert code == 1
    assert "exconnect.exchanges.acme.parse" in output


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(CLIENT.replace("EXCHANGES", repr(tuple(sorted({"acme", *available()})))), id="client"),
        pytest.param(REST, id="rest", marks=pytest.mark.network),
        pytest.param(LOGIN, id="login"),
        pytest.param(BOOK, id="book"),
    ],
)
def test_the_engine_drives_it(third, story):
    run = third.run(BEGIN + story)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_story_that_is_wrong_fails(third):
    assert third.run(f"{BEGIN}assert acme.name == 'other'").returncode == 1
