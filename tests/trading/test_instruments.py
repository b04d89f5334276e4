"""What is listed: kept for an hour, loaded when it is missing, and suggestions for what is not there."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from exconnect.environment import Environment
from exconnect.errors import InvalidType, TransportError, UnknownSymbol
from exconnect.model.enums import InstrumentStatus, MarketType
from exconnect.model.instrument import Instrument
from exconnect.trading.instruments import Instruments


class Held(Environment):
    moment = 0.0

    def now(self):
        return self.moment


def make(symbol):
    base, quote = symbol.split("/")
    return Instrument(
        exchange="binance",
        symbol=symbol,
        exchange_symbol=base + quote,
        market=MarketType.SPOT,
        base=base,
        quote=quote,
        status=InstrumentStatus.TRADING,
        **dict.fromkeys(("tick_size", "lot_size", "min_quantity"), Decimal("0.01")),
    )


class Listing:
    """An exchange that lists some symbols, and is asked."""

    def __init__(self, *symbols):
        self.listed = {each.exchange_symbol: each for each in map(make, symbols)}
        self.asked = []
        self.failure = None
        self.env = Held()
        self.instruments = Instruments("binance", self.env, self.parse)

    @staticmethod
    def parse(symbol):
        base, slash, quote = symbol.partition("/")
        return base + quote if slash and base.isupper() and quote.isupper() else None

    def load(self, names):
        self.asked.append(names)
        if self.failure is not None:
            raise self.failure
        if not names:
            self.instruments.put(self.listed.values(), whole=True)
            return
        if names[0] not in self.listed:
            raise UnknownSymbol("Invalid symbol.")
        self.instruments.put([self.listed[names[0]]])

    def find(self, symbol):
        return self.instruments.find(symbol, self.load)


@pytest.fixture
def listing():
    return Listing("BTC/USDT", "BTC/USDC", "ETH/USDT", "ETH/BTC")


def test_a_read_only_mapping_that_never_asks(listing):
    instruments = listing.instruments
    assert isinstance(instruments, Mapping)
    assert (len(instruments), list(instruments), dict(instruments)) == (0, [], {})
    listing.find("BTC/USDT")
    assert (len(instruments), list(instruments), "BTC/USDT" in instruments) == (1, ["BTC/USDT"], True)
    assert instruments["BTC/USDT"] == make("BTC/USDT")
    with pytest.raises(KeyError):
        instruments["ETH/USDT"]
    with pytest.raises(TypeError):
        instruments["ETH/USDT"] = make("ETH/USDT")
    assert listing.asked == [("BTCUSDT",)]


def test_what_is_known_is_not_asked_for_until_it_is_an_hour_old(listing):
    assert listing.find("BTC/USDT") == listing.find("BTC/USDT") == make("BTC/USDT")
    listing.env.moment = 3599.0
    listing.find("BTC/USDT")
    assert len(listing.asked) == 1
    listing.env.moment = 3600.0
    assert listing.find("BTC/USDT") == make("BTC/USDT")
    assert len(listing.asked) == 2


def test_the_exchanges_own_symbol_is_known_for_ever(listing):
    assert listing.instruments.lookup("BTCUSDT") is None
    listing.find("BTC/USDT")
    listing.env.moment = 1e9
    assert listing.instruments.lookup("BTCUSDT") == make("BTC/USDT")


@pytest.mark.parametrize(
    "wrong, near",
    [
        ("BTCUSDT", ["BTC/USDT", "BTC/USDC"]),
        ("btc/usdt", ["BTC/USDT", "BTC/USDC"]),
        ("BTC-USDT", ["BTC/USDT", "BTC/USDC"]),
        ("BTC/USD", ["BTC/USDT", "BTC/USDC"]),
        ("ETHBTC", ["ETH/BTC"]),
    ],
)
def test_a_wrong_symbol_has_suggestions(listing, wrong, near):
    with pytest.raises(UnknownSymbol, match=f"binance has no symbol '{wrong}': did you mean {near[0]}") as refused:
        listing.find(wrong)
    error = refused.value
    assert list(error.suggestions[: len(near)]) == near
    assert len(error.suggestions) <= 3
    assert (error.argument, error.symbol, error.exchange) == ("symbol", wrong, "binance")


@pytest.mark.parametrize("wrong", ["", "XXXXXXXX", "x" * 100_000])
def test_nothing_is_like_it(listing, wrong):
    with pytest.raises(UnknownSymbol, match="or it is written differently: 'BTC/USDT'") as refused:
        listing.find(wrong)
    assert refused.value.suggestions == ()
    assert len(refused.value.message) < 150


def test_a_wrong_symbol_loads_the_whole_list_once_an_hour(listing):
    for _ in range(3):
        with pytest.raises(UnknownSymbol):
            listing.find("BTC/USD")
    assert listing.instruments.is_whole
    assert listing.asked == [("BTCUSD",), (), ("BTCUSD",), ("BTCUSD",)]
    listing.env.moment = 3600.0
    with pytest.raises(UnknownSymbol):
        listing.find("BTCUSDT")
    assert listing.asked[-1] == ()


def test_suggestions_that_cannot_be_had_are_left_out(listing):
    listing.failure = TransportError("no network")
    with pytest.raises(UnknownSymbol, match="binance has no symbol 'BTCUSDT', or it is written differently"):
        listing.find("BTCUSDT")
    listing.failure = None
    with pytest.raises(UnknownSymbol, match="did you mean BTC/USDT"):
        listing.find("BTCUSDT")


def test_an_error_that_says_nothing_of_the_symbol_passes_through(listing):
    listing.failure = TransportError("no network")
    with pytest.raises(TransportError):
        listing.find("BTC/USDT")


def test_a_symbol_that_only_the_whole_list_shows_is_found(listing):
    listing.listed["odd"] = make("odd/USDT")
    assert listing.find("odd/USDT") == make("odd/USDT")


def test_what_the_whole_list_does_not_show_any_more_is_gone(listing):
    listing.find("ETH/BTC")
    del listing.listed["ETHBTC"]
    with pytest.raises(UnknownSymbol):
        listing.find("BTC/USD")
    assert "ETH/BTC" not in listing.instruments
    assert listing.instruments.lookup("ETHBTC") == make("ETH/BTC")


@pytest.mark.parametrize("symbol", [None, 5, b"BTC/USDT", ["BTC/USDT"]])
def test_a_symbol_is_text(listing, symbol):
    with pytest.raises(InvalidType, match=f"symbol must be text like 'BTC/USDT', not {type(symbol).__name__}"):
        listing.find(symbol)
    assert listing.asked == []
