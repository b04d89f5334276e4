"""The judge sees: each core rule is switched off once, and then some seed fails, in the way that the rule prevents."""

from dataclasses import replace

import pytest
from schedule import play
from timeline import dismiss_workers

from exconnect.model.enums import OrderStatus, Source
from exconnect.protocol.call import Replay

SEEDS = 150


@pytest.fixture(autouse=True)
def no_worker_waits():
    yield
    dismiss_workers()


def believe_absence_at_once(monkeypatch):
    """No margin after expiry, no second and third look, no fence: not found is final."""
    monkeypatch.setattr("exconnect.trading.doubts.Doubts.is_past_margin", lambda *_: True)
    monkeypatch.setattr("exconnect.trading.doubts.Doubts.is_ripe", lambda *_: True)
    monkeypatch.setattr("exconnect.trading.doubts.Doubts.was_followed", lambda *_: True)


def write_no_attempt(monkeypatch):
    """W1: nothing is written down before it is sent."""
    monkeypatch.setattr("exconnect.trading.journal.Journal.attempt", lambda *_: None)


def send_though_taken_over(monkeypatch):
    """The fence: an attempt is written whoever the order belongs to by now."""
    from exconnect.trading import journal

    for name in ("_WISH_AND_ATTEMPT", "_ATTEMPT"):
        fenced = getattr(journal, name)
        open_to_all = fenced.replace(" AND retired_ms IS NULL", "").replace(" AND epoch = :epoch AND is_done = 0", "")
        monkeypatch.setattr(journal, name, open_to_all)


def believe_the_last(monkeypatch):
    """Orders are overwritten, not joined."""
    monkeypatch.setattr("exconnect.trading.orders.merge", lambda _, news: news)


def send_again(monkeypatch):
    """A place without an answer is repeated, as a read is."""
    from exconnect.resilience.retry import decide

    def eagerly(replay, kind, attempt):
        return decide(Replay.SAFE if replay is Replay.NEVER else replay, kind, attempt)

    monkeypatch.setattr("exconnect.gateway.decide", eagerly)


def believe_a_cancel(monkeypatch):
    """An order that a cancel does not find is taken for canceled, though its place may still be on its way."""

    def believing(cancels, _, known, *__):
        gone = replace(known, status=OrderStatus.CANCELED, source=Source.REST)
        return cancels._desk.orders.apply(gone)

    original = "exconnect.trading.cancels.Cancels._after_not_found"
    from exconnect.trading.cancels import Cancels

    find_out = Cancels._after_not_found

    def choosing(cancels, name, known, *more):
        is_open = known is not None and known.status is OrderStatus.UNKNOWN
        return (believing if is_open else find_out)(cancels, name, known, *more)

    monkeypatch.setattr(original, choosing)


def call_it_failed(monkeypatch):
    """No answer means that it failed: what most connectors do."""
    monkeypatch.setattr(
        "exconnect.trading.places.as_unknown", lambda order: replace(order, status=OrderStatus.NEVER_SENT)
    )


def believe_what_is_shown(monkeypatch):
    """Canceling all cancels what a read shows as open, which may lag behind."""
    monkeypatch.setattr("exconnect.trading.sweep.Sweep._may_be_open", lambda *_: set())


@pytest.mark.parametrize(
    "mutate, exchange, kinds, seen, first",
    [
        (believe_absence_at_once, "binance", ["late"], "lost", 1),
        (write_no_attempt, "bybit", ["unanswered"], "violations", 1),
        (send_though_taken_over, "bybit", ["limit"], "violations", 1),
        (believe_the_last, "binance", ["unanswered", "slow"], "regressed", 1),
        (send_again, "binance", ["unanswered"], "duplicated", 1),
        (believe_a_cancel, "binance", ["late"], "lost", 1),
        (call_it_failed, "bybit", ["unanswered"], "lost", 1),
        (believe_what_is_shown, "bybit", ["late"], "violations", 120),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_some_seed_fails_without(mutate, exchange, kinds, seen, first, monkeypatch, tmp_path):
    mutate(monkeypatch)
    for seed in range(first, first + SEEDS):
        if getattr(play(seed, exchange, tmp_path, kinds), seen):
            return
    pytest.fail(f"{SEEDS} seeds, and nothing was seen")
