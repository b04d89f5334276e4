"""Who is told to stop, stops: all that counts against the same limit, cancels too, and nothing else."""

from __future__ import annotations

import pytest
from seen import Seen

from exconnect import Banned, Client, OutcomeUnknown, RateLimited, StreamStatus, WouldExceedLimit
from exconnect.exchanges.binance.stream import UserSession
from exconnect.feeds.private import PrivateFeed
from exconnect.mock import MockExchange
from exconnect.protocol.session import Closing

pytestmark = pytest.mark.network

BTC = "BTC/USDT"
# What says that placing alone is too much.
ORDERS_ALONE = {"binance": {"status": 429, "code": -1015}, "bybit": {"status": 200, "code": 10006}}


def rest(client):
    return client.orders.wait(client.place_order(BTC, "buy", "0.01", price="59000"), until="accepted")


def refuse(client, mock, seconds=60, **fault):
    """Have the exchange say stop to a place, for that long."""
    mock.faults.add("status", on="place_order", at="before_accept", retry_after=seconds, **fault)
    with pytest.raises(RateLimited) as caught:
        client.place_order(BTC, "buy", "0.01", price="59000", timeout=10)
    assert caught.value.retry_after == seconds
    return caught.value


@pytest.mark.parametrize("status", [429, 403])
def test_nothing_leaves_before_the_time_is_over_not_even_a_cancel(client, mock, status):
    order = rest(client)
    error = refuse(client, mock, status=status)
    assert isinstance(error, Banned) == (status == 403)
    sent = len(mock.ledger.requests)
    for call in (
        lambda: client.cancel_order(order, timeout=5),
        lambda: client.cancel_all_orders(BTC, timeout=5),
        lambda: client.place_order(BTC, "buy", "0.01", price="59000", timeout=5),
        lambda: client.fetch_open_orders(timeout=5),
        lambda: client.fetch_ticker(BTC, timeout=5),
    ):
        with pytest.raises(
            WouldExceedLimit, match=r"the exchange said stop \(place_order: .*\), which is over in"
        ) as refused:
            call()
        assert 50 < refused.value.retry_after < 62
    assert len(mock.ledger.requests) == sent


def test_a_cancel_does_not_wait_for_what_places_alone_have_used_up(client, mock):
    order = rest(client)
    refuse(client, mock, **ORDERS_ALONE[mock.exchange])
    assert client.orders.wait(client.cancel_order(order, timeout=5)).is_done
    client.fetch_balances(timeout=5)
    with pytest.raises(WouldExceedLimit):
        client.place_order(BTC, "buy", "0.01", price="59000", timeout=5)


@pytest.mark.parametrize("status", [429, 403])
def test_health_says_what_is_held_back_and_for_how_long(client, mock, status):
    rest(client)
    assert client.health().ok
    assert "limits" not in client.health().parts
    refuse(client, mock, status=status)
    health = client.health()
    assert (health.ok, health.can_read, health.can_place, health.can_cancel) == (False, False, False, False)
    part = health.parts["limits"]
    assert part.state == "open"
    assert part.cause.startswith("place_order: ")
    assert "; everything is held back for 6" in part.cause or "; everything is held back for 5" in part.cause
    assert client.health().parts["limits"].since == part.since


def test_health_says_that_places_alone_are_held_back(client, mock):
    rest(client)
    refuse(client, mock, **ORDERS_ALONE[mock.exchange])
    health = client.health()
    assert (health.ok, health.can_read, health.can_place, health.can_cancel) == (False, True, False, True)
    assert "what counts as order" in health.parts["limits"].cause


def test_health_is_well_again_when_the_time_is_over(client, mock):
    client.fetch_ticker(BTC)
    mock.faults.add("status", on="fetch_ticker", status=429, retry_after=1)
    with pytest.raises(RateLimited):
        client.fetch_ticker(BTC, timeout=0.5)
    began = client.health().parts["limits"].since
    client.fetch_ticker(BTC)  # which waits
    health = client.health()
    assert (health.ok, health.can_cancel) == (True, True)
    assert (health.parts["limits"].state, health.parts["limits"].cause) == ("closed", None)
    assert health.parts["limits"].since > began


def test_a_client_without_a_key_is_held_back_as_well(mock, monkeypatch):
    with Client(mock.exchange, environment=mock.url) as client:
        client.fetch_ticker(BTC)
        assert client.health().ok
        mock.faults.add("status", on="fetch_ticker", status=429, retry_after=60)
        with pytest.raises(RateLimited):
            client.fetch_ticker(BTC)
        assert (client.health().ok, client.health().can_read) == (False, False)


@pytest.mark.parametrize("seconds", [4 * 86_400, 31_536_000])
def test_a_time_that_no_exchange_means_keeps_nobody_away_for_ever(client, mock, seconds):
    client.fetch_ticker(BTC)
    mock.faults.add("status", on="fetch_ticker", status=429, retry_after=seconds)
    with pytest.raises(RateLimited) as caught:
        client.fetch_ticker(BTC, timeout=1)
    assert caught.value.retry_after <= 60


def test_a_cancel_of_all_goes_by_what_is_known_where_looking_is_too_much():
    with MockExchange("bybit", seed=7, activity=0) as mock, Client("bybit", environment=mock) as client:
        order = rest(client)
        mock.faults.add("status", on="fetch_open_orders", times=None, status=200, code=10006, retry_after=60)
        with pytest.raises(OutcomeUnknown):  # it could not look
            client.cancel_all_orders(timeout=3)
        assert mock.ledger.order(order.client_order_id).status == "canceled"
        assert mock.ledger.violations == []


def test_a_cancel_of_all_goes_by_what_is_known_where_reads_have_used_up_their_part():
    with (
        MockExchange("binance", seed=7, activity=0, limits={"request_weight": (100, 86_400)}) as mock,
        Client("binance", environment=mock) as client,
    ):
        order = rest(client)
        with pytest.raises(WouldExceedLimit):
            client.fetch_open_orders(timeout=1)
        with pytest.raises(OutcomeUnknown):
            client.cancel_all_orders(timeout=3)
        assert mock.ledger.order(order.client_order_id).status == "canceled"
        assert mock.ledger.violations == []


@pytest.mark.parametrize("name, waits", [("binance", True), ("bybit", False)])
def test_the_accounts_own_connection_waits_where_it_counts_as_calls_do(monkeypatch, name, waits):
    paused, pause = Seen(), PrivateFeed.pause

    def watched(feed, seconds):
        paused(seconds)
        pause(feed, seconds)

    monkeypatch.setattr(PrivateFeed, "pause", watched)
    with MockExchange(name, seed=7, activity=0) as mock, Client(name, environment=mock) as client:
        mock.faults.add("status", on="fetch_ticker", status=429, retry_after=60)
        with pytest.raises(RateLimited):
            client.fetch_ticker(BTC)
        with client.stream() as stream:
            stream.on_order(print)
            stream.start()
            assert (paused.count(1)[0] > 50) == waits
        assert mock.ledger.violations == []


def test_who_is_told_to_stop_on_the_accounts_own_connection_makes_no_calls(monkeypatch):
    monkeypatch.setattr(UserSession, "_answer", lambda *_: (Closing("slow down", 60.0),))
    with MockExchange("binance", seed=7, activity=0) as mock, Client("binance", environment=mock) as client:
        statuses = Seen()
        with client.stream() as stream:
            stream.on_order(print)
            stream.on_status(statuses)
            stream.start()
            statuses.first(lambda change: change.status is StreamStatus.DOWN)
        health = client.health()
        assert (health.ok, health.can_cancel) == (False, False)
        assert health.parts["limits"].cause.startswith("the account's stream: slow down; everything is held back")
        with pytest.raises(WouldExceedLimit):
            client.fetch_ticker(BTC, timeout=5)
