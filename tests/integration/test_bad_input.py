"""Bad input, what it raises and what it says; nothing that changes anything has been sent."""

import re
from datetime import datetime

import pytest

from exconnect import Client, Credentials, Endpoints, InvalidOrder, PlaceOrder, Side, enable_console_logging
from exconnect.errors import ConfigurationError, InvalidArgument, InvalidType, NotSupported, UnknownSymbol


def place(*arguments, **keywords):
    return lambda client: client.place_order(*arguments, **keywords)


def hours(client):
    return client.iter_candles("BTC/USDT", "1h").cursor


BUY = ("BTC/USDT", "buy", "0.01")
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - that is what is wrong with it

TABLE = [
    # what is done, what it raises, what it says
    (
        place("BTCUSDT", "buy", "0.01", price="59000"),
        UnknownSymbol,
        "binance has no symbol 'BTCUSDT': did you mean BTC/USDT",
    ),
    (place("BTC/USD", "buy", "0.01", price="59000"), UnknownSymbol, "did you mean BTC/USDT"),
    (place(7, "buy", "0.01", price="59000"), InvalidType, "symbol must be text"),
    (place("BTC/USDT", "long", "0.01", price="59000"), InvalidArgument, "side='long': must be one of 'buy', 'sell'"),
    (place("BTC/USDT", Side.UNKNOWN.value, "0.01", price="59000"), InvalidArgument, "must be one of 'buy', 'sell'"),
    (place("BTC/USDT", "buy", 0.01, price="59000"), InvalidType, 'write quantity="0.01"'),
    (place(*BUY, price=60000.1), InvalidType, 'write price="60000.1"'),
    (place(*BUY, price=True), InvalidType, "price must be Decimal, str or int, not bool"),
    (place(*BUY, price="60_000"), InvalidArgument, "is not an amount: write digits with a point"),
    (place(*BUY, price=" 1"), InvalidArgument, "is not an amount: write digits with a point"),
    (place(*BUY, price="NaN"), InvalidArgument, "is not an amount: write digits with a point"),
    (place(*BUY, price="59000.001"), InvalidOrder, "price=59000.001 is not a multiple of the tick size (0.01"),
    (place("BTC/USDT", "buy", "0.000001", price="59000"), InvalidOrder, "is below the least quantity"),
    (place("BTC/USDT", "buy", "0.0100001", price="59000"), InvalidOrder, "is not a multiple of the lot size"),
    (place("BTC/USDT", "buy", "0.00001", price="59000"), InvalidOrder, "below the least notional 5"),
    (place("BTC/USDT", "buy", "0", price="59000"), InvalidArgument, "quantity must be above zero"),
    (place("BTC/USDT", "buy", "-1", price="59000"), InvalidArgument, "quantity must be above zero"),
    (place(*BUY), InvalidOrder, "a limit order needs price"),
    (place(*BUY, price="59000", type="market"), InvalidOrder, "a market order takes no price"),
    (
        place(*BUY, price="59000", type="stop"),
        InvalidArgument,
        "type='stop': must be one of 'limit', 'market', 'stop_loss'",
    ),
    (place(*BUY, price="59000", time_in_force="day"), InvalidArgument, "must be one of 'gtc', 'ioc', 'fok'"),
    (place(*BUY, price="59000", post_only=True, time_in_force="ioc"), InvalidOrder, "post_only goes with"),
    (place("BTC/USDT", "buy", price="59000"), InvalidOrder, "an order needs quantity"),
    (place(*BUY, price="59000", quote_quantity="100"), InvalidOrder, "not both"),
    (place(*BUY, price="59000", client_order_id="has space"), InvalidArgument, "1 to 36 letters"),
    (place(*BUY, price="59000", reduce_only=True), NotSupported, "perpetuals"),
    (place(*BUY, price="59000", idempotency_key=""), InvalidArgument, "idempotency_key must have 1 to 256 characters"),
    (place(*BUY, price="59000", timeout=0), InvalidArgument, "timeout=0: must be seconds, above zero"),
    (place(*BUY, price="59000", timeout=-1), InvalidArgument, "timeout=-1: must be seconds, above zero"),
    (place(*BUY, price="59000", timeout=float("inf")), InvalidArgument, "timeout=inf: must be seconds"),
    (place(*BUY, price="59000", timeout=float("nan")), InvalidArgument, "timeout=nan: must be seconds"),
    (place(*BUY, price="59000", timeout="5"), InvalidType, "timeout must be seconds, as a number, not str"),
    (lambda c: c.orders.wait("x", timeout=1e12), InvalidArgument, "timeout=1000000000000.0: must be seconds"),
    (lambda c: c.orders.resolve("x", timeout=-1), InvalidArgument, "timeout=-1: must be seconds, not below zero"),
    (lambda c: c.fetch_candles("BTC/USDT", start=NAIVE), InvalidArgument, "without a zone"),
    (lambda c: c.fetch_candles("BTC/USDT", start=1.5), InvalidType, "start must be an aware datetime"),
    (lambda c: c.fetch_candles("BTC/USDT", start="soon"), InvalidArgument, "is not a time"),
    (lambda c: c.fetch_candles("BTC/USDT", "7m"), InvalidArgument, "interval='7m': must be one of 1s 1m"),
    (lambda c: c.fetch_candles("BTC/USDT", limit=1001), InvalidArgument, "at most 1000; iter_candles()"),
    (
        lambda c: c.fetch_candles("BTC/USDT", start="2026-02-01", end="2026-01-01"),
        InvalidArgument,
        "start is after end",
    ),
    (lambda c: c.fetch_book("BTC/USDT", depth=0), InvalidArgument, "depth=0: must be from 1 to 5000"),
    (lambda c: c.fetch_trades("BTC/USDT", from_id="x"), InvalidArgument, "digits of a trade id"),
    (lambda c: c.iter_candles("BTC/USDT", cursor="{}"), InvalidArgument, "cursor"),
    (lambda c: c.iter_candles("ETH/USDT", cursor=hours(c)), InvalidArgument, "cursor goes on with symbol='BTC/USDT'"),
    (lambda c: c.iter_candles("BTC/USDT", "5m", cursor=hours(c)), InvalidArgument, "interval='1h', not '5m'"),
    (
        lambda c: c.iter_trades("ETH/USDT", cursor=c.iter_trades("BTC/USDT").cursor),
        InvalidArgument,
        "symbol='BTC/USDT', not 'ETH/USDT'",
    ),
    (
        lambda c: c.iter_fills("ETH/USDT", cursor=c.iter_fills("BTC/USDT").cursor),
        InvalidArgument,
        "symbol='BTC/USDT', not 'ETH/USDT'",
    ),
    (lambda c: c.place_orders(PlaceOrder(*BUY, price="1")), InvalidType, "orders must be a sequence of PlaceOrder"),
    (lambda c: c.cancel_orders(7), InvalidType, "a sequence of orders or their ids"),
    (lambda c: c.cancel_order(7), InvalidType, "order must be an Order or its client order id, as text, not int"),
    (lambda c: c.iter_trades("BTC/USDT", start="2026-01-01", from_id="7"), InvalidArgument, "start or from_id"),
    (lambda c: c.cancel_order("nobody-knows-me"), InvalidArgument, "give its symbol too"),
    (lambda c: c.amend_order("x", symbol="BTC/USDT"), InvalidArgument, "a new price, a new quantity or both"),
    (lambda c: c.orders.wait("nobody-knows-me"), InvalidArgument, "not known here: client.fetch_order()"),
    (lambda c: c.orders.wait("x", until="soon"), InvalidArgument, "'done' or 'accepted'"),
    (lambda c: c.orders.open("BTCUSDT"), UnknownSymbol, "binance has no symbol 'BTCUSDT': symbols are written like"),
    (lambda c: c.orders.open(7), InvalidType, "symbol must be text"),
    (lambda c: c.orders.history("btc/usdt"), UnknownSymbol, "has no symbol 'btc/usdt'"),
    (lambda c: c.orders.history(limit=-1), InvalidArgument, "limit=-1: must be from 1 to"),
    (lambda c: c.orders.history(limit="5"), InvalidType, "limit must be an int, not str"),
    (lambda c: c.raw.get("api/v3/time"), InvalidArgument, "path must begin with '/'"),
    (lambda c: c.raw.get("/api/v3/order?orderId=1", signed=True), InvalidArgument, "path has a query"),
    (lambda c: c.raw.get("/api/v3/depth?limit=5", {"symbol": "BTCUSDT"}), InvalidArgument, "path has a query"),
    (lambda c: c.raw.get("/api/v3/time", cost=-5), InvalidArgument, "cost must be an int"),
    (lambda c: c.raw.post("/api/v3/order", {"symbol": "\ud800"}), InvalidArgument, "symbol holds half a letter"),
    (lambda c: c.raw.get("/api/v3/depth", {"limit": 5.0}), InvalidType, 'write limit="5.0"'),
    (lambda c: c.fetch_funding_rate("BTC/USDT:USDT"), NotSupported, "perpetuals"),
    (lambda c: c.cancel_if_silent(0), InvalidArgument, "after=0: must be seconds, above zero, at most 86400"),
    (lambda c: c.cancel_if_silent(float("nan")), InvalidArgument, "after=nan: must be seconds"),
    (lambda c: c.cancel_if_silent(float("inf")), InvalidArgument, "after=inf: must be seconds"),
    (lambda c: c.cancel_if_silent(86_401), InvalidArgument, "after=86401: must be seconds, above zero, at most 86400"),
    (lambda c: c.cancel_if_silent("30"), InvalidType, "after must be seconds, as a number, not str"),
]


@pytest.mark.parametrize("do, kind, says", TABLE, ids=[says[:40] for _, _, says in TABLE])
def test_bad_input(client, mock, do, kind, says):
    with pytest.raises(kind, match=re.escape(says)) as caught:
        do(client)
    assert type(caught.value) is kind
    assert caught.value.outcome == "not_sent"
    assert not caught.value.retryable
    assert mock.ledger.orders() == []
    assert all(request.method == "GET" for request in mock.ledger.requests)


SETTINGS = [
    (("kraken",), {}, "'kraken'"),
    (("binance",), {"environment": "production"}, "must be 'live', 'testnet', 'demo'"),
    (("binance",), {"environment": "http://example.com"}, "without TLS only this machine"),
    (("binance",), {"environment": "https://a b"}, "URL"),
    (("binance",), {"timeout": 0}, "timeout"),
    (("binance",), {"recv_window_ms": 70_000}, "recv_window_ms must be an int from 1 to 60000"),
    (("binance",), {"budget_share": 2}, "budget_share"),
    (("binance",), {"durability": "forever"}, "must be 'process' or 'power'"),
    (("binance",), {"proxy": "proxy:3128"}, "proxy must be"),
    (("binance",), {"ca_file": "/nowhere.pem"}, "no such file"),
    (("binance",), {"risk": [1]}, "risk must be"),
    (("binance",), {"credentials": "key"}, "credentials must be"),
]


@pytest.mark.parametrize("arguments, keywords, says", SETTINGS, ids=[says for _, _, says in SETTINGS])
def test_bad_settings_are_refused_at_once(arguments, keywords, says):
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        Client(*arguments, **keywords)


def test_unknown_keywords_are_pythons_own_error():
    with pytest.raises(TypeError, match="api_key"):
        Client("binance", api_key="x")


def test_a_mock_of_another_exchange(mock):
    class Other:
        exchange = "other"
        endpoints = Endpoints("http://127.0.0.1:1", "ws://127.0.0.1:1", "ws://127.0.0.1:1")
        state_dir = None

        def credentials(self):
            return Credentials("k", "s")

    with pytest.raises(ConfigurationError, match="this mock is a other exchange"):
        Client("binance", environment=Other())


def test_private_calls_without_a_key_name_the_variables(mock):
    with Client("binance", environment=mock.url) as client:
        for call in (client.fetch_balances, lambda: client.place_order(*BUY, price="59000")):
            with pytest.raises(ConfigurationError, match="EXCONNECT_BINANCE_API_KEY"):
                call()
    assert mock.ledger.requests == []


def test_an_idempotency_key_without_a_journal(mock):
    with (
        Client("binance", environment=mock, journal=None) as client,
        pytest.raises(ConfigurationError, match="idempotency_key needs a journal"),
    ):
        client.place_order(*BUY, price="59000", idempotency_key="row-7")


def test_a_level_that_does_not_exist():
    with pytest.raises(InvalidArgument, match="level='LOUD': must be one of 'DEBUG', 'INFO'"):
        enable_console_logging("LOUD")


def test_a_page_that_is_too_short_names_an_iterator_only_where_there_is_one():
    with pytest.raises(InvalidArgument, match="at most 1000; iter_trades\\(\\) gives any number"):
        Client("binance").fetch_trades("BTC/USDT", limit=2_000)
    with pytest.raises(InvalidArgument, match=r"at most 60$"):
        Client("bybit").fetch_trades("BTC/USDT", limit=2_000)
