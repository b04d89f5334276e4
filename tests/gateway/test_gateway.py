"""One call on its way: admitted, waited for, stamped, signed, announced, sent, learnt from."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from exconnect.environment import Environment
from exconnect.errors import (
    AuthenticationError,
    CircuitOpen,
    ConfigurationError,
    Outcome,
    OutcomeUnknown,
    TradingHalted,
    TransportError,
    WouldExceedLimit,
)
from exconnect.protocol.call import Cost, Lane
from exconnect.transport.failures import Lost, NotSent
from tests.gateway.conftest import DIALECT

DOWN = (503, "")


def used(parts, name="weight_60s"):
    return parts.limiter.uses("main", parts.env.wall_ms())[name][0]


# ------------------------------------------------------------ the attempt


def test_what_is_announced_is_what_is_sent(gateway, server, place, http):
    announced = []
    assert gateway.execute(place, 12.0, announced.append)
    (attempt,) = announced
    (sent,) = server.seen("/place")
    assert int(sent["timestamp"]) == attempt.timestamp_ms
    assert int(sent["recvWindow"]) == attempt.recv_window_ms
    assert attempt.expires_ms == attempt.timestamp_ms + attempt.recv_window_ms
    assert (attempt.operation, attempt.client_order_id, attempt.symbol) == ("place", "X1", "BTC/USDT")
    assert (attempt.number, attempt.host, attempt.params) == (1, http.host, (("symbol", "BTCUSDT"),))


def test_a_public_call_has_no_stamp(gateway, server, market):
    announced = []
    gateway.execute(market, 12.0, announced.append)
    assert (announced[0].timestamp_ms, announced[0].recv_window_ms, announced[0].expires_ms) == (None, None, None)
    assert server.seen("/market") == [{"symbol": "BTCUSDT"}]
    assert server.seen("/time") == []


@pytest.mark.parametrize("error", [TradingHalted("halted"), OSError("disk full"), KeyboardInterrupt(), NotSent("mine")])
def test_who_refuses_before_sending_is_heard(gateway, server, parts, place, error):
    def refuse(_):
        raise error

    with pytest.raises(type(error)) as caught:
        gateway.execute(place, 12.0, refuse)
    assert caught.value is error
    assert server.seen("/place") == []
    assert used(parts, "orders_10s") == 0


def test_who_refuses_a_repetition_does_not_undo_the_attempt_before(gateway, server, cancel):
    server.tell("/cancel", "reset")
    attempts = []

    def refuse_the_second(attempt):
        attempts.append(attempt)
        if attempt.number > 1:
            raise TradingHalted("halted")

    with pytest.raises(OutcomeUnknown) as caught:
        gateway.execute(cancel, 12.0, refuse_the_second)
    assert isinstance(caught.value.__cause__, TradingHalted)
    assert len(server.seen("/cancel")) == 1
    assert len(attempts) == 2


def test_the_windows_of_validity(gateway, server, parts, place, cancel, query):
    now = parts.env.now()
    parts.clock.add(now - 0.01, now, parts.env.wall_ms())  # a fast road, however busy this machine is
    for call in (place, cancel, query):
        gateway.execute(call, 12.0)
    windows = [int(server.seen(f"/{kind}")[0]["recvWindow"]) for kind in ("place", "cancel", "query")]
    assert windows == [1_500, 10_000, 5_000]


def test_a_slow_road_gets_a_longer_window(gateway, server, parts, place):
    now = parts.env.now()
    parts.clock.add(now - 0.6, now, parts.env.wall_ms() - 300)
    gateway.execute(place, 12.0)
    assert 2_690 <= int(server.seen("/place")[0]["recvWindow"]) <= 2_720


def test_a_window_that_was_given(make, server, place, cancel):
    gateway = make(recv_window_ms=777)
    for call in (place, cancel):
        gateway.execute(call, 12.0)
    assert {params["recvWindow"] for kind in ("place", "cancel") for params in server.seen(f"/{kind}")} == {"777"}


def test_the_signer_is_asked_on_the_first_signed_call(parts, gateway, server, market, query):
    asked = []

    def missing():
        asked.append(1)
        raise ConfigurationError("no credentials")

    gateway._make_signer = missing
    gateway.execute(market, 12.0)
    assert not asked
    with pytest.raises(ConfigurationError):
        gateway.execute(query, 12.0)
    assert server.seen("/time") == server.seen("/query") == []


# ------------------------------------------------------------ the budget


def test_costs_more_than_ever_possible(gateway, server, market):
    with pytest.raises(WouldExceedLimit, match="costs 56 of weight_60s") as caught:
        gateway.execute(replace(market, costs=(Cost("weight", 56),)), 12.0)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert (caught.value.exchange, caught.value.operation) == ("toy", "market")
    assert server.asked == []


def test_no_budget_before_the_deadline_is_told_at_once(gateway, server, env, market):
    gateway.execute(replace(market, costs=(Cost("weight", 55),)), 12.0)
    left = 60 - env.wall_ms() / 1000 % 60
    began = env.ahead
    with pytest.raises(WouldExceedLimit, match="frees up in") as caught:
        gateway.execute(market, left - 1)
    assert env.ahead - began < 1  # it has not waited
    assert caught.value.retry_after == pytest.approx(left, abs=5)
    assert len(server.seen("/market")) == 1


def test_budget_is_waited_for_and_the_wait_is_counted(gateway, parts, server, env, market):
    gateway.execute(replace(market, costs=(Cost("weight", 55),)), 12.0)
    left = 60 - env.wall_ms() / 1000 % 60
    gateway.execute(market, 65.0)
    assert len(server.seen("/market")) == 2
    assert parts.metrics.snapshot()["waited_s"] == pytest.approx(left, abs=5)


def test_headers_are_believed(gateway, parts, server, market):
    server.tell("/market", (200, {"number": 1}, {"X-Used": "40"}))
    gateway.execute(market, 12.0)
    assert used(parts) == 40


def test_a_success_that_is_free_costs_nothing(gateway, parts, server, place):
    gateway.execute(place, 12.0)
    assert used(parts) == 0
    assert used(parts, "orders_10s") == 1
    server.tell("/place", (400, {"code": -5}))
    with pytest.raises(Exception, match="words"):
        gateway.execute(place, 12.0)
    assert used(parts) == 1


def test_who_waits_is_woken_when_budget_comes_back(make, parts, server, market):
    """With the machine's own clock: a thread waits, a grant is given back, the thread goes on."""
    waiting = threading.Event()

    class Told(Environment):
        def wait_for(self, condition, ready, timeout):
            waiting.set()
            return super().wait_for(condition, ready, timeout)

    gateway = make(env=Told())
    held = parts.limiter.reserve(
        (Cost("weight", 55),),
        Lane.MARKET,
        "main",
        0.0,
        gateway.server_now_ms() + 60_000,  # of the next minute: this one may end any time
    )
    results = []
    thread = threading.Thread(target=lambda: results.append(gateway.execute(market, 300.0)))
    thread.start()
    assert waiting.wait(30)
    assert server.seen("/market") == []
    parts.limiter.cancel(held)
    thread.join(30)
    assert results


def test_a_limit_is_heeded_by_all_threads(gateway, parts, server, env, market):
    server.tell("/market", (429, {"code": -2}, {"Retry-After": "5"}))
    with pytest.raises(Exception, match="words"):
        gateway.execute(market, 4.0)
    now = env.now()
    opens = now + parts.limiter.reserve(market.costs, Lane.CANCEL, "", now, env.wall_ms())
    left = []
    threads = [
        threading.Thread(target=gateway.execute, args=(market, 60.0, lambda _: left.append(env.now())))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 8
    assert min(left) >= opens - 0.001
    assert parts.metrics.snapshot()["rate_limited"] == 1


# ------------------------------------------------------------ the breaker


def fail(gateway, call, server, times, path):
    server.tell(path, *["reset"] * times)
    for _ in range(times):
        with pytest.raises((OutcomeUnknown, TransportError)):
            gateway.execute(call, 12.0)


def test_places_are_held_back_and_cancels_are_not(gateway, server, place, cancel):
    fail(gateway, place, server, 5, "/place")
    with pytest.raises(CircuitOpen) as caught:
        gateway.execute(place, 12.0)
    assert len(server.seen("/place")) == 5
    assert caught.value.retry_after > 0
    assert gateway.parts()["place"].state == "open"
    assert gateway.execute(cancel, 12.0)


def test_a_place_is_no_probe(gateway, server, env, place):
    fail(gateway, place, server, 5, "/place")
    env.ahead += 2
    asked = len(server.seen("/time"))
    gateway.execute(place, 12.0)
    assert len(server.seen("/time")) == asked + 3
    assert gateway.parts()["place"].state == "closed"


def test_a_probe_that_fails_sends_no_place(gateway, server, env, place):
    fail(gateway, place, server, 5, "/place")
    env.ahead += 2
    server.tell("/time", DOWN)
    with pytest.raises(CircuitOpen):
        gateway.execute(place, 12.0)
    assert len(server.seen("/place")) == 5


def test_a_probe_without_budget_leaves_its_place(gateway, server, env, parts, place):
    fail(gateway, place, server, 5, "/place")
    env.ahead += 2
    parts.limiter.ban(30.0, env.now())
    with pytest.raises(WouldExceedLimit):
        gateway.execute(place, 12.0)
    env.ahead += 31
    assert gateway.execute(place, 12.0)


def test_a_read_is_its_own_probe(gateway, server, env, query):
    server.tell("/query", *["reset"] * 5)
    with pytest.raises(TransportError):
        gateway.execute(query, 60.0)
    assert gateway.parts()["reads"].state == "open"
    env.ahead += 2
    assert gateway.parts()["reads"].state == "half_open"  # whoever waits for that before he calls would wait for ever
    gateway.execute(query, 12.0)
    assert gateway.parts()["reads"].state == "half_open"


def test_a_read_whose_attempts_opened_the_breaker_tells_what_they_met(gateway, server, env, query):
    server.tell("/query", *["reset"] * 9)
    env.uniform = lambda *_: 60.0  # no time for a second attempt
    with pytest.raises(TransportError, match="reset"):
        gateway.execute(query, 12.0)
    before = len(server.seen("/query"))
    env.uniform = lambda low, _: low
    with pytest.raises(TransportError, match="reset") as caught:
        gateway.execute(query, 60.0)
    assert len(server.seen("/query")) > before
    assert isinstance(caught.value.__cause__, CircuitOpen)
    assert caught.value.retry_after > 0


def test_a_probe_that_was_not_made_is_taken_back(gateway, server, env, query):
    server.tell("/query", *["reset"] * 5)
    with pytest.raises(TransportError):
        gateway.execute(query, 60.0)
    env.ahead += 2
    for _ in range(2):
        with pytest.raises(TradingHalted):
            gateway.execute(query, 12.0, halted)
    assert gateway.execute(query, 12.0)


def halted(_):
    raise TradingHalted("halted")


def test_a_wrong_key_is_not_hammered(gateway, server, env, query, cancel, market):
    server.tell("/query", *[(400, {"code": -3})] * 9)
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            gateway.execute(query, 12.0)
    with pytest.raises(CircuitOpen, match="auth"):
        gateway.execute(query, 12.0)
    assert len(server.seen("/query")) == 5
    assert gateway.execute(cancel, 12.0)
    assert gateway.execute(market, 12.0)
    server.answers.clear()
    env.ahead += 2
    with pytest.raises(TradingHalted):
        gateway.execute(query, 12.0, halted)
    assert gateway.execute(query, 12.0)


def test_a_lost_answer_to_a_probe_of_the_key_leaves_its_place(gateway, server, env, query, place):
    server.tell("/query", *[(400, {"code": -3})] * 5)
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            gateway.execute(query, 12.0)
    env.ahead += 2
    server.tell("/place", "reset")
    with pytest.raises(OutcomeUnknown):
        gateway.execute(place, 12.0)
    assert gateway.execute(query, 12.0)


@pytest.mark.parametrize("code", [-1, -4, -5])
def test_a_refusal_is_no_failure(gateway, server, place, code):
    server.tell("/place", *[(400, {"code": code})] * 40)
    for _ in range(10):
        with pytest.raises(Exception, match="words"):
            gateway.execute(place, 12.0)
    assert gateway.parts()["place"].state == "closed"


# ------------------------------------------------------------ the clock


def test_the_first_signed_call_asks_five_times(gateway, server, env, query):
    server.ahead_ms = 7_000
    assert gateway.server_now_ms() == pytest.approx(env.wall_ms(), abs=500)
    gateway.execute(query, 12.0)
    assert len(server.seen("/time")) == 5
    assert gateway.server_now_ms() == pytest.approx(env.wall_ms() + 7_000, abs=500)
    assert int(server.seen("/query")[0]["timestamp"]) == pytest.approx(env.wall_ms() + 7_000, abs=3_000)


def test_it_is_asked_again_after_a_minute_by_reads(gateway, server, env, query, place):
    gateway.execute(query, 12.0)
    env.ahead += 30
    gateway.execute(query, 12.0)
    assert len(server.seen("/time")) == 5
    env.ahead += 31
    gateway.execute(place, 12.0)
    assert len(server.seen("/time")) == 5
    gateway.execute(query, 12.0)
    assert len(server.seen("/time")) == 6


def test_a_machine_that_slept_asks_anew(gateway, server, env, place):
    gateway.execute(place, 12.0)
    env.slept_ms = 3_600_000
    gateway.execute(place, 12.0)
    assert len(server.seen("/time")) == 10
    assert int(server.seen("/place")[1]["timestamp"]) == pytest.approx(env.wall_ms(), abs=3_000)


def test_a_machine_that_slept_while_the_call_waited_asks_anew(gateway, server, env, parts, query):
    gateway.execute(query, 12.0)
    parts.limiter.ban(5.0, env.now())
    wait_for = env.wait_for

    def sleep_through(condition, ready, timeout):
        env.slept_ms = 3_600_000
        return wait_for(condition, ready, timeout)

    env.wait_for = sleep_through
    gateway.execute(query, 12.0)
    assert len(server.seen("/time")) == 10


def test_a_clock_that_cannot_be_asked_sends_nothing(gateway, server, place):
    server.tell("/time", *[DOWN] * 20)
    with pytest.raises(TransportError, match="does not tell the time") as caught:
        gateway.execute(place, 12.0)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert server.seen("/place") == []
    with pytest.raises(TransportError):
        gateway.sync_clock(5.0)


def test_a_read_goes_on_with_the_clock_as_it_is_known(gateway, server, env, query):
    gateway.execute(query, 12.0)
    env.ahead += 61
    asked = len(server.seen("/time"))
    server.tell("/time", *[DOWN] * 20)
    assert gateway.execute(query, 12.0)
    assert len(server.seen("/time")) == asked + 1
    env.ahead += 600
    with pytest.raises(TransportError, match="does not tell the time"):
        gateway.execute(query, 12.0)


def test_some_samples_may_fail(gateway, server, place):
    server.tell("/time", "reset", DOWN)
    assert gateway.execute(place, 12.0)
    assert len(server.seen("/time")) == 7


def test_no_time_left_for_the_clock(gateway, server):
    with pytest.raises(TransportError, match="no time left"):
        gateway.sync_clock(0.0)
    assert server.asked == []


def test_a_clock_that_is_known_too_badly_sends_no_order(gateway, server, parts, place, cancel):
    now = parts.env.now()
    parts.clock.add(now - 8, now, parts.env.wall_ms())
    with pytest.raises(TransportError, match="only known to"):
        gateway.execute(place, 12.0)
    assert server.seen("/place") == []
    assert gateway.execute(cancel, 12.0)


@pytest.mark.parametrize("kind", ["cancel", "query"])
def test_a_clock_that_cannot_be_asked_at_first_is_asked_again(gateway, server, request, kind):
    server.tell("/time", *["reset"] * 8)
    assert gateway.execute(request.getfixturevalue(kind), 12.0)
    assert len(server.seen(f"/{kind}")) == 1


@pytest.fixture
def no_budget(parts, monkeypatch):
    """Nothing is left for reads, the question for the time among them."""
    time = DIALECT.rest.time()
    monkeypatch.setattr(DIALECT.rest, "time", lambda: replace(time, costs=(Cost("weight"),)))
    wall_ms = parts.env.wall_ms()
    grant = parts.limiter.reserve((Cost("weight", 90),), Lane.CANCEL, "main", parts.env.now(), wall_ms)
    parts.limiter.settle(grant, None, succeeded=False, wall_ms=wall_ms)


@pytest.mark.usefixtures("no_budget")
def test_a_cancel_syncs_the_clock_where_reads_have_no_budget_left(gateway, cancel, query):
    with pytest.raises(WouldExceedLimit):
        gateway.execute(query, 12.0)
    assert gateway.execute(cancel, 12.0)


@pytest.mark.usefixtures("no_budget")
def test_a_cancel_does_not_wait_for_a_read_that_waits_to_sync(gateway, server, env, parts, cancel, query):
    waiting, go_on, wait_for = threading.Event(), threading.Event(), env.wait_for

    def held(condition, ready, timeout):
        while condition is parts.limiter.changed and not go_on.is_set():
            waiting.set()
            condition.wait(0.01)
        return wait_for(condition, ready, timeout)

    env.wait_for = held
    reading = threading.Thread(target=gateway.execute, args=(query, 300.0))
    reading.start()
    try:
        assert waiting.wait(30)
        assert gateway.execute(cancel, 12.0)
        assert server.seen("/query") == []
    finally:
        go_on.set()
        reading.join()
    assert len(server.seen("/query")) == 1


def test_one_thread_syncs_for_all(make, server, query):
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    class Told(Environment):
        def wait_for(self, condition, ready, timeout):
            waiting.release()
            return super().wait_for(condition, ready, timeout)

    gateway = make(env=Told())
    server.tell("/time", lambda: go_on.wait(30) and (200, {"time": server.env.wall_ms()}))
    results = []
    threads = [threading.Thread(target=lambda: results.append(gateway.execute(query, 30.0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert waiting.acquire(timeout=30)
    with pytest.raises(TransportError, match="still being synced"):
        gateway.sync_clock(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(server.seen("/time")) == 5


# ------------------------------------------------------------ interruptions


class SoftTimeLimit(Exception):
    """As Celery's: an Exception, and none of our business."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SoftTimeLimit("time is up")])
def test_an_interruption_in_the_middle_of_a_send(flaky, server, parts, place, error):
    gateway = flaky(error)
    with pytest.raises(type(error)) as caught:
        gateway.execute(place, 12.0)
    assert caught.value is error
    assert server.seen("/place") == []
    assert used(parts, "orders_10s") == 1  # it may have left
    assert all(window.in_flight == 0 for window in parts.limiter._windows.values())
    assert gateway.execute(place, 12.0)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SoftTimeLimit("time is up")])
def test_an_interruption_while_an_answer_is_read(gateway, parts, market, error):
    def interrupted(_):
        raise error

    with pytest.raises(type(error)):
        gateway.execute(replace(market, decode=interrupted), 12.0)
    assert all(window.in_flight == 0 for window in parts.limiter._windows.values())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SoftTimeLimit("time is up")])
def test_an_interruption_while_the_clock_is_asked(gateway, parts, place, error):
    send = parts.http.send

    def interrupted(*_, **__):
        raise error

    parts.http.send = interrupted
    with pytest.raises(type(error)):
        gateway.execute(place, 12.0)
    parts.http.send = send
    assert gateway.execute(place, 12.0)
    assert all(window.in_flight == 0 for window in parts.limiter._windows.values())


def test_an_interruption_of_a_probe(gateway, server, env, parts, place):
    fail(gateway, place, server, 5, "/place")
    env.ahead += 2
    send = parts.http.send

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    parts.http.send = interrupted
    with pytest.raises(KeyboardInterrupt):
        gateway.execute(place, 12.0)
    parts.http.send = send
    assert gateway.execute(place, 12.0)


def test_a_signer_of_the_user_that_fails(gateway, server, parts, place):
    def broken(_):
        raise SoftTimeLimit("time is up")

    gateway.execute(place, 12.0)
    gateway._signer = gateway._signer._replace(sign=broken)
    with pytest.raises(SoftTimeLimit):
        gateway.execute(place, 12.0)
    assert len(server.seen("/place")) == 1
    assert used(parts, "orders_10s") == 1


# ------------------------------------------------------------ time and figures


def test_what_may_be_repeated_leaves_time_for_it(flaky, place, query, cancel):
    gateway = flaky()
    granted = {}
    send = gateway._http.http.send

    def watched(request, *, timeout, **options):
        granted[request.path] = timeout
        return send(request, timeout=timeout, **options)

    gateway._http.http.send = watched
    for call in (place, query, cancel):
        gateway.execute(call, 12.0)
    assert granted["/place"] == pytest.approx(12.0, abs=3.0)  # less what this machine took until then
    assert granted["/query"] == pytest.approx(6.0, abs=1.0)
    assert granted["/cancel"] == pytest.approx(4.08, abs=0.9)
    gateway.execute(query, 1.9)
    assert granted["/query"] == pytest.approx(1.0, abs=0.1)


def test_figures(gateway, parts, server, place, query):
    server.tell("/query", "reset")
    gateway.execute(query, 12.0)
    server.tell("/place", "reset")
    with pytest.raises(OutcomeUnknown):
        gateway.execute(place, 12.0)
    found = parts.metrics.snapshot()
    assert (found["calls"], found["retries"], found["outcome_unknown"]) == (2, 1, 1)
    assert found['calls{operation="place"}'] == 1
    assert found["request_s_count"] == 1


def test_what_was_lost_is_lost_whoever_says_so(flaky, place):
    with pytest.raises(OutcomeUnknown, match="cut off"):
        flaky(Lost("cut off")).execute(place, 12.0)
