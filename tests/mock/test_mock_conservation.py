"""Whatever people do, no asset appears or disappears, and nothing is locked that no order holds."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from exconnect.mock.account import to_lock
from exconnect.mock.fixed import SCALE, scaled
from exconnect.mock.orders import Refused

prices = st.integers(59_900, 60_100).map(str)
quantities = st.integers(1, 300).map(lambda hundredths: f"{hundredths / 100:.2f}")
sides = st.sampled_from(("buy", "sell"))
modes = st.sampled_from(("none", "expire_taker", "expire_maker", "expire_both", "decrement"))
tifs = st.sampled_from(("gtc", "ioc", "fok"))
steps = st.one_of(
    st.tuples(st.just("limit"), sides, quantities, prices, modes, tifs),
    st.tuples(st.just("limit_maker"), sides, quantities, prices, modes),
    st.tuples(st.just("market"), sides, quantities, modes),
    st.tuples(st.just("quote"), sides, st.integers(100, 300_000).map(str), modes),
    st.tuples(st.just("stop"), sides, quantities, prices, modes),
    st.tuples(st.just("stop_limit"), sides, quantities, prices, prices, modes),
    st.tuples(st.just("outsider"), sides, quantities),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("amend"), st.integers(0, 9), quantities),
)


def act(desk, step):
    kind, *rest = step
    if kind == "limit":
        side, quantity, price, mode, tif = rest
        desk.place(side, "limit", quantity, price, stp=mode, time_in_force=tif)
    elif kind == "limit_maker":
        side, quantity, price, mode = rest
        desk.place(side, "limit_maker", quantity, price, stp=mode)
    elif kind == "market":
        side, quantity, mode = rest
        desk.place(side, "market", quantity, stp=mode)
    elif kind == "quote":
        side, quantity, mode = rest
        desk.place(side, "market", quote_quantity=quantity, stp=mode)
    elif kind == "stop":
        side, quantity, stop, mode = rest
        desk.place(side, "stop_loss", quantity, stop_price=stop, stp=mode)
    elif kind == "stop_limit":
        side, quantity, price, stop, mode = rest
        desk.place(side, "take_profit_limit", quantity, price, stop_price=stop, stp=mode)
    elif kind == "outsider":
        desk.outsider(*rest)
    else:
        change(desk, kind, rest)


def change(desk, kind, rest):
    orders = list(desk.engine.open.values())
    if orders:
        order = orders[rest[0] % len(orders)]
        if kind == "cancel":
            desk.engine.cancel(order, desk.now)
        else:
            desk.engine.amend(order, scaled(rest[1]), desk.now)


def check(desk):
    for asset, begin in (("USDT", 100_000), ("BTC", 5)):
        balance = desk.engine.accounts["user"].of(asset)
        outside, fees = desk.engine.outside.get(asset, 0), desk.engine.fees.get(asset, 0)
        assert balance.free + balance.locked + outside + fees == begin * SCALE
        assert balance.free >= 0
        held = [order for order in desk.engine.open.values() if (order.side == "buy") == (asset == "USDT")]
        assert balance.locked == sum(order.locked for order in held)
        assert balance.locked == sum(to_lock(order.wish, order.remaining) for order in held)
    book = desk.book
    if len(book.bids) and len(book.asks):
        assert book.bids.best() < book.asks.best()
    for side in (book.bids, book.asks):
        for price in side.prices():
            level = side.levels[price]
            assert level.total == sum(order.remaining for order in level.orders.values()) > 0


@given(st.lists(steps, max_size=30))
def test_assets_are_conserved(make_desk, actions):
    desk = make_desk({"USDT": "100000", "BTC": "5"})
    for action in actions:
        with suppress(Refused):
            act(desk, action)
        check(desk)


@given(st.lists(steps, max_size=20))
def test_a_refusal_leaves_no_trace(make_desk, actions):
    desk = make_desk({"USDT": "100000", "BTC": "5"})
    for action in actions:
        before = (desk.free("USDT"), desk.free("BTC"), desk.book.sequence, len(desk.engine.orders))
        try:
            act(desk, action)
        except Refused:
            assert before == (desk.free("USDT"), desk.free("BTC"), desk.book.sequence, len(desk.engine.orders))


@given(st.lists(steps, max_size=20))
def test_fills_add_up(make_desk, actions):
    desk = make_desk({"USDT": "100000", "BTC": "5"})
    for action in actions:
        with suppress(Refused):
            act(desk, action)
    for order in desk.engine.orders.values():
        assert sum(fill.quantity for fill in order.fills) == order.filled
        assert sum(fill.price * fill.quantity for fill in order.fills) == order.filled_quote * SCALE
        assert order.filled + order.prevented <= order.quantity
        assert order.is_open == (order.id in desk.engine.open)
