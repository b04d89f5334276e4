from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from exconnect.exchanges.bybit.book import SpotSequencer
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
        (9, True, 49, Verdict.RESET),  # whether a whole book came twice is for the builder to say
        (1, False, 49, Verdict.RESET),
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
