"""What is repeated, what never is, and what a caller is told: the table of failures over a real socket."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exconnect.errors import (
    AuthenticationError,
    Banned,
    ClientClosed,
    ClockSkew,
    DuplicateOrder,
    MalformedMessage,
    OrderNotFound,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    Unavailable,
    WouldExceedLimit,
)
from exconnect.protocol.call import Replay
from exconnect.transport.failures import NotSent

RESET, DOWN, TIMEOUT, GARBAGE = "reset", (503, "<html>"), (400, {"code": -6}), (200, '{"number": ')


def refuse(code, status=400):
    return (status, {"code": code})


def limited(seconds, status=429, **headers):
    return (status, {"code": -2}, {"Retry-After": str(seconds), **headers})


@pytest.mark.parametrize("fault", [RESET, DOWN, TIMEOUT, GARBAGE], ids=["reset", "503", "code", "garbage"])
class TestNoAnswer:
    def test_a_place_is_unknown_and_not_sent_again(self, gateway, server, place, fault):
        server.tell("/place", fault)
        with pytest.raises(OutcomeUnknown, match="do not send it again") as caught:
            gateway.execute(place, 12.0)
        assert len(server.seen("/place")) == 1
        error = caught.value
        assert error.outcome is Outcome.UNKNOWN
        assert (error.exchange, error.operation, error.symbol) == ("toy", "place", "BTC/USDT")
        assert error.client_order_id == "X1"

    def test_a_cancel_is_sent_until_there_is_an_answer(self, gateway, server, cancel, fault):
        server.tell("/cancel", *[fault] * 8)
        assert gateway.execute(cancel, 30.0)
        assert len(server.seen("/cancel")) == 9

    def test_a_read_is_sent_again(self, gateway, server, query, fault):
        server.tell("/query", fault, fault)
        assert gateway.execute(query, 12.0)
        assert len(server.seen("/query")) == 3

    def test_a_read_is_given_up_after_five(self, gateway, server, market, fault):
        server.tell("/market", *[fault] * 9)
        with pytest.raises((TransportError, Unavailable, MalformedMessage)) as caught:
            gateway.execute(market, 60.0)
        assert len(server.seen("/market")) == 5
        assert caught.value.outcome is not Outcome.UNKNOWN

    def test_a_cancel_without_any_answer_is_unknown_at_the_deadline(self, gateway, server, cancel, fault):
        server.tell("/cancel", *[fault] * 500)
        with pytest.raises(OutcomeUnknown):
            gateway.execute(cancel, 3.0)
        assert len(server.seen("/cancel")) > 3


def test_the_codes_of_an_unknown_outcome_are_kept(gateway, server, place):
    server.tell("/place", TIMEOUT)
    with pytest.raises(OutcomeUnknown) as caught:
        gateway.execute(place, 12.0)
    assert (caught.value.code, caught.value.http_status) == (-6, 400)
    assert isinstance(caught.value.__cause__, Unavailable)


def test_each_attempt_is_signed_anew(gateway, server, query):
    server.tell("/query", RESET, RESET)
    gateway.execute(query, 12.0)
    stamps = [int(params["timestamp"]) for params in server.seen("/query")]
    assert stamps == sorted(stamps)
    assert len({params["signature"] for params in server.seen("/query")}) == len(set(stamps))


# ------------------------------------------------------------ not sent


def test_a_place_that_was_not_sent_is_tried_again(flaky, server, place):
    announced = []
    gateway = flaky(NotSent("refused"), NotSent("refused"))
    assert gateway.execute(place, 12.0, announced.append)
    assert [attempt.number for attempt in announced] == [1, 2, 3]
    assert len(server.seen("/place")) == 1


@pytest.mark.parametrize("kind", ["place", "query"])
def test_what_cannot_be_sent_is_given_up(flaky, server, kind, request):
    gateway = flaky(*[NotSent("refused")] * 9)
    with pytest.raises(TransportError, match="was not sent: refused") as caught:
        gateway.execute(request.getfixturevalue(kind), 60.0)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.retryable
    assert server.seen(f"/{kind}") == []


def test_a_cancel_that_was_never_sent_is_not_unknown(flaky, server, cancel):
    gateway = flaky(*[NotSent("refused")] * 500)
    with pytest.raises(TransportError):
        gateway.execute(cancel, 2.0)


def test_a_cancel_that_was_lost_once_is_unknown_whatever_follows(flaky, server, cancel):
    gateway = flaky(None, *[NotSent("refused")] * 500)
    server.tell("/cancel", RESET)
    with pytest.raises(OutcomeUnknown):
        gateway.execute(cancel, 2.0)


def test_not_sent_takes_nothing_from_the_budget(flaky, parts, market):
    gateway = flaky(*[NotSent("refused")] * 9)
    with pytest.raises(TransportError):
        gateway.execute(market, 60.0)
    assert parts.limiter.uses("main", parts.env.wall_ms())["weight_60s"][0] == 0


def test_what_this_machine_refuses_takes_nothing_from_the_budget(gateway, http, parts, market):
    http.close()
    with pytest.raises(ClientClosed):
        gateway.execute(market, 60.0)
    assert parts.limiter.uses("main", parts.env.wall_ms())["weight_60s"][0] == 0


# ------------------------------------------------------------ a definite no


@pytest.mark.parametrize("code, error", [(-3, AuthenticationError), (-4, DuplicateOrder), (-5, OrderNotFound)])
@pytest.mark.parametrize("kind", ["place", "cancel", "query"])
def test_a_definite_no_is_told_at_once(gateway, server, request, kind, code, error):
    server.tell(f"/{kind}", refuse(code))
    with pytest.raises(error, match="the exchange's words") as caught:
        gateway.execute(request.getfixturevalue(kind), 12.0)
    assert len(server.seen(f"/{kind}")) == 1
    found = caught.value
    assert (found.code, found.http_status, found.operation, found.exchange) == (code, 400, kind, "toy")
    assert "uncertain" not in found.details


def test_a_no_to_a_repetition_may_be_an_echo(gateway, server, cancel):
    server.tell("/cancel", RESET, refuse(-5))
    with pytest.raises(OrderNotFound) as caught:
        gateway.execute(cancel, 12.0)
    assert caught.value.details["uncertain"] is True


# ------------------------------------------------------------ the clock


@pytest.mark.parametrize("kind", ["place", "cancel", "query"])
def test_a_refused_timestamp_is_made_anew_once(gateway, server, request, kind):
    server.tell(f"/{kind}", refuse(-1))
    server.ahead_ms = 10_000
    gateway.execute(request.getfixturevalue(kind), 12.0)
    assert len(server.seen(f"/{kind}")) == 2
    assert len(server.seen("/time")) == 10


@pytest.mark.parametrize("kind", ["place", "cancel", "query"])
def test_a_timestamp_that_is_refused_twice_is_told(gateway, server, request, kind):
    server.tell(f"/{kind}", *[refuse(-1)] * 9)
    with pytest.raises(ClockSkew) as caught:
        gateway.execute(request.getfixturevalue(kind), 12.0)
    assert len(server.seen(f"/{kind}")) == 2
    assert caught.value.retryable


def test_a_clock_that_cannot_be_synced_again_after_a_lost_cancel_is_unknown(gateway, server, cancel):
    server.tell("/cancel", RESET, refuse(-1))
    server.tell("/time", *[(200, {"time": server.env.wall_ms()})] * 5, *[DOWN] * 9_999)
    with pytest.raises(OutcomeUnknown):
        gateway.execute(cancel, 12.0)


# ------------------------------------------------------------ limits


@pytest.mark.parametrize("kind", ["place", "cancel", "query", "market"])
def test_a_limit_is_waited_for(gateway, server, env, request, kind):
    server.tell(f"/{kind}", limited(3))
    started = env.now()
    gateway.execute(request.getfixturevalue(kind), 12.0)
    assert env.now() - started >= 3.0
    assert len(server.seen(f"/{kind}")) == 2


@pytest.mark.parametrize("kind", ["place", "cancel", "query", "market"])
def test_a_limit_beyond_the_deadline_is_told_at_once(gateway, server, env, request, kind):
    server.tell(f"/{kind}", limited(30))
    began = env.ahead
    with pytest.raises(RateLimited) as caught:
        gateway.execute(request.getfixturevalue(kind), 12.0)
    assert env.ahead - began < 1.0  # it has not waited
    assert caught.value.retry_after == 30.0
    assert caught.value.retryable
    assert len(server.seen(f"/{kind}")) == 1


def test_a_ban_is_obeyed_by_all_calls(gateway, server, market, cancel):
    server.tell("/market", limited(120, 418))
    with pytest.raises(Banned) as caught:
        gateway.execute(market, 12.0)
    assert caught.value.retry_after == 120.0
    for call in (market, cancel):
        with pytest.raises(WouldExceedLimit) as refused:
            gateway.execute(call, 12.0)
        assert 119 < refused.value.retry_after < 122
        assert refused.value.outcome is Outcome.NOT_SENT
    assert server.seen("/cancel") == []


@pytest.mark.parametrize("status, seconds", [(429, 10.0), (418, 120.0)])
def test_where_the_exchange_does_not_say_for_how_long(gateway, server, market, status, seconds):
    server.tell("/market", (status, {"code": -2}))
    with pytest.raises(RateLimited) as caught:
        gateway.execute(market, 5.0)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status, seconds", [(429, 10.0), (418, 120.0)])
@pytest.mark.parametrize("named", ["inf", "nan", "-5", "0", "31536000"])
def test_a_time_that_no_exchange_means_is_not_believed(gateway, server, market, named, status, seconds):
    server.tell("/market", limited(named, status))
    with pytest.raises(RateLimited) as caught:
        gateway.execute(market, 5.0)
    assert caught.value.retry_after == seconds
    assert gateway.execute(market, 300.0)


def test_what_is_held_back_is_told_until_the_time_is_over(gateway, server, env, market):
    gateway.execute(market, 12.0)
    assert (gateway.held_back(), "limits" in gateway.parts()) == (frozenset(), False)
    server.tell("/market", limited(30, 418))
    with pytest.raises(Banned):
        gateway.execute(market, 12.0)
    assert gateway.held_back() == {"place", "cancel", "reads", "market"}
    told = gateway.parts()["limits"]
    assert told.state == "open"
    assert told.cause.startswith("market: go away; everything is held back for 3")
    env.ahead += 31.0
    over = gateway.parts()["limits"]
    assert (gateway.held_back(), over.state, over.cause) == (frozenset(), "closed", None)
    assert 30 <= (over.since - told.since).total_seconds() <= 31


@pytest.mark.parametrize("seconds, held", [(5, set()), (30, {"place"})])
def test_a_budget_that_is_used_up_for_a_moment_is_no_failure(gateway, server, place, seconds, held):
    server.tell("/place", limited(seconds, **{"X-Exhausted": "orders"}))
    with pytest.raises(RateLimited):
        gateway.execute(place, 3.0)
    assert gateway.held_back() == held
    assert ("limits" in gateway.parts()) == bool(held)


def test_too_many_orders_hold_back_orders_alone(gateway, server, place, cancel, query):
    server.tell("/place", limited(30, **{"X-Exhausted": "orders"}))
    with pytest.raises(RateLimited):
        gateway.execute(place, 12.0)
    assert gateway.execute(cancel, 12.0)
    assert gateway.execute(query, 12.0)
    with pytest.raises(WouldExceedLimit):
        gateway.execute(place, 12.0)
    assert len(server.seen("/place")) == 1


def test_a_refusal_that_comes_with_a_limit_holds_back_the_others(gateway, server, market, query):
    server.tell("/query", (429, {"code": -5}, {"Retry-After": "30"}))
    with pytest.raises(OrderNotFound):
        gateway.execute(query, 12.0)
    with pytest.raises(WouldExceedLimit):
        gateway.execute(market, 12.0)


def test_a_limit_of_what_a_call_is_not_counted_by_holds_back_everything(gateway, server, market, query):
    server.tell("/market", limited(30, **{"X-Exhausted": "an endpoint without a pool"}))
    for call in (market, query):
        with pytest.raises((RateLimited, WouldExceedLimit)):
            gateway.execute(call, 12.0)
    assert len(server.seen("/market")) == 1
    assert server.seen("/query") == []
    assert gateway.execute(market, 60.0)


def test_a_limit_after_a_lost_cancel_is_unknown(gateway, server, cancel):
    server.tell("/cancel", RESET, limited(60))
    with pytest.raises(OutcomeUnknown):
        gateway.execute(cancel, 12.0)


def test_an_absolute_amend_that_was_lost_and_finds_no_budget_is_unknown(gateway, server, parts, place):
    amend = replace(place, replay=Replay.ABSOLUTE)

    def exhaust():
        parts.limiter.ban(99.0, parts.env.now())
        return "reset"

    server.tell("/place", exhaust)
    with pytest.raises(OutcomeUnknown) as caught:
        gateway.execute(amend, 12.0)
    assert isinstance(caught.value.__cause__, WouldExceedLimit)


# ------------------------------------------------------------ answers that make no sense


def test_a_malformed_answer_to_a_read(gateway, server, market):
    server.tell("/market", *[(200, "[" + "x" * 500)] * 5)
    with pytest.raises(MalformedMessage) as caught:
        gateway.execute(market, 60.0)
    assert caught.value.text == "[" + "x" * 199
    assert caught.value.http_status == 200


def test_an_error_that_makes_no_sense(gateway, server, place, market):
    server.tell("/place", (400, "<html>"))
    with pytest.raises(OutcomeUnknown):
        gateway.execute(place, 12.0)
    server.tell("/market", *[(400, {"code": "?"})] * 5)
    with pytest.raises(MalformedMessage):
        gateway.execute(market, 60.0)
