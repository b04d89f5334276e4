"""One book over both mocks: who is in, why the others are not, and when it is live."""

from __future__ import annotations

import logging
import threading

import pytest

from exconnect.client import Client
from exconnect.consolidated import ConsolidatedBook
from exconnect.errors import BookNotReady, InvalidType
from exconnect.mock import MockExchange

BTC = "BTC/USDT"


@pytest.fixture
def clients():
    with (
        MockExchange("binance", seed=7) as one,
        MockExchange("bybit", seed=7, symbols={BTC: "60000", "SOL/USDT": "150"}) as other,
        Client("binance", environment=one) as first,
        Client("bybit", environment=other) as second,
    ):
        yield first, second


def test_both_are_in(clients):
    with ConsolidatedBook(BTC, *(client.stream() for client in clients)) as book:
        assert book.start().wait_live(20)
        view = book.view()
        assert (view.exchanges, dict(view.missing)) == (("binance", "bybit"), {})


def test_a_symbol_that_one_does_not_list(clients):
    with ConsolidatedBook("SOL/USDT", *(client.stream() for client in clients)) as book:
        assert not book.start().wait_live(20)  # not all are in, and that is known long before the deadline
        book_of_one = threading.Event()
        book.on_change(lambda view: view.exchanges and book_of_one.set())
        assert book_of_one.wait(20)
        view = book.view()
        assert view.exchanges == ("bybit",)
        assert view.missing["binance"].startswith("the book of SOL/USDT was refused: binance has no symbol 'SOL/USDT'")


def test_a_misspelt_symbol(clients):
    with ConsolidatedBook("BTC/UDST", *(client.stream() for client in clients)) as book:
        assert not book.start().wait_live(20)
        with pytest.raises(BookNotReady) as caught:
            book.view()
        text = str(caught.value)
        assert (
            "binance: the book of BTC/UDST was refused: binance has no symbol 'BTC/UDST': did you mean BTC/USDT" in text
        )
        assert "bybit: the book of BTC/UDST was refused" in text


def test_before_the_start(clients):
    book = ConsolidatedBook(BTC, *(client.stream() for client in clients))
    assert not book.wait_live(20)
    with pytest.raises(BookNotReady, match="start\\(\\) comes first"):
        book.view()


def test_a_handler_that_cannot_be_called_with_a_view(clients):
    book = ConsolidatedBook(BTC, clients[0].stream())
    with pytest.raises(InvalidType, match="must take one argument"):
        book.on_change(lambda view, more: None)


def test_a_handler_that_fails_is_shown_where_nobody_listens(clients, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])
    called = threading.Semaphore(0)

    def fail(view):
        called.release()
        raise ZeroDivisionError("a bug of the program")

    with ConsolidatedBook(BTC, clients[0].stream()) as book:
        book.on_change(fail, interval=0.01)
        book.start()
        assert all(called.acquire(timeout=20) for _ in range(3))
    shown = capsys.readouterr().err
    assert shown.count("ZeroDivisionError: a bug of the program") == 1
    assert "fail failed on a ConsolidatedView" in shown
