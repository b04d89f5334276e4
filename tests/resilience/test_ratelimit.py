from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.errors import WouldExceedLimit
from exconnect.protocol.call import Cost, Lane, Pool, Usage
from exconnect.resilience.ratelimit import CEILINGS, Grant, RateLimiter

WEIGHT = Pool("request_weight", "ip", 100, 60)
ORDERS = Pool("orders", "account", 10, 10)
DAILY = Pool("orders", "account", 1_000, 86_400)
T0 = 1_700_000_040_000  # a minute begins

ONE = (Cost("request_weight", 1),)
ORDER = (Cost("request_weight", 1, refunded=True), Cost("orders", 1))


@pytest.fixture
def limiter():
    made = RateLimiter()
    made.learn((WEIGHT, ORDERS, DAILY))
    return made


def weigh(amount):
    return (Cost("request_weight", amount),)


def reserve(limiter, costs=ONE, lane=Lane.PLACE, account="a", at=0.0):
    return limiter.reserve(costs, lane, account, 50.0 + at, T0 + round(at * 1000))


def used(limiter, name="request_weight_60s", account="a", at=0.0):
    return limiter.uses(account, T0 + round(at * 1000))[name][0]


def settle(limiter, grant, reported=None, *, succeeded=True, at=0.0):
    usage = None if reported is None else Usage({"request_weight_60s": reported})
    limiter.settle(grant, usage, succeeded=succeeded, wall_ms=T0 + round(at * 1000))


def test_a_grant_counts_at_once(limiter):
    reserve(limiter, weigh(30))
    assert limiter.uses("a", T0 + 15_000)["request_weight_60s"] == (30, 100, 45.0)


@pytest.mark.parametrize("lane", [lane for lane in Lane if lane is not Lane.CANCEL])
def test_each_lane_has_its_ceiling(limiter, lane):
    ceiling = round(100 * CEILINGS[lane])
    assert isinstance(reserve(limiter, weigh(ceiling), lane), Grant)
    assert reserve(limiter, ONE, lane, at=15.0) == pytest.approx(45.02)
    assert used(limiter, at=15.0) == ceiling


def test_a_cancel_is_held_back_by_no_budget(limiter):
    reserve(limiter, weigh(90))
    for _ in range(50):
        assert isinstance(reserve(limiter, ONE, Lane.CANCEL), Grant)
    assert used(limiter) == 140


def test_all_pools_or_none(limiter):
    for _ in range(9):
        reserve(limiter, ORDER)
    assert reserve(limiter, ORDER, at=4.0) == pytest.approx(6.02)
    assert used(limiter, at=4.0) == 9
    assert used(limiter, "orders_86400s", at=4.0) == 9


def test_accounts_share_the_address_and_nothing_else(limiter):
    for _ in range(9):
        reserve(limiter, ORDER, account="a")
    assert isinstance(reserve(limiter, ORDER, account="b"), Grant)
    assert used(limiter, "orders_10s", "b") == 1
    assert used(limiter) == 10


def test_more_than_a_lane_may_ever_use_is_refused_at_once(limiter):
    with pytest.raises(WouldExceedLimit, match=r"costs 56 of request_weight_60s, .* 55 of 100"):
        reserve(limiter, weigh(56), Lane.MARKET)


def test_a_new_window_is_empty(limiter):
    settle(limiter, reserve(limiter, weigh(90)))
    assert used(limiter, at=59.9) == 90
    assert isinstance(reserve(limiter, weigh(90), at=60.0), Grant)


def test_what_is_under_way_may_count_in_the_next_window(limiter):
    early = reserve(limiter, weigh(20), at=59.9)
    reserve(limiter, weigh(10), at=60.1)
    assert used(limiter, at=60.1) == 30
    settle(limiter, early, reported=99, at=60.2)
    assert used(limiter, at=60.2) == 30


def test_what_ends_in_the_next_window_may_count_there(limiter):
    grant = reserve(limiter, weigh(20), at=59.9)
    settle(limiter, grant, at=60.1)
    assert used(limiter, at=60.1) == 20
    settle(limiter, reserve(limiter, ORDER, at=119.9), at=120.1)
    assert used(limiter, at=120.1) == 0  # it was free, whenever it was counted


def test_a_clock_that_goes_back_a_little_keeps_the_window(limiter):
    settle(limiter, reserve(limiter, weigh(50), at=60.0), at=60.0)
    assert used(limiter, at=59.9) == 50
    assert used(limiter, at=60.1) == 50


def test_a_clock_that_was_far_ahead_comes_back(limiter):
    settle(limiter, reserve(limiter, weigh(50), at=3_600.0))
    assert used(limiter, at=0.0) == 50
    assert used(limiter, at=60.0) == 0


def test_headers_correct_upwards(limiter):
    first, second = reserve(limiter, weigh(10)), reserve(limiter, weigh(5))
    settle(limiter, first, reported=40)
    assert used(limiter) == 45
    settle(limiter, second, reported=45)
    assert used(limiter) == 45


def test_headers_correct_downwards_when_all_is_quiet(limiter):
    settle(limiter, reserve(limiter, weigh(50)), reported=3)
    assert used(limiter) == 3


def test_headers_do_not_correct_downwards_in_the_din(limiter):
    grant = reserve(limiter, weigh(10))
    reserve(limiter, weigh(10))
    settle(limiter, grant, reported=1)
    assert used(limiter) == 20


def test_a_header_that_is_older_than_what_is_known_lowers_nothing(limiter):
    slow, fast = reserve(limiter), reserve(limiter)
    settle(limiter, slow, reported=60)  # others came in before it arrived
    settle(limiter, fast, reported=2)
    assert used(limiter) == 61


def test_a_success_may_turn_out_to_be_free(limiter):
    settle(limiter, reserve(limiter, ORDER))
    assert used(limiter) == 0
    assert used(limiter, "orders_10s") == 1
    settle(limiter, reserve(limiter, ORDER), succeeded=False)
    assert used(limiter) == 1


def test_what_was_not_sent_was_not_used(limiter):
    limiter.cancel(reserve(limiter, weigh(50)))
    assert used(limiter) == 0
    early = reserve(limiter, weigh(20), at=59.0)
    assert used(limiter, at=61.0) == 20
    limiter.cancel(early)
    assert used(limiter, at=61.0) == 0


def test_limits_are_learnt_and_use_is_kept(limiter):
    reserve(limiter, weigh(30))
    limiter.learn((Pool("request_weight", "ip", 1_000, 60), Pool("request_weight", "ip", 60, 1)))
    assert limiter.uses("a", T0)["request_weight_60s"] == (30, 1_000, 60.0)
    assert limiter.uses("a", T0)["request_weight_1s"][:2] == (0, 60)
    assert reserve(limiter, weigh(54))
    assert isinstance(reserve(limiter, weigh(50)), float)


@pytest.mark.parametrize("limit, seconds", [(0, 60), (-1, 60), (6_000, 0), (6_000, -60)])
def test_a_limit_that_makes_no_sense_is_none(limiter, limit, seconds):
    before = limiter.uses("a", T0)
    limiter.learn((Pool("request_weight", "ip", limit, seconds),))
    assert isinstance(reserve(limiter, weigh(30)), Grant)
    assert limiter.uses("a", T0).keys() == before.keys()


def test_a_share_of_every_limit():
    limiter = RateLimiter(0.25)
    limiter.learn((WEIGHT,))
    assert limiter.uses("a", T0)["request_weight_60s"][1] == 25
    with pytest.raises(WouldExceedLimit):
        reserve(limiter, weigh(23))


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("is_rolling", [False, True])
def test_what_may_be_done_once_may_be_done(lane, is_rolling):
    limiter = RateLimiter(0.5)
    limiter.learn((Pool("borrow", "account", 1, 1, is_rolling=is_rolling),))
    borrow = (Cost("borrow", 1),)
    for at in (0.0, 1.0):
        limiter.ban(0.5, 50.0 + at)  # the second of them halves what may be used
        grant = reserve(limiter, borrow, lane, at=at + 2.0)
        assert isinstance(grant, Grant)
        settle(limiter, grant, at=at + 2.0)


def test_costs_of_unknown_kinds_cost_nothing(limiter):
    assert isinstance(reserve(limiter, (Cost("connections", 1_000),)), Grant)


def test_plans_are_bounded(limiter):
    for amount in range(1, 1_200):
        limiter.cancel(reserve(limiter, (Cost("connections", amount),)))
    assert len(limiter._plans) <= 1_000


# ------------------------------------------------------------ bans


def test_a_ban_holds_back_everything_and_lets_cancels_out_first(limiter):
    limiter.ban(10.0, 50.0)
    waits = {lane: reserve(limiter, ONE, lane) for lane in Lane}
    assert waits[Lane.CANCEL] == 10.0
    assert sorted(waits.values()) == list(waits.values())
    assert isinstance(reserve(limiter, ONE, Lane.CANCEL, at=10.0), Grant)
    assert isinstance(reserve(limiter, ONE, Lane.HISTORY, at=10.0), float)
    assert isinstance(reserve(limiter, ONE, Lane.HISTORY, at=11.0), Grant)


def test_the_longer_of_two_bans_holds(limiter):
    limiter.ban(10.0, 50.0)
    limiter.ban(2.0, 51.0)
    assert reserve(limiter, ONE, Lane.CANCEL, at=1.0) == 9.0


def test_a_ban_on_orders_lets_the_rest_through(limiter):
    limiter.ban(10.0, 50.0, kind="orders", account="a")
    assert reserve(limiter, ORDER) == pytest.approx(10.05)
    assert isinstance(reserve(limiter, ORDER, account="b"), Grant)
    assert isinstance(reserve(limiter, ONE, Lane.CANCEL), Grant)


def test_a_ban_on_what_all_share_is_for_all(limiter):
    limiter.ban(10.0, 50.0, kind="request_weight", account="a")
    assert isinstance(reserve(limiter, ONE, account="b"), float)
    limiter.ban(5.0, 50.0, kind="who knows", account="a")
    assert isinstance(reserve(limiter, (Cost("who knows"),), account="b"), float)


def test_how_things_stand_is_told_for_each_account(limiter):
    assert limiter.state("a", 50.0) is None
    limiter.ban(10.0, 50.0, kind="orders", account="a", lane=Lane.PLACE, cause="too many")
    assert [(hold.kind, hold.lane) for hold in limiter.holds("a", 59.9)] == [("orders", Lane.PLACE)]
    assert limiter.state("a", 55.0).cause == "too many; what counts as orders is held back for 5.0 s more"
    assert (limiter.holds("b", 55.0), limiter.state("b", 55.0)) == ([], None)
    limiter.ban(2.0, 50.0, cause="go away")
    assert limiter.state("a", 51.0).cause == "go away; everything is held back for 1.0 s more"
    assert limiter.state("b", 51.0).state == "open"
    assert limiter.state("a", 52.0).cause.startswith("too many")
    assert limiter.state("b", 52.0)[::2] == ("closed", None)
    assert limiter.state("a", 60.0)[::2] == ("closed", None)


def test_who_is_told_again_has_been_held_back_since_the_first_time(limiter):
    limiter.ban(10.0, 50.0, cause="stop")
    since = limiter.state("a", 50.0).since
    limiter.ban(30.0, 55.0, cause="stop, I said")
    again = limiter.state("a", 55.0)
    assert (again.since, again.cause) == (since, "stop, I said; everything is held back for 30.0 s more")
    limiter.ban(1.0, 56.0)  # not worth telling
    assert limiter.state("a", 56.0).cause == "stop, I said; everything is held back for 29.0 s more"
    limiter.ban(5.0, 90.0, cause="once more")
    assert limiter.state("a", 90.0).since > since


def test_a_second_refusal_soon_halves_the_ceilings(limiter):
    limiter.ban(1.0, 50.0)
    limiter.ban(1.0, 50.1)  # the same one, heard by another thread
    settle(limiter, reserve(limiter, weigh(90), at=2.0), at=2.0)
    limiter.ban(1.0, 150.0)
    settle(limiter, reserve(limiter, weigh(45), at=130.0), at=130.0)
    assert reserve(limiter, ONE, at=130.0) == pytest.approx(50.02)
    settle(limiter, reserve(limiter, weigh(60), Lane.CANCEL, at=130.0), at=130.0)
    assert reserve(limiter, weigh(46), at=190.0) == pytest.approx(1_050 - 240)
    assert isinstance(reserve(limiter, weigh(90), at=1_140.0), Grant)


def test_lower_ceilings_are_for_what_was_too_much_alone(limiter):
    for at in (50.0, 55.0):
        limiter.ban(1.0, at, kind="orders", account="a")
    assert isinstance(reserve(limiter, weigh(90), at=10.0), Grant)
    costs = (Cost("orders", 4),)
    assert isinstance(reserve(limiter, costs, at=10.0), Grant)
    assert reserve(limiter, (Cost("orders", 1),), at=10.0) == pytest.approx(10.02)
    for _ in range(9):
        assert isinstance(reserve(limiter, (Cost("orders", 1),), account="b", at=10.0), Grant)


def test_two_limits_that_were_too_much_once_each_are_no_second_time(limiter):
    limiter.ban(1.0, 50.0)
    limiter.ban(1.0, 55.0, kind="orders", account="a")
    assert isinstance(reserve(limiter, weigh(90), at=10.0), Grant)
    assert isinstance(reserve(limiter, (Cost("orders", 9),), at=10.0), Grant)


def test_a_refusal_much_later_is_a_first_one(limiter):
    limiter.ban(1.0, 50.0)
    limiter.ban(1.0, 400.0)
    assert isinstance(reserve(limiter, weigh(90), at=400.0), Grant)


def test_who_waits_hears_of_it(limiter):
    seen = [limiter.version]

    def differs():
        seen.append(limiter.version)
        return seen[-1] != seen[-2]

    grant = reserve(limiter, ORDER)
    assert not differs()
    settle(limiter, grant)
    assert differs()
    limiter.cancel(reserve(limiter))
    assert differs()
    limiter.ban(1.0, 50.0)
    assert differs()
    limiter.learn((WEIGHT,))
    assert not differs()
    limiter.learn((Pool("request_weight", "ip", 101, 60),))
    assert differs()
    settle(limiter, reserve(limiter, at=10.0), reported=50)
    assert not differs()


ROLLING = Pool("create", "account", 20, 1, is_rolling=True)
CREATE = (Cost("create", 1),)


@pytest.fixture
def rolling():
    made = RateLimiter()
    made.learn((ROLLING,))
    return made


def test_a_rolling_window_never_holds_more_than_its_limit_in_any_second(rolling):
    grants = [reserve(rolling, CREATE, at=0.9) for _ in range(18)]
    assert reserve(rolling, CREATE, at=0.95) == pytest.approx(1.02)  # all of them are still under way
    for grant in grants:
        settle(rolling, grant, at=1.0)
    assert reserve(rolling, CREATE, at=1.5) == pytest.approx(0.52)
    assert isinstance(reserve(rolling, CREATE, at=2.0), Grant)
    assert used(rolling, "create_1s", at=2.0) == 1


def test_lower_ceilings_are_not_for_cancels(rolling):
    for at in (50.0, 52.0):
        rolling.ban(1.0, at)
    settle(rolling, reserve(rolling, CREATE, Lane.CANCEL, at=5.0), at=5.0)
    batch = (Cost("create", 10),)
    settle(rolling, reserve(rolling, batch, Lane.CANCEL, at=5.0), at=5.0)
    assert reserve(rolling, batch, Lane.CANCEL, at=5.0) == pytest.approx(1.02)
    assert reserve(rolling, batch, Lane.PLACE, at=5.0) == pytest.approx(952 - 55)


def test_what_was_never_sent_is_given_back_by_a_rolling_window(rolling):
    rolling.cancel(reserve(rolling, CREATE))
    assert used(rolling, "create_1s") == 0


def test_a_rolling_window_believes_a_header_that_counts_more(rolling):
    grant = reserve(rolling, CREATE)
    rolling.settle(grant, Usage({"create_1s": 18}), succeeded=True, wall_ms=T0 + 100)
    assert used(rolling, "create_1s", at=0.1) == 18
    assert reserve(rolling, CREATE, at=0.6) == pytest.approx(0.52)
    grant = reserve(rolling, CREATE, at=1.2)
    rolling.settle(grant, Usage({"create_1s": 0}), succeeded=True, wall_ms=T0 + 1300)
    assert used(rolling, "create_1s", at=1.3) == 1


def test_a_rolling_window_survives_a_clock_that_was_far_ahead(rolling):
    settle(rolling, reserve(rolling, CREATE, at=3600.0), at=3600.0)
    assert used(rolling, "create_1s", at=0.0) == 1
    assert used(rolling, "create_1s", at=1.0) == 0


def test_cancels_wait_where_they_have_a_budget_of_their_own(rolling):
    for _ in range(19):
        assert isinstance(reserve(rolling, CREATE, Lane.CANCEL), Grant)
    assert reserve(rolling, CREATE, Lane.CANCEL) > 0


def test_threads(limiter):
    limiter.learn((Pool("request_weight", "ip", 10_000, 60),))
    granted = []

    def work():
        for _ in range(1_000):
            grant = reserve(limiter)
            if isinstance(grant, Grant):
                granted.append(1)
                settle(limiter, grant, succeeded=False)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == used(limiter) == 9_000


# ------------------------------------------------------------ against an exchange

WINDOW_MS = 2_000
LIMIT = 100
OTHERS = 10  # in any window: what the ceiling of places leaves


class World:
    """An exchange that counts what arrives by fixed windows, others on the same address, and the way there and back."""

    def __init__(self):
        self.limiter = RateLimiter()
        self.limiter.learn((Pool("request_weight", "ip", LIMIT, 2),))
        self.now = T0
        self.counts = Counter()
        self.others = Counter()
        self.events = []
        self.ties = itertools.count()

    def later(self, at, run):
        heapq.heappush(self.events, (at, next(self.ties), run))

    def move(self, ms):
        self.now += ms
        while self.events and self.events[0][0] <= self.now:
            at, _, run = heapq.heappop(self.events)
            run(at)

    def arrive(self, at, weight):
        self.counts[at // WINDOW_MS] += weight
        return Usage({"request_weight_2s": self.counts[at // WINDOW_MS]})

    def others_use(self, weight):
        window = self.now // WINDOW_MS
        weight = min(weight, OTHERS - self.others[window])
        self.others[window] += weight
        self.arrive(self.now, weight)

    def ask(self, lane, weight, there, back, fate):
        costs = (Cost("request_weight", weight, refunded=fate == "free"),)
        grant = self.limiter.reserve(costs, lane, "a", self.now / 1000, self.now)
        if not isinstance(grant, Grant):
            return
        if fate == "unsent":
            self.later(self.now + there, lambda _: self.limiter.cancel(grant))
            return

        def arrival(at):
            usage = self.arrive(at, 0 if fate == "free" else weight)
            known = None if fate == "lost" else usage
            self.later(at + back, lambda now: self.limiter.settle(grant, known, succeeded=fate != "lost", wall_ms=now))

        self.later(self.now + there, arrival)


FATES = ("ok", "free", "lost", "unsent")


@given(
    seed=st.integers(0, 2**32),
    way=st.sampled_from([5, 100, 1_500]),  # ms there and back at most
    pause=st.sampled_from([5, 40, 300]),  # ms between two calls at most
    fates=st.sets(st.sampled_from(FATES), min_size=1),
    others=st.booleans(),
)
def test_the_limit_is_kept_whatever_the_order_of_events(seed, way, pause, fates, others):
    world, dice = World(), random.Random(seed)
    ways = sorted(fates)
    for _ in range(150):
        if others and dice.random() < 0.3:
            world.others_use(dice.randint(1, 5))
        lane = dice.choice((Lane.PLACE, Lane.PLACE, Lane.PLACE, Lane.MARKET))
        world.ask(lane, dice.randint(1, 12), dice.randint(1, way), dice.randint(1, way), dice.choice(ways))
        world.move(dice.randint(0, pause))
    world.move(10_000)
    assert max(world.counts.values(), default=0) <= LIMIT
    assert all(window.in_flight == 0 for window in world.limiter._windows.values())


def test_the_budget_is_used_and_not_only_kept():
    world = World()
    for _ in range(2_000):
        world.ask(Lane.PLACE, 1, 5, 5, "ok")
        world.move(5)
    full = [count for window, count in world.counts.items() if T0 // WINDOW_MS < window < world.now // WINDOW_MS - 1]
    assert min(full) >= 88
