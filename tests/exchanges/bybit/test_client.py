"""A client on a mock Bybit, over real sockets: a round through everything that spot offers."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from exconnect import (
    AmendOrder,
    AmendRefused,
    Banned,
    CancelOrder,
    Client,
    ConfigurationError,
    Credentials,
    InsufficientFunds,
    InvalidOrder,
    NotSupported,
    Order,
    OrderNotFound,
    OrderRejected,
    OrderStatus,
    OutcomeUnknown,
    PlaceOrder,
    Side,
    UnknownSymbol,
    WouldCross,
    WouldExceedLimit,
)
from exconnect.mock import MockExchange
from exconnect.trading import outcomes, reconcile

pytestmark = pytest.mark.network

D = Decimal
BTC = "BTC/USDT"


@pytest.fixture
def mock():
    with MockExchange("bybit", seed=7, activity=0) as exchange:
        yield exchange
        assert exchange.ledger.violations == []


@pytest.fixture
def client(mock):
    with Client("bybit", environment=mock) as made:
        yield made


def test_market_data(client, mock):
    assert client.fetch_time().tzinfo is not None
    btc = client.fetch_instruments()[BTC]
    assert (btc.tick_size, btc.lot_size, btc.min_notional) == (D("0.01"), D("0.00001"), 5)
    ticker = client.fetch_ticker(BTC)
    assert (ticker.bid, ticker.ask) == (D(59994), D(60006))
    assert set(client.fetch_tickers()) == {BTC, "ETH/USDT"}
    truth = mock.ledger.book(BTC)
    book = client.fetch_book(BTC, depth=5)
    assert [tuple(level) for level in book.bids] == truth.bids[:5]
    assert book.sequence == truth.sequence
    for _ in range(3):
        mock.execute(BTC, "buy", "0.1")
    trades = client.fetch_trades(BTC)
    assert [trade.id for trade in trades] == [str(trade.id) for trade in mock.ledger.trades(BTC)]
    assert trades[-1].side is Side.BUY


def test_candles(client):
    page = client.fetch_candles(BTC, "1h", start="2026-01-01", end="2026-01-02")
    assert len(page) == 24
    everything = list(client.iter_candles(BTC, "1h", start="2026-01-01", end="2026-04-01"))
    assert len(everything) == 90 * 24
    pages = client.iter_candles(BTC, "1h", start="2026-01-01", end="2026-04-01", limit=1500)
    first = [next(pages) for _ in range(1100)]
    assert [*first, *client.iter_candles(BTC, cursor=pages.cursor)] == everything[:1500]
    days = list(client.iter_candles(BTC, "1d"))
    assert days[0].open_time.year == 2024
    assert not days[-1].is_closed


def test_what_is_not_offered(client):
    with pytest.raises(NotSupported):
        client.iter_trades(BTC)
    with pytest.raises(NotSupported):
        client.fetch_candles(BTC, "1s")
    with pytest.raises(NotSupported):
        client.place_order(BTC, "buy", "0.01", price="50000", validate_only=True)
    with pytest.raises(UnknownSymbol) as caught:
        client.fetch_ticker("BTC-USDT")
    assert BTC in caught.value.suggestions


def test_an_accepted_order_is_a_whole_order(client, mock):
    order = client.place_order(BTC, "buy", "0.01", price="50000")
    assert order.status is OrderStatus.ACCEPTED
    assert (order.side, order.type.value, order.quantity, order.price) == (Side.BUY, "limit", D("0.01"), D(50000))
    assert order.order_id is not None
    assert client.orders.wait(order, until="accepted").status is OrderStatus.NEW
    assert [each.client_order_id for each in client.fetch_open_orders()] == [order.client_order_id]
    amended = client.amend_order(order, price="51000", quantity="0.02")
    assert (amended.price, amended.quantity, amended.client_order_id) == (D(51000), D("0.02"), order.client_order_id)
    assert client.cancel_order(order).status is OrderStatus.CANCELED
    assert client.cancel_order(order).status is OrderStatus.CANCELED  # too late is no error
    assert client.fetch_order(order).status is OrderStatus.CANCELED
    assert mock.ledger.order(order.client_order_id).status == "canceled"
    with pytest.raises(OrderNotFound):
        client.cancel_order("nobody-knows-me", symbol=BTC)


def test_quantities_count_base_asset_unless_quote_is_asked_for(client):
    bought = client.orders.wait(client.place_order(BTC, "buy", "0.01", type="market"))
    assert (bought.status, bought.filled_quantity) == (OrderStatus.FILLED, D("0.01"))
    spent = client.orders.wait(client.place_order(BTC, "buy", type="market", quote_quantity="100"))
    assert (spent.status, spent.quote_quantity, spent.quantity) == (OrderStatus.FILLED, D(100), None)
    assert D(99) < spent.filled_quote <= D(100)
    fills = client.fetch_fills(BTC, order=bought)
    assert sum(fill.quantity for fill in fills) == D("0.01")
    assert {fill.client_order_id for fill in fills} == {bought.client_order_id}
    assert client.orders.get(bought).fills_complete
    assert client.fetch_balances()["BTC"].total > 100
    assert client.fetch_fees(BTC).taker == D("0.001")


def test_refusals_have_the_same_classes_as_elsewhere(client):
    with pytest.raises(InsufficientFunds):
        client.place_order(BTC, "buy", "1000", price="60000")
    crossing = client.place_order(BTC, "buy", "0.01", price="60500", post_only=True)
    refused = client.orders.wait(crossing)
    assert refused.status is OrderStatus.REJECTED
    with pytest.raises(WouldCross):
        refused.raise_for_status()
    with pytest.raises(OrderRejected):
        client.place_order(BTC, "buy", "0.01", price="90000")  # beyond the band
    ioc = client.place_order(BTC, "buy", "0.01", price="50000", time_in_force="ioc")
    assert client.orders.wait(ioc).status is OrderStatus.EXPIRED


def test_take_profit_and_stop_loss_of_an_order_become_orders(client, mock):
    with client.stream() as stream:
        changes = Listener()
        stream.on_order(changes)
        stream.start()
        assert stream.wait_live(30)
        extra = {"takeProfit": "60100", "stopLoss": "58000", "slOrderType": "Limit", "slLimitPrice": "57900"}
        parent = client.place_order(BTC, "buy", "0.01", price="60006", extra=extra)
        changes.wait(lambda order: order.client_order_id == parent.client_order_id and order.is_done)
        changes.wait(lambda order: order.type.value == "take_profit")
        changes.wait(lambda order: order.type.value == "stop_loss_limit")
        children = {order.type.value: order for order in client.fetch_open_orders(BTC)}
        assert {name: (child.side, child.stop_price, child.price) for name, child in children.items()} == {
            "take_profit": (Side.SELL, D(60100), None),
            "stop_loss_limit": (Side.SELL, D(58000), D(57900)),
        }
        assert {child.status for child in children.values()} == {OrderStatus.UNTRIGGERED}
        mock.execute(BTC, "buy", "30")  # far enough to take the profit, which ends the other
        changes.wait(lambda order: order.order_id == children["take_profit"].order_id and order.is_done)
        changes.wait(lambda order: order.order_id == children["stop_loss_limit"].order_id and order.is_done)


def test_an_order_that_is_refused_after_it_was_accepted_is_heard_of(client):
    with client.stream() as stream:
        changes = Listener()
        stream.on_order(changes)
        stream.start()
        assert stream.wait_live(30)
        order = client.place_order(BTC, "buy", "0.01", price="60500", post_only=True)
        changes.wait(lambda change: change.status is OrderStatus.REJECTED)
        (told,) = [change for change in changes.items if change.client_order_id == order.client_order_id]
        assert isinstance(told.rejection, WouldCross)
        assert (told.rejection.symbol, told.rejection.client_order_id) == (BTC, order.client_order_id)
        assert isinstance(client.orders.get(order).rejection, WouldCross)


def test_with_a_live_stream_nobody_asks_what_became_of_what_was_acknowledged(client, mock, monkeypatch):
    with client.stream() as stream:
        stream.on_order(lambda order: None)
        stream.start()
        assert stream.wait_live(30)
        order = client.orders.wait(client.place_order(BTC, "buy", "0.01", price="50000"), until="accepted")
        monkeypatch.setattr(outcomes, "_HEARD_S", 10.0)  # however busy this machine is
        monkeypatch.setattr(reconcile, "_SAMPLED", 0.0)  # nor how long reads lag, of one order in a hundred
        before = len(mock.ledger.requests)
        assert client.amend_order(order, quantity="0.02").quantity == D("0.02")
        assert client.cancel_order(order).status is OrderStatus.CANCELED
        assert [request.operation for request in mock.ledger.requests[before:]] == ["amend_order", "cancel_order"]
        several = placed(client, 3)
        before = len(mock.ledger.requests)
        assert {each.status for each in client.cancel_orders(several)} == {OrderStatus.CANCELED}
        assert [request.operation for request in mock.ledger.requests[before:]] == ["cancel_orders"]
        # one that tells nothing costs a moment, and then it is asked for
        monkeypatch.setattr(outcomes, "_HEARD_S", 0.1)
        mock.faults.add("silence", on="private", seconds=2.0)
        assert client.cancel_order(placed(client, 1)[0]).status is OrderStatus.CANCELED


def test_how_far_a_market_order_may_slip(client):
    for extra in (
        {"slippageToleranceType": "Percent", "slippageTolerance": "0.5"},
        {"slippageToleranceType": "TickSize", "slippageTolerance": "100"},
    ):
        order = client.orders.wait(client.place_order(BTC, "buy", "0.01", type="market", extra=extra))
        assert order.status is OrderStatus.FILLED
    with pytest.raises(OrderRejected):
        client.place_order(BTC, "buy", "0.01", type="market", extra=extra | {"slippageTolerance": "20000"})


def test_an_rsa_key_signs_calls_and_logs_sockets_in(mock):
    with (
        Client("bybit", environment=mock.url, credentials=mock.credentials("rsa"), account="rsa") as client,
        client.stream() as stream,
    ):
        changes = Listener()
        stream.on_order(changes)
        stream.start()
        assert stream.wait_live(30)
        order = client.place_order(BTC, "buy", "0.01", price="50000")
        changes.wait(lambda change: change.client_order_id == order.client_order_id)
        assert client.cancel_order(order).status is OrderStatus.CANCELED


def test_a_banned_address_waits_as_long_as_the_ban_lasts(client, mock):
    ban = mock.faults.add("status", on="fetch_ticker", status=403)
    with pytest.raises(Banned) as caught:
        client.fetch_ticker(BTC)
    assert caught.value.retry_after == 600
    with pytest.raises(WouldExceedLimit) as kept:
        client.place_order(BTC, "buy", "0.01", price="50000")
    assert 590 < kept.value.retry_after < 605
    assert ban.fired == 1
    assert [request.status for request in mock.ledger.requests if request.operation == "fetch_ticker"] == [403]


def test_no_order_is_left_behind(client):
    plain = client.place_order(BTC, "buy", "0.01", price="50000")
    stop = client.place_order(BTC, "sell", "0.01", price="49000", stop_price="50000", type="stop_loss_limit")
    held = client.place_order(
        "ETH/USDT", "sell", "1", stop_price="2000", type="stop_loss", extra={"orderFilter": "tpslOrder"}
    )
    other = client.place_order("ETH/USDT", "sell", "1", stop_price="9000", type="take_profit")
    assert client.orders.wait(other, until="accepted").status is OrderStatus.UNTRIGGERED
    assert client.cancel_order(other).status is OrderStatus.CANCELED
    canceled = client.cancel_all_orders()
    assert {order.client_order_id for order in canceled} == {each.client_order_id for each in (plain, stop, held)}
    assert client.fetch_open_orders() == []
    assert client.cancel_all_orders(BTC) == []


def test_histories(client):
    orders = [client.place_order(BTC, "buy", "0.01", price=str(50000 + number)) for number in range(4)]
    for order in orders[:2]:
        client.cancel_order(order)
    market = client.orders.wait(client.place_order(BTC, "buy", "0.05", type="market"))
    names = [order.client_order_id for order in (*orders, market)]
    assert [order.client_order_id for order in client.fetch_orders(BTC)] == names
    assert [order.client_order_id for order in client.fetch_orders(BTC, limit=2)] == names[-2:]
    pages = client.iter_orders(BTC, start=orders[0].created_at)
    first = [next(pages).client_order_id for _ in range(2)]
    assert [*first, *(order.client_order_id for order in client.iter_orders(BTC, cursor=pages.cursor))] == names
    fills = client.fetch_fills(BTC)
    assert list(client.iter_fills(BTC, start=market.created_at)) == fills
    assert sum(fill.quantity for fill in fills) == D("0.05")


def test_an_order_whose_answer_is_lost_is_found(client, mock):
    fault = mock.faults.add("reset", on="place_order", at="after_accept")
    order = client.place_order(BTC, "buy", "0.01", price="50000")
    assert fault.fired == 1
    assert order.status is OrderStatus.NEW
    assert len(mock.ledger.orders(BTC)) == 1


def test_budgets_are_learnt_and_kept(mock):
    with Client("bybit", environment=mock) as client:
        for number in range(25):
            client.place_order(BTC, "buy", "0.001", price=str(50000 + number))
        assert client.health().limits["order/create_1s"].limit == 20
        assert client.metrics()["rate_limited"] == 0


def several(count, **changes):
    return [PlaceOrder(BTC, "buy", "0.001", price=str(50000 + number), **changes) for number in range(count)]


def test_several_orders_go_in_batches(client, mock):
    orders = several(12)
    orders[3] = PlaceOrder(BTC, "buy", "0.0010001", price="50000")  # refused here
    orders[5] = PlaceOrder(BTC, "buy", "1000", price="60000")  # refused there
    orders[7] = PlaceOrder(BTC, "buy", "0.001", price="50000", iceberg_quantity="0.001")
    results = client.place_orders(orders)
    kinds = {3: InvalidOrder, 5: InsufficientFunds, 7: NotSupported}
    for number, (order, result) in enumerate(zip(orders, results, strict=True)):
        if number in kinds:
            assert type(result) is kinds[number]
        else:
            assert (result.status, result.price) == (OrderStatus.ACCEPTED, order.price)
    assert results[5].client_order_id is not None
    assert client.orders.get(results[5].client_order_id).status is OrderStatus.REJECTED
    sent = [request.operation for request in mock.ledger.requests if request.operation.startswith("place")]
    assert sent == ["place_orders"]
    assert {result.status for result in client.cancel_orders([r for r in results if isinstance(r, Order)])} == {
        OrderStatus.CANCELED
    }
    assert len(mock.ledger.orders(BTC)) == 9  # counted last: an order enters the book after its acknowledgement


def placed(client, count):
    results = client.place_orders(several(count))
    assert all(client.orders.wait(each, until="accepted").status is OrderStatus.NEW for each in results)
    return results


def sent(mock, *operations):
    return [request.operation for request in mock.ledger.requests if request.operation in operations]


def test_several_amends_go_in_batches(client, mock):
    stop = client.place_order(BTC, "sell", "0.01", price="49000", stop_price="50000", type="stop_loss_limit")
    orders = [*placed(client, 12), client.orders.wait(stop, until="accepted")]
    amends = [AmendOrder(order, quantity="0.002") for order in orders]
    amends[3] = AmendOrder(orders[3], quantity="0.0020001")  # refused here
    client.cancel_order(orders[7])
    mock.execute(BTC, "sell", "101", price="50011")  # the best of ours is filled, and nobody tells us
    results = client.amend_orders(amends)
    refusals = {3: InvalidOrder, 7: AmendRefused, 11: OrderNotFound}
    for number, result in enumerate(results):
        if number in refusals:
            assert type(result) is refusals[number]
        else:
            assert (result.client_order_id, result.quantity) == (orders[number].client_order_id, D("0.002"))
    assert sorted(sent(mock, "amend_orders", "amend_order")) == ["amend_order", "amend_orders"]  # the conditional one


def test_several_cancels_go_in_batches(client, mock):
    stop = client.place_order(BTC, "sell", "0.01", price="49000", stop_price="50000", type="stop_loss_limit")
    orders = [*placed(client, 13), client.orders.wait(stop, until="accepted")]
    mock.execute(BTC, "sell", "101", price="50012")  # the best of ours is filled
    results = client.cancel_orders([*orders, CancelOrder("nobody-knows-me", symbol=BTC)])
    assert [type(result).__name__ for result in results] == ["Order"] * 14 + ["OrderNotFound"]
    states = {result.client_order_id: result.status for result in results[:-1]}
    assert states.pop(orders[12].client_order_id) is OrderStatus.FILLED
    assert set(states.values()) == {OrderStatus.CANCELED}
    assert sent(mock, "cancel_orders") == ["cancel_orders"] * 2
    assert sent(mock, "cancel_order") == ["cancel_order"]


@pytest.mark.parametrize("at", ["before_accept", "after_accept"])
def test_a_batch_of_cancels_without_an_answer(client, mock, at):
    orders = placed(client, 3)
    mock.faults.add("reset", on="cancel_orders", at=at)
    assert {result.status for result in client.cancel_orders(orders)} == {OrderStatus.CANCELED}
    assert client.fetch_open_orders() == []


def test_a_batch_of_amends_without_an_answer(client, mock):
    orders = placed(client, 3)
    mock.faults.add("reset", on="amend_orders", at="after_accept")
    amended = client.amend_orders([AmendOrder(order, quantity="0.003") for order in orders])
    assert {result.quantity for result in amended} == {D("0.003")}
    mock.faults.add("reset", on="amend_orders", at="before_accept")
    amended = client.amend_orders([AmendOrder(order, quantity="0.004") for order in orders], timeout=2)
    assert {type(result) for result in amended} == {OutcomeUnknown}
    assert len({result.client_order_id for result in amended}) == 3
    assert {order.quantity for order in client.fetch_open_orders()} == {D("0.003")}


def test_what_is_beyond_the_budget_of_a_batch_is_canceled_alone(client, mock):
    orders = placed(client, 3)
    for operation, code in (("cancel_orders", 10006), ("amend_orders", 10006)):
        mock.faults.add("status", on=operation, at="before_accept", status=200, code=code)
    assert {order.quantity for order in client.amend_orders([AmendOrder(o, quantity="0.002") for o in orders])} == {
        D("0.002")
    }
    assert {order.status for order in client.cancel_orders(orders)} == {OrderStatus.CANCELED}


def test_no_amends_of_several_while_halted(client, mock):
    orders = placed(client, 2)
    client.halt("enough")
    results = client.amend_orders([AmendOrder(order, quantity="0.002") for order in orders])
    assert [type(result).__name__ for result in results] == ["TradingHalted"] * 2
    assert sent(mock, "amend_orders", "amend_order") == []
    assert {order.status for order in client.cancel_orders(orders)} == {OrderStatus.CANCELED}


def test_a_batch_whose_answer_is_lost_is_found_order_by_order(client, mock):
    mock.faults.add("reset", on="place_orders", at="after_accept")
    results = client.place_orders(several(3))
    assert [result.status for result in results] == [OrderStatus.NEW] * 3
    assert len(mock.ledger.orders(BTC)) == 3


def test_a_batch_that_is_refused_as_a_whole(client, mock):
    mock.faults.add("status", on="place_orders", at="before_accept", status=400, code=10001)
    results = client.place_orders(several(2))
    assert [result.code for result in results] == [10001, 10001]
    assert len({result.client_order_id for result in results}) == 2
    assert [client.orders.get(result.client_order_id).status for result in results] == [OrderStatus.REJECTED] * 2


def test_a_batch_that_never_left(client):
    client.halt("enough")
    results = client.place_orders(several(2))
    assert [type(result).__name__ for result in results] == ["TradingHalted"] * 2


class Listener:
    """Keeps what it hears; `wait` until there is enough."""

    def __init__(self):
        self.items = []
        self.changed = threading.Condition()

    def __call__(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def wait(self, ready, timeout=10.0):
        with self.changed:
            assert self.changed.wait_for(lambda: any(map(ready, self.items)), timeout), self.items[-3:]


def test_a_stream_of_everything(client, mock):
    books, trades, tickers, candles = Listener(), Listener(), Listener(), Listener()
    with client.stream(BTC, "ETH/USDT") as stream:
        stream.on_book(books, depth=200)
        stream.on_trade(trades)
        stream.on_ticker(tickers)
        stream.on_candle(candles)
        stream.start()
        assert stream.wait_live(30)
        mock.execute(BTC, "buy", "0.5")
        trades.wait(lambda trade: trade.quantity == D("0.5"))
        tickers.wait(lambda ticker: ticker.symbol == BTC and ticker.last == D(60006))
        candles.wait(lambda candle: candle.symbol == BTC and candle.volume >= D("0.5"))
        truth = mock.ledger.book(BTC)
        books.wait(lambda book: book.symbol == BTC and book.sequence == truth.sequence)
        book = stream.book(BTC)
        assert [tuple(level) for level in book.asks] == truth.asks
        assert book.is_valid


def test_a_gap_heals_by_subscribing_anew(client, mock):
    notices, books = Listener(), Listener()
    with client.stream(BTC) as stream:
        stream.on_notice(notices)
        stream.on_book(books)
        stream.start()
        assert stream.wait_live(30)
        gap = mock.faults.add("gap", on="book")
        mock.execute(BTC, "buy", "0.5")
        assert gap.wait(30)
        mock.execute(BTC, "buy", "0.1")
        notices.wait(lambda notice: notice.reason == "updates are missing")
        truth = mock.ledger.book(BTC)
        books.wait(lambda book: book.sequence == truth.sequence)
        assert [tuple(level) for level in stream.book(BTC).asks] == truth.asks[:50]
        assert stream.metrics()["resyncs"] == 1


def test_another_depth_while_it_runs(client, mock):
    books = Listener()
    with client.stream(BTC) as stream:
        stream.on_book(books, depth=1)
        stream.start()
        assert stream.wait_live(30)
        assert len(stream.book(BTC).bids) == 1
        stream.on_book(lambda _: None, BTC, depth=60)
        assert stream.wait_live(30)
        assert len(stream.book(BTC).bids) == 60


def test_a_lost_connection_comes_back(client, mock):
    status = Listener()
    with client.stream(BTC) as stream:
        stream.on_status(status)
        stream.on_book(lambda _: None)
        stream.start()
        assert stream.wait_live(30)
        mock.faults.add("disconnect", on="public").wait(5)
        status.wait(lambda change: change.status == "down")
        assert stream.wait_live(30)
        assert stream.metrics()["reconnects"] == 1


def test_a_kind_of_key_that_bybit_does_not_take_is_named_before_anything_is_asked(mock):
    credentials = Credentials("K" * 10, signer=lambda payload: payload, kind="ed25519")
    with (
        Client("bybit", environment=mock.url, credentials=credentials, journal=None) as client,
        pytest.raises(ConfigurationError, match=r"^bybit takes no ed25519 keys, only hmac and rsa$"),
    ):
        client.fetch_balances()
    assert mock.ledger.requests == []
