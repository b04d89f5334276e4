"""Bad input that needs no client: what is written, what is raised, and what it says to the person who wrote it."""

from datetime import datetime

import pytest

from exconnect.config import Settings
from exconnect.credentials import Credentials
from exconnect.endpoints import Endpoints
from exconnect.errors import ConfigurationError, InvalidArgument, InvalidOrder, InvalidType
from exconnect.model.market import Book
from exconnect.model.order import AmendOrder, CancelOrder, PlaceOrder
from exconnect.model.values import ms_of
from exconnect.trading.risk import MaxOrderRate, MaxOrderValue


def place(*given, **more):
    return lambda make: PlaceOrder(*given, **more)


def check(**given):
    wanted = {"quantity": "1", "price": "60000"} | given
    return lambda make: make().check(PlaceOrder("BTC/USDT", "buy", **wanted))


def book():
    return Book(exchange="binance", symbol="BTC/USDT", bids=[], asks=[], sequence=1)


BUY = ("BTC/USDT", "buy")

TABLE = [
    # numbers
    (place(*BUY, 0.1, price="1"), InvalidType,
     'quantity must not be a float, which has already lost digits: write quantity="0.1"'),
    (place(*BUY, "1", price=60000.1), InvalidType,
     'price must not be a float, which has already lost digits: write price="60000.1"'),
    (place(*BUY, True, price="1"), InvalidType,
     'quantity must be Decimal, str or int, not bool: write quantity="0.01"'),
    (place(*BUY, "1", price="60,000"), InvalidArgument,
     "price='60,000' is not an amount: write digits with a point, like price=\"60000.1\""),
    (place(*BUY, "1_0", price="1"), InvalidArgument,
     "quantity='1_0' is not an amount: write digits with a point, like quantity=\"0.01\""),
    (place(*BUY, "NaN", price="1"), InvalidArgument,
     "quantity='NaN' is not an amount: write digits with a point, like quantity=\"0.01\""),
    (place(*BUY, "1", price="1e99"), InvalidArgument,
     'price=1E+99 is not an amount: write digits with a point, like price="60000.1"'),
    (place(*BUY, "0", price="1"), InvalidArgument, "quantity must be above zero, not 0"),
    (place(*BUY, "1", price="-1"), InvalidArgument, "price must be above zero, not -1"),
    (lambda make: AmendOrder("abc", price=1.5), InvalidType,
     'price must not be a float, which has already lost digits: write price="1.5"'),
    (lambda make: book().vwap("buy", 0.5), InvalidType,
     'quantity must not be a float, which has already lost digits: write quantity="0.5"'),
    (lambda make: MaxOrderValue(100.0), InvalidType,
     'quote must not be a float, which has already lost digits: write quote="100.0"'),
    # words
    (place("BTC/USDT", "bid", "1", price="1"), InvalidArgument, "side='bid': must be one of 'buy', 'sell'"),
    (place("BTC/USDT", None, "1", price="1"), InvalidType, "side must be text or a Side, not NoneType"),
    (place(*BUY, "1", price="1", type="stop"), InvalidArgument,
     ("type='stop': must be one of 'limit', 'market', 'stop_loss', 'stop_loss_limit', 'take_profit', "
     "'take_profit_limit'")),
    (place(*BUY, "1", price="1", time_in_force="gtd"), InvalidArgument,
     "time_in_force='gtd': must be one of 'gtc', 'ioc', 'fok'"),
    (place(5, "buy", "1", price="1"), InvalidType, "symbol must be text, not int"),
    (place("", "buy", "1", price="1"), InvalidArgument, "symbol must have 1 to 256 characters"),
    (place(*BUY, "1", price="1", post_only="yes"), InvalidType, "post_only must be True or False"),
    (place(*BUY, "1", price="1", reduce_only=1), InvalidType, "reduce_only must be True or False"),
    (place(*BUY, "1", type="stop_loss", trailing_delta_bps="5"), InvalidType,
     "trailing_delta_bps must be an int: 100 is 1 %"),
    (place(*BUY, "1", type="stop_loss", trailing_delta_bps=True), InvalidType,
     "trailing_delta_bps must be an int: 100 is 1 %"),
    (place(*BUY, "1", type="stop_loss", trailing_delta_bps=0), InvalidArgument,
     "trailing_delta_bps must be between 1 and 10000"),
    (place(*BUY, "1", price="1", client_order_id="a b"), InvalidArgument,
     "client_order_id='a b': 1 to 36 letters, digits, '-' or '_'"),
    (place(*BUY, "1", price="1", client_order_id=5), InvalidType, "client_order_id must be text, not int"),
    (place(*BUY, "1", price="1", idempotency_key=""), InvalidArgument, "idempotency_key must have 1 to 256 characters"),
    (place(*BUY, "1", price="1", extra=[("a", "b")]), InvalidType, "extra must be a mapping of text to text"),
    (place(*BUY, "1", price="1", extra={"a": 1}), InvalidType, "extra must map text to text: 'a' maps to int"),
    (place(*BUY, "1", price="1", extra={"a": "1\r\nHost: x"}), InvalidArgument,
     "extra: 'a' must be printable ASCII, and its value too"),
    (place(*BUY, "1", price="1", extra={"a\n": "1"}), InvalidArgument,
     "extra: 'a\\n' must be printable ASCII, and its value too"),
    (place(*BUY, "1", price="1", extra={"": "1"}), InvalidArgument,
     "extra: '' must be printable ASCII, and its value too"),
    (lambda make: CancelOrder(""), InvalidArgument, "order='': 1 to 36 letters, digits, '-' or '_'"),
    # combinations
    (place(*BUY, "1"), InvalidOrder, "a limit order needs price (a market order: type='market')"),
    (place(*BUY), InvalidOrder,
     "an order needs quantity (in base asset), or quote_quantity for a market order"),
    (lambda make: AmendOrder("abc"), InvalidArgument, "an amend needs a new price, a new quantity or both"),
    # an instrument's rules
    (check(price="60000.005"), InvalidOrder,
     'price=60000.005 is not a multiple of the tick size (0.01) of BTC/USDT: use price="60000"'),
    (check(quantity="0.000015"), InvalidOrder,
     'quantity=0.000015 is not a multiple of the lot size (0.00001) of BTC/USDT: use quantity="0.00002"'),
    (check(quantity="0.00001"), InvalidOrder,
     'the order is worth 0.6 USDT, below the least notional 5 of BTC/USDT: use quantity="0.00009"'),
    (check(quantity="10000"), InvalidOrder,
     'quantity=10000 is above the greatest quantity (9000) of BTC/USDT: use quantity="9000"'),
    (check(price="0.001"), InvalidOrder,
     'price=0.001 is below the least allowed price (0.01) of BTC/USDT: use price="0.01"'),
    # times
    (lambda make: ms_of(datetime(2026, 1, 1), "start"), InvalidArgument,  # noqa: DTZ001
     "start is a datetime without a zone: write start=datetime(..., tzinfo=timezone.utc)"),
    (lambda make: ms_of("yesterday", "start"), InvalidArgument,
     "start='yesterday' is not a time: write start=\"2026-01-01 12:00\" (UTC)"),
    (lambda make: ms_of(1.5, "start"), InvalidType,
     "start must be an aware datetime, integer milliseconds or text, not float"),
    # settings
    (lambda make: Settings("binance", timeout=0), ConfigurationError, "timeout must be seconds: above 0, at most 3600"),
    (lambda make: Settings("binance", ca_file="/no/such.pem"), ConfigurationError,
     "ca_file='/no/such.pem': no such file"),
    (lambda make: Credentials("key"), ConfigurationError,
     "credentials need exactly one of secret, private_key, private_key_file, signer"),
    (lambda make: Credentials("key", signer="secret", kind="rsa"), ConfigurationError,
     "signer must be a callable from bytes to bytes, not str"),
    (lambda make: Credentials.from_env("binance"), ConfigurationError,
     ("no credentials for binance: give credentials=Credentials(...), or set EXCONNECT_BINANCE_API_KEY and "
     "EXCONNECT_BINANCE_API_SECRET (or EXCONNECT_BINANCE_PRIVATE_KEY_FILE)")),
    (lambda make: Endpoints.parse("http://example.com"), ConfigurationError,
     "rest URL 'http://example.com': without TLS only this machine (127.0.0.1) may be reached"),
    (lambda make: MaxOrderRate(5, 0), InvalidArgument, "a time span must be seconds: above zero, at most a day"),
]  # fmt: skip


@pytest.mark.parametrize("write, kind, message", TABLE, ids=[row[2][:60] for row in TABLE])
def test_bad_input_is_a_typed_error_that_says_what_to_do(instrument, write, kind, message):
    with pytest.raises(kind) as refused:
        write(instrument)
    assert type(refused.value) is kind
    assert refused.value.message == message
    assert refused.value.outcome == "not_sent"
