"""A call as a value: who goes first, what a pool is called, and what a repr must not show."""

import pytest

from exconnect.protocol.call import Call, Cost, Lane, Pool, Replay, Request, Response, Security, Usage


def test_a_cancel_goes_first_and_history_last():
    assert list(Lane) == sorted(Lane)
    assert [lane.name for lane in Lane] == ["CANCEL", "PLACE", "QUERY", "STREAM", "MARKET", "HISTORY"]


@pytest.mark.parametrize(
    "pool, name",
    [
        (Pool("request_weight", "ip", 6000, 60), "request_weight_60s"),
        (Pool("orders", "account", 160_000, 86_400), "orders_86400s"),
    ],
)
def test_a_pool_is_named_by_kind_and_window(pool, name):
    assert pool.name == name


def test_what_signing_adds_is_in_no_repr():
    request = Request(
        "POST", "/order", (("symbol", "X"),), (("KEY", "CANARY"),), "signature=CANARY", b"signature=CANARY"
    )
    call = Call("place_order", request, decode=lambda response: None, security=Security.SIGNED)
    for what in (request, call):
        assert "CANARY" not in repr(what)
        assert "/order" in repr(what)


def test_a_call_is_a_read_unless_it_says_otherwise():
    call = Call("fetch_time", Request("GET", "/time"), decode=lambda response: int(response.body))
    assert (call.replay, call.security, call.lane, call.costs) == (Replay.SAFE, Security.PUBLIC, Lane.MARKET, ())
    assert call.decode(Response(200, {}, b"7")) == 7
    assert (Cost("orders").amount, Usage().used, Usage().banned) == (1, {}, False)
