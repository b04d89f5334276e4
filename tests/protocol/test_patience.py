from __future__ import annotations

import pytest

from exconnect.protocol.call import Response
from exconnect.protocol.patience import LONGEST_S, named_wait

NOW = "Sat, 30 Jul 2022 01:58:20 GMT"


@pytest.mark.parametrize(
    "text, seconds",
    [
        (None, None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("259200", LONGEST_S),
        ("259201", None),
        ("31536000", None),
        ("9" * 400, None),
        ("-5", None),
        ("1e9", None),
        ("inf", None),
        ("nan", None),
        ("\u0667", None),
        ("", None),
        ("soon", None),
        ("Sat, 30 Jul 2022 01:59:20 GMT", 60.0),
        ("Sat, 30 Jul 2022 01:58:19 GMT", None),
        ("Sat, 30 Jul 2072 01:58:20 GMT", None),
        ("Sat, 30 Jul 99999 01:58:20 GMT", None),
        ("1659146360000", None),
    ],
)
def test_only_what_an_exchange_can_mean_is_believed(text, seconds):
    headers = {"date": NOW} if text is None else {"date": NOW, "retry-after": text}
    assert named_wait(Response(429, headers, b"")) == seconds


def test_a_date_without_the_exchanges_clock_says_nothing():
    assert named_wait(Response(429, {"retry-after": NOW}, b"")) is None
