"""The promise about every wish, in memory and on disk: the same tests for both."""

import gc
import multiprocessing
import os
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from exconnect.environment import Environment
from exconnect.errors import IntentConflict, JournalUnavailable, TradingHalted, WouldCross
from exconnect.gateway import Attempt
from exconnect.model.enums import OrderStatus, OrderType, Side, Source
from exconnect.model.order import Fill, Order, PlaceOrder
from exconnect.trading import journal_file
from exconnect.trading.intents import Fence, Intents
from exconnect.trading.journal import Journal
from exconnect.trading.journal_file import JournalFile

NOW, LATER = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))
WISH = PlaceOrder("BTC/USDT", "buy", "0.1", price="60000")


def order(name="a", status=OrderStatus.PENDING_NEW, **more):
    return Order(
        exchange="toy",
        client_order_id=name,
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=status,
        quantity=WISH.quantity,
        price=WISH.price,
        created_at=NOW,
        **more,
    )


def attempt(name="a"):
    return Attempt("place_order", "BTC/USDT", name, 1, 1_000, 5_000, 6_000, "127.0.0.1", (("symbol", "BTCUSDT"),))


@pytest.fixture(params=["memory", "journal"])
def intents(request, tmp_path):
    return Intents(Environment()) if request.param == "memory" else Journal(tmp_path / "deep" / "j", Environment())


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "j", Environment())


def test_a_new_wish(intents):
    assert intents.intend(order(), WISH) is None
    assert intents.get("a") == order()
    assert intents.get("b") is None


def test_the_same_wish_again_is_known(intents):
    intents.intend(order(), WISH)
    intents.attempt("a", attempt())
    intents.record(order(status=OrderStatus.NEW))
    assert intents.intend(order(), WISH) == order(status=OrderStatus.NEW)


def test_the_same_id_for_another_wish(intents):
    intents.intend(order(), WISH)
    with pytest.raises(IntentConflict, match=r"a stands for an order with other parameters \(price was 60000, is 6"):
        intents.intend(order(), replace(WISH, price="60001"))


def test_what_was_never_sent_may_be_sent_now(intents):
    intents.intend(order(), WISH)
    intents.record(order(status=OrderStatus.NEVER_SENT))
    assert intents.intend(order(), WISH) is None
    intents.attempt("a", attempt())


def test_halt(intents):
    intents.intend(order(), WISH)
    intents.halt("enough")
    assert intents.halt_state().reason == "enough"
    with pytest.raises(TradingHalted, match="enough"):
        intents.attempt("a", attempt())
    intents.resume()
    assert intents.halt_state() is None
    intents.attempt("a", attempt())


def test_a_halt_that_another_process_began_is_heard_of_by_the_first_attempt_that_meets_it(tmp_path):
    one, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    assert one.halt_heard() is None
    other.halt("enough")
    one.intend(order(), WISH, is_new=True)
    assert one.halt_heard() is None
    with pytest.raises(TradingHalted, match="enough"):
        one.attempt("a", attempt())
    assert one.halt_heard().reason == "enough"
    other.resume()
    assert one.halt_heard() is None


def test_a_process_that_begins_while_trading_is_halted_hears_of_it_at_once(tmp_path):
    one, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    other.halt("enough")
    assert one.halt_heard().reason == "enough"


class Held(Environment):
    """Whoever waits lets the other one finish, or waits in vain."""

    def __init__(self, path, tries):
        self.moment, self.tries = 0.0, tries
        self.other = sqlite3.connect(path, isolation_level=None)
        self.other.execute("BEGIN IMMEDIATE")

    def now(self):
        return self.moment

    def sleep(self, seconds):
        self.moment += seconds
        self.tries -= 1
        if self.tries == 0:
            self.let_go()

    def let_go(self):
        self.other.execute("ROLLBACK")
        self.other.close()


@pytest.fixture
def is_impatient(monkeypatch):
    monkeypatch.setattr(journal_file, "BUSY_S", 0.001)


@pytest.mark.usefixtures("is_impatient")
def test_a_kill_switch_waits_for_whoever_holds_the_file(tmp_path):
    other = Journal(tmp_path / "j", Environment())
    other.intend(order(), WISH)
    for switch, is_halted in (("halt", True), ("resume", False)):
        mine = Journal(tmp_path / "j", Held(tmp_path / "j", tries=20))
        getattr(mine, switch)(*(["enough"] if is_halted else []))
        assert mine._env.tries == 0
        assert (other.halt_state() is not None) is is_halted


@pytest.mark.usefixtures("is_impatient")
def test_a_kill_switch_that_the_others_do_not_hear_of_says_so(tmp_path):
    other = Journal(tmp_path / "j", Environment())
    other.intend(order(), WISH)
    env = Held(tmp_path / "j", tries=1_000)
    mine = Journal(tmp_path / "j", env)
    with pytest.raises(JournalUnavailable, match=r"^NOT halted, but for this process: .*locked.*: try again$"):
        mine.halt("enough")
    assert (mine.halt_state().reason, other.halt_state()) == ("enough", None)
    with pytest.raises(JournalUnavailable, match=r"^NOT resumed: .*locked.*\. A halt goes on: try again$"):
        mine.resume()
    assert mine.halt_state() is not None
    env.let_go()
    mine.halt("enough")
    assert other.halt_state().reason == "enough"


def test_to_halt_again_keeps_since_when_and_why(intents):
    intents.halt("enough")
    first = intents.halt_state()
    intents.halt("")
    assert intents.halt_state() == first
    intents.halt("more than enough")
    assert intents.halt_state() == first._replace(reason="more than enough")


def test_a_snapshot_of_no_intent_is_nobodys_business(intents):
    intents.record(order("foreign", OrderStatus.FILLED))
    assert intents.get("foreign") is None


def test_the_values_of_a_wish_count_not_their_texts(journal):
    journal.intend(order(), WISH)
    assert journal.intend(order(), PlaceOrder("BTC/USDT", "BUY", "0.10", price="60000.00")) is not None


def test_all_of_an_order_comes_back(journal):
    fill = Fill(exchange="toy", id="7", order_id="1", symbol="BTC/USDT", side=Side.BUY, price=WISH.price,
                quantity=WISH.quantity, time=NOW, fee=WISH.quantity, fee_asset="BTC")  # fmt: skip
    whole = order(status=OrderStatus.REJECTED, order_id="1", fills=(fill,), source=Source.REST, raw={"x": ["1", None]},
                  rejection=WouldCross("no", {"code": -2010}))  # fmt: skip
    journal.intend(order(), WISH)
    journal.record(whole)
    again = journal.get("a")
    assert again == whole
    assert again.raw == whole.raw
    assert type(again.rejection) is WouldCross
    assert again.rejection.args == whole.rejection.args


def test_no_attempt_without_an_intent(journal):
    with pytest.raises(JournalUnavailable, match="taken for dead"):
        journal.attempt("unheard-of", attempt("unheard-of"))


def test_who_was_taken_for_dead_sends_nothing(tmp_path, monkeypatch):
    sleeper, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    sleeper.intend(order("a"), WISH)
    sleeper.intend(order("b"), WISH)
    sleeper.attempt("b", attempt("b"))
    monkeypatch.setattr("exconnect.runtime.process.is_alive", lambda _: False)
    taken = other.take_over()
    assert [(o.client_order_id, o.status) for o in taken] == [("b", OrderStatus.UNKNOWN)]
    assert other.get("a").status is OrderStatus.NEVER_SENT
    with pytest.raises(JournalUnavailable, match="sends none any more"):
        sleeper.attempt("a", attempt("a"))
    assert sleeper.parts()["journal"].state == "open"
    assert "taken for dead" in sleeper.parts()["journal"].cause
    assert other.parts()["journal"].state == "closed"
    assert [o.client_order_id for o in other.orders(only_open=True)] == ["b"]
    assert other.take_over() == []
    assert other.verify() == []


def test_who_was_taken_for_dead_wishes_for_nothing_that_nobody_would_inherit(tmp_path, monkeypatch):
    sleeper, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    sleeper.intend(order("a"), WISH)
    monkeypatch.setattr("exconnect.runtime.process.is_alive", lambda _: False)
    other.take_over()
    for name in ("a", "b"):  # never sent, as the other one says, and new
        with pytest.raises(JournalUnavailable, match="taken for dead"):
            sleeper.intend(order(name), WISH)
    assert [(o.client_order_id, o.status) for o in other.orders()] == [("a", OrderStatus.NEVER_SENT)]


@pytest.mark.parametrize("stale", [OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED, OrderStatus.NEW])
def test_an_end_that_one_process_has_seen_stays_whatever_another_one_thinks(tmp_path, stale):
    one, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    one.intend(order(), WISH)
    one.record(order(status=OrderStatus.FILLED, filled_quantity=WISH.quantity))
    other.record(order(status=stale))
    other.record(order(status=OrderStatus.NOT_ACCEPTED))
    assert one.get("a").status is OrderStatus.FILLED
    assert one.orders(only_open=True) == []


def test_what_another_process_hears_of_an_order_takes_nothing_from_what_is_written(tmp_path):
    placing, hearing = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    first, last = (
        Fill(exchange="toy", id=name, order_id="1", symbol="BTC/USDT", side=Side.BUY, price=WISH.price,
             quantity=WISH.quantity / 2, time=NOW)
        for name in "78"
    )  # fmt: skip
    placing.intend(order(idempotency_key="row"), WISH)
    placing.attempt("a", attempt())
    placing.record(order(status=OrderStatus.NEW, fills=(first,), idempotency_key="row", source=Source.REST))
    heard = {"order_id": "1", "filled_quantity": WISH.quantity, "source": Source.REST, "updated_at": LATER}
    hearing.record(replace(order(status=OrderStatus.FILLED, fills=(last,), **heard), created_at=None))
    known = hearing.get("a")
    assert (known.status, known.idempotency_key, known.created_at) == (OrderStatus.FILLED, "row", NOW)
    assert (known.fills, known.order_id) == ((first, last), "1")


def test_who_was_taken_for_dead_does_not_call_never_sent_what_its_heir_has_sent(tmp_path, monkeypatch):
    sleeper, heir = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    sleeper.intend(order(), WISH)
    monkeypatch.setattr("exconnect.runtime.process.is_alive", lambda _: False)
    heir.take_over()
    assert heir.intend(order(), WISH) is None
    heir.attempt("a", attempt())
    heir.record(order(status=OrderStatus.NEW))
    sleeper.record(order(status=OrderStatus.NEVER_SENT))
    assert heir.get("a").status is OrderStatus.NEW


def test_what_was_thought_never_to_have_arrived_may_turn_up(journal):
    journal.intend(order(), WISH)
    journal.record(order(status=OrderStatus.NOT_ACCEPTED))
    journal.record(order(status=OrderStatus.UNKNOWN))
    assert journal.get("a").status is OrderStatus.NOT_ACCEPTED
    journal.record(order(status=OrderStatus.NEW))
    assert [o.status for o in journal.orders(only_open=True)] == [OrderStatus.NEW]


def test_a_living_process_is_left_alone(tmp_path):
    one, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    one.intend(order("a"), WISH)
    assert other.take_over() == []
    assert other.intend(order("a"), WISH).status is OrderStatus.PENDING_NEW
    one.attempt("a", attempt("a"))


def test_a_new_id_is_written_with_its_attempt(tmp_path):
    one, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    assert one.intend(order(), WISH, is_new=True) is None
    assert other.get("a") is None
    one.attempt("a", attempt())
    assert other.get("a") == order()


def test_a_new_id_that_is_asked_for_before_its_attempt_is_known(journal):
    journal.intend(order(), WISH, is_new=True)
    assert journal.intend(order(), WISH) == order()
    journal.attempt("a", attempt())
    assert journal.verify() == []


def test_a_new_id_that_never_left_may_be_sent_now(journal):
    journal.intend(order(), WISH, is_new=True)
    journal.halt("enough")
    with pytest.raises(TradingHalted):
        journal.attempt("a", attempt())
    assert journal.get("a") is None
    journal.record(order(status=OrderStatus.NEVER_SENT))
    assert journal.get("a").status is OrderStatus.NEVER_SENT
    journal.resume()
    assert journal.intend(order(), WISH) is None
    journal.attempt("a", attempt())


def test_a_new_id_of_who_was_taken_for_dead_leaves_nothing_open(tmp_path, monkeypatch):
    sleeper, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    sleeper.next_epoch()  # which its new ids have in them
    sleeper.intend(order(), WISH, is_new=True)
    monkeypatch.setattr("exconnect.runtime.process.is_alive", lambda _: False)
    assert other.take_over() == []
    with pytest.raises(JournalUnavailable, match="sends none any more"):
        sleeper.attempt("a", attempt())
    assert other.orders() == []


def test_orders_that_leave_together_are_written_in_one_commit(tmp_path):
    one, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    for name in "abc":
        one.intend(order(name), WISH, is_new=name != "b")
    done = []
    one._file.connection().set_trace_callback(done.append)
    one.attempt("a", attempt(), "b", "c")
    assert done.count("COMMIT") == done.count("BEGIN IMMEDIATE") == 1
    assert [other.sent(name) for name in "abc"] == [(1_000, 6_000)] * 3


def test_of_orders_that_leave_together_all_are_written_or_none(tmp_path):
    one, other = (Journal(tmp_path / "j", Environment()) for _ in range(2))
    for name in "ab":
        one.intend(order(name), WISH, is_new=True)
    with pytest.raises(JournalUnavailable, match="sends none any more"):
        one.attempt("a", attempt(), "b", "unheard-of")
    assert other.orders() == []
    one.record(order("a", status=OrderStatus.NEVER_SENT))
    assert [(o.client_order_id, o.status) for o in other.orders()] == [("a", OrderStatus.NEVER_SENT)]
    one.attempt("b", attempt("b"))
    assert other.sent("b") == (1_000, 6_000)


def test_all_orders_that_leave_together_were_sent(intents):
    for name in "ab":
        intents.intend(order(name), WISH)
    intents.attempt("a", attempt(), "b")
    intents.attempt("b", msgspec.structs.replace(attempt(), timestamp_ms=2_000, expires_ms=7_000))
    assert [intents.sent(name) for name in "ab"] == [(1_000, 6_000), (1_000, 7_000)]


def test_what_was_over_and_lives_on_is_open_again(journal):
    journal.intend(order(), WISH)
    journal.record(order(status=OrderStatus.NOT_ACCEPTED))
    assert journal.orders(only_open=True) == []
    journal.record(order(status=OrderStatus.NEW))
    assert [o.status for o in journal.orders(only_open=True)] == [OrderStatus.NEW]


def test_what_is_wrong_with_a_file(journal):
    for name in ("a", "b"):
        journal.intend(order(name), WISH)
        journal.attempt(name, attempt(name))
    assert journal.verify() == []
    db = journal._file.connection()
    db.execute("UPDATE intent SET snapshot = '{}' WHERE client_order_id = 'a'")
    db.execute("UPDATE intent SET attempts = '{}' WHERE client_order_id = 'b'")
    assert len(journal.verify()) == 2


def test_a_file_of_a_later_version_is_left_alone(journal):
    db = sqlite3.connect(journal.path, isolation_level=None)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalUnavailable, match="later version"):
        journal.intend(order(), WISH)
    gc.collect()  # from Python 3.13 on, a connection that nobody has closed is warned of


def test_a_file_of_the_first_version_gets_what_was_added_since(journal, tmp_path):
    db = sqlite3.connect(tmp_path / "old", isolation_level=None)
    for statement in journal_file._FIRST:
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO meta VALUES ('halt', '[\"before\",\"2026-01-01T00:00:00+00:00\"]')")
    db.close()
    old = Journal(tmp_path / "old", Environment())
    assert old.halt_state().reason == "before"
    assert old.begin_fence("a", 1, 1) is Fence.FREE
    assert Journal(tmp_path / "old", Environment()).begin_fence("a", 1, 1) is Fence.HELD


def test_all_attempts_of_an_order_count(journal):
    journal.intend(order(), WISH)
    journal.attempt("a", attempt())
    journal.attempt("a", msgspec.structs.replace(attempt(), timestamp_ms=2_000, expires_ms=7_000))
    assert journal.sent("a") == (1_000, 7_000)
    journal.attempt("a", msgspec.structs.replace(attempt(), timestamp_ms=None, expires_ms=None))
    assert journal.sent("a") == (1_000, 7_000)
    kept = journal._file.connection().execute("SELECT attempts FROM attempt").fetchone()[0]
    assert len(kept.splitlines()) == 3
    assert journal.verify() == []


@pytest.mark.parametrize("durability, level", [("process", 1), ("power", 2)])
def test_durability(tmp_path, durability, level):
    journal = Journal(tmp_path / "j", Environment(), durability=durability)
    for name in ("a", "b"):
        journal.intend(order(name), WISH, is_new=True)
        journal.attempt(name, attempt(name))
        assert journal._file.connection().execute("PRAGMA synchronous").fetchone() == (level,)
        journal.record(order(name, status=OrderStatus.NEW))  # can be found out again
        assert journal._file.connection().execute("PRAGMA synchronous").fetchone() == (1,)
    assert journal._file.connection().execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_transaction_waits_for_the_disk_where_an_attempt_does(tmp_path):
    journal = Journal(tmp_path / "j", Environment(), durability="power")
    journal.intend(order(), WISH)
    journal.record(order(status=OrderStatus.NEW))
    with journal.transaction() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_write_that_goes_well_ends_the_trouble_and_one_of_no_row_does_not(journal):
    assert journal.parts() == {}
    journal.intend(order(), WISH)
    failing = journal._file.unusable(OSError("no"))
    journal.unbury("nobody")
    assert failing.retryable
    assert journal._file._state.cause == "no"
    journal.record(order(status=OrderStatus.NEW))
    assert journal._file._state.cause is None


def test_a_journal_that_is_tried_keeps_nothing_of_that(journal):
    journal.intend(order(), WISH)
    journal._file.unusable(OSError("no"))
    assert journal.parts()["journal"].cause is None
    assert journal._file.rows("SELECT name FROM meta") == []
    assert journal._file.rows("PRAGMA busy_timeout") == [(250,)]


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "target").touch()
    (tmp_path / "j").symlink_to(tmp_path / "target")
    with pytest.raises(JournalUnavailable, match="cannot be used"):
        Journal(tmp_path / "j", Environment()).intend(order(), WISH)


def many_open_at_once(path):
    from concurrent.futures import ThreadPoolExecutor

    def one(number):
        journal = Journal(path, Environment())
        name = f"{os.getpid()}-{number}"
        journal.intend(order(name), WISH)
        journal.attempt(name, attempt(name))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(16)))


def test_threads_do_not_keep_each_other_from_opening_it(tmp_path, monkeypatch):
    within, most = [], []
    opened = JournalFile._opened

    def watched(self):
        within.append(self)
        most.append(len(within))
        try:
            return opened(self)
        finally:
            within.pop()

    monkeypatch.setattr(JournalFile, "_opened", watched)
    journal, begin = Journal(tmp_path / "j", Environment()), threading.Barrier(16)

    def use():
        begin.wait()
        journal.next_epoch()

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}  # who comes when the process has its number already opens nothing


def test_many_threads_and_processes_may_begin_a_journal_at_once(tmp_path):
    # Closing a descriptor of the file anywhere in the process would drop the locks of SQLite and ruin it.
    for round_ in range(3):
        path = tmp_path / f"j{round_}"
        children = [
            multiprocessing.get_context("fork").Process(target=many_open_at_once, args=(path,)) for _ in range(2)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
        assert [child.exitcode for child in children] == [0, 0]
        journal = Journal(path, Environment())
        assert journal.verify() == []
        assert len(journal.orders()) == 32
        assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    "change, differing",
    [
        ({"price": "60001"}, ["price"]),
        ({"quantity": "0.2", "post_only": True}, ["post_only", "quantity"]),
        ({"extra": {"strategyId": "7"}}, ["extra"]),
        ({"symbol": "ETH/USDT", "side": "sell"}, ["side", "symbol"]),
    ],
)
def test_a_conflict_names_what_differs(intents, change, differing):
    intents.intend(order(), WISH)
    wish = {"symbol": "BTC/USDT", "side": "buy", "quantity": "0.1", "price": "60000"} | change
    with pytest.raises(IntentConflict) as caught:
        intents.intend(order(), PlaceOrder(wish.pop("symbol"), wish.pop("side"), wish.pop("quantity"), **wish))
    assert caught.value.details["parameters"] == differing
    assert all(name in caught.value.message for name in differing)


class Later(Environment):
    days = 0

    def wall_ms(self):
        return 1_800_000_000_000 + self.days * 86_400_000


def test_what_was_over_long_ago_is_pruned_and_stays_bound(tmp_path):
    env = Later()
    journal = Journal(tmp_path / "j", env)
    fill = Fill(exchange="toy", id="7", order_id="1", symbol="BTC/USDT", side=Side.BUY, price=WISH.price,
                quantity=WISH.quantity)  # fmt: skip
    for name in ("a", "b"):
        journal.intend(order(name), WISH)
        journal.attempt(name, attempt(name))
    journal.record(order("a", OrderStatus.FILLED, source=Source.REST, raw={"x": 1}, fills=(fill,), order_id="1"))
    journal.record(order("b", OrderStatus.NEW, source=Source.REST, raw={"x": 1}))
    assert journal.begin_fence("a", 6_000, 6_000) is Fence.FREE
    journal.end_fence("a", 6_000, was_there=True)
    env.days = 29
    assert journal.prune() == 0
    env.days = 31
    assert journal.prune() == 1
    assert journal.prune() == 0

    kept = journal.get("a")
    assert (kept.status, kept.order_id, kept.raw, kept.fills) == (OrderStatus.FILLED, "1", None, ())
    assert journal.get("b").raw == {"x": 1}
    assert journal.sent("a") is None
    assert journal.sent("b") is not None
    assert journal.begin_fence("a", 6_000, 6_000) is Fence.FREE  # that a cancel has met it is dropped with the rest
    assert journal.intend(order("a"), WISH) == kept
    with pytest.raises(IntentConflict, match="price was 60000, is 1"):
        journal.intend(order("a"), PlaceOrder("BTC/USDT", "buy", "0.1", price="1"))
    assert [each.client_order_id for each in journal.orders(only_open=True)] == ["b"]
    assert journal.verify() == []
