"""A market that moves, as its frames tell it, and the truth to check a book by.

python benchmarks/frames.py KIND FILE COUNT     writes them; the same every time

`binance`: diff frames after a snapshot of 1,000 levels a side. `bybit50`, `bybit200`: the topics with so many levels,
whose first frame is the whole book, and which also tell what comes into sight and what leaves it.
"""

from __future__ import annotations

import json
import random
import sys
from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SEED = 20260102
SYMBOL = "BTCUSDT"
DEPTH = 10
CHECK_EVERY = 250
_FIRST_MS = 1_767_312_000_000

Level = tuple[str, str]


class Habits(NamedTuple):
    """How a market looks and moves; distances in ticks."""

    mid: int
    levels: int
    gap: float  # between two levels
    step: float  # of the middle
    chance: float  # of a step, per frame
    changes: tuple[int, int]  # least a side and frame, and on average as many more
    reach: float  # levels from the best to what changes, on average
    decimals: int  # of a tick
    padding: int  # zeros behind the decimals of price and quantity


HABITS = {
    "binance": Habits(6_700_000, 1000, 6, 12, 0.6, (5, 12), 40, 2, 6),
    "bybit50": Habits(670_000, 200, 2, 2, 0.12, (1, 3), 17, 1, 0),
    "bybit200": Habits(670_000, 800, 2, 2, 0.4, (4, 13), 67, 1, 0),
}


class Market(NamedTuple):
    """A snapshot as the exchange gives it, the frames that follow, and after every so many of them the best levels."""

    kind: str
    snapshot: Any  # what REST answers, or the first frame
    frames: list[str]
    truths: dict[int, tuple[list[Level], list[Level]]]  # number of frames → bids, asks


class Side:
    """Lots by price in ticks, measured away from the middle: the sign makes bids and asks alike, best first."""

    def __init__(self, rng: random.Random, sign: int, habits: Habits) -> None:
        self.rng = rng
        self.sign = sign
        self.habits = habits
        self.lots: dict[int, int] = {}
        self.keys: list[int] = []  # ticks times sign, so that the best is the smallest
        self.changed: dict[int, int] = {}
        tick = habits.mid * sign
        while len(self.keys) < habits.levels:
            tick += self.draw(habits.gap)
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
        least, more = self.habits.changes
        wanted = least + min(3 * more - 1, self.draw(more))
        while len(self.changed) < wanted:
            self.change(edge)
        return self.changed

    def change(self, edge: int) -> None:
        chance, (_, levels, gap, *_), reach = self.rng.random(), self.habits, self.habits.reach
        if chance < 0.02:
            self.changed.setdefault(edge + 200_000 + self.draw(9_000), 0)  # the end of a level that nobody was shown
        elif chance < 0.5:
            self.put(self.keys[min(self.draw(reach), len(self.keys)) - 1])
        elif chance < 0.75 - (len(self.keys) - levels) / 2 / levels:
            self.put(edge + self.draw(2 * reach * gap + 20))
        elif len(self.keys) > levels // 2:
            self.take(min(self.draw(2 * reach), len(self.keys)) - 1)

    def best(self, count: int) -> list[Level]:
        return [self.text(key, self.lots[key]) for key in self.keys[:count]]

    def text(self, key: int, lots: int) -> Level:
        whole, rest = divmod(key * self.sign, 10**self.habits.decimals)
        price = f"{whole}.{rest:0{self.habits.decimals}}{'0' * self.habits.padding}"
        quantity = f"{lots // 100_000}.{lots % 100_000:05}"
        return price, f"{quantity}000" if self.habits.padding else quantity.rstrip("0").rstrip(".")

    def message(self, mid: int) -> list[Level]:
        return self.texts(self.move(mid))

    def texts(self, changed: dict[int, int]) -> list[Level]:
        return [self.text(key, changed[key]) for key in sorted(changed)]

    def sight(self, depth: int) -> dict[int, int]:
        return {key: self.lots[key] for key in self.keys[:depth]}


def make(kind: str, count: int) -> Market:
    """`count` frames; see `Market`."""
    habits, rng = HABITS[kind], random.Random(SEED)
    sides, mids = (Side(rng, -1, habits), Side(rng, 1, habits)), _mids(habits, rng)
    told = _diffs(sides, mids, rng) if kind == "binance" else _deltas(sides, mids, rng, int(kind[5:]))
    snapshot, frames, truths = next(told), [], {}
    for number in range(1, count + 1):
        frames.append(next(told))
        if number % CHECK_EVERY == 0:
            truths[number] = sides[0].best(DEPTH), sides[1].best(DEPTH)
    return Market(kind, snapshot, frames, truths)


def _mids(habits: Habits, rng: random.Random) -> Iterator[int]:
    mid = habits.mid
    while True:
        if rng.random() < habits.chance:
            mid += rng.choice((-1, 1)) * (1 + int(rng.expovariate(1 / habits.step)))
        yield mid


def _diffs(sides: tuple[Side, Side], mids: Iterator[int], rng: random.Random) -> Iterator[Any]:
    (bids, asks), last_id = sides, 1_000_000
    levels = bids.habits.levels
    yield {"lastUpdateId": last_id, "bids": bids.best(levels), "asks": asks.best(levels)}
    for number, mid in enumerate(mids, 1):
        first_id, last_id = last_id + 1, last_id + rng.randint(20, 220)
        event = {"e": "depthUpdate", "E": _FIRST_MS + 100 * number, "s": SYMBOL, "U": first_id, "u": last_id}
        event |= {"b": bids.message(mid), "a": asks.message(mid)}
        yield json.dumps(event, separators=(",", ":"))


def _deltas(sides: tuple[Side, Side], mids: Iterator[int], rng: random.Random, depth: int) -> Iterator[Any]:
    seq, seen = 7_000_000, [side.sight(depth) for side in sides]
    for number, mid in enumerate(mids, 1):
        changed = seen
        if number > 1:
            for side in sides:
                side.move(mid)
            now = [side.sight(depth) for side in sides]
            changed = [_changes(*pair) for pair in zip(seen, now, strict=True)]
            seen = now
        seq += rng.randint(1, 40)
        levels = {key: side.texts(part) for key, side, part in zip("ba", sides, changed, strict=True)}
        data = {"s": SYMBOL, **levels, "u": 1_000 + number, "seq": seq}
        kind, ms = "delta" if number > 1 else "snapshot", _FIRST_MS + 20 * number
        frame = {"topic": f"orderbook.{depth}.{SYMBOL}", "ts": ms, "type": kind, "data": data, "cts": ms - 3}
        yield json.dumps(frame, separators=(",", ":"))


def _changes(before: dict[int, int], now: dict[int, int]) -> dict[int, int]:
    gone = dict.fromkeys(before.keys() - now.keys(), 0)
    return gone | {key: lots for key, lots in now.items() if before.get(key) != lots}


def save(path: Path, market: Market) -> None:
    lines = [market.kind, json.dumps(market.snapshot), json.dumps(market.truths), *market.frames]
    path.write_text("\n".join(lines))


def load(path: Path) -> Market:
    kind, snapshot, truths, *frames = path.read_text().split("\n")
    return Market(
        kind, json.loads(snapshot), frames, {int(number): best for number, best in json.loads(truths).items()}
    )


def combined(frames: list[str]) -> Iterator[str]:
    """The same as they come over a connection that carries several streams."""
    return (f'{{"stream":"{SYMBOL.lower()}@depth@100ms","data":{frame}}}' for frame in frames)


if __name__ == "__main__":
    save(Path(sys.argv[2]), make(sys.argv[1], int(sys.argv[3])))
