"""Public data over REST is the same everywhere: types, units, order, limits, refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exconnect import (
    Capability,
    Fees,
    InstrumentStatus,
    InvalidArgument,
    InvalidType,
    MarketType,
    NotSupported,
    RateLimited,
    Side,
    Source,
    UnknownSymbol,
    WouldExceedLimit,
)
from exconnect.model.market import INTERVALS

pytestmark = pytest.mark.network

D = Decimal
BTC, ETH = "BTC/USDT", "ETH/USDT"


def test_the_check_of_types_sees_what_it_should(check):
    right = Fees(exchange="toy", symbol=BTC, maker=D(0), taker=D("0.001"), raw={})
    check(right, "toy")
    for wrong in ({"maker": 0.0}, {"taker": None}, {"symbol": 1}, {"raw": None}, {"exchange": "another"}):
        with pytest.raises(AssertionError):
            check(replace(right, **wrong), "toy")


def test_the_exchanges_clock(client, mock):
    mock.clock_offset = 30
    assert 25 < (client.fetch_time() - datetime.now(UTC)).total_seconds() < 35


def test_instruments(client, mock, check):
    assert client.instruments == {}
    instruments = client.fetch_instruments()
    assert set(instruments) == {BTC, ETH}
    for symbol, instrument in instruments.items():
        check(instrument, mock.exchange)
        assert (instrument.symbol, instrument.market, instrument.status) == (
            symbol,
            MarketType.SPOT,
            InstrumentStatus.TRADING,
        )
        assert f"{instrument.base}/{instrument.quote}" == symbol
    btc = instruments[BTC]
    assert (btc.tick_size, btc.lot_size, btc.min_quantity) == (D("0.01"), D("0.00001"), D("0.00001"))
    assert btc.min_notional == 5
    assert client.fetch_instrument(BTC) == btc
    assert client.instruments[BTC] == btc


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC-USDT", "BTC/USD", "btc/usdt", "NOPE/USDT", "BTC/USDT:USDT", ""])
def test_unknown_symbols_come_with_suggestions(client, symbol):
    for call in (client.fetch_ticker, client.fetch_book, client.fetch_trades, client.fetch_candles, client.fetch_fees):
        with pytest.raises(UnknownSymbol) as caught:
            call(symbol)
        assert isinstance(caught.value.suggestions, tuple)
        assert BTC in caught.value.suggestions or not symbol.startswith("BTC")
    assert caught.value.outcome == "not_sent"


def test_tickers(client, mock, check):
    ticker = client.fetch_ticker(BTC)
    check(ticker, mock.exchange)
    assert (ticker.symbol, ticker.bid, ticker.ask, ticker.last) == (BTC, D(59994), D(60006), D(60000))
    assert (ticker.bid_quantity, ticker.ask_quantity, ticker.mid, ticker.spread) == (1, 1, 60000, 12)
    assert set(client.fetch_tickers()) == {BTC, ETH}
    assert set(client.fetch_tickers(ETH)) == {ETH}


@pytest.mark.parametrize("depth", [1, 7, 100])
def test_a_book_equals_the_ledgers(client, mock, check, depth):
    book = client.fetch_book(BTC, depth=depth)
    check(book, mock.exchange)
    truth = mock.ledger.book(BTC)
    assert [tuple(level) for level in book.bids] == truth.bids[:depth]
    assert [tuple(level) for level in book.asks] == truth.asks[:depth]
    assert (book.sequence, book.is_valid, book.source) == (truth.sequence, True, Source.REST)
    assert book.best_bid.price < book.best_ask.price
    with pytest.raises(InvalidArgument):
        client.fetch_book(BTC, depth=0)


def test_trades(client, mock, check):
    for side in ("buy", "sell", "buy", "buy"):
        mock.execute(BTC, side, "0.1")
    trades = client.fetch_trades(BTC)
    truth = mock.ledger.trades(BTC)
    for trade in trades:
        check(trade, mock.exchange)
    assert [(t.id, t.price, t.quantity, t.side.value) for t in trades] == [
        (str(t.id), t.price, t.quantity, t.side) for t in truth
    ]
    assert [trade.side for trade in trades] == [Side.BUY, Side.SELL, Side.BUY, Side.BUY]
    assert client.fetch_trades(BTC, limit=2) == trades[-2:]
    with pytest.raises(InvalidArgument, match="one page of"):
        client.fetch_trades(BTC, limit=1_000_000)


def test_a_history_of_trades_where_there_is_one(client, mock):
    for _ in range(4):
        mock.execute(BTC, "buy", "0.1")
    ids = [str(trade.id) for trade in mock.ledger.trades(BTC)]
    if Capability.TRADE_HISTORY in client.capabilities:
        assert [trade.id for trade in client.iter_trades(BTC)] == ids
        assert [trade.id for trade in client.fetch_trades(BTC, from_id=ids[1], limit=2)] == ids[1:3]
        return
    for call in (client.iter_trades, lambda symbol: client.fetch_trades(symbol, from_id=ids[1])):
        with pytest.raises(NotSupported) as caught:
            call(BTC)
        assert caught.value.capability == "trade_history"


def test_candles_by_page(client, mock, check):
    page = client.fetch_candles(BTC, "1h", start="2026-01-01", end="2026-01-02")
    for candle in page:
        check(candle, mock.exchange)
        assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        assert candle.is_closed
    first = datetime(2026, 1, 1, tzinfo=UTC)
    assert [candle.open_time for candle in page] == [first + timedelta(hours=hour) for hour in range(24)]
    assert page[-1].close_time == first + timedelta(days=1)
    newest = client.fetch_candles(BTC, "1m", limit=2)
    assert [candle.is_closed for candle in newest] == [True, False]
    for wrong in ("1x", "", 60):
        with pytest.raises(InvalidArgument):
            client.fetch_candles(BTC, wrong)


def test_an_interval_that_is_not_offered_is_refused_by_calls_and_streams_alike(client):
    stream = client.stream(BTC)

    def answers(ask):
        try:
            ask()
        except NotSupported as error:
            return error.message
        stream.off(print)
        return None

    refused = {}
    for interval in INTERVALS:
        of_call = answers(lambda interval=interval: client.fetch_candles(BTC, interval, limit=1))
        of_stream = answers(lambda interval=interval: stream.on_candle(print, interval=interval))
        assert of_call == of_stream
        if of_call is not None:
            assert f"no {interval} candles, only 1m" in of_call
            refused[interval] = of_call
    with pytest.raises(InvalidArgument) as caught:
        client.fetch_candles(BTC, "7m")
    offered = [interval for interval in INTERVALS if interval not in refused]
    assert caught.value.message == f"interval='7m': must be one of {' '.join(offered)}"


def test_months_are_not_all_as_long(client):
    page = client.fetch_candles(BTC, "1M", start="2024-01-01", limit=5)
    assert [candle.open_time for candle in page] == [datetime(2024, month, 1, tzinfo=UTC) for month in range(1, 6)]
    year = list(client.iter_candles(BTC, "1M", start="2024-01-01", end="2025-01-01"))
    assert [candle.open_time.month for candle in year] == list(range(1, 13))


def test_candles_by_iterator_resume_anywhere(client):
    months = {"start": "2026-01-01", "end": "2026-04-01"}
    everything = list(client.iter_candles(BTC, "1h", **months))
    assert len(everything) == 90 * 24
    assert [c.open_time for c in everything] == sorted({c.open_time for c in everything})
    pages = client.iter_candles(BTC, "1h", **months, limit=1500)
    first = [next(pages) for _ in range(1100)]
    assert [*first, *client.iter_candles(BTC, cursor=pages.cursor)] == everything[:1500]


def test_money_is_never_a_float(client, mock):
    for arguments in ({"quantity": 0.01, "price": "59000"}, {"quantity": "0.01", "price": 59000.1}):
        with pytest.raises(InvalidType) as caught:
            client.place_order(BTC, "buy", **arguments)
        assert caught.value.outcome == "not_sent"
    assert mock.ledger.requests == []


def test_too_many_requests_are_waited_for(client, mock):
    client.fetch_ticker(BTC)
    fault = mock.faults.add("status", on="fetch_ticker", status=429, retry_after=1)
    assert client.fetch_ticker(BTC).last == 60000
    assert fault.fired == 1
    assert client.metrics()["rate_limited"] == 1


def test_a_limit_that_lasts_longer_than_the_call_is_told(client, mock):
    client.fetch_ticker(BTC)
    mock.faults.add("status", on="fetch_ticker", status=429, retry_after=60)
    with pytest.raises(RateLimited) as caught:
        client.fetch_ticker(BTC, timeout=10)
    assert caught.value.retryable
    assert caught.value.retry_after == 60
    sent = len(mock.ledger.requests)
    with pytest.raises(WouldExceedLimit) as refused:
        client.fetch_ticker(BTC, timeout=10)
    assert 50 < refused.value.retry_after < 75
    assert refused.value.outcome == "not_sent"
    assert len(mock.ledger.requests) == sent


def test_nothing_is_from_before_1970_and_nothing_is_refused(client):
    first = client.fetch_candles(BTC, "1d", start="1969-01-01", limit=2)
    assert first[0].open_time == datetime(2024, 1, 1, tzinfo=UTC)
    assert next(client.iter_candles(BTC, "1d", start=-5)) == first[0]
    assert client.fetch_candles(BTC, "1d", end="1969-01-01") == []


def test_what_an_iterator_raises_names_it(client, mock):
    with pytest.raises(InvalidArgument) as caught:
        client.iter_candles(BTC, cursor="nonsense")
    assert (caught.value.operation, caught.value.exchange) == ("iter_candles", client.exchange)
    pages = client.iter_candles("NO/SUCH", start="2026-01-01")
    with pytest.raises(UnknownSymbol) as caught:
        next(pages)
    assert (caught.value.operation, caught.value.exchange) == ("iter_candles", client.exchange)
