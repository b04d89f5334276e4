"""Limits of the address and of the account, and what is held against those who do not heed them."""

import pytest

READ = "/v5/order/realtime"


def limits(response):
    names = ("X-Bapi-Limit", "X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp")
    return tuple(int(response.headers[name]) for name in names)


def test_headers_tell_what_is_left(core):
    assert limits(core.create()) == (20, 19, core.now)
    assert limits(core.create()) == (20, 18, core.now)
    assert limits(core.read(READ)) == (50, 49, core.now)
    assert "X-Bapi-Limit" not in core.get("/v5/market/time").headers
    assert core.get("/v5/market/time").headers["Timenow"] == str(core.now)


@pytest.mark.parametrize(
    "method, path, limit",
    [
        ("post", "/v5/order/create", 20),
        ("post", "/v5/order/amend", 10),
        ("post", "/v5/order/cancel", 20),
        ("post", "/v5/order/cancel-all", 20),
        ("post", "/v5/order/create-batch", 20),
        ("read", "/v5/order/history", 50),
        ("read", "/v5/execution/list", 50),
        ("read", "/v5/account/wallet-balance", 50),
        ("read", "/v5/account/fee-rate", 5),
        ("read", "/v5/account/instruments-info", 10),
        ("read", "/v5/user/query-api", 10),
    ],
)
def test_documented_limits(core, answer_of, method, path, limit):
    answers = [getattr(core, method)(path) for _ in range(limit + 1)]
    assert limits(answers[0])[0] == limit
    assert [answer_of[0](answer)["retCode"] == 10006 for answer in answers] == [False] * limit + [True]
    assert core.world.record.violations == [f"over a limit: {limit} per 1 s of {path}"]


def test_a_window_rolls(core, answer_of):
    for _ in range(10):
        core.create(qty="0")
    core.now += 600
    for _ in range(10):
        core.create(qty="0")
    refused = core.create(qty="0")
    assert (refused.status, answer_of[0](refused)["retCode"]) == (200, 10006)
    assert limits(refused) == (20, 0, core.now + 400)
    core.now += 399
    assert answer_of[0](core.create(qty="0"))["retCode"] == 10006
    core.now += 1
    assert answer_of[0](core.create(qty="0"))["retCode"] == 170130
    assert core.world.record.violations == [
        "over a limit: 20 per 1 s of /v5/order/create",
        "a request before the limit of /v5/order/create was reset",
    ]


def test_what_was_on_its_way_is_held_against_nobody(core):
    for _ in range(25):
        core.create(qty="0")
    assert len(core.world.record.violations) == 1


def test_a_refused_order_is_not_placed(make_core, answer_of):
    core = make_core(limits={"orders": (1, 10)})
    answers = [core.create(orderLinkId=name) for name in ("a", "b")]
    assert [answer_of[0](answer)["retCode"] for answer in answers] == [0, 10006]
    core.advance(100)
    assert [order.placed_id for order in core.world.engine.orders.values()] == ["a"]
    core.now += 10_000
    assert answer_of[1](core.create(orderLinkId="b"))


def test_a_batch_counts_its_orders_and_loses_its_tail(core, answer_of):
    row = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "59000"}
    answers = [answer_of[0](core.post("/v5/order/create-batch", request=[row] * 9)) for _ in range(3)]
    codes = [[item["code"] for item in answer["retExtInfo"]["list"]] for answer in answers]
    assert codes == [[0] * 9, [0] * 9, [0, 0] + [10006] * 7]
    assert answer_of[0](core.post("/v5/order/create-batch", request=[row]))["retCode"] == 10006
    assert answer_of[0](core.create())["retCode"] == 0


def test_an_address_that_asks_too_much_is_shut_out(core):
    answers = [core.get("/v5/market/time") for _ in range(601)]
    assert [answer.status for answer in answers] == [200] * 600 + [403]
    assert "too frequent" in answers[-1].body
    assert answers[-1].headers == {}
    core.now += 599_999
    assert core.get("/v5/market/time").status == 403
    core.now += 1
    assert core.get("/v5/market/time").status == 200
    assert core.world.record.violations == ["over a limit: 600 per 5 s", "a request during a ban"]


def test_an_address_that_keeps_to_it_is_let_in(make_core):
    core = make_core(limits={"ip": (10, 2)})
    for _ in range(50):
        assert core.get("/v5/market/time").status == 200
        core.now += 200
    assert core.world.record.violations == []


def test_an_unknown_limit_is_refused(make_core):
    with pytest.raises(ValueError, match="one of ip, orders"):
        make_core(limits={"request_weight": (1, 1)})
