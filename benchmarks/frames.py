"""A market that moves: Binance's diff frames after a snapshot of 1,000 levels a side, and the truth to check a book by.

python benchmarks/frames.py FILE COUNT     writes them; the same every time
"""

from __future__ import annotations

import json
import random
import sys
from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SEED = 20260102
SYMBOL = "BTCUSDT"
LEVELS = 1000
DEPTH = 10
CHECK_EVERY = 250
_MID = 6_700_000  # ticks of 0.01
_FIRST_MS = 1_767_312_000_000

Level = tuple[str, str]


class Market(NamedTuple):
    """A snapshot as REST gives it, the frames that follow, and after every so many of them the best levels."""

    snapshot: dict[str, object]
    frames: list[str]
    truths: dict[int, tuple[list[Level], list[Level]]]  # number of frames → bids, asks


class Side:
    """Lots by price in ticks, measured away from the middle: the sign makes bids and asks alike, best first."""

    def __init__(self, rng: random.Random, sign: int) -> None:
        self.rng = rng
        self.sign = sign
        self.lots: dict[int, int] = {}
        self.keys: list[int] = []  # ticks times sign, so that the best is the smallest
        self.changed: dict[int, int] = {}
        tick = _MID * sign
        while len(self.keys) < LEVELS:
            tick += self.draw(6)
            self.put(tick)
        self.changed = {}

    def draw(self, mean: float) -> int:
        return 1 + int(self.rng.expovariate(1 / mean))

    def put(self, key: int) -> None:
        if key not in self.lots:
            insort(self.keys, key)
        self.lots[key] = self.changed[key] = max(1, int(self.rng.lognormvariate(9.5, 1.8)))

    def take(self, index: int) -> None:
        key = self.keys.pop(index)
        del self.lots[key]
        self.changed[key] = 0

    def move(self, mid: int) -> dict[int, int]:
        """One message's changes: what the middle ran over goes, a new best comes, some of the rest changes."""
        self.changed = {}
        edge = mid * self.sign
        for _ in range(bisect_left(self.keys, edge + 1)):
            self.take(0)
        if self.keys[0] > edge + 3:
            self.put(edge + 1)
        wanted = 5 + min(35, self.draw(12))
        while len(self.changed) < wanted:
            self.change(edge)
        return self.changed

    def change(self, edge: int) -> None:
        chance = self.rng.random()
        if chance < 0.02:
            self.changed.setdefault(edge + 200_000 + self.draw(9_000), 0)  # the end of a level that nobody was shown
        elif chance < 0.5:
            self.put(self.keys[min(self.draw(40), len(self.keys)) - 1])
        elif chance < 0.75 - (len(self.keys) - LEVELS) / 2000:
            self.put(edge + self.draw(500))
        elif len(self.keys) > LEVELS // 2:
            self.take(min(self.draw(80), len(self.keys)) - 1)

    def best(self, count: int) -> list[Level]:
        return [self.text(key, self.lots[key]) for key in self.keys[:count]]

    def text(self, key: int, lots: int) -> Level:
        tick = key * self.sign
        return f"{tick // 100}.{tick % 100:02}000000", f"{lots // 100_000}.{lots % 100_000:05}000"

    def message(self, mid: int) -> list[Level]:
        changed = self.move(mid)
        return [self.text(key, changed[key]) for key in sorted(changed)]


def make(count: int) -> Market:
    """`count` frames; see `Market`."""
    rng = random.Random(SEED)
    bids, asks, mid, last_id = Side(rng, -1), Side(rng, 1), _MID, 1_000_000
    snapshot = {"lastUpdateId": last_id, "bids": bids.best(LEVELS), "asks": asks.best(LEVELS)}
    frames, truths = [], {}
    for number in range(1, count + 1):
        if rng.random() < 0.6:
            mid += rng.choice((-1, 1)) * (1 + int(rng.expovariate(1 / 12)))
        first_id, last_id = last_id + 1, last_id + rng.randint(20, 220)
        event = {"e": "depthUpdate", "E": _FIRST_MS + 100 * number, "s": SYMBOL, "U": first_id, "u": last_id}
        event |= {"b": bids.message(mid), "a": asks.message(mid)}
        frames.append(json.dumps(event, separators=(",", ":")))
        if number % CHECK_EVERY == 0:
            truths[number] = bids.best(DEPTH), asks.best(DEPTH)
    return Market(snapshot, frames, truths)


def save(path: Path, market: Market) -> None:
    lines = [json.dumps(market.snapshot), json.dumps(market.truths), *market.frames]
    path.write_text("\n".join(lines))


def load(path: Path) -> Market:
    snapshot, truths, *frames = path.read_text().split("\n")
    return Market(json.loads(snapshot), frames, {int(number): best for number, best in json.loads(truths).items()})


def combined(frames: list[str]) -> Iterator[str]:
    """The same as they come over a connection that carries several streams."""
    return (f'{{"stream":"{SYMBOL.lower()}@depth@100ms","data":{frame}}}' for frame in frames)


if __name__ == "__main__":
    save(Path(sys.argv[1]), make(int(sys.argv[2])))
