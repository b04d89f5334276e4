"""Market data: levels that are read when they are looked at, books, candles, the picture."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.errors import InvalidArgument
from exconnect.model.enums import Side
from exconnect.model.market import INTERVALS, Book, Candle, Cell, Level, Levels, Ticker, Trade

D = Decimal


def levels(*texts):
    return Levels([Cell(*text.split("x")) for text in texts])


def book(bids=(), asks=(), **more):
    return Book(exchange="binance", symbol="BTC/USDT", bids=levels(*bids), asks=levels(*asks), sequence=7, **more)


FULL = book(["99x1", "98x2", "95x3"], ["101x1", "103x2", "110x0.5"])


class TestLevels:
    def test_a_level_is_made_when_it_is_read_and_kept(self):
        cells = [Cell("1", "2"), Cell("3", "4"), Cell("5", "6")]
        side = Levels(cells)
        assert len(side) == 3
        assert [cell.level for cell in cells] == [None] * 3
        assert side[1] == (D(3), D(4))
        assert [cell.level is None for cell in cells] == [True, False, True]
        assert side[1] is side[1] is cells[1].level
        assert type(side[1]) is Level
        assert (side[1].price, side[1].quantity) == (D(3), D(4))

    def test_iterating_reads_no_further_than_it_is_asked(self):
        cells = [Cell("1", "2"), Cell("3", "4")]
        for level in Levels(cells):
            assert level == (D(1), D(2))
            break
        assert cells[1].level is None

    def test_it_is_a_sequence(self):
        side = levels("1x2", "3x4", "5x6")
        one, two, three = side
        assert [side[0], side[-2], side[2]] == [one, two, three]
        assert side[:2] == [one, two]
        assert side[::-1] == list(reversed(side)) == [three, two, one]
        assert side[-1:] == [three]
        assert side[5:] == []
        assert two in side
        assert (side.index(two), side.count(two)) == (1, 1)
        for index in (3, -4):
            with pytest.raises(IndexError):
                side[index]

    def test_equality_is_by_value(self):
        assert levels("1.0x2") == levels("1x2.00") == [(D(1), D(2))]
        assert levels("1x2") == (Level(D(1), D(2)),)
        assert levels("1x2") != levels("1x3")
        assert levels("1x2") != levels("1x2", "2x2")
        assert levels() != ""
        assert levels() == []
        with pytest.raises(TypeError, match="unhashable"):
            hash(levels())

    def test_the_repr_shows_the_best_three(self):
        assert repr(levels("1x2", "3x4")) == "[1 x 2, 3 x 4]"
        assert repr(levels("1x2", "3x4", "5x6", "7x8", "9x1E-8")) == "[1 x 2, 3 x 4, 5 x 6, … 2 more]"
        assert repr(levels("1E-8x2")) == "[0.00000001 x 2]"
        assert repr(levels()) == "[]"

    def test_no_level_has_a_dictionary(self):
        assert not hasattr(levels("1x2"), "__dict__")
        assert not hasattr(levels("1x2")[0], "__dict__")


class TestBook:
    def test_best_mid_spread(self):
        assert (FULL.best_bid, FULL.best_ask) == ((D(99), D(1)), (D(101), D(1)))
        assert (FULL.mid, FULL.spread) == (D(100), D(2))

    @pytest.mark.parametrize("sides", [((), ()), (["99x1"], ()), ((), ["101x1"])])
    def test_without_one_side(self, sides):
        thin = book(*sides)
        assert (thin.mid, thin.spread) == (None, None)
        assert (thin.best_bid is None, thin.best_ask is None) == (not sides[0], not sides[1])

    @pytest.mark.parametrize(
        "side, quantity, average",
        [
            ("buy", "0.5", "101"),
            ("BUY", 1, "101"),
            (Side.BUY, "2", "102"),
            ("buy", "3.5", Fraction(101 + 206 + 55) / Fraction("3.5")),
            ("buy", "3.50001", None),
            ("sell", "2", "98.5"),
            ("sell", "6", Fraction(99 + 196 + 285, 6)),
            ("sell", "7", None),
        ],
    )
    def test_vwap(self, side, quantity, average):
        found = FULL.vwap(side, quantity)
        if average is None:
            assert found is None
        else:
            assert abs(Fraction(found) - Fraction(average)) < Fraction(1, 10**20)

    @pytest.mark.parametrize(
        "side, price, quantity",
        [
            ("buy", "100", "0"),
            ("buy", "101", "1"),
            ("buy", "105", "3"),
            ("buy", "1000", "3.5"),
            ("sell", "99.5", "0"),
            ("sell", "98", "3"),
            ("sell", "1", "6"),
        ],
    )
    def test_quantity_to(self, side, price, quantity):
        assert FULL.quantity_to(side, price) == D(quantity)

    def test_an_empty_book(self):
        empty = book()
        assert empty.vwap("buy", "1") is None
        assert empty.quantity_to("sell", "1") == 0
        assert empty.draw() == "(empty book)"

    @pytest.mark.parametrize("side", ["", "both", "unknown"])
    def test_a_side_is_buy_or_sell(self, side):
        with pytest.raises(InvalidArgument, match=r"side='.*': must be one of 'buy', 'sell'"):
            FULL.vwap(side, "1")
        with pytest.raises(InvalidArgument, match=r"side='.*': must be one of 'buy', 'sell'"):
            FULL.quantity_to(side, "1")

    def test_amounts_are_above_zero(self):
        with pytest.raises(InvalidArgument, match="quantity must be above zero"):
            FULL.vwap("buy", 0)
        with pytest.raises(InvalidArgument, match="price must be above zero"):
            FULL.quantity_to("buy", "-1")

    @given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=8), st.integers(1, 300))
    def test_vwap_is_what_walking_the_book_costs(self, rows, quantity):
        asks = [(100 + i, size) for i, (_, size) in enumerate(rows)]
        found = book((), [f"{price}x{size}" for price, size in asks]).vwap("buy", quantity)
        units = [price for price, size in asks for _ in range(size)][:quantity]
        if len(units) < quantity:
            assert found is None
        else:
            assert abs(Fraction(found) - Fraction(sum(units), quantity)) < Fraction(1, 10**20)


def test_what_is_computed_has_no_zeros_of_the_exchange_behind_it():
    padded = book(["59994.00000000x1.00000000"], ["60006.00000000x10.00000000", "60012.50000000x1.00000000"])
    figures = padded.mid, padded.spread, padded.vwap("buy", "2.50"), padded.quantity_to("buy", "60010")
    assert [str(figure) for figure in figures] == ["60000", "12", "60006", "10"]
    assert str(padded.quantity_to("sell", "70000")) == "0"


def test_a_level_as_text():
    assert str(Level(Decimal("59994.10000000"), Decimal("1.00000000"))) == "59994.1 x 1"


class TestPicture:
    def test_both_sides(self):
        assert FULL.draw(2).splitlines() == [
            "103  2 ████████████████████████",
            "101  1 ████████████",
            "      — spread 2 (200.0 bp) —",
            " 99  1 ████████████",
            " 98  2 ████████████████████████",
        ]

    @pytest.mark.parametrize(
        "sides, lines",
        [
            ((["99x1"], ()), ["      — one-sided —", "99  1 ████████████████████████"]),
            (((), ["101x1"]), ["101  1 ████████████████████████", "      — one-sided —"]),
            (((), ["101x0"]), ["101  0", "      — one-sided —"]),
        ],
    )
    def test_one_side(self, sides, lines):
        assert book(*sides).draw().splitlines() == lines

    def test_eighths(self):
        drawn = book(["3x192", "2x1", "1x13"]).draw().splitlines()
        assert [line.split()[-1] for line in drawn[1:]] == ["█" * 24, "▏", "█▋"]

    @pytest.mark.parametrize("rows", [0, -1])
    def test_no_rows(self, rows):
        assert FULL.draw(rows) == "(empty book)"

    def test_zeros_that_say_nothing_are_left_out_and_points_stay_below_points(self):
        drawn = book(["59994.10000000x0.50000000", "59988.00000000x1.00000000"], ["1E+5x12.00"]).draw()
        assert drawn.splitlines() == [
            "100000.0  12.0 ████████████████████████",
            "      — spread 40005.9 (5000.9 bp) —",
            " 59994.1   0.5 █",
            " 59988.0   1.0 ██",
        ]

    def test_small_numbers_have_no_exponent(self):
        assert "0.00000001  0.0000001" in book(["1E-8x1E-7"]).draw()


CLOSES = [
    ("1s", "2026-01-01 00:00:00", "2026-01-01 00:00:01"),
    ("1m", "2026-12-31 23:59", "2027-01-01 00:00"),
    ("3m", "2026-01-01 00:57", "2026-01-01 01:00"),
    ("5m", "2026-01-01 00:00", "2026-01-01 00:05"),
    ("15m", "2026-01-01 00:45", "2026-01-01 01:00"),
    ("30m", "2026-01-01 23:30", "2026-01-02 00:00"),
    ("1h", "2026-01-01 23:00", "2026-01-02 00:00"),
    ("2h", "2026-01-01 22:00", "2026-01-02 00:00"),
    ("4h", "2026-02-28 20:00", "2026-03-01 00:00"),
    ("6h", "2026-01-01 00:00", "2026-01-01 06:00"),
    ("12h", "2026-01-01 12:00", "2026-01-02 00:00"),
    ("1d", "2026-12-31 00:00", "2027-01-01 00:00"),
    ("1w", "2026-12-28 00:00", "2027-01-04 00:00"),
    ("1M", "2026-12-01 00:00", "2027-01-01 00:00"),
]
MONTHS = [("1M", f"2028-{month:02}-01 00:00", f"2028-{month + 1:02}-01 00:00") for month in range(1, 12)]


def candle(interval, open_time):
    price = D(1)
    return Candle(
        exchange="binance",
        symbol="BTC/USDT",
        interval=interval,
        open_time=datetime.fromisoformat(open_time).replace(tzinfo=UTC),
        open=price,
        high=price,
        low=price,
        close=price,
        volume=price,
        is_closed=True,
    )


@pytest.mark.parametrize("interval, opens, closes", CLOSES + MONTHS)
def test_a_candle_ends_where_the_next_begins(interval, opens, closes):
    assert candle(interval, opens).close_time == datetime.fromisoformat(closes).replace(tzinfo=UTC)


def test_every_interval_is_in_the_table():
    assert {row[0] for row in CLOSES} == set(INTERVALS)


def test_ticker_and_trade():
    ticker = Ticker(exchange="binance", symbol="BTC/USDT", bid=D(99), ask=D(102))
    assert (ticker.mid, ticker.spread) == (D("100.5"), D(3))
    for one in (Ticker(exchange="b", symbol="s", bid=D(1)), Ticker(exchange="b", symbol="s", ask=D(1))):
        assert (one.mid, one.spread) == (None, None)
    trade = Trade(exchange="binance", symbol="BTC/USDT", id="1", price=D("2.5"), quantity=D(4), side=Side.BUY)
    assert trade.notional == 10
