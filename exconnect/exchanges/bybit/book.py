"""Which book message follows which.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

from exconnect.protocol.book import Verdict
from exconnect.protocol.session import BookUpdate

_RESTARTED = 1  # the id with which a restarted service begins: whatever it is called, the message is a whole book


class SpotSequencer:
    """The stream begins with a whole book; then every id is the one before it plus one.

    The latter is documented for the topic with all levels only, and held on the others wherever they were recorded.
    Of level 1 every message is a whole book, and the same one comes again while nothing changes.
    """

    needs_snapshot = False

    def __init__(self) -> None:
        self._last_id: int | None = None

    @property
    def last_id(self) -> int:
        """Id of the last update that is in the book."""
        return self._last_id or 0

    def anchor(self, snapshot_id: int) -> None:
        """The book is now as of `snapshot_id`."""
        self._last_id = snapshot_id

    def judge(self, update: BookUpdate) -> Verdict:
        """RESET for a whole book that is not the one we have, else by the distance to the last id."""
        last, new = self._last_id, update.last_id
        if new == _RESTARTED or (update.is_snapshot and new != last):
            self._last_id = new
            return Verdict.RESET
        if last is not None and new <= last:
            return Verdict.DROP
        if last is None or new > last + 1:
            return Verdict.RESYNC
        self._last_id = new
        return Verdict.APPLY
