"""What must have come together before an order counts as never accepted, rule by rule."""

from datetime import UTC, datetime

import pytest

from exconnect.environment import Environment
from exconnect.errors import JournalUnavailable, OrderNotFound
from exconnect.gateway import Attempt
from exconnect.model.enums import OrderStatus, OrderType, Side, Source
from exconnect.model.order import Order, PlaceOrder
from exconnect.protocol.exchange import Absence
from exconnect.trading.doubts import Doubts, ReadLag
from exconnect.trading.intents import Intents
from exconnect.trading.journal import Journal
from exconnect.trading.orders import OrderStore
from exconnect.trading.zombies import Zombies

WISH = PlaceOrder("BTC/USDT", "buy", "0.1", price="60000")
SENT_MS, EXPIRES_MS = 1_000_000, 1_005_000
DAY_S = 86_400


class Still(Environment):
    """Time that the test moves."""

    def __init__(self):
        self.at = 0.0

    def now(self):
        return self.at

    def wall_ms(self):
        return SENT_MS + round(self.at * 1000)


def order(status=OrderStatus.UNKNOWN, **more):
    return Order(
        exchange="toy",
        client_order_id="a",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=status,
        quantity=WISH.quantity,
        price=WISH.price,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        **more,
    )


@pytest.fixture
def env():
    return Still()


@pytest.fixture(params=["memory", "journal"])
def intents(request, env, tmp_path):
    made = Intents(env) if request.param == "memory" else Journal(tmp_path / "j", env)
    made.intend(order(OrderStatus.PENDING_NEW), WISH)
    made.attempt("a", Attempt("place_order", "BTC/USDT", "a", 1, SENT_MS, 5_000, EXPIRES_MS, "h", ()))
    return made


@pytest.fixture
def doubts(env, intents):
    absence = Absence(frozenset({-2013}), frozenset({-2011}), renames=True, forgets_s=90.0 * DAY_S)
    return Doubts(env, intents, absence)


def past(doubts, seconds):
    """The exchange says that it is so many seconds after the order has expired."""
    doubts.heard(EXPIRES_MS + round(seconds * 1000), doubts._env.at)


def miss(doubts, case, *moments):
    for moment in moments:
        doubts._env.at = moment
        doubts.missed(case, was_past_margin=doubts.is_past_margin(case))


def test_only_what_was_sent_from_here_and_has_no_answer_is_a_case(env, intents, doubts):
    assert doubts.case(order()).sent == (SENT_MS, EXPIRES_MS)
    assert doubts.case(order(OrderStatus.NEW)) is None
    assert Doubts(env, intents, None).case(order()) is None
    assert Doubts(env, Intents(env), Absence()).case(order()) is None


def test_of_several_attempts_the_last_expires_last(intents, doubts):
    intents.attempt("a", Attempt("place_order", "BTC/USDT", "a", 2, SENT_MS + 900, 9_000, EXPIRES_MS + 4_900, "h", ()))
    assert doubts.case(order()).sent == (SENT_MS, EXPIRES_MS + 4_900)


@pytest.mark.parametrize("seconds, is_over", [(-1, False), (60.9, False), (61.1, True)])
def test_the_margin_is_over_when_the_exchange_says_so(doubts, seconds, is_over):
    case = doubts.case(order())
    assert not doubts.is_past_margin(case)
    past(doubts, seconds)
    assert doubts.is_past_margin(case) is is_over


def test_the_latest_word_on_the_time_counts(doubts):
    case = doubts.case(order())
    past(doubts, 1_000)
    doubts._env.at = 1.0
    past(doubts, 0)
    assert not doubts.is_past_margin(case)


@pytest.mark.parametrize(
    "moments, is_ripe", [((0, 10), False), ((0, 5, 9), False), ((0, 10, 20), True), ((0, 6, 12, 18, 24), True)]
)
def test_it_must_be_missed_three_times_ten_seconds_apart(doubts, moments, is_ripe):
    case = doubts.case(order())
    past(doubts, 62)
    miss(doubts, case, *moments)
    assert doubts.is_ripe(case) is is_ripe


def test_the_last_miss_must_come_after_the_margin(doubts):
    case = doubts.case(order())
    miss(doubts, case, 0, 10, 20)
    past(doubts, 62)
    assert not doubts.is_ripe(case)
    miss(doubts, case, 20.1)
    assert doubts.is_ripe(case)


def test_after_a_day_one_miss_is_enough(doubts):
    case = doubts.case(order())
    past(doubts, DAY_S + 2)
    miss(doubts, case, 0)
    assert doubts.is_ripe(case)
    assert doubts.is_old(case)
    assert not doubts.is_forgotten(case)
    past(doubts, 91 * DAY_S)
    assert doubts.is_forgotten(case)


def test_lagging_reads_stop_every_conclusion_until_three_are_prompt(env, doubts):
    case = doubts.case(order())
    past(doubts, 1_000)
    miss(doubts, case, 0, 10, 20)
    doubts.lag.not_seen(21.0)
    assert not doubts.is_ripe(case)
    for _ in range(2):
        doubts.lag.seen(0.1)
    doubts.lag.seen(6.0)
    for _ in range(2):
        doubts.lag.seen(0.1)
    assert not doubts.is_ripe(case)
    doubts.lag.seen(0.1)
    assert doubts.is_ripe(case)


def test_an_alarm_ends_when_there_was_nothing_to_measure(env, doubts):
    doubts.lag.not_seen(30.0)
    env.at = 599.0
    assert doubts.lag.is_alarming
    env.at = 601.0
    assert not doubts.lag.is_alarming


def test_the_margin_grows_with_the_longest_lag_that_was_seen(env, intents, doubts):
    doubts.lag.not_seen(4.0)
    doubts.lag.seen(70.0)  # it was asked for late
    assert doubts.lag.margin_s == 60.0
    doubts.lag.not_seen(50.0)
    doubts.lag.not_seen(30.0)
    assert doubts.lag.margin_s == 150.0
    assert ReadLag(env, intents).margin_s == 150.0  # it is remembered with the intents
    case = doubts.case(order())
    past(doubts, 140)
    assert not doubts.is_past_margin(case)
    past(doubts, 152)
    assert doubts.is_past_margin(case)


def test_a_journal_forgets_lags_after_thirty_days(env, tmp_path):
    journal = Journal(tmp_path / "j", env)
    journal.lagged(50.0)
    env.at = 29.0 * DAY_S
    assert journal.worst_lag() == 50.0
    env.at = 32.0 * DAY_S
    assert journal.worst_lag() == 0.0
    journal.lagged(7.0)
    assert journal.worst_lag() == 7.0


def test_one_factor_shrinks_all_margins(env, intents, doubts, monkeypatch):
    monkeypatch.setattr(Environment, "caution", 0.1)
    case = doubts.case(order())
    past(doubts, 6.2)
    miss(doubts, case, 0, 1, 2)
    assert doubts.is_ripe(case)


def test_a_stream_counts_if_it_was_live_before_the_order_was_sent(env, doubts):
    case = doubts.case(order())
    env.at = 100.0
    doubts.heard(SENT_MS + 70_000, 100.0)  # so the order was sent at 30 or later
    assert doubts.was_followed(case, 29.9)
    assert not doubts.was_followed(case, 30.1)
    assert not doubts.was_followed(case, 101.0)
    assert not doubts.was_followed(case, None)


def test_only_an_unbroken_stream_counts(env):
    orders = OrderStore(env)
    assert orders.followed_since is None
    orders.follow("one", is_live=True)
    env.at = 5.0
    orders.follow("one", is_live=True)
    assert orders.followed_since == 0.0
    orders.follow("two", is_live=True)
    orders.follow("one", is_live=False)
    assert orders.followed_since == 5.0


def test_a_cancel_may_overtake_until_the_exchange_has_given_up_on_the_order(doubts):
    past(doubts, 12.9)
    assert doubts.may_be_overtaken(order())
    past(doubts, 13.1)
    assert not doubts.may_be_overtaken(order())


@pytest.mark.parametrize(
    "code, missing, unknown", [(None, True, False), (-2013, True, False), (-2011, False, True), (-2039, False, False)]
)
def test_not_every_refusal_says_that_there_is_none(doubts, code, missing, unknown):
    error = OrderNotFound("no", {"code": code})
    assert doubts.says_missing(error) is missing
    assert doubts.says_unknown(error) is unknown


def test_the_next_look_comes_when_it_can_bring_something(env, doubts):
    case = doubts.case(order())
    assert doubts.pause(order(), SENT_MS, 0.0) == 0.0
    assert doubts.pause(order(), SENT_MS, 8.0) == 8.0
    miss(doubts, case, 0)
    env.at = 7.0
    assert doubts.pause(order(), SENT_MS, 8.0) == 3.0  # then a miss counts again
    env.at = 12.0
    assert doubts.pause(order(), EXPIRES_MS + 60_000, 10.0) == pytest.approx(1.05)  # then the margin is over
    assert doubts.pause(order(OrderStatus.NEW), SENT_MS, 8.0) == 8.0


def test_nothing_is_concluded_from_a_journal_that_cannot_be_read(env, tmp_path):
    (tmp_path / "file").touch()
    doubts = Doubts(env, Journal(tmp_path / "file" / "j", env), Absence())
    assert doubts.case(order()) is None
    with pytest.raises(JournalUnavailable):
        _ = doubts.lag.margin_s


# ---- those that show up after all -----------------------------------------------------------------------------------


class Ear:
    def __init__(self):
        self.heard = []

    def hear(self, order):
        self.heard.append(order.status)


@pytest.mark.parametrize("status", [OrderStatus.NEW, OrderStatus.FILLED, OrderStatus.CANCELED])
def test_an_order_that_shows_up_is_told_of_once(env, intents, status):
    orders, ear, gone = OrderStore(env), Ear(), Ear()
    zombies = Zombies(env, orders, intents)
    zombies.listen(ear.hear)
    zombies.listen(gone.hear)
    del gone
    orders.apply(order())
    orders.apply(order(OrderStatus.NOT_ACCEPTED))
    orders.apply(order())  # somebody who knows less
    assert orders.get("a").status is OrderStatus.NOT_ACCEPTED
    assert ear.heard == []
    for _ in range(2):
        orders.apply(order(status, source=Source.REST, order_id="7"))
    assert ear.heard == [status]
    assert orders.get("a").status is status


def test_other_processes_watch_too(env, tmp_path):
    here, there = (Journal(tmp_path / "j", env) for _ in range(2))
    here.intend(order(OrderStatus.PENDING_NEW), WISH)
    first, second = OrderStore(env), OrderStore(env)
    first.listen(here.record)
    Zombies(env, first, here)
    zombies, ear = Zombies(env, second, there), Ear()
    zombies.listen(ear.hear)
    first.apply(order(OrderStatus.NOT_ACCEPTED))
    zombies.recall()
    assert second.get("a").status is OrderStatus.NOT_ACCEPTED
    second.apply(order(OrderStatus.NEW, source=Source.STREAM))
    assert ear.heard == [OrderStatus.NEW]
    assert here.buried() == []


def test_after_a_week_nobody_watches_any_more(env, tmp_path):
    journal = Journal(tmp_path / "j", env)
    assert journal.buried() == []
    assert not journal.path.exists()  # whoever only reads needs no journal
    journal.intend(order(OrderStatus.PENDING_NEW), WISH)
    journal.record(order(OrderStatus.NOT_ACCEPTED))
    journal.bury(order(OrderStatus.NOT_ACCEPTED))
    env.at = 6.9 * DAY_S
    assert len(journal.buried()) == 1
    env.at = 7.1 * DAY_S
    assert journal.buried() == []
    journal.prune()
    assert journal._file.connection().execute("SELECT COUNT(*) FROM grave").fetchone() == (0,)


# ---- the last proof: one cancel at a time, whoever sends it --------------------------------------------------------


@pytest.fixture
def two(env, tmp_path):
    """Two processes of one account that look for the same order: the one that placed it, and another."""
    made = [Journal(tmp_path / "j", env) for _ in range(2)]
    made[0].intend(order(OrderStatus.PENDING_NEW), WISH)
    made[0].attempt("a", Attempt("place_order", "BTC/USDT", "a", 1, SENT_MS, 5_000, EXPIRES_MS, "h", ()))
    return [Doubts(env, journal, Absence(frozenset({-2013}), frozenset({-2011}))) for journal in made]


LATER_MS = EXPIRES_MS + 90_000


def begins(doubts, now_ms=LATER_MS):
    return doubts.begin_fence(doubts.case(order()), "a", now_ms)


def ends(doubts, was_there, now_ms=LATER_MS):
    doubts.end_fence(doubts.case(order()), "a", now_ms, was_there=was_there)


def test_only_one_process_cancels_what_is_missing(two):
    one, other = two
    assert begins(one)
    assert not begins(one)
    assert not begins(other)
    ends(one, was_there=False)
    assert begins(other)


def test_what_a_cancel_of_one_process_has_met_is_known_to_the_other(two):
    one, other = two
    assert begins(one)
    ends(one, was_there=True)
    assert not begins(other)
    assert other.case(order()).was_there


@pytest.mark.parametrize("ends_how", ["without an answer", "it dies", "it cannot write"])
def test_a_cancel_of_which_nobody_knows_what_it_met_begins_a_margin_for_all(two, ends_how, monkeypatch):
    one, other = two
    miss(other, other.case(order()), 0, 10, 20)
    assert begins(one)
    if ends_how == "without an answer":
        ends(one, was_there=None)
    elif ends_how == "it dies":
        monkeypatch.setattr("exconnect.runtime.process.is_alive", lambda _: False)
    else:
        monkeypatch.setattr(one._intents, "transaction", unusable)
        ends(one, was_there=False)
        monkeypatch.undo()
        assert not begins(one)
    assert not begins(other)
    case = other.case(order())
    assert (case.sent.expires_ms, case.misses, case.is_missing) == (LATER_MS, 0, False)
    assert begins(other)


def unusable():
    raise JournalUnavailable("the disk is full")


def test_without_a_journal_that_can_be_written_nothing_is_canceled_as_a_proof(two, monkeypatch):
    monkeypatch.setattr(two[0]._intents, "transaction", unusable)
    with pytest.raises(JournalUnavailable):
        begins(two[0])
    monkeypatch.undo()
    assert begins(two[0])


def test_an_order_that_was_sent_again_elsewhere_is_no_case_yet(two):
    one, other = two
    assert other.case(order()).sent.expires_ms == EXPIRES_MS
    one._intents.attempt("a", Attempt("place_order", "BTC/USDT", "a", 2, SENT_MS, 5_000, EXPIRES_MS + 100, "h", ()))
    assert not begins(other)
    assert other.case(order()).sent.expires_ms == EXPIRES_MS + 100
    assert begins(other)
