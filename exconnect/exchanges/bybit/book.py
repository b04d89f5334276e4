"""Which book message follows which.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

from exconnect.protocol.book import Verdict, is_later
from exconnect.protocol.session import BookUpdate

# Members of an enum are looked up slowly, and these are met with every update.
_APPLY, _DROP, _RESYNC, _RESET = Verdict.APPLY, Verdict.DROP, Verdict.RESYNC, Verdict.RESET
RESTARTED = 1  # the id with which a restarted service begins: whatever it is called, the message is a whole book


class SpotSequencer:
    """The stream begins with a whole book; then every id is the one before it plus one.

    The latter is documented for the topic with all levels only, and held on the others wherever they were recorded.
    Of level 1 every message is a whole book, and the same one comes again while nothing changes.
    """

    needs_snapshot = False

    def __init__(self) -> None:
        self._last_id: int | None = None
        self._time_ms: int | None = None  # of the last update

    @property
    def last_id(self) -> int:
        """Id of the last update that is in the book."""
        return self._last_id or 0

    def anchor(self, snapshot_id: int) -> None:
        """The book is now as of `snapshot_id`."""
        self._last_id, self._time_ms = snapshot_id, None

    def judge(self, update: BookUpdate) -> Verdict:
        """RESET for a whole book that is not the one we have, else by the distance to the last id.

        Where ids say that a message is old, its time must not say that it is new: the service has restarted, and the
        message that said so was lost. And a whole book with a smaller id that is old by its time was overtaken, unless
        it says that the service has restarted: on another machine, perhaps, with another clock.
        """
        last, new = self._last_id, update.last_id
        if last and new == last + 1 and not update.is_snapshot:
            self._last_id, self._time_ms = new, update.time_ms
            return _APPLY
        is_behind = last is not None and new < last
        if new == RESTARTED or (update.is_snapshot and new != last):
            if new != RESTARTED and is_behind and is_later(self._time_ms, update.time_ms):
                return _DROP
            self._last_id, self._time_ms = new, update.time_ms
            return _RESET
        if last is None or new > last + 1:
            return _RESYNC
        return _RESYNC if is_behind and is_later(update.time_ms, self._time_ms) else _DROP
