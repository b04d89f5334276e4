"""Who is called, in which thread, how often, and what a handler that fails or lags behind does to the others."""

from __future__ import annotations

import functools
import logging
import threading

import pytest
from seen import Seen
from toy import BTC, ETH, whole

from exconnect.errors import ClientClosed, InvalidArgument, InvalidType, NotSupported
from exconnect.model.enums import Policy
from exconnect.model.events import Gap, HandlerFailed


def live(stream):
    stream.start()
    assert stream.wait_live(30)
    return stream


# ---------------------------------------------------------------- registering


def test_every_way_of_registering(stream):
    def show(item): ...

    assert stream.on_trade(show) is show
    assert stream.on_trade(show, BTC) is show

    @stream.on_book
    def plain(book): ...

    @stream.on_book(BTC, ETH, depth=5)
    def with_symbols(book): ...

    @stream.on_ticker(interval=0.5)
    def with_options(ticker): ...

    @stream.on_status
    def status(change): ...

    @stream.on_notice()
    def notice(note): ...

    assert [(s.kind, s.handler.rpartition(".")[2], s.symbols, s.policy) for s in stream.subscriptions] == [
        ("trade", "show", (BTC,), Policy.DROP_OLDEST),
        ("book", "plain", (BTC, ETH), Policy.CONFLATE),
        ("book", "with_symbols", (BTC, ETH), Policy.CONFLATE),
        ("ticker", "with_options", (BTC,), Policy.CONFLATE),
        ("status", "status", (), Policy.KEEP),
        ("notice", "notice", (), Policy.KEEP),
    ]
    assert stream.symbols == (BTC, ETH)


async def coroutine(item): ...


async def generator(item):
    yield item


class Awaited:
    async def __call__(self, item): ...


@pytest.mark.parametrize(
    "handler",
    [coroutine, generator, Awaited(), functools.partial(coroutine, 1), 5, b"BTC/USDT", Awaited().__call__],
)
def test_what_is_no_plain_callable_is_refused(stream, handler):
    with pytest.raises(InvalidType) as caught:
        stream.on_trade(handler)
    assert caught.value.argument == "handler"
    with pytest.raises(InvalidType):
        stream.on_trade(BTC)(handler)
    assert stream.subscriptions == []


def nothing(): ...


def two(book, stream): ...


def with_default(book, color="green"): ...


def keyword_only(book, *, color): ...


@pytest.mark.parametrize("handler", [nothing, two, keyword_only, functools.partial(two, 1, 2), threading.Event().set])
def test_what_cannot_be_called_with_one_item_is_refused_when_it_is_registered(stream, handler):
    for register in (stream.on_book, stream.on_status, lambda h: stream.on_trade(print, on_gap=h)):
        with pytest.raises(InvalidType, match="must take one argument"):
            register(handler)
    assert stream.subscriptions == []


def wrapped(function):
    @functools.wraps(function)
    def wrapper(item):
        return function(item, "filled in by the decorator")

    return wrapper


@pytest.mark.parametrize(
    "handler", [with_default, functools.partial(two, stream=1), wrapped(two), [].append, {}.update, dict, max]
)
def test_what_can_be_called_with_one_item_is_taken(stream, handler):
    assert stream.on_book(handler) is handler


def test_the_refusal_of_a_handler_shows_the_fix(stream):
    with pytest.raises(InvalidType) as caught:
        stream.on_book(two)
    assert str(caught.value) == (
        "handler must take one argument, what it is handed, but this is two(book, stream): write two(item)"
    )


@pytest.mark.parametrize(
    "register, argument, error",
    [
        (lambda s: s.on_book(print, depth=0), "depth", InvalidArgument),
        (lambda s: s.on_book(print, depth=5001), "depth", InvalidArgument),
        (lambda s: s.on_book(print, depth="5"), "depth", InvalidType),
        (lambda s: s.on_book(print, depth=True), "depth", InvalidType),
        (lambda s: s.on_book(print, interval=-1), "interval", InvalidArgument),
        (lambda s: s.on_book(print, interval=float("nan")), "interval", InvalidArgument),
        (lambda s: s.on_ticker(print, interval="1"), "interval", InvalidType),
        (lambda s: s.on_trade(print, capacity=0), "capacity", InvalidArgument),
        (lambda s: s.on_trade(print, capacity=1.5), "capacity", InvalidType),
        (lambda s: s.on_trade(print, policy="keep"), "policy", InvalidArgument),
        (lambda s: s.on_trade(print, policy="newest"), "policy", InvalidArgument),
        (lambda s: s.on_trade(print, on_gap=coroutine), "on_gap", InvalidType),
        (lambda s: s.on_candle(print, interval="2m"), "interval", InvalidArgument),
        (lambda s: s.on_trade(print, ""), "symbols", InvalidArgument),
        (lambda s: s.on_trade(print, 5), "symbols", InvalidType),
        (lambda s: s.on_trade(BTC, 5), "symbols", InvalidType),
        (lambda s: s.off(print, 5), "symbols", InvalidType),
    ],
)
def test_wrong_arguments_are_refused_at_once(stream, register, argument, error):
    with pytest.raises(error) as caught:
        register(stream)
    assert caught.value.argument == argument
    assert stream.subscriptions == []


def test_the_same_handler_with_other_options_is_refused(stream):
    stream.on_book(print, BTC, depth=5)
    stream.on_book(print, ETH, depth=5)
    with pytest.raises(InvalidArgument, match="other options"):
        stream.on_book(print, depth=6)
    assert stream.subscriptions[0].symbols == (BTC, ETH)
    stream.off(print)
    stream.on_book(print, depth=6)


@pytest.mark.parametrize("kind", ["order", "fill", "balance", "position"])
def test_private_kinds_of_an_exchange_that_has_none(stream, kind):
    with pytest.raises(NotSupported, match="version"):
        getattr(stream, f"on_{kind}")(print)


def test_what_comes_later_has_its_name_already(stream):
    for call in (lambda: stream.complete_through(BTC, "trade"), stream.health):
        with pytest.raises(NotSupported, match="not delivered yet"):
            call()


def test_off_takes_symbols_or_all_back(stream):
    def everything(item): ...

    def named(item): ...

    stream.on_trade(everything)
    stream.on_ticker(everything, ETH)
    stream.on_trade(named, ETH, "SOL/USDT")
    stream.off(everything, ETH)
    stream.off(named, "SOL/USDT")
    assert [(s.kind, s.symbols) for s in stream.subscriptions] == [("trade", (BTC,)), ("trade", (ETH,))]
    stream.on_trade(everything, ETH)
    assert stream.subscriptions[0].symbols == (BTC, ETH)
    stream.off(everything)
    stream.off(everything)
    stream.off(len)
    assert len(stream.subscriptions) == 1


def test_two_bound_methods_of_one_object_are_one_handler(stream):
    class Desk:
        def trade(self, trade): ...

    desk = Desk()
    stream.on_trade(desk.trade, BTC)
    stream.on_trade(desk.trade, ETH)
    assert [s.symbols for s in stream.subscriptions] == [(BTC, ETH)]
    stream.off(desk.trade)
    assert stream.subscriptions == []


def test_a_handler_that_cannot_be_hashed(stream, server):
    class Handler:
        __hash__ = None

        def __eq__(self, other):
            return self is other

        def __init__(self):
            self.seen = Seen()

        def __call__(self, item):
            self.seen(item)

    handler = Handler()
    stream.on_trade(handler)
    live(stream)
    server.trades(1)
    handler.seen.count(1)
    stream.off(handler)
    assert stream.subscriptions == []


# ---------------------------------------------------------------- threads


def test_one_thread_per_handler_whatever_it_is_registered_for(stream, server):
    everything, other = Seen(), Seen()
    stream.on_trade(everything)
    stream.on_ticker(everything)
    stream.on_trade(other)
    live(stream)
    server.trades(1)
    server.send({"tick": BTC, "last": "1"})
    everything.count(2)
    other.count(1)
    assert len(everything.threads) == 1
    names = [thread.name for thread in threading.enumerate() if ".handler." in thread.name]
    assert len(names) == 2
    assert all(name.startswith("exconnect.toy.handler.") for name in names)


def test_a_handler_is_never_called_concurrently(stream, server):
    inside, most, go = [], [], threading.Event()

    def busy(item):
        inside.append(item)
        most.append(len(inside))
        go.wait(60)
        inside.remove(item)

    done, other = Seen(busy), Seen()
    stream.on_trade(done)
    stream.on_ticker(done)
    stream.on_trade(other)
    live(stream)
    for number in range(20):
        server.send({"tick": BTC, "last": str(number)})
        server.trades(number)
    other.count(20)
    go.set()
    done.until(lambda items: len([i for i in items if hasattr(i, "id")]) == 20)
    assert set(most) == {1}


def test_taken_back_and_registered_while_it_runs_it_still_is_not_called_twice_at_once(stream, server):
    first, go, calls = threading.Event(), threading.Event(), []

    def slow(trade):
        calls.append(("in", trade.id))
        first.set()
        if trade.id == "1":
            go.wait(60)
        calls.append(("out", trade.id))

    other = Seen()
    stream.on_trade(slow)
    stream.on_trade(other)
    live(stream)
    server.trades(1)
    assert first.wait(30)
    stream.off(slow)
    stream.on_trade(slow)
    server.trades(2)
    other.count(2)
    assert calls == [("in", "1")]
    go.set()
    server.trades(3)
    other.count(3)
    stream.close()
    assert [name for name, _ in calls] == ["in", "out"] * (len(calls) // 2)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError])
def test_what_a_handler_raises_hurts_nobody(stream, server, caplog, error):
    def sometimes(trade):
        if int(trade.id) % 3 == 0:
            raise error(trade.id)

    failing, good, notices = Seen(sometimes), Seen(), Seen()
    stream.on_trade(failing)
    stream.on_trade(good)
    stream.on_notice(notices)
    live(stream)
    server.trades(*range(1, 31))
    assert len(failing.count(30)) == 30
    assert [int(t.id) for t in good.count(30)] == list(range(1, 31))
    notices.count(10)
    assert {type(n) for n in notices.items} == {HandlerFailed}
    by_handler = {s.errors for s in stream.subscriptions if s.kind == "trade"}
    assert by_handler == {0, 10}
    assert stream.metrics()["handler_errors"] == 10
    assert server.count == 1
    assert any(record.exc_info for record in caplog.records if record.name == "exconnect.stream")


class Fail:
    """A handler with a bug; `times` waits until it was called so often. Closing the stream waits for its report."""

    def __init__(self):
        self._called = threading.Semaphore(0)

    def __call__(self, item):
        self._called.release()
        raise ZeroDivisionError(f"a bug on a {type(item).__name__}")

    def times(self, count):
        assert all(self._called.acquire(timeout=10) for _ in range(count))


def test_where_nobody_listens_the_first_failure_is_shown_once(stream, server, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])
    fail = Fail()
    stream.on_trade(fail)
    live(stream)
    server.trades(1, 2, 3)
    fail.times(3)
    stream.close()
    shown = capsys.readouterr().err
    assert shown.count("ZeroDivisionError: a bug on a Trade") == 1
    assert "Fail failed on a Trade; on_notice and logging tell of every failure" in shown


def test_who_has_a_handler_of_notices_is_told_there(stream, server, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])
    notices, fail = Seen(), Fail()
    stream.on_trade(fail)
    stream.on_notice(notices)
    live(stream)
    server.trades(1)
    assert isinstance(notices.count(1)[0], HandlerFailed)
    stream.close()
    assert capsys.readouterr().err == ""


def test_a_handler_of_notices_that_fails_itself_is_shown(stream, server, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])
    of_notices, of_trades = Fail(), Fail()
    stream.on_notice(of_notices)
    stream.on_trade(of_trades)
    live(stream)
    server.trades(1)
    of_notices.times(1)
    stream.close()
    shown = capsys.readouterr().err
    assert "a bug on a HandlerFailed" in shown
    assert "a bug on a Trade" not in shown.replace("a bug on a HandlerFailed", "")


def test_who_has_set_up_logging_is_told_there(stream, server, capsys, caplog):
    fail = Fail()
    stream.on_trade(fail)
    live(stream)
    server.trades(1)
    fail.times(1)
    stream.close()
    assert capsys.readouterr().err == ""
    assert "a bug on a Trade" in caplog.text


def test_failing_notice_handlers_come_to_rest(stream, server):
    def fail(notice):
        raise RuntimeError("again")

    first, second = Seen(fail), Seen(fail)
    stream.on_notice(first)
    stream.on_notice(second)
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    server.trades(1, 3)  # a gap: one notice, two failures of handlers of it, two failures to hear of these each
    first.count(3)
    second.count(3)
    server.trades(4)
    trades.count(3)
    assert len(first.items) == len(second.items) == 3


def test_a_failing_on_gap_is_reported_and_the_trade_comes(stream, server):
    def fail(gap):
        raise RuntimeError("gap")

    trades, notices = Seen(), Seen()
    stream.on_trade(trades, on_gap=fail)
    stream.on_notice(notices)
    live(stream)
    server.trades(1, 3)
    trades.count(2)
    notices.until(lambda items: any(isinstance(item, HandlerFailed) for item in items))


# ---------------------------------------------------------------- slow handlers


def test_a_slow_handler_of_trades_loses_the_oldest_and_is_told(stream, server):
    first, go, order = threading.Event(), threading.Event(), []

    def slow(trade):
        order.append(trade.id)
        first.set()
        go.wait(60)

    stream.on_trade(slow, capacity=3, on_gap=lambda gap: order.append((gap.first_id, gap.last_id, gap.count)))
    fast, notices = Seen(), Seen()
    stream.on_trade(fast)
    stream.on_notice(notices)
    live(stream)
    server.trades(1)
    assert first.wait(30)
    server.trades(*range(2, 10))
    fast.count(9)
    mine = next(s for s in stream.subscriptions if s.handler.endswith("slow"))
    assert (mine.dropped, mine.waiting, mine.delivered) == (5, 3, 1)
    assert mine.lag_s >= 0
    go.set()
    gap = notices.count(1)[0]
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.symbol, gap.first_id, gap.last_id, gap.count) == ("trade", BTC, "2", "6", 5)
    server.trades(10)
    fast.count(10)
    stream.off(fast)
    stream.close()
    assert order[:3] == ["1", ("2", "6", 5), "7"]
    assert stream.metrics()["dropped"] == 5


def test_a_dropped_trade_takes_the_gap_before_it_along(stream, server):
    first, go, order = threading.Event(), threading.Event(), []

    def block(trade):
        order.append(trade.id)
        first.set()
        go.wait(60)

    slow, done = Seen(block), Seen()
    stream.on_trade(slow, capacity=1, on_gap=lambda gap: order.append((gap.first_id, gap.last_id, gap.count)))
    stream.on_trade(done)
    live(stream)
    server.trades(1)
    assert first.wait(30)
    server.trades(5, 6)
    done.count(3)
    go.set()
    slow.count(2)
    stream.close()
    assert order == ["1", ("2", "5", 4), "6"]


def test_a_slow_handler_of_books_gets_the_newest(stream, server):
    first, go = threading.Event(), threading.Event()

    def slow(book):
        first.set()
        go.wait(60)

    books, done = Seen(slow), Seen()
    stream.on_book(books)
    stream.on_trade(done)
    live(stream)
    server.book(11)
    assert first.wait(30)
    for number in range(12, 31):
        server.book(number)
    server.trades(1)
    done.count(1)
    go.set()
    books.until(lambda items: items[-1].sequence == 30)
    assert len(books.items) <= 3
    assert next(s for s in stream.subscriptions if s.kind == "book").conflated >= 17


def test_interval_limits_the_calls_and_the_newest_always_comes(stream, server):
    now = stream._venue().env
    tickers, done = Seen(), Seen()
    stream.on_ticker(tickers, interval=0.2)
    stream.on_trade(done)
    live(stream)
    begin = now.now()
    for number in range(50):
        server.send({"tick": BTC, "last": str(number)})
    server.trades(1)
    done.count(1)
    tickers.until(lambda items: str(items[-1].last) == "49")
    assert len(tickers.items) <= 2 + (now.now() - begin) / 0.2


def test_conflated_trades(stream, server):
    first, go = threading.Event(), threading.Event()

    def slow(trade):
        first.set()
        go.wait(60)

    trades, done = Seen(slow), Seen()
    stream.on_trade(trades, policy="conflate")
    stream.on_trade(done)
    live(stream)
    server.trades(1)
    assert first.wait(30)
    server.trades(*range(2, 20))
    done.count(19)
    go.set()
    assert [t.id for t in trades.until(lambda items: items[-1].id == "19")] == ["1", "19"]


# ---------------------------------------------------------------- while it runs


def test_off_takes_effect_at_once_for_what_waits(make, server):
    stream = make(BTC, ETH)
    first, go = threading.Event(), threading.Event()

    def slow(trade):
        first.set()
        go.wait(60)

    trades, done = Seen(slow), Seen()
    stream.on_trade(trades)
    stream.on_trade(done)
    live(stream)
    server.trades(1)
    assert first.wait(30)
    server.trades(*range(1, 20), symbol=ETH)
    server.trades(2)
    done.count(21)
    stream.off(trades, ETH)
    go.set()
    trades.count(2)
    assert [t.symbol for t in trades.items] == [BTC, BTC]


def test_registering_from_a_handler(stream, server):
    later, registered = Seen(), threading.Event()

    def register(trade):
        stream.on_trade(later)
        registered.set()

    stream.on_trade(register)
    live(stream)
    server.trades(1)
    assert registered.wait(30)
    server.trades(2, 3)
    later.count(1)


def test_a_handler_that_takes_itself_back(stream, server):
    once = Seen(lambda trade: stream.off(once))
    done = Seen()
    stream.on_trade(once)
    stream.on_trade(done)
    live(stream)
    server.trades(1, 2, 3)
    done.count(3)
    once.count(1)
    stream.close()
    assert len(once.items) == 1


def test_registrations_from_many_threads(stream, server):
    handlers = [Seen() for _ in range(20)]
    threads = [threading.Thread(target=stream.on_trade, args=(handler, BTC)) for handler in handlers]
    stream.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stream.wait_live(30)
    server.trades(1)
    for handler in handlers:
        handler.count(1)


def test_after_close_nothing_is_registered_or_started(stream):
    stream.close()
    with pytest.raises(ClientClosed):
        stream.on_trade(print)
    with pytest.raises(ClientClosed):
        stream.start()
    stream.off(print)
    stream.close()


def test_statistics_outlive_a_stop(stream, server, venue):
    trades = Seen()
    stream.on_trade(trades)
    live(stream)
    server.trades(1)
    trades.count(1)
    stream.stop()
    assert stream.subscriptions[0].delivered == 1
    assert stream.metrics()["messages"] >= 1
    live(stream)
    server.trades(2)
    trades.count(2)
    assert stream.subscriptions[0].delivered == 2
    assert stream.metrics()["connects"] == 2
    venue.snapshot = lambda symbol: whole(symbol, 1)
