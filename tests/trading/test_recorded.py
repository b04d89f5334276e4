"""What a process shows of orders that others have written down, and what it leaves alone by looking at them."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exconnect.environment import Environment
from exconnect.gateway import Attempt
from exconnect.model.enums import OrderStatus, OrderType, Side, Source
from exconnect.model.order import Order, PlaceOrder
from exconnect.trading.intents import Intents
from exconnect.trading.journal import Journal
from exconnect.trading.orders import OrderStore
from exconnect.trading.recorded import Recorded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WISH = PlaceOrder("BTC/USDT", "buy", "0.1", price="60000")


class Clock(Environment):
    """A clock that is set."""

    at = 0.0

    def now(self):
        return self.at


class Process:
    """One process of an account: its journal, its store, and what it shows."""

    def __init__(self, path):
        self.env = Clock()
        self.journal = Journal(path, self.env)
        self.orders = OrderStore(self.env)
        self.orders.listen(self.journal.record)
        self.recorded = Recorded(self.env, self.orders, self.journal)

    def wish(self, name):
        order = Order(
            exchange="toy", client_order_id=name, symbol="BTC/USDT", side=Side.BUY, type=OrderType.LIMIT,
            status=OrderStatus.PENDING_NEW, quantity=WISH.quantity, price=WISH.price, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        self.journal.intend(order, WISH)
        return self.orders.begin(order)

    def send(self, name):
        order = self.wish(name)
        self.journal.attempt(name, Attempt("place_order", "BTC/USDT", name, 1, 1_000, 5_000, 6_000, "127.0.0.1", ()))
        return order

    def hear(self, order, status):
        seconds = timedelta(seconds=list(OrderStatus).index(status))
        return self.orders.apply(replace(order, status=status, source=Source.REST, updated_at=NOW + seconds))

    def shown(self):
        """As `client.orders.open()` would, a while later."""
        self.env.at += 2.0
        return self.shown_at_once()

    def shown_at_once(self):
        self.recorded.refresh()
        return {order.client_order_id: order.status for order in self.orders.open()}


@pytest.fixture
def one(tmp_path):
    return Process(tmp_path / "j")


@pytest.fixture
def other(tmp_path):
    return Process(tmp_path / "j")


@pytest.fixture
def all_are_gone(monkeypatch):
    return lambda: monkeypatch.setattr("exconnect.runtime.process.is_alive", lambda _: False)


def bytes_of(path):
    with closing(sqlite3.connect(path)) as db:
        return [db.execute(f"SELECT * FROM {table}").fetchall() for table in ("intent", "epoch", "meta", "grave")]


def test_what_a_dead_process_was_sending_is_unknown_and_what_it_only_wanted_until_it_is_taken_over(
    one, other, all_are_gone
):
    one.send("sent")
    one.wish("wanted")
    one.hear(one.send("rests"), OrderStatus.NEW)
    assert other.shown() == dict.fromkeys(("sent", "wanted"), OrderStatus.PENDING_NEW) | {"rests": OrderStatus.NEW}
    all_are_gone()
    read = {"sent": OrderStatus.UNKNOWN, "rests": OrderStatus.NEW}
    assert other.shown() == read | {"wanted": OrderStatus.PENDING_NEW}  # who is only taken for dead may still send it
    assert other.recorded.is_left("wanted")
    other.journal.take_over()
    assert other.shown() == read
    assert other.recorded.find("wanted").status is OrderStatus.NEVER_SENT


def test_a_look_writes_nothing_and_takes_nothing_over(one, other, all_are_gone):
    one.send("sent")
    one.hear(one.send("over"), OrderStatus.CANCELED)
    one.hear(one.send("rests"), OrderStatus.NEW)
    before = bytes_of(one.journal.path)
    all_are_gone()
    heard = []
    other.orders.listen(heard.append)
    other.shown()
    other.shown()
    assert other.recorded.find("over").status is OrderStatus.CANCELED
    assert bytes_of(one.journal.path) == before
    assert sorted(order.client_order_id for order in heard) == ["rests", "sent"]
    assert other.recorded.is_left("sent")
    assert not other.recorded.is_left("rests")
    other.journal.take_over()
    assert not other.recorded.is_left("sent")


def test_an_order_that_its_living_process_has_ended_is_not_open_here_for_ever(one, other):
    order = one.hear(one.send("a"), OrderStatus.NEW)
    assert other.shown() == {"a": OrderStatus.NEW}
    one.hear(order, OrderStatus.CANCELED)
    assert other.shown() == {}
    assert other.orders.get("a").status is OrderStatus.CANCELED


def test_an_order_that_another_process_has_ended_is_not_open_where_it_was_placed(one, other):
    order = one.hear(one.send("a"), OrderStatus.NEW)
    assert other.shown() == {"a": OrderStatus.NEW}
    other.hear(order, OrderStatus.CANCELED)
    assert one.shown() == {}


def test_the_file_is_looked_at_once_in_a_while_and_not_at_every_question(one, other):
    one.hear(one.send("a"), OrderStatus.NEW)
    assert len(other.shown()) == 1
    one.hear(one.send("b"), OrderStatus.NEW)
    assert len(other.shown_at_once()) == 1
    other.env.at += 0.9
    assert len(other.shown_at_once()) == 1
    other.env.at += 0.2
    assert len(other.shown_at_once()) == 2


def test_a_journal_that_cannot_be_read_adds_nothing(one, other):
    one.send("a")
    other.journal.path.write_bytes(b"no database at all" * 500)
    for suffix in ("-wal", "-shm"):
        other.journal.path.with_name(f"{other.journal.path.name}{suffix}").unlink()
    assert other.shown() == {}
    assert other.recorded.find("a") is None
    assert not other.recorded.is_left("a")


def test_where_nothing_was_written_a_look_makes_no_file(one):
    assert one.shown() == {}
    assert one.recorded.find("a") is None
    assert not one.journal.path.exists()


def test_without_a_journal_there_is_nothing_to_look_at():
    env = Clock()
    intents = Intents(env)
    recorded = Recorded(env, OrderStore(env), intents)
    recorded.refresh()
    assert recorded.find("a") is None
    assert not recorded.is_left("a")
