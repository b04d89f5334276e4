"""The exchange's clock as seen from here, and names for orders that nobody else draws.

Clock: a sample is one question for the time. The exchange answered somewhere between `sent` and `received`,
so the middle is wrong by half the round trip at most, and the sample with the smallest round trip knows best.
The base is the steady clock: a step of this machine's wall clock changes nothing.
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exconnect.environment import Environment

FRESH_S = 60.0
MAX_AGE_S = 600.0
_SAMPLES = 64
_DRIFT = 100e-6  # two ordinary quartz clocks part by less than this share of the time that passes
_PAST_MS = 5.0  # a timestamp ahead of the exchange's clock is refused sooner than one behind it
_JUMP_MS = 1_000.0  # wall clock against steady clock: the machine slept, or was set


class _Sample(NamedTuple):
    at: float  # steady clock, seconds
    offset: float  # exchange minus steady clock, ms
    error: float  # half the round trip, ms


class Clock:
    """An exchange's clock. All times go in by the steady clock (`env.now()`) and come out in ms since 1970."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._lock = env.lock()
        self._samples: deque[_Sample] = deque(maxlen=_SAMPLES)
        # One reference, swapped whole, so that readers need no lock: best and newest sample, wall minus steady clock.
        self._state: tuple[_Sample, float, float] | None = None

    def add(self, sent: float, received: float, server_ms: int) -> None:
        """One sample: asked at `sent`, answered at `received`, and the answer was `server_ms`."""
        half = (received - sent) * 500
        # The exchange cuts its milliseconds off, so half a millisecond more is the better guess.
        sample = _Sample(received, server_ms + 0.5 - (sent + received) * 500, half + 0.5)
        with self._lock:
            if self._slept():
                self._samples.clear()
            self._samples.append(sample)
            while self._samples[0].at < received - MAX_AGE_S:
                self._samples.popleft()
            best = min(self._samples, key=lambda s: s.error + _aging(received - s.at))
            self._state = (best, max(s.at for s in self._samples), self._wall_offset())

    def now_ms(self, now: float) -> int | None:
        """The exchange's time at `now`; None if it is not known."""
        known = self._known()
        return None if known is None else int(now * 1000 + known.offset)

    def timestamp_ms(self, now: float) -> int | None:
        """The same, by the error on the early side: what a request is signed with."""
        known = self._known()
        return None if known is None else int(now * 1000 + known.offset - self._error(known, now) - _PAST_MS)

    def is_fresh(self, now: float, within: float = FRESH_S) -> bool:
        """Whether the newest sample is at most so many seconds old, and the machine has not slept since."""
        state = self._state
        return state is not None and now - state[1] <= within and not self._slept()

    @property
    def offset_ms(self) -> float | None:
        """The exchange's clock minus this machine's wall clock; None before the first sample."""
        known = self._known()
        return None if known is None else round(known.offset - self._wall_offset(), 3)

    @property
    def error_ms(self) -> float | None:
        """By how much `now_ms` may be wrong; None before the first sample."""
        known = self._known()
        return None if known is None else round(self._error(known, self._env.now()), 3)

    def round_trip_s(self) -> float:
        """The longest round trip of late, 0.0 before the first sample."""
        with self._lock:
            return max((s.error for s in self._samples), default=0.0) / 500

    def forget(self) -> None:
        """What was known is wrong: the exchange has refused a timestamp."""
        with self._lock:
            self._samples.clear()
            self._state = None

    def _known(self) -> _Sample | None:
        state = self._state
        return None if state is None or self._slept() else state[0]

    def _slept(self) -> bool:
        state = self._state
        return state is not None and abs(self._wall_offset() - state[2]) > _JUMP_MS

    def _wall_offset(self) -> float:
        return self._env.wall_ms() - self._env.now() * 1000

    @staticmethod
    def _error(sample: _Sample, now: float) -> float:
        return sample.error + _aging(now - sample.at)


def _aging(seconds: float) -> float:
    return max(seconds, 0.0) * 1000 * _DRIFT


_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_SHAPE = (2, 4, 4, 7, 8, 2)
_COUNTED, _KEYED = "X1", "XK"


class ClientOrderIds:
    """Client order ids `X1-NNNN-EEEE-SSSSSSS-RRRRRRRR-CC`: 32 characters of base32 groups, `[A-Z0-9-]`.

    N: namespace (a strategy or an account), E: epoch of the journal, S: number within it, R: 40 random bits
    drawn for each id, C: a check over the rest, by which ours are told from others on the exchange.
    """

    def __init__(self, env: Environment, namespace: str, epoch: int = 0) -> None:
        self._env = env
        self._prefix = f"{_COUNTED}-{_namespace(namespace)}-{_base32(epoch, 4)}"
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """A new id."""
        chance = _base32(int.from_bytes(self._env.token(5), "big"), 8)
        return _checked(f"{self._prefix}-{_base32(next(self._numbers), 7)}-{chance}")

    @staticmethod
    def from_key(account: str, key: str) -> str:
        """The id for an idempotency key: a function of account and key alone, in whatever process."""
        digest = hashlib.blake2s(f"{len(account)}:{account}{key}".encode(), person=b"exkey").digest()
        text = _base32(int.from_bytes(digest[:12], "big"), 19)
        return _checked(f"{_KEYED}-{_namespace(account)}-{text[:4]}-{text[4:11]}-{text[11:]}")

    @staticmethod
    def is_ours(text: str) -> bool:
        """Whether a client order id was made here (of a thousand others, one would pass the check)."""
        groups = text.split("-")
        if tuple(map(len, groups)) != _SHAPE or groups[0] not in (_COUNTED, _KEYED):
            return False
        return all(letter in _VALUES for group in groups[1:] for letter in group) and _checked(text[:-3]) == text

    @classmethod
    def is_of(cls, account: str, text: str) -> bool:
        """Whether it was made for this account."""
        return cls.is_ours(text) and text.split("-")[1] == _namespace(account)


def _namespace(label: str) -> str:
    return _base32(int.from_bytes(hashlib.blake2s(label.encode(), digest_size=4).digest(), "big"), 4)


def _checked(text: str) -> str:
    return f"{text}-{_base32(zlib.crc32(text.encode()), 2)}"


def _base32(value: int, length: int) -> str:
    """The low `5 * length` bits."""
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(5 * (length - 1), -1, -5))
