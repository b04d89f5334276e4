"""Parts of the private road by themselves: what was delivered, inboxes that keep all."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from seen import Seen
from toy import BTC, ETH

from exconnect.environment import Environment
from exconnect.errors import JournalUnavailable, StreamError
from exconnect.feeds import echoes as echoes_module
from exconnect.feeds.delivered import Delivered
from exconnect.feeds.echoes import Echoes
from exconnect.feeds.handlers import Router
from exconnect.feeds.handouts import Handouts
from exconnect.feeds.registration import Options, Registration, audience
from exconnect.model.account import Balance
from exconnect.model.enums import OrderStatus, OrderType, Policy, Side, Source
from exconnect.model.order import Fill, Order
from exconnect.model.values import datetime_of
from exconnect.protocol.session import Inherited
from exconnect.runtime.actor import Everything, Parcel

ORDER = Order(
    exchange="toy",
    client_order_id="a",
    order_id="1",
    symbol=BTC,
    side=Side.BUY,
    type=OrderType.LIMIT,
    status=OrderStatus.NEW,
    quantity=Decimal(2),
    source=Source.REST,
)
FILL = Fill(exchange="toy", id="1", order_id="1", symbol=BTC, side=Side.BUY, price=Decimal(100), quantity=Decimal(1))


@pytest.fixture
def delivered():
    return Delivered(Environment(), remembered=3)


def test_a_fill_is_new_once(delivered):
    assert delivered.fill(FILL)
    assert delivered.has_fill(FILL)
    assert not delivered.fill(replace(FILL, source=Source.STREAM, fee=Decimal(1)))
    assert delivered.fill(replace(FILL, order_id="2"))  # the other side of a trade with oneself
    assert delivered.fill(replace(FILL, symbol=ETH))


def test_the_memory_is_bounded_and_forgets_the_oldest(delivered):
    fills = [replace(FILL, id=str(number)) for number in range(5)]
    for fill in fills:
        delivered.fill(fill)
    assert [delivered.has_fill(fill) for fill in fills] == [False, False, True, True, True]


def test_an_order_is_news_when_a_user_sees_a_difference(delivered):
    assert delivered.order(ORDER)
    assert not delivered.order(replace(ORDER, source=Source.STREAM, updated_at=datetime_of(5), client_order_id="b"))
    assert delivered.order(replace(ORDER, quantity=Decimal(1)))
    assert delivered.order(replace(ORDER, filled_quantity=Decimal(1), status=OrderStatus.PARTIALLY_FILLED))


def test_a_balance_is_news_when_it_is_another_amount(delivered):
    balance = Balance(exchange="toy", asset="BTC", free=Decimal(1), locked=Decimal(0))
    assert delivered.balance(balance)
    assert not delivered.balance(replace(balance, free=Decimal("1.0")))
    assert delivered.balance(replace(balance, locked=Decimal(1)))


def test_only_one_of_many_threads_has_news(delivered):
    gate, news = threading.Barrier(8), []

    def tell():
        gate.wait()
        if delivered.fill(FILL):
            news.append(1)

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert news == [1]


def test_an_inbox_that_keeps_all_refuses_and_loses_nothing():
    inbox = Everything(2)
    inbox.put(Parcel("a", 1, 0.0))
    inbox.put(Parcel("b", 2, 0.0))
    with pytest.raises(StreamError, match="2 items"):
        inbox.put(Parcel("c", 3, 0.0))
    assert [inbox.take(0.0).item, inbox.take(0.0).item] == [1, 2]
    assert inbox.losses() == []


def test_a_handler_that_is_too_far_behind_is_told_of_and_the_others_get_theirs():
    gate = threading.Event()
    slow, quick = Seen(lambda item: gate.wait(60)), Seen()
    registrations = [
        Registration("fill", slow, Options(Policy.KEEP, capacity=2), has_all=True),
        Registration("fill", quick, Options(Policy.KEEP), has_all=True),
    ]
    router = Router(Environment(), "toy", lambda symbol, depth: None, lambda name, handler: None, lambda: None)
    router.update(audience(registrations, ()))
    try:
        router.tell("fill", BTC, 1)
        slow.count(1)
        router.tell("fill", BTC, 2)
        router.tell("fill", BTC, 3)
        with pytest.raises(StreamError, match="Seen"):
            router.tell("fill", BTC, 4)
        assert quick.count(4) == [1, 2, 3, 4]
        gate.set()
        assert slow.count(3) == [1, 2, 3]
    finally:
        gate.set()
        router.close()
        for thread in router.threads().values():
            thread.thread.join(30)


class Still(Environment):
    at = 0.0

    def now(self):
        return self.at


def reply(ms, **changes):
    return replace(ORDER, updated_at=datetime_of(ms), **changes)


def test_a_reply_without_its_event_is_missed_after_a_while():
    env = Still()
    echoes = Echoes(env)
    echoes.restart(10_000)
    echoes.replied(reply(9_000))  # happened before anybody listened
    echoes.replied(reply(20_000, source=Source.LOCAL))
    echoes.replied(reply(20_000, status=OrderStatus.REJECTED))
    echoes.replied(reply(20_000, order_id=None))
    assert echoes.missing(100.0) is None
    echoes.replied(reply(20_000))
    assert echoes.missing(5.0) is None
    assert echoes.missing(5.1) == (BTC, "1")
    echoes.heard((BTC, "1"), reply(18_000))
    assert echoes.missing(5.1) == (BTC, "1")
    echoes.heard((BTC, "1"), reply(20_000))
    assert echoes.missing(5.1) is None
    echoes.replied(reply(20_500))  # the same event, by another clock
    assert echoes.missing(100.0) is None


def test_a_new_connection_owes_nothing_of_the_past():
    echoes = Echoes(Still())
    echoes.replied(reply(20_000))
    assert echoes.missing(10.0) == (BTC, "1")
    echoes.restart(21_000)
    assert echoes.missing(10.0) is None


def test_what_is_too_old_to_be_remembered_is_not_missed(monkeypatch):
    monkeypatch.setattr(echoes_module, "_MOST", 2)
    echoes = Echoes(Still())
    for number in range(4):
        echoes.heard((BTC, str(number)), reply(20_000 + number))
    echoes.replied(reply(20_000, order_id="0"))  # somebody has read the history
    assert echoes.missing(10.0) is None
    echoes.replied(reply(30_000, order_id="9"))
    assert echoes.missing(10.0) == (BTC, "9")


class Written:
    """What a stream writes down of its fills."""

    def __init__(self, *, broken=False, inherited=None):
        self.lines = []
        self._broken = broken
        self._inherited = inherited

    def begin(self, since_ms, symbols):
        if self._broken:
            raise JournalUnavailable("no")
        self.lines.append(("begin", since_ms))

        return self._inherited

    def covers(self, symbol):
        self.lines.append(("covers", symbol))

    def handled(self, fill):
        self.lines.append(("handled", fill.id))

    def advance(self, since_ms, symbols):
        self.lines.append(("advance", since_ms))

    def end(self):
        self.lines.append("end")


def handouts(written, *, is_wanted=True):
    made = Handouts(Environment(), lambda: written)
    made.is_wanted = is_wanted
    made.begin(5, [BTC])
    return made


def fill_at(ms, name="1"):
    return replace(FILL, id=name, time=datetime_of(ms))


def test_a_fill_is_handled_when_all_its_handlers_are_through():
    written = Written()
    made = handouts(written)
    made.told(fill_at(10), 2)
    made.handled(fill_at(10))
    assert written.lines == [("begin", 5)]
    made.handled(fill_at(10))
    made.handled(fill_at(11, "2"))  # a handler may be faster than whoever counts them
    made.told(fill_at(11, "2"), 1)
    made.told(fill_at(12, "3"), 0)  # nobody hears of it
    assert written.lines == [("begin", 5), ("handled", "1"), ("handled", "2")]


def test_what_a_stream_answers_for_begins_before_the_oldest_that_is_open():
    written = Written()
    made = handouts(written)
    for ms in (30, 20, 40):
        made.told(fill_at(ms, str(ms)), 1)
    made.advance(100, [BTC])
    made.end()
    made.handled(fill_at(20, "20"))
    made.advance(100, [BTC])
    made.handled(fill_at(40, "40"))
    made.handled(fill_at(30, "30"))
    made.advance(100, [BTC])
    made.end()
    advances = [line for line in written.lines if line[0] == "advance"]
    assert advances == [("advance", 20), ("advance", 30), ("advance", 100)]
    assert written.lines.count("end") == 1


def test_what_was_told_before_it_is_written_down_is_counted_all_the_same():
    written = Written()
    made = Handouts(Environment(), lambda: written)
    made.told(fill_at(10), 1)
    made.is_wanted = True
    assert made.is_due
    made.begin(5, [BTC])
    assert not made.is_due
    made.handled(fill_at(10))
    made.end()
    assert written.lines == [("begin", 5), ("handled", "1"), "end"]


def test_what_a_handler_that_was_taken_back_had_not_had_is_left_to_nobody():
    written = Written()
    made = handouts(written)
    made.told(fill_at(10), 2)
    made.handled(fill_at(10))
    made.dropped(fill_at(10))
    made.end()
    assert written.lines == [("begin", 5), "end"]


def test_a_symbol_is_written_down_before_its_first_fill_is_told():
    written = Written()
    made = handouts(written)
    for symbol in (BTC, ETH, ETH):
        made.expect(symbol)
    assert written.lines == [("begin", 5), ("covers", BTC), ("covers", ETH)]


def test_what_the_dead_have_left_is_there_until_it_was_handed_out():
    estate = Inherited(since_ms=1, handled=frozenset(), symbols=())
    made = handouts(Written(inherited=estate))
    assert made.begin(5, [BTC]) is estate  # the connection that heard of it first is gone
    made.settled()
    assert made.begin(5, [BTC]) is None


@pytest.mark.parametrize(
    "written, is_wanted", [(None, True), (Written(broken=True), True), (Written(), False)], ids=lambda x: str(x)[:9]
)
def test_without_a_place_to_write_or_a_handler_nothing_is_written(written, is_wanted):
    made = handouts(written, is_wanted=is_wanted)
    made.told(fill_at(10), 1)
    made.handled(fill_at(10))
    made.advance(100, [BTC])
    made.end()
    assert written is None or written.lines == []
