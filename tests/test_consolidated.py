"""One book over both mocks: who is in, why the others are not, and when it is live."""

from __future__ import annotations

import logging
import queue
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect.client import Client
from exconnect.consolidated import ConsolidatedBook, ConsolidatedView
from exconnect.errors import BookNotReady, InvalidArgument, InvalidType
from exconnect.mock import MockExchange
from exconnect.model.market import Book, Cell, Levels

pytestmark = pytest.mark.network

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
        assert book.start().wait_live(30)
        view = book.view()
        assert (view.exchanges, dict(view.missing)) == (("binance", "bybit"), {})


def test_a_symbol_that_one_does_not_list(clients):
    with ConsolidatedBook("SOL/USDT", *(client.stream() for client in clients)) as book:
        assert not book.start().wait_live(20)  # not all are in, and that is known long before the deadline
        book_of_one = threading.Event()
        book.on_change(lambda view: view.exchanges and book_of_one.set())
        assert book_of_one.wait(30)
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
    assert repr(book) == "<ConsolidatedBook BTC/USDT binance idle, bybit idle>"
    with pytest.raises(BookNotReady, match="start\\(\\) comes first"):
        book.view()


def test_clients_in_the_place_of_their_streams(clients):
    with pytest.raises(InvalidType, match="a stream is wanted"):
        ConsolidatedBook(BTC, *clients)
    with pytest.raises(InvalidType, match=r"""write fees\['binance'\]="0.001\""""):
        ConsolidatedBook(BTC, clients[0].stream(), fees={"binance": 0.001})


@pytest.mark.parametrize(
    "fees, words",
    [
        ({"binanc": "0.001"}, "fees: 'binanc' is no exchange, they are 'binance', 'bybit'"),
        ({"Binance": "0.001"}, "fees: 'Binance' is no exchange, they are 'binance', 'bybit'"),
        ({"binance": "1"}, "fees['binance']=1: a fraction is wanted, below 1: 0.1 % is \"0.001\""),
        ({"bybit": "-1"}, "fees['bybit']=-1: a fraction is wanted, below 1: 0.1 % is \"0.001\""),
        (
            {"bybit": "0.1%"},
            "fees['bybit']='0.1%' is not an amount: write digits with a point, like fees['bybit']=\"0.001\"",
        ),
    ],
)
def test_fees_are_checked_when_they_are_given(clients, fees, words):
    with pytest.raises(InvalidArgument) as caught:
        ConsolidatedBook(BTC, clients[0].stream(), fees=fees)
    assert caught.value.message == words


def test_fees_of_other_exchanges_and_rebates_are_taken(clients):
    ConsolidatedBook(BTC, clients[0].stream(), fees={"binance": "-0.0001", "bybit": 0})


def test_a_fee_without_its_exchange(clients):
    with pytest.raises(InvalidType, match="fees must map exchanges to fractions, not str: write fees="):
        ConsolidatedBook(BTC, clients[0].stream(), fees="0.001")


def test_what_can_be_no_symbol(clients):
    with pytest.raises(InvalidArgument, match="symbol: 'BTCUSDT' is none, they look like 'BTC/USDT'"):
        ConsolidatedBook("BTCUSDT", clients[0].stream())


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


def test_a_handler_may_close_the_book(clients):
    book, closed = ConsolidatedBook(BTC, clients[0].stream()), queue.Queue()

    @book.on_change
    def leave(view):
        book.close()
        closed.put(threading.current_thread())

    book.start()
    closed.get(timeout=20).join(20)


class TestSides:
    """What the view over all makes of books whose levels have yet to be read."""

    BIDS = (["10.0", "9.5", "9.0", "8.0"], ["10", "9.7", "9.6"], [])

    def sides(self, *prices):
        cells = [[Cell(price, str(n + 1)) for price in side] for n, side in enumerate(prices)]
        books = tuple(
            Book(exchange=name, symbol="BTC/USDT", bids=Levels(side), asks=Levels(side[::-1]), sequence=1)
            for name, side in zip("abc", cells, strict=True)
        )
        return ConsolidatedView("BTC/USDT", datetime.now(UTC), ("a", "b", "c"), {}, books, {}), cells

    def test_what_is_computed_has_no_zeros_of_the_exchanges_behind_it(self):
        bids, asks = Levels([Cell("9.00000000", "1.50000000")]), Levels([Cell("11.00000000", "2.50000000")])
        books = (
            Book(exchange="a", symbol="BTC/USDT", bids=bids, asks=Levels([]), sequence=1),
            Book(exchange="b", symbol="BTC/USDT", bids=Levels([]), asks=asks, sequence=1),
        )
        fees = {"a": Decimal("0.00100000"), "b": Decimal("0.00100000")}
        view = ConsolidatedView("BTC/USDT", datetime.now(UTC), ("a", "b"), {}, books, fees)
        figures = view.mid, view.spread, view.vwap("buy", "2.50", fees=True), view.quantity_to("buy", "20")
        assert [str(figure) for figure in figures] == ["10", "2", "11.011", "2.5"]

    def test_best_first_and_by_name_where_prices_are_one(self):
        view, _ = self.sides(*self.BIDS)
        seen = [(str(level.price), str(level.quantity), level.exchange) for level in view.bids]
        assert seen[:3] == [("10.0", "1", "a"), ("10", "2", "b"), ("9.7", "2", "b")]
        assert [price for price, *_ in seen[3:]] == ["9.6", "9.5", "9.0", "8.0"]
        assert [level.price for level in view.asks] == sorted(level.price for level in view.bids)
        assert len(view.bids) == len(view.asks) == 7

    @pytest.mark.parametrize("index", [0, 2, 6, -1, -7])
    def test_one_level(self, index):
        whole = list(self.sides(*self.BIDS)[0].bids)
        assert self.sides(*self.BIDS)[0].bids[index] == whole[index]

    @pytest.mark.parametrize(
        "index",
        [slice(2), slice(1, 3), slice(-2), slice(-3, 5), slice(5, 2, -1), slice(None, None, -1), slice(99), slice(0)],
    )
    def test_several_levels(self, index):
        view, again = self.sides(*self.BIDS)[0], self.sides(*self.BIDS)[0]
        assert list(view.bids[index]) == list(again.bids)[index]
        assert view.bids == again.bids == tuple(again.bids)

    @pytest.mark.parametrize("index", [7, -8])
    def test_no_level(self, index):
        with pytest.raises(IndexError):
            self.sides(*self.BIDS)[0].bids[index]

    def test_no_more_is_read_than_is_looked_at(self):
        view, cells = self.sides(*self.BIDS)
        behind = [*cells[0][1:], *cells[1][1:]]
        quantities = [cell.quantity for cell in behind]
        for cell in behind:
            cell.quantity = "not to be read"
        assert [level.exchange for level in view.bids[:2]] == ["a", "b"]
        for cell, quantity in zip(behind, quantities, strict=True):
            cell.quantity = quantity
        assert repr(view.bids).count("ConsolidatedLevel") == 7
        assert str(view.best_bid) == "10 x 1 on a"
        with pytest.raises(TypeError, match="unhashable"):
            hash(view.bids)

    def test_books_without_levels(self):
        view, _ = self.sides([], [], [])
        assert (list(view.bids), view.best_bid, view.bids[:3], len(view.asks)) == ([], None, (), 0)
