"""The rules of an instrument: each filter by itself, and all of them against a naive second implementation."""

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exconnect.errors import InvalidArgument, InvalidOrder, InvalidType
from exconnect.model.enums import InstrumentStatus, MarketType, OrderType, SelfTradePrevention
from exconnect.model.instrument import Instrument, Rules
from exconnect.model.order import PlaceOrder

D = Decimal


def order(quantity="1", price="60000", side="buy", **more):
    return PlaceOrder("BTC/USDT", side, quantity, price=price, **more)


def market(quantity="1", **more):
    return order(quantity, None, type="market", **more)


STEPS = [
    # rules, order, filter, limit, value, nearest, words
    ({}, order(price="60000.005"), "tick_size", "0.01", "60000.005", "60000", 'use price="60000"'),
    ({}, order(price="60000.016"), "tick_size", "0.01", "60000.016", "60000.02", "not a multiple of the tick size"),
    ({"tick_size": "1000"}, order(price="60500"), "tick_size", "1000", "60500", "60000", 'use price="60000"'),
    ({"tick_size": "2.5"}, order(price="61"), "tick_size", "2.5", "61", "60", 'use price="60"'),
    ({"min_price": "100"}, order(price="99"), "price_range", "100", "99", "100", "below the least allowed price (100)"),
    ({"min_price": "0.015"}, order("999", "0.01"), "price_range", "0.015", "0.01", "0.02", "below the least"),
    ({}, order(price="1000000.01"), "price_range", "1000000", "1000000.01", "1000000", "above the greatest allowed"),
    ({"max_price": "9.999"}, order(price="10"), "price_range", "9.999", "10", "9.99", 'use price="9.99"'),
    (
        {"max_price": "60000.007"},
        order(price="60000.006"),
        *("tick_size", "0.01", "60000.006", "60000", 'use price="60000"'),
    ),
    (
        {},
        order(type="stop_loss_limit", stop_price="0.005"),
        *("price_range", "0.01", "0.005", "0.01", "stop_price=0.005 is below the least allowed price (0.01)"),
    ),
    ({}, order("0.000015"), "lot_size", "0.00001", "0.000015", "0.00002", "quantity=0.000015 is not a multiple"),
    ({"min_quantity": "0.1"}, order("0.05"), "min_quantity", "0.1", "0.05", "0.1", "below the least quantity (0.1)"),
    ({"min_quantity": "0.000015"}, order("0.00001"), "min_quantity", "0.000015", "0.00001", "0.00002", "below"),
    ({}, order("9000.1"), "max_quantity", "9000", "9000.1", "9000", "above the greatest quantity (9000)"),
    ({}, market("100.1"), "max_quantity", "100", "100.1", "100", 'use quantity="100"'),
    ({"market_max_quantity": None}, market("9001"), "max_quantity", "9000", "9001", "9000", "above the greatest"),
    (
        {"rules": Rules(market_lot_size=D("0.1"))},
        market("0.26"),
        *("lot_size", "0.1", "0.26", "0.3", "not a multiple of the lot size (0.1)"),
    ),
    (
        {"lot_size": "0.03", "rules": Rules(market_lot_size=D("0.05"))},
        market("0.3001"),
        *("lot_size", "0.15", "0.3001", "0.3", "not a multiple of the lot size (0.15)"),
    ),
    (
        {"rules": Rules(market_min_quantity=D("0.5"))},
        market("0.4"),
        *("min_quantity", "0.5", "0.4", "0.5", "below the least quantity (0.5)"),
    ),
    (
        {},
        order("1", iceberg_quantity="0.000001"),
        *("min_quantity", "0.00001", "0.000001", "0.00001", "iceberg_quantity=0.000001 is below"),
    ),
    (
        {},
        order("0.00008"),
        *("min_notional", "5", "4.8", "0.00009", "is worth 4.8 USDT, below the least notional 5 of BTC/USDT: use"),
    ),
    ({}, order("200"), "max_notional", "9000000", "12000000", "150", "above the greatest notional 9000000"),
    (
        {"lot_size": "0"},
        order("0.00003", "30000.03"),
        *("min_notional", "5", "0.9000009", "0.00016667", 'use quantity="0.00016667"'),
    ),
    (
        {"rules": Rules(market_min_notional=D(5))},
        market(None, quote_quantity="4"),
        *("min_notional", "5", "4", "5", 'use quote_quantity="5"'),
    ),
    (
        {"rules": Rules(market_max_notional=D(500))},
        market(None, quote_quantity="501"),
        *("max_notional", "500", "501", "500", 'use quote_quantity="500"'),
    ),
    # where nothing is legal, nothing is suggested
    ({"min_price": "5.001", "max_price": "5.009"}, order(price="5.005"), "tick_size", "0.01", "5.005", None, "tick"),
    ({"min_quantity": "0", "max_quantity": "0.1"}, order("0.1", "10"), "min_notional", "5", "1", None, "of BTC/USDT"),
    ({"max_notional": "0.5", "min_notional": None}, order("0.001"), "max_notional", "0.5", "60", None, "above"),
]


@pytest.mark.parametrize("rules, command, name, limit, value, nearest, words", STEPS)
def test_each_filter(instrument, rules, command, name, limit, value, nearest, words):
    with pytest.raises(InvalidOrder) as refused:
        instrument(**rules).check(command)
    error = refused.value
    assert (error.filter, error.limit, error.value) == (name, D(limit), D(value))
    assert error.nearest == (None if nearest is None else D(nearest))
    assert words in error.message
    assert (error.exchange, error.symbol) == ("binance", "BTC/USDT")


def test_none_of_the_rules_means_no_rule(instrument):
    free = instrument(
        **dict.fromkeys(("tick_size", "lot_size", "min_quantity"), "0"),
        **dict.fromkeys(("min_price", "max_price", "max_quantity", "min_notional", "max_notional"), None),
    )
    free.check(order("0.0000000000001", "0.00000000007"))
    free.check(order("9" * 30, "9" * 30))


KINDS = [
    ({"status": InstrumentStatus.HALTED}, order(), "BTC/USDT is halted: no orders are taken now"),
    ({"status": InstrumentStatus.UNKNOWN}, order(), "BTC/USDT is unknown: no orders are taken now"),
    (
        {"order_types": frozenset({OrderType.LIMIT, OrderType.STOP_LOSS})},
        market(),
        "BTC/USDT takes no market orders, only limit, stop_loss",
    ),
    (
        {"rules": Rules(quote_quantity=False)},
        market(None, quote_quantity="10"),
        "BTC/USDT takes no quote_quantity: give quantity in BTC",
    ),
    ({"rules": Rules(iceberg=False)}, order("1", iceberg_quantity="0.1"), "BTC/USDT takes no iceberg orders"),
    (
        {"rules": Rules(iceberg_parts=10)},
        order("1", iceberg_quantity="0.09"),
        "iceberg_quantity=0.09 makes more than 10 parts of 1",
    ),
    (
        {"rules": Rules(trailing=False)},
        order(type="stop_loss_limit", trailing_delta_bps=100),
        "BTC/USDT takes no trailing orders",
    ),
    (
        {"rules": Rules(self_trade_preventions=frozenset({SelfTradePrevention.NONE, SelfTradePrevention.DECREMENT}))},
        order(self_trade_prevention="expire_both"),
        "BTC/USDT does not offer self_trade_prevention='expire_both', only decrement, none",
    ),
]


@pytest.mark.parametrize("rules, command, message", KINDS)
def test_what_an_instrument_does_not_do(instrument, rules, command, message):
    with pytest.raises(InvalidOrder) as refused:
        instrument(**rules).check(command)
    assert (refused.value.message, refused.value.filter) == (message, None)


def test_the_nearest_iceberg(instrument):
    with pytest.raises(InvalidOrder) as refused:
        instrument(rules=Rules(iceberg_parts=3)).check(order("1", iceberg_quantity="0.1"))
    assert (refused.value.argument, refused.value.nearest) == ("iceberg_quantity", D("0.33334"))
    instrument(rules=Rules(iceberg_parts=3)).check(order("1", iceberg_quantity="0.33334"))


ABOVE, BELOW = (10, 20), (30, 40)


@pytest.mark.parametrize(
    "kind, side, bounds",
    [
        ("stop_loss", "buy", ABOVE),
        ("stop_loss_limit", "buy", ABOVE),
        ("take_profit", "sell", ABOVE),
        ("take_profit_limit", "sell", ABOVE),
        ("stop_loss", "sell", BELOW),
        ("take_profit", "buy", BELOW),
    ],
)
def test_trailing_deltas_by_type_and_side(instrument, kind, side, bounds):
    rules = instrument(rules=Rules(trailing_above_bps=ABOVE, trailing_below_bps=BELOW))
    price = "60000" if kind.endswith("limit") else None
    for delta in range(1, 50):
        command = order("1", price, side, type=kind, trailing_delta_bps=delta)
        if bounds[0] <= delta <= bounds[1]:
            rules.check(command)
            continue
        with pytest.raises(InvalidOrder, match=f"must be between {bounds[0]} and {bounds[1]} on BTC/USDT") as refused:
            rules.check(command)
        assert (refused.value.value, refused.value.nearest) == (delta, min(max(delta, bounds[0]), bounds[1]))


BANDED = Rules(bid_band=(D("0.2"), D("1.5")), ask_band=(D("0.5"), D(5)))


@pytest.mark.parametrize(
    "side, price, limit, nearest",
    [
        ("buy", "19.99", "20", "20"),
        ("buy", "150.01", "150", "150"),
        ("sell", "49.99", "50", "50"),
        ("sell", "500.01", "500", "500"),
    ],
)
def test_bands_around_a_reference_price(instrument, side, price, limit, nearest):
    rules = instrument(rules=BANDED)
    rules.check(order("1", price, side))
    with pytest.raises(InvalidOrder, match=r"\(at 100\) allowed price") as refused:
        rules.check(order("1", price, side), reference_price=D(100))
    assert (refused.value.filter, refused.value.limit, refused.value.nearest) == ("price_range", D(limit), D(nearest))
    rules.check(order("1", nearest, side), reference_price=D(100))


def test_no_band_lets_every_price_pass(instrument):
    instrument().check(order("1000", "0.01"), reference_price=D(100))


def test_a_reference_price_gives_a_market_order_its_value(instrument):
    rules = instrument(rules=Rules(market_min_notional=D(5)))
    rules.check(market("0.00001"))
    with pytest.raises(InvalidOrder) as refused:
        rules.check(market("0.00001"), reference_price=D(60000))
    assert (refused.value.filter, refused.value.value, refused.value.nearest) == (
        "min_notional",
        D("0.6"),
        D("0.00009"),
    )


# ---- a second implementation, in fractions --------------------------------------------------------------------------

STEP = st.sampled_from(["0", "0.00000100", "0.00000001", "0.01", "0.03", "0.5", "1", "2.5", "5", "1000", "1E+2"]).map(D)
AMOUNT = st.builds(lambda n, e: D(n).scaleb(e), st.integers(1, 10**6), st.integers(-8, 3))
MAYBE = st.none() | AMOUNT


@st.composite
def instruments(draw):
    return Instrument(
        exchange="binance",
        symbol="BTC/USDT",
        exchange_symbol="BTCUSDT",
        market=MarketType.SPOT,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        tick_size=draw(STEP),
        lot_size=draw(STEP),
        min_quantity=draw(st.just(D(0)) | AMOUNT),
        max_quantity=draw(MAYBE),
        market_max_quantity=draw(MAYBE),
        min_price=draw(MAYBE),
        max_price=draw(MAYBE),
        min_notional=draw(MAYBE),
        max_notional=draw(MAYBE),
        rules=Rules(
            market_lot_size=draw(st.none() | STEP),
            market_min_quantity=draw(MAYBE),
            market_min_notional=draw(MAYBE),
            market_max_notional=draw(MAYBE),
            bid_band=draw(st.just((None, None)) | st.tuples(MAYBE, MAYBE)),
        ),
    )


@st.composite
def orders(draw):
    if draw(st.booleans()):
        return order(draw(AMOUNT), draw(AMOUNT))
    if draw(st.booleans()):
        return market(draw(AMOUNT))
    return market(None, quote_quantity=draw(AMOUNT))


def multiple(value, step):
    return not step or (Fraction(value) / Fraction(step)).denominator == 1


def within(value, least, most):
    return (not least or Fraction(value) >= Fraction(least)) and (not most or Fraction(value) <= Fraction(most))


def price_is_legal(rules, price, reference):
    low, high = rules.rules.bid_band
    in_band = reference is None or within(
        price,
        None if low is None else Fraction(low) * Fraction(reference),
        None if high is None else Fraction(high) * Fraction(reference),
    )
    return multiple(price, rules.tick_size) and within(price, rules.min_price, rules.max_price) and in_band


def quantity_is_legal(rules, quantity, is_market):
    legal = multiple(quantity, rules.lot_size) and within(quantity, rules.min_quantity, rules.max_quantity)
    if not is_market:
        return legal
    finer = rules.rules
    return (
        legal
        and multiple(quantity, finer.market_lot_size)
        and within(quantity, finer.market_min_quantity, rules.market_max_quantity)
    )


def value_is_legal(rules, value, is_market):
    finer = rules.rules
    if is_market:
        return within(value, finer.market_min_notional, finer.market_max_notional)
    return within(value, rules.min_notional, rules.max_notional)


def is_legal(rules, command, reference):
    is_market = command.type is OrderType.MARKET
    price = reference if command.price is None else command.price
    if command.quote_quantity is not None:
        value = Fraction(command.quote_quantity)
    else:
        value = None if price is None else Fraction(command.quantity) * Fraction(price)
    return (
        (command.price is None or price_is_legal(rules, command.price, reference))
        and (command.quantity is None or quantity_is_legal(rules, command.quantity, is_market))
        and (value is None or value_is_legal(rules, value, is_market))
    )


def verdict(rules, command, reference):
    try:
        rules.check(command, reference_price=reference)
    except InvalidOrder as error:
        return error
    return None


@given(instruments(), orders(), MAYBE)
def test_check_accepts_exactly_what_is_legal(rules, command, reference):
    assert (verdict(rules, command, reference) is None) == is_legal(rules, command, reference)


@given(instruments(), orders(), MAYBE)
def test_the_nearest_value_passes_and_is_near(rules, command, reference):
    error = verdict(rules, command, reference)
    assume(error is not None and error.nearest is not None)
    nearest, value, is_market = error.nearest, error.value, command.type is OrderType.MARKET
    if error.argument == "price":
        # The band is looked at after the other rules; what it allows in the end may be on the next call's account.
        in_band = reference if "(at " in error.message else None
        assert price_is_legal(rules, nearest, in_band)
        step = rules.tick_size
    elif error.argument == "quantity":
        assert quantity_is_legal(rules, nearest, is_market)
        step = rules.lot_size * max(1, (rules.rules.market_lot_size or 0)) * 1000 if is_market else rules.lot_size
        if error.filter.endswith("notional"):
            price = reference if command.price is None else command.price
            assert value_is_legal(rules, nearest * price, is_market)
            value, step = command.quantity, step or D("0.00000001")
    else:
        assert value_is_legal(rules, nearest, is_market)
        step = D(0)
    if error.filter in {"tick_size", "lot_size"} and not is_market:
        least = rules.min_price if error.argument == "price" else rules.min_quantity
        assert abs(nearest - value) <= step + max((least or 0) - value, 0)


@given(instruments(), orders(), MAYBE)
def test_when_nothing_is_suggested_nothing_is_legal(rules, command, reference):
    error = verdict(rules, command, reference)
    assume(error is not None and error.nearest is None and error.filter is not None)
    probes = {error.limit, error.value, rules.min_quantity, rules.max_quantity, rules.min_price, rules.max_price}
    steps = [step for step in (rules.tick_size, rules.lot_size, rules.rules.market_lot_size) if step]
    probes |= {probe // step * step + more * step for probe in probes if probe for step in steps for more in (0, 1)}
    for probe in probes - {None}:
        if error.argument == "price" and probe > 0:
            assert not price_is_legal(rules, probe, reference if "(at " in error.message else None)
        if error.argument == "quantity" and probe > 0 and not error.filter.endswith("notional"):
            assert not quantity_is_legal(rules, probe, command.type is OrderType.MARKET)


# ---- rounding -------------------------------------------------------------------------------------------------------

GRID = st.sampled_from(["0.00000100", "0.00000001", "0.01", "0.1", "0.25", "0.5", "1", "2.5", "5", "1000", "1E+3"]).map(
    D
)


@given(GRID, AMOUNT, st.sampled_from(["down", "up", "nearest"]))
def test_rounding_lands_on_the_grid_in_the_direction_asked_for(step, value, mode):
    rules = Instrument(
        exchange="binance",
        symbol="BTC/USDT",
        exchange_symbol="BTCUSDT",
        market=MarketType.SPOT,
        base="BTC",
        quote="USDT",
        status=InstrumentStatus.TRADING,
        tick_size=step,
        lot_size=step,
        min_quantity=D(0),
    )
    found = rules.round_price(value, mode)
    assert found == rules.round_quantity(value, mode)
    assert multiple(found, step)
    assert rules.round_price(found, mode) == found
    low, high = {"down": (0, step), "up": (-step, 0), "nearest": (-step / 2, step / 2)}[mode]
    assert low <= value - found <= high
    assert "E" not in str(found) or abs(found) < D("1E-6")


@pytest.mark.parametrize(
    "step, value, mode, shown",
    [
        ("0.01", "60000.019", "down", "60000.01"),
        ("0.01", "60000.011", "up", "60000.02"),
        ("0.01", "60000.015", "nearest", "60000.02"),
        ("0.01", "60000.025", "nearest", "60000.02"),
        ("0.01", "60000", "down", "60000.00"),
        ("0.00000100", "0.0000019", "down", "0.000001"),
        ("2.5", "6", "nearest", "5.0"),
        ("1000", "1499.99", "nearest", "1000"),
        ("1E+3", "1500.01", "up", "2000"),
        ("0", "1.23456789", "down", "1.23456789"),
    ],
)
def test_rounding_by_example(instrument, step, value, mode, shown):
    rules = instrument(tick_size=step, lot_size=step)
    assert format(rules.round_price(value, mode), "f") == shown
    assert format(rules.round_quantity(value, mode), "f") == shown


def test_what_is_rounded_by_default(instrument):
    assert instrument().round_price("60000.019") == D("60000.02")
    assert instrument().round_quantity("0.000019") == D("0.00001")


def test_rounding_refuses_what_is_no_amount_and_no_mode(instrument):
    with pytest.raises(InvalidType, match=r'price must not be a float, .* write price="1\.5"'):
        instrument().round_price(1.5)
    with pytest.raises(InvalidArgument, match="mode='floor': must be one of 'down', 'up', 'nearest'"):
        instrument().round_quantity("1", "floor")


def test_the_callers_precision_decides_nothing(instrument):
    with decimal.localcontext() as context:
        context.prec = 4
        assert instrument().round_price("60000.01") == D("60000.01")
        instrument().check(order("0.12345", "60000.01"))
        with pytest.raises(InvalidOrder):
            instrument().check(order("0.12345", "60000.005"))
