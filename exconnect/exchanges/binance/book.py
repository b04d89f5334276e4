"""Which depth update follows which.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#how-to-manage-a-local-order-book-correctly
"""

from __future__ import annotations

from exconnect.protocol.book import Verdict, is_later
from exconnect.protocol.session import BookUpdate

# Members of an enum are looked up slowly, and these are met with every update.
_APPLY, _DROP, _RESYNC = Verdict.APPLY, Verdict.DROP, Verdict.RESYNC


class SpotSequencer:
    """Spot: an update follows if it begins at or before the id behind the book's; what ends before it is old."""

    needs_snapshot = True

    def __init__(self) -> None:
        self._last_id = 0
        self._time_ms: int | None = None  # of the last update; a snapshot has none

    @property
    def last_id(self) -> int:
        """Id of the last update that is in the book."""
        return self._last_id

    def anchor(self, snapshot_id: int) -> None:
        """The book is now as of `snapshot_id`."""
        self._last_id, self._time_ms = snapshot_id, None

    def judge(self, update: BookUpdate) -> Verdict:
        """APPLY moves the anchor to the end of the update.

        It need not contain the anchor: a boundary may fall exactly on it, and overlaps are harmless because
        quantities are absolute. What has a smaller id and comes from a later time is not old: the ids began anew.
        """
        if update.last_id <= self._last_id:
            is_anew = update.last_id < self._last_id and is_later(update.time_ms, self._time_ms)
            return _RESYNC if is_anew else _DROP
        if update.first_id > self._last_id + 1:
            return _RESYNC
        self._last_id, self._time_ms = update.last_id, update.time_ms
        return _APPLY
