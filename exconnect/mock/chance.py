"""Seeded randomness: each user of it has a source of its own, so that one's draws do not shift another's."""

from __future__ import annotations

from random import Random as Source


def seeded(purpose: str, seed: int) -> Source:
    """A source for one purpose."""
    return Source(f"{purpose} {seed}")


__all__ = ["Source", "seeded"]
