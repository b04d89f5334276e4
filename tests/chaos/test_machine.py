"""The same stage, driven by hypothesis: it looks for the shortest story that makes the client lie, and shrinks it."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from network import KINDS
from schedule import Stage, Story
from timeline import dismiss_workers

from exconnect.errors import ExconnectError


class Trading(RuleBasedStateMachine):
    """Users who place, cancel and amend, while faults come and go and processes die."""

    exchange = "binance"

    @initialize(seed=st.integers(0, 10_000))
    def begin(self, seed):
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.stage = Stage(seed, self.exchange, self.folder, kinds=["lost"])
        self.stage.weather.on_writes = self.stage.weather.on_reads = 0.0
        self.set_up = self.stage.set_up()
        self.set_up.__enter__()
        self.story = Story(self.stage)
        self.trader = self.stage.start()

    def _do(self, name):
        """Begin it in a thread of its own, and see how it goes on while others do other things."""
        trader, judge = self.trader, self.stage.judge

        def act():
            try:
                getattr(self.story, name)(trader.client)
            except ExconnectError as error:
                judge.raised(trader, name, error)

        trader.process.spawn(name, act)
        self.stage.timeline.sleep(0.001)

    @rule()
    def place(self):
        self._do("_place")

    @rule()
    def place_with_a_key(self):
        self._do("_keyed")

    @rule()
    def place_with_a_key_again(self):
        self._do("_again")

    @rule()
    def cancel(self):
        self._do("_cancel_blindly")

    @rule()
    def amend(self):
        self._do("_amend")

    @rule(kind=st.sampled_from(KINDS), share=st.sampled_from((0.3, 1.0)))
    def fault(self, kind, share):
        weather = self.stage.weather
        weather.kinds, weather.on_writes = [kind], share

    @rule()
    def heal(self):
        self.stage.weather.on_writes = 0.0

    @rule(side=st.sampled_from(("buy", "sell")), quantity=st.sampled_from(("0.004", "1.2")))
    def somebody_trades(self, side, quantity):
        self.stage.market.execute(side, quantity)

    @rule()
    def crash(self):
        self.stage.kill(self.trader.process)
        self.trader = self.stage.start()

    @rule(seconds=st.sampled_from((0.01, 0.3, 2.0, 15.0)))
    def advance(self, seconds):
        self.stage.timeline.sleep(seconds)

    @invariant()
    def nothing_is_doubled_or_goes_back(self):
        if hasattr(self, "stage"):
            assert not self.stage.outcome.regressed
            assert not self.stage.outcome.lost

    def teardown(self):
        if not hasattr(self, "stage"):
            return
        try:
            self.stage.calm()
        finally:
            self.set_up.__exit__(None, None, None)
            self.stage.judge.close()
            shutil.rmtree(self.folder)
        assert self.stage.outcome.failures == []


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_no_story_makes_the_client_lie(exchange):
    machine = type("Trading", (Trading,), {"exchange": exchange})
    try:
        machine.TestCase.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
        machine.TestCase("runTest").runTest()
    finally:
        dismiss_workers()
