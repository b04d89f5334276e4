"""What streams of dead processes leave behind: rows in the journal, and who inherits them."""

from decimal import Decimal

import pytest

from exconnect.environment import Environment
from exconnect.model.enums import Side
from exconnect.model.order import Fill
from exconnect.model.values import datetime_of
from exconnect.runtime import process
from exconnect.trading.handouts import HandoutLog
from exconnect.trading.journal import Journal

BTC = "BTC/USDT"
DAY_MS = 86_400_000
T0 = 100 * DAY_MS


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "j", Environment())


@pytest.fixture
def dead(monkeypatch):
    """From when it is called on, whoever has begun before is dead."""
    gone, is_alive, identity = set(), process.is_alive, process.identity
    number = iter(range(100))
    me = [identity()]
    monkeypatch.setattr(process, "identity", lambda: me[0])
    monkeypatch.setattr(process, "is_alive", lambda who: who not in gone and (who == me[0] or is_alive(who)))

    def kill():
        gone.add(me[0])
        me[0] = f"later {next(number)} ?"

    return kill


def fill(number, ms=T0):
    return Fill(
        exchange="toy",
        id=str(number),
        order_id="1",
        symbol=BTC,
        side=Side.BUY,
        price=Decimal(1),
        quantity=Decimal(1),
        time=datetime_of(ms),
    )


def begun(journal, name="a", since_ms=T0):
    made = HandoutLog(journal, name)
    return made, made.begin(since_ms, [BTC])


def left(journal):
    tables = ("listener", "handled")
    return [journal._file.connection().execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables]


def test_the_living_leave_nothing(journal):
    first, inherited = begun(journal)
    first.handled(fill(1))
    assert inherited is None
    assert begun(journal)[1] is None


def test_the_dead_leave_what_they_had_not_handled(journal, dead):
    first, _ = begun(journal)
    first.handled(fill(1))
    dead()
    assert begun(journal, "of another name")[1] is None
    _, inherited = begun(journal, since_ms=T0 + 5_000)
    assert (inherited.since_ms, inherited.symbols) == (T0, (BTC,))
    assert inherited.handled == {(BTC, "1", "1")}
    dead()
    assert begun(journal, since_ms=T0 + 9_000)[1] == inherited  # the heir died before it had handed it out


def test_of_two_each_had_to_hand_it_out(journal, dead):
    one, other = begun(journal)[0], begun(journal, since_ms=T0 + 1)[0]
    for number in (1, 2):
        one.handled(fill(number))
    other.handled(fill(2))
    dead()
    _, inherited = begun(journal, since_ms=T0 + 5_000)
    assert (inherited.since_ms, inherited.handled) == (T0, {(BTC, "1", "2")})


def test_who_ends_in_order_leaves_nothing(journal, dead):
    first, _ = begun(journal)
    first.handled(fill(1))
    first.end()
    assert left(journal) == [0, 0]
    dead()
    assert begun(journal)[1] is None


def test_what_all_have_handled_is_forgotten(journal, dead):
    first, _ = begun(journal)
    for number in range(3):
        first.handled(fill(number, T0 + number))
    first.advance(T0 + 2, [BTC, "ETH/USDT"])
    first.advance(T0 + 1, [BTC, "ETH/USDT"])
    dead()
    _, inherited = begun(journal, since_ms=T0 + 5_000)
    assert (inherited.since_ms, inherited.handled) == (T0 + 2, {(BTC, "1", "2")})
    assert inherited.symbols == (BTC, "ETH/USDT")


def test_nobody_leaves_more_than_a_week(journal, dead):
    begun(journal)
    begun(journal, "never started again")
    dead()
    _, inherited = begun(journal, since_ms=T0 + 10 * DAY_MS)
    assert inherited.since_ms == T0 + 3 * DAY_MS
    assert left(journal) == [1, 0]


def test_a_symbol_that_nobody_named_is_added(journal, dead):
    first, _ = begun(journal)
    first.covers("ETH/USDT")
    dead()
    _, inherited = begun(journal, since_ms=T0 + 5_000)
    assert inherited.symbols == (BTC, "ETH/USDT")
