"""What faults make of a stream's messages: lost, doubled, swapped, broken, crossing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .faults import Faults


class Disturber:
    """Stands between a message and its listeners; ``key`` names the sequence in which messages may be swapped."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: dict[str, Any] = {}

    def apply(
        self, kind: str, symbol: str | None, key: str, payload: Any, cross: Callable[[Any], Any] | None = None
    ) -> list[tuple[Any, bool]]:
        """What is sent in place of ``payload``, in this order; True beside a message that is to be broken."""
        fault = self._faults.message(kind, symbol)
        name = fault.plan.name if fault else ""
        if name == "cross" and cross is not None:
            payload = cross(payload)
        if name == "reorder" and key not in self._held:
            self._held[key] = payload
            return []
        sent = [] if name == "gap" else [(payload, name == "malformed")]
        if name == "duplicate":
            sent.append((payload, False))
        if key in self._held:
            sent.append((self._held.pop(key), False))
        return sent


def broken(text: str) -> str:
    """A message cut off in the middle."""
    return text[: max(1, len(text) * 2 // 3)]
