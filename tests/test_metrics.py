from __future__ import annotations

import threading

import pytest

from exconnect.metrics import MAX_SERIES, Registry


def test_what_is_promised_is_there_from_the_start():
    assert Registry().snapshot() == dict.fromkeys(
        ("calls", "retries", "rate_limited", "waited_s", "outcome_unknown"), 0.0
    )


def test_counts_add_up_over_labels():
    registry = Registry()
    registry.count("calls", operation="place_order")
    registry.count("calls", 2, operation="fetch_book", exchange="binance")
    found = registry.snapshot()
    assert found["calls"] == 3
    assert found['calls{operation="place_order"}'] == 1
    assert found['calls{exchange="binance",operation="fetch_book"}'] == 2


def test_gauges_and_timings():
    registry = Registry()
    registry.gauge("depth", 3)
    registry.gauge("depth", 2)
    registry.gauge("depth", 9, symbol="A")
    registry.timing("took_s", 0.5)
    registry.timing("took_s", 0.25)
    assert {name: value for name, value in registry.snapshot().items() if value} == {
        "depth": 2,
        'depth{symbol="A"}': 9,
        "took_s_count": 2,
        "took_s_sum": 0.75,
        "took_s_max": 0.5,
    }


def test_a_label_without_end_does_not_grow_the_process():
    registry = Registry()
    for number in range(MAX_SERIES * 2):
        registry.count("calls", order=str(number))
    assert len(registry.snapshot()) == MAX_SERIES
    assert registry.snapshot()["calls"] == MAX_SERIES * 2


def test_a_snapshot_is_a_copy():
    registry = Registry()
    registry.snapshot()["calls"] = 99
    assert registry.snapshot()["calls"] == 0


class Heard:
    def __init__(self):
        self.heard = []

    def count(self, name, value=1, **labels):
        self.heard.append(("count", name, value, labels))

    def gauge(self, name, value, **labels):
        self.heard.append(("gauge", name, value, labels))

    def timing(self, name, seconds, **labels):
        self.heard.append(("timing", name, seconds, labels))


def test_the_users_metrics_hear_of_everything():
    heard = Heard()
    registry = Registry(heard)
    registry.count("calls", operation="x")
    registry.gauge("depth", 1.5)
    registry.timing("took_s", 0.5, operation="x")
    assert heard.heard == [
        ("count", "calls", 1, {"operation": "x"}),
        ("gauge", "depth", 1.5, {}),
        ("timing", "took_s", 0.5, {"operation": "x"}),
    ]


def test_metrics_that_fail_break_nothing_and_are_told_of_once(caplog):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("no")

    registry = Registry(Broken())
    registry.count("calls")
    registry.timing("took_s", 0.1)
    assert registry.snapshot()["calls"] == 1
    assert caplog.text.count("Broken failed and is ignored: RuntimeError") == 1


@pytest.mark.parametrize("threads", [8])
def test_threads(threads):
    registry = Registry()

    def work():
        for _ in range(1_000):
            registry.count("calls", operation="x")

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert registry.snapshot()["calls"] == threads * 1_000
