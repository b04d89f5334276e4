from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from exconnect.exchanges.bybit.book import SpotSequencer
from exconnect.exchanges.bybit.markets import BOOK_TOPICS
from exconnect.exchanges.bybit.stream import MarketSession
from exconnect.model.enums import MarketType
from exconnect.protocol.book import BookBuilder, BookState, Change, Verdict
from exconnect.protocol.session import BookUpdate, Topic

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def update(number, *, whole=False, bids=(("1", "1"),), asks=(("2", "1"),)):
    return BookUpdate("BTC/USDT", number, number, bids, asks, 1, None, whole)


@pytest.mark.parametrize(
    "number, whole, verdict",
    [
        (11, False, Verdict.APPLY),
        (10, False, Verdict.DROP),
        (9, False, Verdict.DROP),
        (12, False, Verdict.RESYNC),
        (1, False, Verdict.RESET),  # the service has restarted
        (1, True, Verdict.RESET),
        (12, True, Verdict.RESET),
        (9, True, Verdict.RESET),
        (10, True, Verdict.DROP),  # level 1 repeats itself while nothing changes
    ],
)
def test_what_follows(number, whole, verdict):
    sequencer = SpotSequencer()
    assert sequencer.judge(update(10, whole=True)) is Verdict.RESET
    assert sequencer.judge(update(number, whole=whole)) is verdict
    assert sequencer.last_id == (number if verdict in (Verdict.APPLY, Verdict.RESET) else 10)


@pytest.mark.parametrize(
    "number, whole, time_ms, verdict",
    [
        (9, True, 49, Verdict.DROP),  # it was overtaken
        (1, False, 49, Verdict.RESET),  # another clock; whether it came twice is for the builder to say
        (9, True, 50, Verdict.RESET),
        (12, True, 49, Verdict.RESET),  # ahead of the book it is no repetition
        (9, False, 50, Verdict.DROP),
        (9, False, 51, Verdict.RESYNC),  # the message that said that the ids begin anew was lost
        (10, False, 51, Verdict.DROP),
        (9, False, None, Verdict.DROP),
    ],
)
def test_ids_and_times_together(number, whole, time_ms, verdict):
    sequencer = SpotSequencer()
    sequencer.judge(replace(update(10, whole=True), time_ms=50))
    assert sequencer.judge(replace(update(number, whole=whole), time_ms=time_ms)) is verdict


def test_nothing_follows_before_a_whole_book():
    sequencer = SpotSequencer()
    assert not sequencer.needs_snapshot
    assert sequencer.last_id == 0
    assert sequencer.judge(update(5)) is Verdict.RESYNC
    sequencer.anchor(4)
    assert sequencer.judge(update(5)) is Verdict.APPLY


def test_a_book_from_its_own_snapshot():
    builder = BookBuilder("bybit", "BTC/USDT", SpotSequencer, 1)
    assert builder.receive(update(7)) is Change.BROKEN
    assert builder.receive(update(8, whole=True)) is Change.APPLIED
    assert builder.receive(update(9, bids=(("1.5", "3"),), asks=())) is Change.APPLIED
    assert [tuple(level) for level in builder.view().bids] == [(Decimal("1.5"), Decimal(3))]  # one level a side is kept
    assert builder.receive(update(11)) is Change.BROKEN
    assert (builder.fault.expected, builder.fault.got) == (10, 11)
    assert builder.state is BookState.SYNCING
    assert builder.receive(update(20, whole=True)) is Change.APPLIED
    assert builder.view().is_valid


def test_a_crossed_book_is_broken():
    builder = BookBuilder("bybit", "BTC/USDT", SpotSequencer, 50)
    builder.receive(update(8, whole=True))
    assert builder.receive(update(9, bids=(("2", "1"),), asks=())) is Change.BROKEN


def recordings(samples):
    files = sorted((samples / "bybit" / "books").glob("*.frames.jsonl"))
    assert files, "the folder of recorded messages holds no books"
    return files


def canonical(level):
    return [format(number.normalize(), "f") for number in level]


def test_recorded_sessions_end_at_their_truth(samples, exchange):
    for file in recordings(samples):
        truth = json.loads(file.with_name(file.name.replace("frames.jsonl", "truth.json")).read_text())
        steps = {step["frame"]: step for step in truth["steps"]}
        builder = BookBuilder("bybit", truth["symbol"], SpotSequencer)
        session = MarketSession(exchange.markets[MarketType.SPOT])
        frames = [json.loads(line)["raw"] for line in file.read_text().splitlines()]
        depth = int(json.loads(frames[0])["topic"].split(".")[1])
        session.want(frozenset({Topic("book", truth["symbol"], truth["symbol"], depth=depth)}))
        session.opened(0.0, 0)
        for number, raw in enumerate(frames):
            for event in session.receive(raw, 1.0, NOW):
                assert event.is_plain
                assert builder.receive(event) is Change.APPLIED
            if number in steps:
                check(builder.view(), steps[number])
        assert builder.sequence == truth["steps"][-1]["last_id"]


def check(book, step):
    assert book.sequence == step["last_id"]
    sides = [[canonical(level) for level in side] for side in (book.bids, book.asks)]
    assert [len(side) for side in sides] == step["levels"]
    assert sides[0][: len(step["bids"])] == step["bids"]
    assert sides[1][: len(step["asks"])] == step["asks"]
    assert hashlib.sha256(json.dumps(sides, separators=(",", ":")).encode()).hexdigest()[:16] == step["sha"]


# ---- the recorded session as the topics of spot would have sent it, and what may become of it on the way ----------


class Tape:
    """Books of the recorded session, cut to so many levels, and the messages that lead from one to the next.

    What leaves a side because it has become too long is not told. At `restart` the ids begin anew.
    """

    def __init__(self, file, depth, restart) -> None:
        self.frames = [json.loads(json.loads(line)["raw"]) for line in file.read_text().splitlines()]
        self.depth, self.restart = depth, restart
        self.books = []
        sides: tuple[dict, dict] = ({}, {})
        for frame in self.frames:
            for side, rows in zip(sides, (frame["data"]["b"], frame["data"]["a"]), strict=True):
                side.update((Decimal(price), Decimal(quantity)) for price, quantity in rows)
            whole = sorted(sides[0].items(), reverse=True), sorted(sides[1].items())
            self.books.append([[level for level in side if level[1]][:depth] for side in whole])

    def id(self, at):
        return at - self.restart + 1 if at >= self.restart else self.frames[at]["data"]["u"]

    def text(self, at, kind, is_whole, is_early):
        sides = self.books[at]
        if not is_whole:
            sides = [self.changes(*both) for both in zip(self.books[at - 1], sides, strict=True)]
        bids, asks = ([[str(price), str(quantity)] for price, quantity in side] for side in sides)
        data = self.frames[at]["data"] | {"b": bids, "a": asks, "u": self.id(at)}
        clock = {"ts": 1, "cts": 1} if is_early else {}
        topic = f"orderbook.{self.depth}.XRPUSDT"
        return json.dumps(self.frames[at] | clock | {"topic": topic, "type": kind, "data": data})

    def changes(self, before, after):
        old, new = dict(before), dict(after)
        gone = [price for price in old if price not in new and not self.is_pushed_out(price, after)]
        return [(price, 0) for price in gone] + [level for level in after if old.get(level[0]) != level[1]]

    def is_pushed_out(self, price, side):
        (best, _), (worst, _) = side[0], side[-1]
        return len(side) == self.depth > 1 and (price > worst > best or price < worst < best)


def steps(story, count):
    """What comes: number of the book, type of the message, whether it is a whole book, by an early clock."""
    order = [*range(count)]
    if story == "swapped":
        order[7], order[8] = 8, 7
    for at in order:
        restarts = at == 10 and story.startswith("restarted")
        kind = "snapshot" if at == 0 or (restarts and "delta" not in story) else "delta"
        step = at, kind, at == 0 or restarts, restarts and "early" in story
        if not (story == "lost" and at in (7, 9)):
            yield step
        if story == "twice" or restarts:
            yield step
        if story == "late" and at > 3:
            yield from ((0, "snapshot", True, False), (at - 2, "delta", False, False))
        if (story == "again" and at % 4 == 0) or (story in ("lost", "swapped") and at == 12):
            yield at, "snapshot", True, False


STORIES = ["plain", "twice", "late", "lost", "swapped", "again", "restarted", "restarted early", "restarted by a delta"]


@pytest.mark.parametrize("depth", BOOK_TOPICS)
@pytest.mark.parametrize("story", STORIES)
def test_what_may_become_of_a_session(samples, exchange, story, depth):
    tape = Tape(recordings(samples)[0], depth, 10 if story.startswith("restarted") else 1_000)
    builder = BookBuilder("bybit", "XRP/USDT", SpotSequencer, depth)
    session = MarketSession(exchange.markets[MarketType.SPOT])
    session.want(frozenset({Topic("book", "XRP/USDT", "XRPUSDT", depth=depth)}))
    shown, heard = None, set()
    for step in steps(story, len(tape.frames)):
        at, kind, is_whole, is_early = step
        is_whole = is_whole or depth == 1
        (update,) = session.receive(tape.text(at, "snapshot" if depth == 1 else kind, is_whole, is_early), 1.0, NOW)
        builder.receive(update)
        if is_whole:
            shown = at if step not in heard and (shown is None or at > shown) else shown
        elif shown is not None and at > shown:
            shown = at if at == shown + 1 else None
        heard.add(step)
        book = builder.view()
        assert book.is_valid is (shown is not None), step
        if shown is not None:
            assert book.sequence == tape.id(shown)
            assert [list(map(tuple, side)) for side in (book.bids, book.asks)] == tape.books[shown]
    assert shown == len(tape.frames) - 1
