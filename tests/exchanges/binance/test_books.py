"""Recorded book sessions through the stream's own path: frames into the session, updates into the builder."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace

from exconnect.exchanges.binance import parse
from exconnect.exchanges.binance.book import SpotSequencer
from exconnect.exchanges.binance.stream import MarketSession
from exconnect.exchanges.binance.wire import loads
from exconnect.model.values import plain
from exconnect.protocol.book import BookBuilder, BookState, Change, Verdict
from exconnect.protocol.session import BookUpdate, Topic

AT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [
    "cryptofeed-binance-blzeth",
    "cryptofeed-binance-lrcbtc",
    "cryptofeed-binance-nknusdt",
    "cryptofeed-binance-runeeur",
    "cryptofeed-binance_tr-belbtc",
    "cryptofeed-binance_tr-xemusdt",
    "hft-spot-btcusdt-20240808",
]


class Replay:
    """One recorded book: its frames, and a builder that follows them."""

    def __init__(self, folder, name, market) -> None:
        text = (folder / "binance" / "books" / f"{name}.frames.jsonl").read_text(encoding="utf-8")
        self.frames = [json.loads(line) for line in text.splitlines()]
        truth = json.loads((folder / "binance" / "books" / f"{name}.truth.json").read_text(encoding="utf-8"))
        self.steps = {step["frame"]: step for step in truth["steps"]}
        self.session = MarketSession(market)
        self.session.want(frozenset({Topic("book", "X/Y", truth["symbol"])}))
        self.builder = BookBuilder("binance", "X/Y", SpotSequencer)

    def play(self, frame) -> Change:
        if frame["ch"] == "rest":
            return self.builder.load(parse.snapshot(loads(frame["raw"]), "X/Y"))
        (update,) = self.session.receive(frame["raw"], 0.0, AT)
        return self.builder.receive(update)

    def check(self, index) -> bool:
        step = self.steps.get(index)
        if step is None:
            return False
        builder = self.builder
        if step["after"] == 0:  # the snapshot alone, before the updates that came meanwhile
            builder = BookBuilder("binance", "X/Y", SpotSequencer)
            builder.load(parse.snapshot(loads(self.frames[index]["raw"]), "X/Y"))
        book = builder.view()
        assert book.is_valid
        assert book.sequence == step["last_id"]
        sides = [[[short(level.price), short(level.quantity)] for level in side] for side in (book.bids, book.asks)]
        assert [side[:20] for side in sides] == [step["bids"], step["asks"]]
        assert [len(side) for side in sides] == step["levels"]
        assert hashlib.sha256(json.dumps(sides, separators=(",", ":")).encode()).hexdigest()[:16] == step["sha"]
        return True

    def snapshot_now(self) -> BookUpdate:
        """What the exchange would answer now."""
        view = self.builder.view()
        sides = [[(short(level.price), short(level.quantity)) for level in side] for side in (view.bids, view.asks)]
        return BookUpdate("X/Y", view.sequence, view.sequence, *sides, None, None, is_snapshot=True)


def short(number: Decimal) -> str:
    return plain(number.normalize())


@pytest.fixture(params=NAMES)
def recorded(request, samples, market):
    return lambda: Replay(samples, request.param, market)


def test_a_recorded_book_is_followed_exactly(recorded):
    replay = recorded()
    checked = 0
    for index, frame in enumerate(replay.frames):
        assert replay.play(frame) is not Change.BROKEN
        checked += replay.check(index)
    assert checked == len(replay.steps)


def restyled(raw: str, random: Random) -> str:
    """The same said otherwise: raw or combined, other keys beside ours, in another order, other blanks, other zeros."""
    message = json.loads(raw)
    data = dict(message["data"])
    for side in "ba":
        data[side] = [[random.choice([text, short(Decimal(text)), f"{text}0"]) for text in row] for row in data[side]]
    if random.random() < 0.5:
        data = {"e": data.pop("e"), "new": {"s": "ETHUSDT", "u": 1}, **data, "more": [1.5, None]}
    if random.random() < 0.3:
        data = dict(sorted(data.items()))
    whole = random.choice([data, {"stream": message["stream"], "data": data}, {"data": data, "stream": "other"}])
    return json.dumps(whole, separators=random.choice([(",", ":"), (", ", ": "), (" ,\n", ":\t")]))


def test_the_form_of_a_message_does_not_matter(recorded):
    replay, random = recorded(), Random(2)
    for index, frame in enumerate(replay.frames):
        if frame["ch"] == "ws":
            frame["raw"] = restyled(frame["raw"], random)
        assert replay.play(frame) is not Change.BROKEN
        replay.check(index)


def test_duplicates_do_not_matter(recorded):
    replay, random = recorded(), Random(1)
    for index, frame in enumerate(replay.frames):
        replay.play(frame)
        for earlier in random.choices(replay.frames[: index + 1], k=2):
            if earlier["ch"] == "ws":
                assert replay.play(earlier) in (Change.IGNORED, Change.BUFFERED)
        replay.check(index)


def test_a_gap_is_seen_and_a_new_snapshot_heals_it(recorded):
    whole, replay = recorded(), recorded()
    start = 1 + next(index for index, frame in enumerate(replay.frames) if frame["ch"] == "rest")
    for frame in replay.frames[:start]:
        whole.play(frame)
        replay.play(frame)
    broken = 0
    for index, frame in enumerate(replay.frames[start:], start):
        whole.play(frame)
        if index % 7 == start % 7:
            continue  # lost
        change = replay.play(frame)
        if change is Change.BROKEN:
            broken += 1
            assert index % 7 == (start + 1) % 7
            assert replay.builder.fault.reason == "updates are missing"
            assert replay.builder.fault.got > replay.builder.fault.expected
            assert not replay.builder.view().is_valid
            assert replay.builder.needs_snapshot
            assert replay.builder.load(whole.snapshot_now()) is Change.APPLIED
        assert replay.builder.state is BookState.LIVE
        assert replay.builder.sequence == whole.builder.sequence
        replay.check(index)
    assert broken or len(replay.frames) < start + 3


def test_a_swap_is_seen(recorded):
    replay = recorded()
    start = 1 + next(index for index, frame in enumerate(replay.frames) if frame["ch"] == "rest")
    for frame in replay.frames[:start]:
        replay.play(frame)
    live = [frame for frame in replay.frames[start:] if loads(frame["raw"])["data"]["u"] > replay.builder.sequence]
    if len(live) < 2:
        return  # the recording is too short to swap anything in it
    assert replay.play(live[1]) is Change.BROKEN
    assert replay.play(live[0]) is Change.BUFFERED


def test_resnapshots_change_nothing(recorded):
    replay = recorded()
    for index, frame in enumerate(replay.frames):
        replay.play(frame)
        if replay.builder.state is BookState.LIVE and index % 5 == 0:
            snapshot = replay.snapshot_now()
            replay.builder.refresh()
            assert replay.builder.view().is_valid
            assert replay.builder.load(snapshot) is Change.APPLIED
        replay.check(index)


# ---- the rule by itself ---------------------------------------------------------------------------------------------


def update(first, last):
    return BookUpdate("X/Y", first, last, [], [], None, None)


@pytest.mark.parametrize(
    "first, last, verdict, anchor",
    [
        (90, 99, Verdict.DROP, 100),
        (95, 100, Verdict.DROP, 100),
        (95, 101, Verdict.APPLY, 101),
        (100, 105, Verdict.APPLY, 105),
        (101, 105, Verdict.APPLY, 105),
        (102, 105, Verdict.RESYNC, 100),
    ],
)
def test_which_update_follows(first, last, verdict, anchor):
    sequencer = SpotSequencer()
    sequencer.anchor(100)
    assert sequencer.judge(update(first, last)) is verdict
    assert sequencer.last_id == anchor


@pytest.mark.parametrize(
    "last, time_ms, verdict",
    [
        (104, 50, Verdict.DROP),
        (104, None, Verdict.DROP),
        (104, 51, Verdict.RESYNC),  # later, with a smaller id: the ids began anew
        (105, 51, Verdict.DROP),
    ],
)
def test_what_is_old_by_its_id_and_new_by_its_time(last, time_ms, verdict):
    sequencer = SpotSequencer()
    sequencer.anchor(100)
    assert sequencer.judge(replace(update(99, 99), time_ms=99)) is Verdict.DROP  # a snapshot has no time
    assert sequencer.judge(replace(update(101, 105), time_ms=50)) is Verdict.APPLY
    assert sequencer.judge(replace(update(last, last), time_ms=time_ms)) is verdict


def test_the_snapshot_must_not_be_older_than_the_first_update():
    for snapshot_id, change in (
        (155, Change.STALE),
        (156, Change.APPLIED),
        (160, Change.APPLIED),
        (200, Change.APPLIED),
    ):
        builder = BookBuilder("binance", "X/Y", SpotSequencer)
        assert builder.receive(update(157, 160)) is Change.BUFFERED
        assert builder.load(update(snapshot_id, snapshot_id)) is change
        assert builder.sequence == (0 if change is Change.STALE else max(snapshot_id, 160))


def test_a_quiet_symbols_snapshot_is_valid_alone():
    builder = BookBuilder("binance", "X/Y", SpotSequencer)
    assert builder.load(update(7, 7)) is Change.APPLIED
    assert builder.state is BookState.LIVE
