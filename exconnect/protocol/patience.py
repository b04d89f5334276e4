"""How long an answer asks us to stay away."""

from __future__ import annotations

import re

from exconnect.protocol.call import Response

LONGEST_S = 3 * 86_400.0  # the longest ban that an exchange documents; who names more has made a mistake
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


def is_credible(seconds: float) -> bool:
    """Whether an exchange may mean that. What it cannot mean would keep a client away for ever."""
    return 0 <= seconds <= LONGEST_S


def named_wait(response: Response) -> float | None:
    """Seconds that `Retry-After` names, as a number or as a date by the answer's own clock.

    None: it is not there, cannot be read, is over, or is more than three days away.
    """
    text = response.headers.get("retry-after")
    if text is None:
        return None
    if _SECONDS.fullmatch(text.strip()):
        seconds: float | None = float(text)
    else:
        until, now = date(text), date(response.headers.get("date"))
        seconds = None if until is None or now is None else until - now
    return seconds if seconds is not None and is_credible(seconds) else None


def date(text: str | None) -> float | None:
    """A date as headers write it, in seconds since 1970."""
    from email.utils import parsedate_to_datetime  # a tenth of the import time, for a ban now and then

    try:
        return None if text is None else parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
