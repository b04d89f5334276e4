"""Candles from 2024 to now: each interval is the sum of its minutes, the past ends at the start price."""

from itertools import pairwise

import pytest

from exconnect.mock.fixed import scaled
from exconnect.mock.history import BEGIN_MS, join
from exconnect.mock.intervals import INTERVALS, floor, following
from exconnect.mock.market import Market
from exconnect.mock.orders import NewOrder, Order, Trade
from exconnect.mock.tape import Tape

NOW = 1_795_000_012_345
MARKET = Market.of("BTC/USDT", "60000")


@pytest.fixture(scope="module")
def tape():
    return Tape(MARKET, 7, NOW)


def trade(number, price, quantity, time_ms, side="buy"):
    return Trade(number, MARKET, scaled(price), scaled(quantity), side, time_ms, number)


@pytest.mark.parametrize("interval", INTERVALS)
def test_candles_follow_each_other(tape, interval):
    rows = tape.candles(interval, None, None, 500, NOW)
    assert rows[-1][0] == floor(NOW, interval)
    for (_, end, bar), (begin, _, after) in pairwise(rows):
        assert (end, bar.close) == (begin, after.open)
    for _, _, bar in rows:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.low % MARKET.tick == bar.high % MARKET.tick == 0
    assert rows[-1][2].close == MARKET.start


@pytest.mark.parametrize("interval", ["3m", "15m", "1h", "4h", "1d"])
def test_an_interval_is_the_sum_of_its_minutes(tape, interval):
    for begin, end, bar in tape.candles(interval, None, None, 6, NOW)[:-1]:
        minutes = [part for _, _, part in tape.candles("1m", begin, end - 1, 2000, NOW)]
        assert join(minutes) == bar


def test_a_minute_is_the_sum_of_its_seconds(tape):
    for begin, end, bar in tape.candles("1m", None, None, 5, NOW)[:-1]:
        assert join(part for _, _, part in tape.candles("1s", begin, end - 1, 60, NOW)) == bar


@pytest.mark.parametrize("interval", ["1w", "1M", "3d"])
def test_long_intervals_are_the_sum_of_their_days(tape, interval):
    begin, end, bar = tape.candles(interval, None, None, 3, NOW)[0]
    days = [part for _, _, part in tape.candles("1d", begin, end - 1, 100, NOW)]
    assert join(days) == bar


def test_the_first_candle_is_the_first_of_2024(tape):
    rows = tape.candles("1d", 0, None, 3, NOW)
    assert [begin for begin, _, _ in rows] == [BEGIN_MS + day * 86_400_000 for day in range(3)]


def test_ranges(tape):
    hour = 3_600_000
    begin = NOW // hour * hour - 10 * hour
    rows = tape.candles("1h", begin, begin + 3 * hour, 500, NOW)
    assert [row[0] for row in rows] == [begin + i * hour for i in range(4)]
    assert [row[0] for row in tape.candles("1h", None, begin, 2, NOW)] == [begin - hour, begin]
    assert tape.candles("1h", begin + 1, None, 1, NOW)[0][0] == begin + hour
    assert tape.candles("1h", NOW + hour, None, 5, NOW) == []


def test_months_and_zones():
    assert following(floor(BEGIN_MS, "1M"), "1M") == BEGIN_MS + 31 * 86_400_000
    east = 8 * 3_600_000
    assert (floor(NOW, "1d", east) + east) % 86_400_000 == 0


def test_live_trades_make_candles():
    tape = Tape(MARKET, 7, NOW)
    minute = NOW // 60_000 * 60_000
    tape.add(trade(1, "60010", "1", NOW))
    tape.add(trade(2, "59990", "2", NOW + 1000, "sell"))
    tape.add(trade(3, "60020", "1", minute + 3 * 60_000))
    bar = tape.bar(minute, minute + 60_000)
    assert (bar.open, bar.high, bar.low, bar.close) == (
        scaled("60000"),
        scaled("60010"),
        scaled("59990"),
        scaled("59990"),
    )
    assert (bar.volume, bar.count, bar.first_id, bar.last_id) == (scaled("3"), 2, 1, 2)
    assert (bar.taker_base, bar.quote_volume) == (scaled("1"), scaled("179990"))
    quiet = tape.bar(minute + 60_000, minute + 120_000)
    assert (quiet.open, quiet.close, quiet.volume, quiet.first_id) == (scaled("59990"), scaled("59990"), 0, -1)
    assert tape.bar(minute + 180_000, minute + 240_000).open == scaled("59990")


def test_one_taker_at_one_price_is_one_aggregate():
    tape = Tape(MARKET, 7, NOW)
    wish = NewOrder(MARKET, "buy", "market", 1)
    taker = Order(5, wish, "", "", 1, 0, 0)
    for number, price in ((1, "60000"), (2, "60000"), (3, "60001")):
        tape.add(Trade(number, MARKET, scaled(price), scaled("1"), "buy", NOW, taker.id))
    assert [(row.first_id, row.last_id, row.quantity) for row in tape.aggregates] == [
        (1, 2, scaled("2")),
        (3, 3, scaled("1")),
    ]


def test_the_same_seed_gives_the_same_past(tape):
    again, other = Tape(MARKET, 7, NOW), Tape(MARKET, 8, NOW)
    assert again.candles("1h", None, None, 50, NOW) == tape.candles("1h", None, None, 50, NOW)
    assert other.candles("1h", None, None, 50, NOW) != tape.candles("1h", None, None, 50, NOW)


@pytest.mark.parametrize(
    "symbol, price, tick, lot",
    [
        ("BTC/USDT", "60000", "0.01", "0.00001"),
        ("ETH/USDT", "3000", "0.01", "0.0001"),
        ("DOGE/USDT", "0.1", "0.00001", "1"),
        ("SOL/USDT", "150", "0.01", "0.001"),
    ],
)
def test_tick_and_lot_follow_the_price(symbol, price, tick, lot):
    market = Market.of(symbol, price)
    assert (market.tick, market.lot) == (scaled(tick), scaled(lot))
    assert market.tick * market.lot >= 10**8
