"""The order store as a join: whatever order news arrives in, the same is known in the end, and nothing goes back."""

import itertools
import random
import sys
import threading
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.environment import Environment
from exconnect.errors import InsufficientFunds
from exconnect.model.enums import OrderStatus, OrderType, Side, Source
from exconnect.model.order import Fill, Order
from exconnect.trading import orders
from exconnect.trading.orders import RANKS, Evidence, OrderStore, merge

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = (OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED)


def at(ms):
    return None if ms is None else START + timedelta(milliseconds=ms)


def order(status=OrderStatus.NEW, ms=0, **changes):
    given = {
        "exchange": "binance",
        "client_order_id": "abc-1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "status": status,
        "order_id": "1",
        "quantity": D(10),
        "price": D(100),
        "updated_at": at(ms),
        "source": Source.STREAM,
    }
    return Order(**given | changes)


def local(status=OrderStatus.PENDING_NEW, ms=0, **changes):
    return order(status, ms, **{"source": Source.LOCAL, "order_id": None} | changes)


def fill(name="1", quantity="1", ms=0, **changes):
    given = {
        "exchange": "binance",
        "id": name,
        "order_id": "1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "price": D(100),
        "quantity": D(quantity),
        "time": at(ms),
    }
    return Fill(**given | changes)


def joined(*snapshots):
    evidence = Evidence.of(snapshots[0])
    for snapshot in snapshots[1:]:
        evidence = merge(evidence, Evidence.of(snapshot))
    return evidence


def known_after(*snapshots):
    return joined(*snapshots).order()


# ---- a join, whatever the snapshots say -----------------------------------------------------------------------------

FILLS = [
    fill(str(i), str(i % 3 + 1), i // 2, fee=fee, source=source)
    for i in range(5)
    for fee in (None, D("0.1"))
    for source in (Source.REST, Source.STREAM)
]


@st.composite
def snapshots(draw):
    source = draw(st.sampled_from(Source))
    maybe = lambda value: draw(st.sampled_from([None, value]))  # noqa: E731
    status = draw(st.sampled_from(OrderStatus))
    return order(
        status,
        draw(st.none() | st.integers(0, 4)),
        source=source,
        order_id=maybe("1"),
        quantity=draw(st.sampled_from([D(10), D(8), None])),
        price=draw(st.sampled_from([D(100), D(101)])),
        status_text=draw(st.sampled_from([None, "X", "Y"])),
        filled_quantity=draw(st.sampled_from([D(0), D(2), D(5)])),
        filled_quote=draw(st.sampled_from([D(0), D(200), D(500)])),
        fills=tuple(draw(st.lists(st.sampled_from(FILLS), max_size=3))),
        created_at=draw(st.none() | st.integers(0, 3).map(at)),
        replaces=maybe("abc-0"),
        idempotency_key=maybe("key"),
        rejection=InsufficientFunds("no") if status is OrderStatus.REJECTED else None,
    )


def said(evidence):
    """What evidence amounts to, now and after whatever comes: which of two equal snapshots is kept does not matter."""
    return (
        evidence.order(),
        orders._age(evidence.newest),
        orders._authority(evidence.terms),
        orders._content(evidence.terms),
        orders._progress(evidence.furthest),
        orders._words(evidence.furthest),
        orders._origin(evidence.created),
        evidence.fills,
    )


@given(snapshots(), snapshots(), snapshots())
def test_merging_is_commutative_associative_and_idempotent(one, two, three):
    a, b, c = map(Evidence.of, (one, two, three))
    assert said(merge(a, b)) == said(merge(b, a))
    assert said(merge(merge(a, b), c)) == said(merge(a, merge(b, c)))
    assert said(merge(a, a)) == said(a)
    assert said(merge(merge(a, b), b)) == said(merge(a, b))


@given(st.lists(snapshots(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_order_of_arrival_and_any_doubling_ends_in_the_same_state(heard, chance):
    again = heard + chance.choices(heard, k=3)
    chance.shuffle(again)
    assert known_after(*again) == known_after(*heard)


def test_nothing_that_one_snapshot_says_is_forgotten():
    values = {
        each.name: object() for each in fields(Order)
    }  # a field that the store does not know would be its default
    values |= {"status": OrderStatus.NEW, "filled_quantity": D(0), "filled_quote": D(0), "fills": (), "quantity": D(1)}
    snapshot = Order(**values)
    known = Evidence.of(snapshot).order()
    derived = {"average_price": None, "status_text": values["status_text"], "fills_complete": True, "rejection": None}
    for name, value in (values | derived).items():
        assert getattr(known, name) is value or getattr(known, name) == value, name


# ---- lives of orders ------------------------------------------------------------------------------------------------


def life(seed):
    """What an exchange and this process say of one order, in the order in which it happens."""
    chance = random.Random(seed)
    moment, quantity, fills = itertools.count(1), D(10), ()
    heard = [local(ms=0), local(OrderStatus.UNKNOWN)]
    if chance.random() < 0.3:
        heard.append(order(OrderStatus.UNTRIGGERED, next(moment)))
    heard.append(order(OrderStatus.NEW, next(moment), created_at=at(1)))
    while chance.random() < 0.8:
        filled = sum((each.quantity for each in fills), D(0))
        if chance.random() < 0.2 and quantity - filled > 1:
            quantity -= 1  # an amend
        elif filled < quantity:
            size = min(D(chance.randint(1, 5)), quantity - filled)
            fills = (*fills, fill(str(len(fills)), size, next(moment)))
        heard.append(snapshot(fills, quantity, next(moment), chance))
    filled = sum((each.quantity for each in fills), D(0))
    if filled < quantity and chance.random() < 0.8:
        heard.append(replace(snapshot(fills, quantity, next(moment), chance), status=chance.choice(ENDS[:2])))
    return heard


def snapshot(fills, quantity, ms, chance):
    filled = sum((each.quantity for each in fills), D(0))
    status = OrderStatus.FILLED if filled == quantity else OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.NEW
    shown = tuple(each for each in fills if chance.random() < 0.7)  # a poll knows of no fills, an event of one
    return order(
        status,
        ms,
        quantity=quantity,
        filled_quantity=filled,
        filled_quote=filled * 100,
        fills=shown,
        source=chance.choice([Source.REST, Source.STREAM]),
        created_at=chance.choice([None, at(1)]),
    )


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_a_life_heard_in_any_order_ends_as_it_ended(seed, chance):
    heard = life(seed)
    last = heard[-1]
    shuffled = heard + chance.choices(heard, k=len(heard))
    chance.shuffle(shuffled)
    store, told = OrderStore(Environment()), []
    store.listen(told.append)
    for news in shuffled:
        assert store.apply(news) == store.get("abc-1")
    known = store.get("abc-1")
    assert (known.status, known.quantity, known.filled_quantity) == (last.status, last.quantity, last.filled_quantity)
    assert (known.updated_at, known.created_at) == (last.updated_at, at(1))
    assert {each.id for each in known.fills} == {each.id for news in heard for each in news.fills}
    assert known.fills_complete == (sum(each.quantity for each in known.fills) == known.filled_quantity)
    assert told[-1] == replace(known, source=told[-1].source)
    for earlier, later in itertools.pairwise(told):
        assert later.filled_quantity >= earlier.filled_quantity
        assert RANKS[later.status] >= RANKS[earlier.status]
        assert {each.id for each in later.fills} >= {each.id for each in earlier.fills}
        assert later != earlier


# ---- single rules ---------------------------------------------------------------------------------------------------


def test_the_ranks():
    line = sorted(RANKS, key=lambda status: (RANKS[status], status))
    assert line == [
        *("pending_new", "unknown", "never_sent", "not_accepted", "accepted", "untriggered", "new"),
        *("partially_filled", "canceled", "expired", "rejected", "filled"),
    ]
    assert set(RANKS) == set(OrderStatus)


@pytest.mark.parametrize("one, other", list(itertools.permutations(ENDS, 2)))
def test_of_two_ends_the_newer_one_holds(one, other):
    earlier, later = order(one, 1, status_text="first"), order(other, 2, status_text="second")
    for heard in ((earlier, later), (later, earlier)):
        known = known_after(*heard, order(OrderStatus.NEW, 9))
        assert (known.status, known.status_text) == (other, "second")


@pytest.mark.parametrize("status", [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.CANCELED])
def test_an_order_is_filled_when_all_of_it_is(status):
    assert known_after(order(status, filled_quantity=D("9.99"))).status is not OrderStatus.FILLED
    full = known_after(order(status, filled_quantity=D(10), status_text="WORD"))
    assert (full.status, full.status_text) == (OrderStatus.FILLED, None)


def test_fills_alone_fill_an_order():
    halves = fill("1", "5", 1), fill("2", "5", 2)
    known = known_after(order(), order(fills=halves[1:]), order(fills=halves[:1]))
    assert (known.status, known.filled_quantity, known.filled_quote) == (OrderStatus.FILLED, 10, 1000)
    assert (known.fills, known.fills_complete, known.average_price) == (halves, True, 100)


def test_only_a_quantity_in_base_tells_that_an_order_is_full():
    by_quote = order(type=OrderType.MARKET, quantity=None, quote_quantity=D(100), price=None, filled_quantity=D(500))
    assert known_after(by_quote).status is OrderStatus.PARTIALLY_FILLED
    both = replace(by_quote, quantity=D(1))
    assert known_after(both).status is OrderStatus.PARTIALLY_FILLED
    assert known_after(by_quote, replace(by_quote, status=OrderStatus.FILLED)).status is OrderStatus.FILLED


def test_something_filled_is_at_least_partially_filled():
    assert known_after(order(filled_quantity=D(1))).status is OrderStatus.PARTIALLY_FILLED
    assert known_after(local(OrderStatus.UNKNOWN, fills=(fill(),))).status is OrderStatus.PARTIALLY_FILLED


def test_the_exchange_beats_what_only_this_process_believes():
    known = known_after(order(OrderStatus.NEW, 1, price=D(101)), local(OrderStatus.NOT_ACCEPTED, 99))
    assert (known.status, known.price, known.updated_at, known.source) == ("new", 101, at(1), "stream")


def test_the_newest_terms_hold():
    amended = order(ms=5, quantity=D(8), price=D(101))
    for heard in itertools.permutations((order(ms=1), amended, order(ms=9, quantity=None, price=None), local())):
        known = known_after(*heard)
        assert (known.quantity, known.price, known.updated_at) == (8, 101, at(9))


def test_created_is_when_the_exchange_says():
    heard = (
        local(created_at=at(50)),
        order(OrderStatus.CANCELED, 9, source=Source.REST),
        order(ms=1, created_at=at(60)),
    )
    for arrival in itertools.permutations(heard):
        assert known_after(*arrival).created_at == at(60)
    assert known_after(*heard[:2]).created_at == at(50)


@pytest.mark.parametrize("later_ms", [0, -40_000], ids=["in one millisecond", "after the clock was set back"])
def test_what_was_never_sent_is_begun_again_whatever_the_clock_says(later_ms):
    store = OrderStore(Environment())
    store.apply(local(ms=0))
    store.apply(local(OrderStatus.NEVER_SENT, 0))
    assert store.begin(local(ms=later_ms)).status is OrderStatus.PENDING_NEW
    assert store.apply(local(OrderStatus.UNKNOWN, later_ms)).status is OrderStatus.UNKNOWN
    assert store.begin(local(ms=later_ms)).status is OrderStatus.UNKNOWN


def test_what_was_never_sent_may_be_sent_now_and_what_becomes_of_it_counts():
    first = (local(ms=0), local(OrderStatus.NEVER_SENT, 0))
    assert known_after(*first).status is OrderStatus.NEVER_SENT
    for arrival in itertools.permutations((*first, local(ms=7))):
        assert known_after(*arrival).status is OrderStatus.PENDING_NEW
    for arrival in itertools.permutations((*first, local(ms=7), local(OrderStatus.UNKNOWN, 7))):
        assert known_after(*arrival).status is OrderStatus.UNKNOWN


def test_a_rejection_is_forgotten_when_the_order_shows_up_after_all():
    refused = order(OrderStatus.REJECTED, rejection=InsufficientFunds("no"))
    assert known_after(refused, order()).rejection is refused.rejection
    filled = known_after(refused, order(OrderStatus.FILLED, filled_quantity=D(10)))
    assert filled.rejection is None
    assert filled.raise_for_status() is filled


def test_the_fill_that_knows_more_is_kept():
    early, full = fill(fee=None, source=Source.STREAM), fill(fee=D("0.1"), fee_asset="BTC", is_maker=True)
    for heard in ((early, full), (full, early)):
        assert known_after(*(order(fills=(each,)) for each in heard)).fills == (full,)
    assert known_after(order(fills=heard)).filled_quantity == 1


def test_fills_are_in_the_order_of_time_and_number():
    mixed = (fill("10", ms=1), fill("9", ms=1), fill("1", ms=2), fill("2", ms=0))
    assert [each.id for each in known_after(order(fills=mixed)).fills] == ["2", "9", "10", "1"]


# ---- the store ------------------------------------------------------------------------------------------------------


@pytest.fixture
def store():
    return OrderStore(Environment())


def test_what_is_not_known(store):
    assert store.get("abc-1") is None
    assert store.name_of("BTC/USDT", "1") is None
    assert store.open() == []
    assert store.history(None, 10) == []


def test_open_and_history(store):
    for number in (3, 1, 2):
        store.apply(order(client_order_id=f"o-{number}", order_id=str(number), created_at=at(number)))
    store.apply(order(client_order_id="eth", order_id="9", symbol="ETH/USDT", created_at=at(0)))
    store.apply(order(OrderStatus.CANCELED, 5, client_order_id="o-2", order_id="2"))
    assert [each.client_order_id for each in store.open()] == ["eth", "o-1", "o-3"]
    assert [each.client_order_id for each in store.open("BTC/USDT")] == ["o-1", "o-3"]
    assert [each.client_order_id for each in store.history(None, 10)] == ["o-3", "o-2", "o-1", "eth"]
    assert [each.client_order_id for each in store.history("BTC/USDT", 2)] == ["o-3", "o-2"]


def test_a_zombie_is_open_again_and_only_once_in_the_history(store):
    store.apply(local(OrderStatus.NOT_ACCEPTED))
    assert store.open() == []
    store.apply(order(ms=1))
    assert [each.status for each in store.open()] == ["new"]
    assert len(store.history(None, 10)) == 1


def test_an_order_keeps_the_name_it_was_placed_under(store):
    store.apply(local())
    store.apply(order())
    renamed = store.apply(order(OrderStatus.CANCELED, 5, client_order_id="random"))
    assert (renamed.client_order_id, renamed.status) == ("abc-1", "canceled")
    assert store.get("random") is None
    assert store.name_of("BTC/USDT", "1") == "abc-1"


def test_an_order_that_was_first_met_under_the_name_a_cancel_gave_it_gets_its_own_back(store):
    told, canceled = [], OrderStatus.CANCELED
    for number in ("1", "2"):  # a cancel of all may give several the same name
        store.apply(order(canceled, 5, client_order_id="random", order_id=number, fills=(fill(order_id=number),)))
    store.listen(told.append)
    for number in ("1", "2"):
        ours = store.recall(order(ms=1, client_order_id=f"ours-{number}", order_id=number))
        assert (ours.client_order_id, ours.status, len(ours.fills)) == (f"ours-{number}", canceled, 1)
        assert store.get(ours.client_order_id) == ours
        assert store.name_of("BTC/USDT", number) == ours.client_order_id
    assert store.get("random") is None
    assert [each.client_order_id for each in told] == ["ours-1", "ours-2"]
    assert len(store.history(None, 10)) == 2
    assert store.apply(order(canceled, 5, client_order_id="random", order_id="2")) == ours


def test_an_answer_that_comes_after_the_order_was_renamed_is_still_the_order_s(store):
    store.apply(local())
    store.apply(order(OrderStatus.CANCELED, 5, client_order_id="random"))
    answered = store.apply(order(ms=1))
    assert (answered.client_order_id, answered.status) == ("abc-1", "canceled")
    assert store.open() == []
    assert store.history(None, 10) == [answered]


@pytest.mark.parametrize("other", [{"order_id": "2"}, {"order_id": "1", "symbol": "ETH/USDT"}])
def test_an_id_that_was_used_again_is_another_order(store, other):
    first = store.apply(order(OrderStatus.FILLED, 1, filled_quantity=D(10)))
    second = store.apply(order(OrderStatus.NEW, 9, **other))
    assert (second.status, second.filled_quantity, second.client_order_id) == ("new", 0, "abc-1")
    assert store.get("abc-1") == first
    assert store.name_of(second.symbol, second.order_id) == "abc-1"
    assert store.apply(order(OrderStatus.CANCELED, 10, **other)).status == "canceled"
    assert len(store.history(None, 10)) == 2


def test_listeners_hear_of_changes_only(store):
    told = []
    store.listen(told.append)
    store.apply(order(ms=1))
    store.apply(order(ms=1))
    store.apply(order(ms=1, source=Source.REST))
    store.apply(local(ms=5))
    assert len(told) == 1
    store.apply(order(ms=2, filled_quantity=D(1)))
    store.forget(told.append)
    store.apply(order(OrderStatus.CANCELED, 3))
    assert [each.status for each in told] == ["new", "partially_filled"]


def test_a_listener_may_apply_and_may_fail(store):
    told = []

    def listen(news):
        told.append(news.status)
        if news.status is OrderStatus.NEW:
            store.apply(order(OrderStatus.CANCELED, 5))
        else:
            raise KeyboardInterrupt

    store.listen(listen)
    with pytest.raises(KeyboardInterrupt):
        store.apply(order(ms=1))
    assert told == ["new", "canceled"]
    assert store.get("abc-1").status is OrderStatus.CANCELED
    with pytest.raises(KeyboardInterrupt):
        store.apply(order(OrderStatus.EXPIRED, 6))
    assert told == ["new", "canceled", "expired"]


def test_waiting(store):
    assert store.wait("abc-1", lambda known: True, 0) is None
    store.apply(order())
    assert store.wait("abc-1", lambda known: known.is_done, 0).status is OrderStatus.NEW
    thread = Environment().spawn("exconnect.test", lambda: store.apply(order(OrderStatus.CANCELED, 5)))
    assert store.wait("abc-1", lambda known: known.is_done, 30).status is OrderStatus.CANCELED
    thread.join(30)


def test_the_store_is_bounded(store, monkeypatch):
    monkeypatch.setattr(orders, "_KEPT", 10)
    store.apply(order(client_order_id="open", order_id="open"))
    for number in range(100):
        store.apply(order(client_order_id=f"o-{number}", order_id=str(number)))
        store.apply(order(OrderStatus.CANCELED, 1, client_order_id=f"o-{number}", order_id=str(number)))
    assert len(store.history(None, 1000)) == 11
    assert [store.get(f"o-{number}") is None for number in (89, 90)] == [True, False]
    assert len(store._names) == 11
    assert [store.name_of("BTC/USDT", name) for name in ("89", "90", "open")] == [None, "o-90", "open"]


def test_many_threads_at_once_end_in_the_same_state_and_nobody_hears_it_go_back(store):
    lives = {
        f"life-{seed}": [replace(news, client_order_id=f"life-{seed}") for news in life(seed)] for seed in range(12)
    }
    lives = {name: [replace(n, order_id=n.order_id and name) for n in heard] for name, heard in lives.items()}
    told, busy = [], threading.Lock()

    def listen(news):
        assert busy.acquire(blocking=False)  # one at a time
        told.append(news)
        busy.release()

    store.listen(listen)
    failed, begin = [], threading.Barrier(4)

    def work(seed):
        chance = random.Random(seed)
        mine = [news for heard in lives.values() for news in heard]
        chance.shuffle(mine)
        begin.wait(10)
        try:
            for news in mine:
                store.apply(news)
                store.open()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            failed.append(error)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Environment().spawn(f"exconnect.test-{seed}", lambda seed=seed: work(seed)) for seed in range(4)]
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(switch)
    assert failed == []
    for name, heard in lives.items():
        assert store.get(name) == replace(known_after(*heard), source=store.get(name).source)
        mine = [news for news in told if news.client_order_id == name]
        assert mine[-1] == replace(store.get(name), source=mine[-1].source)
        for earlier, later in itertools.pairwise(mine):
            assert later.filled_quantity >= earlier.filled_quantity
            assert RANKS[later.status] >= RANKS[earlier.status]
