"""Numbers and times: what is taken, what is refused, and that nothing is lost in between."""

import decimal
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exconnect.errors import InvalidArgument, InvalidType, MalformedMessage
from exconnect.model.values import datetime_of, decimal_of, ms_of, number, number_e, plain, positive, total


class Text(StrEnum):
    PRICE = "60000.1"


class OwnDecimal(Decimal):
    pass


class NoOffset(tzinfo):
    def utcoffset(self, dt):
        return None


@pytest.mark.parametrize(
    "given, kept",
    [
        ("60000.1", "60000.1"),
        ("+1", "1"),
        ("-0.5", "-0.5"),
        ("1e-5", "0.00001"),
        ("1E+3", "1000"),
        ("007.10", "7.10"),
        ("9" * 30 + "." + "9" * 30, "9" * 30 + "." + "9" * 30),
        (60000, "60000"),
        (-(10**30) + 1, "-" + "9" * 30),
        (Decimal("1E-30"), "0." + "0" * 29 + "1"),
        (Decimal("1E+29"), "1" + "0" * 29),
        (Text.PRICE, "60000.1"),
    ],
)
def test_amounts_as_people_write_them(given, kept):
    assert plain(decimal_of(given, "price")) == kept


@pytest.mark.parametrize(
    "given, shown",
    [
        ("", "''"),
        (" 1", "' 1'"),
        ("1 ", "'1 '"),
        ("1\n", r"'1\n'"),
        ("1_0", "'1_0'"),
        ("1,5", "'1,5'"),
        (".5", "'.5'"),
        ("5.", "'5.'"),
        ("0x10", "'0x10'"),
        ("nan", "'nan'"),
        ("-Infinity", "'-Infinity'"),
        ("\uff11\uff12", "'\uff11\uff12'"),
        ("٣", "'٣'"),
        ("1e1.5", "'1e1.5'"),
        ("--1", "'--1'"),
        ("1" * 31, repr("1" * 31)),
        ("1" * 1000, repr("1" * 60)),
        ("1e999999999", "'1e999999999'"),
        ("1e40", "1E+40"),
        ("1e-31", "1E-31"),
        (Decimal("NaN"), "NaN"),
        (Decimal("sNaN"), "sNaN"),
        (Decimal("-Infinity"), "-Infinity"),
        (Decimal("1E+999999"), "1E+999999"),
        (Decimal("1E-999999"), "1E-999999"),
        (Decimal("1E+30"), "1E+30"),
        (Decimal("1." + "1" * 31), "1." + "1" * 31),
        (10**30, "an int of more than 30 digits"),
        (-(10**4000), "an int of more than 30 digits"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_fix(given, shown):
    with pytest.raises(InvalidArgument) as refused:
        decimal_of(given, "price")
    message = f'price={shown} is not an amount: write digits with a point, like price="60000.1"'
    assert (refused.value.message, refused.value.argument) == (message, "price")


@pytest.mark.parametrize(
    "given, message",
    [
        (60000.1, 'must not be a float, which has already lost digits: write price="60000.1"'),
        (1e-7, 'must not be a float, which has already lost digits: write price="0.0000001"'),
        (1e22, 'must not be a float, which has already lost digits: write price="60000.1"'),
        (float("nan"), 'must not be a float, which has already lost digits: write price="60000.1"'),
        (float("inf"), 'must not be a float, which has already lost digits: write price="60000.1"'),
        (True, 'must be Decimal, str or int, not bool: write price="60000.1"'),
        (None, 'must be Decimal, str or int, not NoneType: write price="60000.1"'),
        (b"1", 'must be Decimal, str or int, not bytes: write price="60000.1"'),
        (1 + 0j, 'must be Decimal, str or int, not complex: write price="60000.1"'),
    ],
)
def test_what_loses_money_is_a_type_error_that_shows_the_fix(given, message):
    with pytest.raises(TypeError) as refused:
        decimal_of(given, "price")
    assert isinstance(refused.value, InvalidType)
    assert refused.value.message == f"price {message}"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_fix_for_a_float_can_be_pasted(value):
    with pytest.raises(InvalidType) as refused:
        decimal_of(value, "price")
    pasted = refused.value.message.partition('price="')[2].removesuffix('"')
    assert decimal_of(pasted, "price") == (Decimal(repr(value)) if 1e-15 < abs(value) < 1e15 else Decimal("60000.1"))


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**17), max_value=10**17)


@given(AMOUNTS | st.builds(Decimal.normalize, AMOUNTS))
def test_plain_has_no_exponent_and_loses_nothing(value):
    text = plain(value)
    assert set(text) <= set("0123456789.-")
    assert decimal_of(text, "price") == decimal_of(value, "price") == value


@given(st.text(max_size=8) | st.from_regex(r"[+-]?\d{1,3}\.?\d{0,3}([eE][+-]?\d{1,3})?", fullmatch=True))
def test_text_is_an_amount_or_a_refusal_of_ours(text):
    try:
        value = decimal_of(text, "price")
    except InvalidArgument:
        return
    assert text.isascii()
    assert not set(text) & set("_ \n")
    assert len(plain(value)) <= 63


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_a_decimal_is_an_amount_or_a_refusal_of_ours(value):
    try:
        kept = decimal_of(value, "price")
    except InvalidArgument:
        return
    assert kept == value
    assert len(plain(kept)) <= 133


def test_zeros_behind_the_point_are_not_digits_too_many():
    assert decimal_of(Decimal("1." + "0" * 5000), "price") == 1
    assert len(plain(decimal_of(Decimal("1." + "0" * 5000), "price"))) < 140


def test_a_subclass_of_decimal_becomes_a_decimal():
    assert type(decimal_of(OwnDecimal("1.5"), "price")) is Decimal


def test_the_callers_precision_does_not_matter():
    with decimal.localcontext() as context:
        context.prec = 3
        assert decimal_of(Decimal("123456.789"), "price") == decimal_of("123456.789", "price")
        assert plain(total([Decimal("123456.789"), Decimal("0.000001")])) == "123456.789001"


def test_the_total_of_nothing_is_zero():
    assert total([]) == 0


@pytest.mark.parametrize("given, shown", [("0", "0"), ("-1.5", "-1.5"), (0, "0"), (Decimal("-1E-5"), "-0.00001")])
def test_positive_means_above_zero(given, shown):
    with pytest.raises(InvalidArgument, match=rf"^quantity must be above zero, not {shown}$"):
        positive(given, "quantity")


@pytest.mark.parametrize("text", ["1", "-0.10", "0", "1" * 20 + "." + "1" * 20])
def test_numbers_of_the_wire(text):
    assert plain(number(text)) == plain(number_e(text)) == text


@pytest.mark.parametrize("text", ["", "NaN", "1_0", " 1", "1\n", "+1", ".5", "1.", "1" * 21, "\uff11", "0x1", "1.2.3"])
def test_what_is_no_number_of_the_wire(text):
    for read in (number, number_e):
        with pytest.raises(MalformedMessage) as refused:
            read(text)
        assert refused.value.text == text


def test_exponents_only_where_they_are_known_to_travel():
    assert number_e("1.5E-7") == Decimal("0.00000015")
    for read, text in ((number, "1e5"), (number_e, "1e999")):
        with pytest.raises(MalformedMessage):
            read(text)


class TestTimes:
    @pytest.mark.parametrize(
        "given, moment",
        [
            (0, "1970-01-01 00:00:00"),
            (1767225600000, "2026-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59.999000"),
            (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 00:00:00"),
            (datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-01 10:00:00"),
            (datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC), "2026-01-01 00:00:00.999000"),
            ("2026-01-01", "2026-01-01 00:00:00"),
            ("2026", "2026-01-01 00:00:00"),
            ("2026-02", "2026-02-01 00:00:00"),
            ("2026-01-01 12:00", "2026-01-01 12:00:00"),
            ("2026-01-01T12:00:00Z", "2026-01-01 12:00:00"),
            ("2026-01-01 12:00 UTC", "2026-01-01 12:00:00"),
            ("2026-01-01 12:00+02:00", "2026-01-01 10:00:00"),
            ("2026-01-01 12:00:00.123456", "2026-01-01 12:00:00.123000"),
            ("5 Jan 2026 3pm", "2026-01-05 15:00:00"),
            ("2026.11.01", "2026-11-01 00:00:00"),
            ("2026/11/1 7:30", "2026-11-01 07:30:00"),
            ("20261101T0730", "2026-11-01 07:30:00"),
            ("Sun 2026-11-01", "2026-11-01 00:00:00"),
            ("Sun, 01 Nov 2026 12:00:00 GMT", "2026-11-01 12:00:00"),
            ("01/Nov/2026", "2026-11-01 00:00:00"),
            ("november 1, 2026", "2026-11-01 00:00:00"),
        ],
    )
    def test_times_as_people_write_them(self, given, moment):
        assert datetime_of(ms_of(given, "start")) == datetime.fromisoformat(moment).replace(tzinfo=UTC)

    @pytest.mark.parametrize(
        "given",
        # no time; no date; no year; a zone that is a name (hours off if taken for UTC); dateutil's reversed GMT+3
        [
            *("", "soon", ":", "x" * 1000, "2026-13-01", "1700000000000"),
            *("12:00", "1 Jan", "2026-01-01 12:00 EST", "2026-01-01 12:00 GMT+3", "2026-01-01 12:00 utc -1"),
            "0001-01-01 00:00+05:00",
        ],
    )
    def test_text_that_names_no_moment(self, given):
        with pytest.raises(InvalidArgument) as refused:
            ms_of(given, "start")
        shown = repr(given[:60])
        assert refused.value.message == f'start={shown} is not a time: write start="2026-01-01 12:00" (UTC)'

    @pytest.mark.parametrize(
        "given",
        # dateutil takes the first number for the month, or for the day if no month is so great
        [
            *("01.11.2026", "13.02.2026", "1/2/2026", "01-11-2026", "1 11 2026", "Sun 01.11.2026", "12:00 1/11/2026"),
            *("26-11-01", "1.11.26", "261101", "201201", "11/2026", "2026,11,01"),
        ],
    )
    def test_figures_that_begin_with_day_or_month_may_be_another_day(self, given):
        with pytest.raises(InvalidArgument) as refused:
            ms_of(given, "start")
        words = f'start={given!r} may be read as another day: begin with the year, like start="2026-01-31 12:00" (UTC)'
        assert refused.value.message == words

    @pytest.mark.parametrize("given", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=NoOffset())])  # noqa: DTZ001
    def test_a_naive_datetime_is_refused(self, given):
        fix = r"start is a datetime without a zone: write start=datetime\(\.\.\., tzinfo=timezone\.utc\)"
        with pytest.raises(InvalidArgument, match=fix):
            ms_of(given, "start")

    @pytest.mark.parametrize("given", [10**15, -(10**14), 10**4000])
    def test_milliseconds_beyond_the_calendar(self, given):
        with pytest.raises(InvalidArgument, match="start is no time between the years 1 and 9999"):
            ms_of(given, "start")

    @pytest.mark.parametrize("given", [10**9, 1_767_225_600, 10**10 - 1])
    def test_seconds_are_told_from_milliseconds(self, given):
        with pytest.raises(InvalidArgument, match=f"these look like seconds: write start={given}000"):
            ms_of(given, "start")

    @pytest.mark.parametrize("given", [1.5, True, None, b"2026", Decimal(1)])
    def test_what_is_neither(self, given):
        words = f"start must be an aware datetime, integer milliseconds or text, not {type(given).__name__}"
        with pytest.raises(InvalidType, match=words):
            ms_of(given, "start")

    @given(st.integers(-62135596800000, 10**9 - 1) | st.integers(10**10, 253402300799999))
    def test_milliseconds_come_back(self, ms):
        assert ms_of(ms, "start") == ms_of(datetime_of(ms), "start") == ms

    @given(st.text(alphabet="0123456789-:+ .TZaJanpmUC/", max_size=24))
    def test_any_text_is_a_time_or_a_refusal_of_ours(self, text):
        with suppress(InvalidArgument):
            datetime_of(ms_of(text, "start"))

    def test_what_an_exchange_says_must_be_in_the_calendar_too(self):
        with pytest.raises(MalformedMessage):
            datetime_of(10**18)
