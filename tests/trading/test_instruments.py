"""What is listed: kept for an hour, loaded when it is missing, and suggestions for what is not there."""

import threading
from collections.abc import Mapping
from contextlib import suppress
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

    def __init__(self, *symbols, env=None):
        self.listed = {each.exchange_symbol: each for each in map(make, symbols)}
        self.asked = []
        self.failure = None
        self.env = env or Held()
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
    with pytest.raises(UnknownSymbol, match=": symbols are written like 'BTC/USDT'") as refused:
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
    with pytest.raises(UnknownSymbol, match="binance has no symbol 'BTCUSDT': symbols are written like 'BTC/USDT'"):
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


# ---------------------------------------------------------------- many threads


class Waits(Environment):
    """Real time, and a semaphore that is released by each thread that is about to wait."""

    def __init__(self):
        self.waiting = threading.Semaphore(0)

    def wait_for(self, condition, ready, timeout):
        self.waiting.release()
        return super().wait_for(condition, ready, timeout)


class Threads:
    """Calls, each in a thread of its own; `ended` is what they gave or raised."""

    def __init__(self, count, call):
        self.ended = []
        self._threads = [threading.Thread(target=self._run, args=(call,)) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, call):
        try:
            self.ended.append(call())
        except BaseException as error:  # noqa: BLE001 - to be looked at
            self.ended.append(error)

    def join(self):
        for thread in self._threads:
            thread.join()
        return self.ended


@pytest.fixture
def shared():
    return Listing("BTC/USDT", "ETH/USDT", env=Waits())


def test_threads_that_need_the_same_load_share_it(shared):
    others = []

    def load(names):
        if not others:
            others.append(Threads(15, lambda: shared.instruments.find("BTC/USDT", shared.load, 10)))
            assert all(shared.env.waiting.acquire(timeout=30) for _ in range(15))
        shared.load(names)

    assert shared.instruments.find("BTC/USDT", load, 10) == make("BTC/USDT")
    assert others[0].join() == [make("BTC/USDT")] * 15
    assert shared.asked == [("BTCUSDT",)]


def test_the_search_for_suggestions_is_shared_too(shared):
    others = []

    def load(names):
        if names == () and not others:
            others.append(Threads(3, lambda: shared.instruments.find("BTC/UST", shared.load, 10)))
            assert all(shared.env.waiting.acquire(timeout=30) for _ in range(3))
        shared.load(names)

    with pytest.raises(UnknownSymbol):
        shared.instruments.find("BTC/UST", load, 10)
    assert [(type(error), error.suggestions[0]) for error in others[0].join()] == [(UnknownSymbol, "BTC/USDT")] * 3
    assert shared.asked.count(()) == 1


@pytest.mark.parametrize("failure", [TransportError("no network"), KeyboardInterrupt()])
def test_a_shared_load_that_fails_fails_nobody_else(shared, failure):
    others = []

    def load(names):
        others.append(Threads(2, lambda: shared.instruments.find("BTC/USDT", shared.load, 10)))
        assert all(shared.env.waiting.acquire(timeout=30) for _ in range(2))
        raise failure

    with suppress(type(failure)):
        shared.instruments.find("BTC/USDT", load, 10)
    assert others[0].join() == [make("BTC/USDT")] * 2
    assert set(shared.asked) == {("BTCUSDT",)}


def test_who_waits_for_another_threads_load_waits_no_longer_than_it_may(shared):
    def load(names):
        (error,) = Threads(1, lambda: shared.instruments.find("BTC/USDT", shared.load, 0.01)).join()
        assert isinstance(error, TransportError)
        assert "another thread is still loading" in error.message
        shared.load(names)

    assert shared.instruments.find("BTC/USDT", load, 10) == make("BTC/USDT")
    assert shared.asked == [("BTCUSDT",)]


def test_what_is_known_to_be_no_symbol_is_refused_without_asking(listing):
    check = listing.instruments.check
    check("BTC/UDST")  # nobody knows yet
    for wrong in ("BTCUSDT", "btc/usdt", ""):
        with pytest.raises(UnknownSymbol):
            check(wrong)
    listing.find("BTC/USDT")
    check("BTC/UDST")
    with pytest.raises(UnknownSymbol, match="did you mean BTC/USDT"):
        check("BT/CUSDT")
    with pytest.raises(UnknownSymbol):
        listing.find("BTC/UDST")
    asked = list(listing.asked)
    with pytest.raises(UnknownSymbol) as caught:
        check("BTC/UDST")
    assert "BTC/USDT" in caught.value.suggestions
    listing.env.moment = 100_000.0  # not fresh any more, and a symbol all the same
    check("ETH/USDT")
    assert listing.asked == asked
