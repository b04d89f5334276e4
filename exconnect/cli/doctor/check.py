"""What a look at something gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, whether it is well, what was seen, and what to do about it.

    `is_road`: without it the exchange cannot be reached.
    """

    name: str
    ok: bool
    detail: str
    advice: str = ""
    is_road: bool = False
