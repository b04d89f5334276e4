"""Commands: what goes together; orders: what a snapshot says of itself."""

import dataclasses
import traceback
from dataclasses import replace
from decimal import Decimal

import pytest

from exconnect.errors import InsufficientFunds, InvalidArgument, InvalidOrder, InvalidType, OutcomeUnknown
from exconnect.model.enums import OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce
from exconnect.model.order import AmendOrder, CancelOrder, Fill, Order, PlaceOrder, checked_id, client_id_of, text_of

LIMIT = {"quantity": "1", "price": "60000"}
MARKET = {"quantity": "1", "type": "market"}
STOP = {"quantity": "1", "type": "stop_loss", "stop_price": "50000"}
STOP_LIMIT = LIMIT | {"type": "stop_loss_limit", "stop_price": "50000"}


def place(**given):
    return PlaceOrder("BTC/USDT", "buy", **given)


@pytest.mark.parametrize(
    "given",
    [
        LIMIT,
        MARKET,
        {"quote_quantity": "100", "type": "market"},
        STOP,
        STOP_LIMIT,
        {"quantity": "1", "type": "take_profit", "trailing_delta_bps": 100},
        STOP | {"trailing_delta_bps": 100},
        LIMIT | {"type": "take_profit_limit", "trailing_delta_bps": 10_000},
        LIMIT | {"time_in_force": "ioc"},
        LIMIT | {"time_in_force": "fok"},
        STOP_LIMIT | {"time_in_force": "ioc"},
        LIMIT | {"post_only": True},
        LIMIT | {"post_only": True, "iceberg_quantity": "0.1"},
        LIMIT | {"iceberg_quantity": "1"},
        STOP_LIMIT | {"iceberg_quantity": "0.1"},
        LIMIT | {"client_order_id": "a" * 36},
        LIMIT | {"idempotency_key": "any text, even this"},
        LIMIT | {"extra": {"strategyId": "7"}, "reduce_only": True, "self_trade_prevention": "NONE"},
    ],
)
def test_what_goes_together(given):
    assert place(**given).symbol == "BTC/USDT"


NEEDS_PRICE = "a limit order needs price (a market order: type='market')"
COMBINATIONS = [
    ({"price": "1"}, "an order needs quantity (in base asset), or quote_quantity for a market order"),
    ({"type": "market"}, "an order needs quantity (in base asset), or quote_quantity for a market order"),
    (MARKET | {"quote_quantity": "100"}, "give quantity or quote_quantity, not both"),
    ({"quote_quantity": "100", "price": "1"}, "quote_quantity goes with type='market'"),
    ({"quote_quantity": "100", "type": "stop_loss", "stop_price": "1"}, "quote_quantity goes with type='market'"),
    ({"quantity": "1"}, NEEDS_PRICE),
    (
        {"quantity": "1", "type": "stop_loss_limit", "stop_price": "1"},
        "a stop_loss_limit order needs price (a market order: type='market')",
    ),
    (MARKET | {"price": "1"}, "a market order takes no price: leave it out, or say type='limit'"),
    (STOP | {"price": "1"}, "a stop_loss order takes no price: leave it out, or say type='stop_loss_limit'"),
    (MARKET | {"time_in_force": "ioc"}, "a market order takes no time_in_force"),
    (STOP | {"time_in_force": "gtc"}, "a stop_loss order takes no time_in_force"),
    ({"quantity": "1", "type": "take_profit"}, "a take_profit order needs stop_price or trailing_delta_bps"),
    (LIMIT | {"stop_price": "1"}, "a limit order takes no stop_price or trailing_delta_bps"),
    (MARKET | {"trailing_delta_bps": 5}, "a market order takes no stop_price or trailing_delta_bps"),
    (MARKET | {"post_only": True}, "post_only goes with type='limit' and time_in_force='gtc'"),
    (STOP_LIMIT | {"post_only": True}, "post_only goes with type='limit' and time_in_force='gtc'"),
    (LIMIT | {"post_only": True, "time_in_force": "ioc"}, "post_only goes with type='limit' and time_in_force='gtc'"),
    (MARKET | {"iceberg_quantity": "0.1"}, "iceberg_quantity goes with limit types"),
    (LIMIT | {"iceberg_quantity": "0.1", "time_in_force": "fok"}, "an iceberg order needs time_in_force='gtc'"),
    (LIMIT | {"iceberg_quantity": "1.1"}, "iceberg_quantity is above quantity"),
    (LIMIT | {"client_order_id": "a", "idempotency_key": "b"}, "give client_order_id or idempotency_key, not both"),
]


@pytest.mark.parametrize("given, message", COMBINATIONS)
def test_what_does_not_go_together(given, message):
    with pytest.raises(InvalidOrder) as refused:
        place(**given)
    error = refused.value
    assert (error.message, error.filter, error.symbol) == (message, None, "BTC/USDT")


def test_defaults_and_normalising():
    order = place(quantity=1, price="6E+4", type="LIMIT", self_trade_prevention="Expire_Both")
    assert (order.side, order.type, order.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.GTC)
    assert (order.quantity, order.price) == (Decimal(1), Decimal(60000))
    assert type(order.quantity) is type(order.price) is Decimal
    assert order.self_trade_prevention is SelfTradePrevention.EXPIRE_BOTH
    assert place(**MARKET).time_in_force is None
    unsaid = {"quote_quantity", "stop_price", "trailing_delta_bps", "iceberg_quantity", "client_order_id"}
    assert all(getattr(order, name) is None for name in unsaid | {"idempotency_key", "extra", "amends"})
    assert (order.post_only, order.reduce_only) == (False, False)


def test_equal_orders_are_equal_however_they_were_written():
    one, other = (
        place(quantity="1.0", price=60000, extra={"a": "1"}),
        place(quantity=1, price="60000", extra={"a": "1"}),
    )
    assert one == other
    assert hash(one) == hash(other)
    assert one != place(**LIMIT)
    assert replace(one, price="60001").price == 60001


def test_what_was_given_as_extra_is_copied():
    extra = {"a": "1"}
    order = place(**LIMIT, extra=extra)
    extra["a"] = "2"
    assert order.extra == {"a": "1"}


def test_the_repr_shows_what_was_said():
    assert repr(place(**LIMIT, post_only=True)) == (
        "PlaceOrder(symbol='BTC/USDT', side=<Side.BUY: 'buy'>, quantity=Decimal('1'), price=Decimal('60000'), "
        "type=<OrderType.LIMIT: 'limit'>, time_in_force=<TimeInForce.GTC: 'gtc'>, post_only=True)"
    )
    assert repr(AmendOrder("abc-1", price="1")) == "AmendOrder(order='abc-1', price=Decimal('1'))"


@pytest.mark.parametrize("make", [lambda: place(quantity="x", price="1"), lambda: AmendOrder("abc-1", price=1.5)])
def test_a_traceback_with_locals_can_show_one_that_was_never_finished(make):
    with pytest.raises((InvalidArgument, InvalidType)) as refused:
        make()
    error = refused.value
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "self = PlaceOrder(" in shown or "self = AmendOrder(" in shown


def test_fields_are_the_arguments_of_place_order():
    names = [field.name for field in dataclasses.fields(PlaceOrder)]
    assert names == [
        *("symbol", "side", "quantity", "price", "type", "quote_quantity", "time_in_force", "post_only", "stop_price"),
        *("trailing_delta_bps", "iceberg_quantity", "self_trade_prevention", "reduce_only", "client_order_id"),
        *("idempotency_key", "extra", "amends"),
    ]
    with pytest.raises(TypeError, match="pirce"):
        place(quantity="1", pirce="1")
    with pytest.raises(TypeError, match="positional"):
        PlaceOrder("BTC/USDT", "buy", "1", "60000")


def order(**changes):
    given = {
        "exchange": "binance",
        "client_order_id": "abc-1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "status": OrderStatus.NEW,
        "quantity": Decimal(2),
    }
    return Order(**given | changes)


class TestOrder:
    @pytest.mark.parametrize("status", OrderStatus)
    def test_open_or_done(self, status):
        snapshot = order(status=status)
        assert snapshot.is_open is not snapshot.is_done
        assert (snapshot.is_done, snapshot.is_definite) == (status.is_done, status.is_definite)

    def test_remaining(self):
        assert order(filled_quantity=Decimal("0.5")).remaining == Decimal("1.5")
        assert order(quantity=None, quote_quantity=Decimal(100)).remaining is None

    def test_raise_for_status_gives_a_good_order_back(self):
        good = order(status=OrderStatus.CANCELED)
        assert good.raise_for_status() is good

    def test_raise_for_status_raises_the_rejection_and_keeps_no_frames(self):
        rejection = InsufficientFunds("too poor", {"code": -2010})
        refused = order(status=OrderStatus.REJECTED, rejection=rejection)
        for _ in range(2):
            with pytest.raises(InsufficientFunds, match="too poor") as raised:
                refused.raise_for_status()
            assert raised.value.args == rejection.args
        assert rejection.__traceback__ is None

    def test_raise_for_status_of_an_unknown_one(self):
        with pytest.raises(OutcomeUnknown, match="it is not known what became of order abc-1") as raised:
            order(status=OrderStatus.UNKNOWN).raise_for_status()
        error = raised.value
        assert (error.client_order_id, error.symbol, error.exchange) == ("abc-1", "BTC/USDT", "binance")

    def test_what_is_not_said_is_not_shown(self):
        shown = repr(order(quantity=Decimal("0.10"), filled_quantity=Decimal(0), price=None, fills=(), post_only=False))
        assert "quantity=Decimal('0.10')" in shown
        assert "filled_quantity=Decimal('0')" in shown
        assert not any(name in shown for name in (" price=", "fills=", "post_only=", "rejection="))

    def test_what_the_exchange_sent_is_no_part_of_equality_or_repr(self):
        assert order(raw={"a": 1}) == order(raw={"b": 2})
        assert "raw" not in repr(order(raw={"a": 1}))


def test_the_worth_of_a_fill():
    fill = Fill(
        exchange="binance",
        id="1",
        order_id="2",
        symbol="BTC/USDT",
        side=Side.BUY,
        price=Decimal("60000.1"),
        quantity=Decimal("0.5"),
    )
    assert fill.notional == Decimal("30000.05")


class TestReferences:
    def test_an_order_or_its_id(self):
        assert client_id_of(order()) == client_id_of("abc-1") == "abc-1"
        assert client_id_of(order(client_order_id="web: foreign")) == "web: foreign"

    @pytest.mark.parametrize("text", ["", "a" * 37, "a b", "ä", "a\n", "a.b"])
    def test_text_that_is_no_id(self, text):
        with pytest.raises(InvalidArgument, match=r"order=.*: 1 to 36 letters, digits, '-' or '_'"):
            client_id_of(text)
        with pytest.raises(InvalidArgument, match=r"^client_order_id="):
            checked_id(text)

    @pytest.mark.parametrize("what", [None, 5, b"abc"])
    def test_what_is_neither(self, what):
        with pytest.raises(
            InvalidType, match=f"order must be an Order or its client order id, as text, not {type(what).__name__}"
        ):
            client_id_of(what)

    def test_text_has_a_sensible_size(self):
        assert text_of("x" * 256, "symbol") == "x" * 256
        for text in ("", "x" * 257):
            with pytest.raises(InvalidArgument, match="symbol must have 1 to 256 characters"):
                text_of(text, "symbol")


class TestAmendAndCancel:
    def test_an_amend_normalises(self):
        amend = AmendOrder("abc-1", price="60000.1", quantity=2, symbol="BTC/USDT")
        assert (amend.price, amend.quantity, amend.symbol) == (Decimal("60000.1"), Decimal(2), "BTC/USDT")
        assert AmendOrder("abc-1", price=1) == AmendOrder("abc-1", price="1.0")
        assert AmendOrder(order(), quantity="1").price is None

    def test_an_amend_of_nothing(self):
        with pytest.raises(InvalidArgument, match="an amend needs a new price, a new quantity or both"):
            AmendOrder("abc-1")

    @pytest.mark.parametrize(
        "make", [lambda **more: AmendOrder("abc-1", price="1", **more), lambda **m: CancelOrder("a", **m)]
    )
    def test_their_symbol_is_text(self, make):
        assert make().symbol is None
        assert make(symbol="BTC/USDT").symbol == "BTC/USDT"
        with pytest.raises(InvalidType, match="symbol must be text, not int"):
            make(symbol=5)

    @pytest.mark.parametrize("make", [lambda ref: AmendOrder(ref, price="1"), CancelOrder])
    def test_their_order_is_an_order_or_an_id(self, make):
        with pytest.raises(InvalidType, match="order must be an Order or its client order id, as text, not int"):
            make(5)
