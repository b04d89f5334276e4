"""What holds for every value: frozen, slotted, equal by content, and the same after a journey."""

import copy
import dataclasses
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from exconnect.errors import InsufficientFunds, InvalidType
from exconnect.model import account, events, health, instrument, market, order
from exconnect.model.account import Balance, Balances, Fees, Position
from exconnect.model.enums import OrderStatus, OrderType, Side, StreamStatus
from exconnect.model.events import (
    BookOutOfSync,
    Gap,
    GapClosed,
    HandlerFailed,
    Notice,
    SlowHandler,
    StatusChanged,
    TopicRefused,
    ZombieOrder,
)
from exconnect.model.health import Health, LimitUse, PartHealth
from exconnect.model.instrument import Rules
from exconnect.model.market import Book, Candle, Cell, FundingRate, Levels, Ticker, Trade
from exconnect.model.order import AmendOrder, CancelOrder, Fill, Order, PlaceOrder

D, NOW = Decimal, datetime(2026, 1, 1, tzinfo=UTC)
RAW = {"sent": ["by", {"the": "exchange"}], "n": D("0.1")}
SEEN = {"exchange": "binance", "symbol": "BTC/USDT", "time": NOW, "received_at": NOW, "raw": RAW}
HELD = {"exchange": "binance", "raw": RAW}
HEARD = {"exchange": "binance", "time": NOW, "symbol": "BTC/USDT", "reason": "why"}

FILL = Fill(**SEEN, id="1", order_id="2", side=Side.BUY, price=D(1), quantity=D(2), fee=D("0.1"), fee_asset="BTC")
ORDER = Order(
    exchange="binance",
    client_order_id="abc-1",
    symbol="BTC/USDT",
    side=Side.BUY,
    type=OrderType.LIMIT,
    status=OrderStatus.REJECTED,
    quantity=D(1),
    fills=(FILL,),
    created_at=NOW,
    rejection=InsufficientFunds("no", {"code": -2010}),
    raw=RAW,
)


@pytest.fixture
def values(instrument):
    return [
        Balance(**HELD, asset="BTC", free=D(1), locked=D(2)),
        Fees(**HELD, symbol="BTC/USDT", maker=D("0.001"), taker=D("0.002")),
        Position(**SEEN, quantity=D(-1)),
        Ticker(**SEEN, bid=D(1), ask=D(2)),
        Trade(**SEEN, id="1", price=D(1), quantity=D(2), side=Side.SELL),
        Candle(
            **SEEN,
            interval="1m",
            open_time=NOW,
            **dict.fromkeys(("open", "high", "low", "close", "volume"), D(1)),
            is_closed=True,
        ),
        FundingRate(**SEEN, rate=D("0.0001")),
        Book(**SEEN, bids=Levels([Cell("1", "2")]), asks=Levels([]), sequence=7),
        FILL,
        ORDER,
        PlaceOrder("BTC/USDT", "buy", "1", price="2", extra={"a": "b"}),
        AmendOrder(ORDER, price="1"),
        CancelOrder("abc-1", symbol="BTC/USDT"),
        instrument(raw=RAW, rules=Rules(market_lot_size=D(1))),
        Rules(iceberg_parts=10),
        StatusChanged(
            exchange="binance",
            time=NOW,
            connection="public-1",
            old=StreamStatus.LIVE,
            status=StreamStatus.DOWN,
            cause=OSError("gone"),
        ),
        Notice(**HEARD),
        Gap(**HEARD, kind="trade", first_id="1", last_id="5", count=5),
        GapClosed(**HEARD, kind="fill", start=NOW, end=NOW, count=2),
        BookOutOfSync(**HEARD, expected=1, got=3),
        HandlerFailed(**HEARD, handler="module.show", error=ValueError("x"), item=FILL),
        SlowHandler(**HEARD, handler="module.show", lag_s=1.5, share=0.5),
        TopicRefused(**HEARD, kind="book"),
        ZombieOrder(**HEARD, order=ORDER),
        PartHealth("open", NOW, "why"),
        Health(
            ok=True,
            can_read=True,
            can_place=True,
            can_cancel=True,
            is_halted=False,
            clock_offset_ms=1.0,
            clock_error_ms=None,
            limits={"orders": LimitUse(1, 2, 3.0)},
            parts={},
        ),
    ]


def is_value(kind):
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
    return dataclasses.is_dataclass(kind) or (is_struct and not kind.__name__.startswith("_"))


def first_field(value):
    return dataclasses.fields(value)[0].name if dataclasses.is_dataclass(value) else value.__struct_fields__[0]


def test_every_value_is_here(values):
    modules = (account, events, health, instrument, market, order)
    classes = {c for module in modules for c in vars(module).values() if is_value(c)} - {Cell}  # within `Levels`
    assert {type(value) for value in values} == classes


def test_values_are_frozen_and_have_no_dictionary(values):
    for value in values:
        name = first_field(value)
        with pytest.raises(AttributeError):
            setattr(value, name, None)
        with pytest.raises(AttributeError):
            delattr(value, name)
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
            value.surprise = 1
        assert not hasattr(value, "__dict__"), type(value)


@pytest.mark.parametrize(
    "travel",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda value, p=p: pickle.loads(pickle.dumps(value, p)) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)),
    ],
)
def test_values_travel(values, travel):
    for value in values:
        there = travel(value)
        assert type(there) is type(value)
        assert there == value
        assert getattr(there, "raw", None) == getattr(value, "raw", None)
        assert repr(there) == repr(value)
        for name in ("error", "cause", "rejection"):
            assert repr(getattr(there, name, None)) == repr(getattr(value, name, None))


def test_what_an_exchange_sent_is_kept_but_neither_shown_nor_compared(values):
    with_raw = [value for value in values if hasattr(value, "raw")]
    assert len(with_raw) == 11
    for value in with_raw:
        assert value.raw is RAW
        assert "sent" not in repr(value)
        assert dataclasses.replace(value, raw=None) == value


def test_values_can_be_keys(values):
    unhashable = (Book, Health)  # levels and mappings are compared by what is in them
    for value in values:
        if not isinstance(value, unhashable):
            assert hash(value) == hash(pickle.loads(pickle.dumps(value)))


def test_balances_of_what_is_not_held_are_zero():
    balances = Balances("binance", {"BTC": Balance(exchange="binance", asset="BTC", free=D(1), locked=D("0.5"))})
    assert balances["BTC"].total == D("1.5")
    nothing = balances["XYZ"]
    assert (nothing.asset, nothing.free, nothing.locked, nothing.exchange) == ("XYZ", 0, 0, "binance")
    assert list(balances) == ["BTC"]
    assert balances["btc"] == balances["Btc"] == balances["BTC"]
    assert (balances["xyz"], balances.get("btc")) == (nothing, None)
    with pytest.raises(InvalidType):
        balances[5]
    for there in (pickle.loads(pickle.dumps(balances)), copy.copy(balances), copy.deepcopy(balances)):
        assert there == balances
        assert there["XYZ"] == nothing
