"""What an amount comes to does not depend on the precision that the caller's thread has set for sums of its own."""

import decimal
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from exconnect import Fill, Level, Order, OrderStatus, OrderType, PlaceOrder, Side, Ticker, Trade
from exconnect.consolidated import ConsolidatedView
from exconnect.model.account import Balance
from exconnect.model.market import Book, Cell, Levels
from exconnect.trading.intents import meaning_of
from exconnect.trading.risk import MaxOrderValue, PriceBand

D = Decimal
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def rough():
    """Four digits, and none may be lost without an outcry."""
    with decimal.localcontext() as context:
        context.prec = 4
        context.traps[decimal.Inexact] = context.traps[decimal.Rounded] = context.traps[decimal.FloatOperation] = True
        yield


def made(kind, **more):
    return kind(exchange="bybit", **more)


def book(bid="61234.57", ask="61234.61"):
    sides = [Levels([Cell(price, "1.234567"), Cell(beyond, "2")]) for price, beyond in ((bid, "60000"), (ask, "62000"))]
    return made(Book, symbol="BTC/USDT", bids=sides[0], asks=sides[1], sequence=1)


def order(**more):
    said = {"client_order_id": "a", "symbol": "BTC/USDT", "side": Side.BUY, "type": OrderType.LIMIT}
    return made(Order, status=OrderStatus.NEW, created_at=NOW, updated_at=NOW, **(said | more))


def test_a_book():
    assert (book().mid, book().spread) == (D("61234.59"), D("0.04"))
    assert book().vwap("buy", "1.000001") == D("61234.61")
    assert book().vwap("buy", "2.469134") == D("61617.305")
    assert book().quantity_to("sell", 1) == D("3.234567")
    assert "spread 0.04 (0.0 bp)" in book().draw()


def test_what_has_a_price_and_a_quantity():
    amounts = {"symbol": "BTC/USDT", "side": Side.BUY, "price": D("61234.57"), "quantity": D("1.234567")}
    assert made(Trade, id="1", **amounts).notional == D("75598.17938119")
    assert made(Fill, id="1", order_id="2", **amounts).notional == D("75598.17938119")
    ticker = made(Ticker, symbol="BTC/USDT", bid=D("61234.57"), ask=D("61234.61"))
    assert (ticker.mid, ticker.spread) == (D("61234.59"), D("0.04"))


def test_a_balance_and_what_remains_of_an_order():
    assert made(Balance, asset="BTC", free=D("123456.789"), locked=D("0.000001")).total == D("123456.789001")
    assert order(quantity=D("1.234567"), filled_quantity=D("0.1")).remaining == D("1.134567")


def test_what_remains_of_a_filled_order_reads_zero():
    done = order(quantity=D("1.50000000"), filled_quantity=D("1.50000000"))
    assert str(done.remaining) == "0"


def test_a_view_over_several_exchanges():
    view = ConsolidatedView(
        symbol="BTC/USDT", time=NOW, exchanges=("bybit",), missing={}, books=[book()], fees={"bybit": D("0.001")}
    )
    assert (view.mid, view.spread, view.quantity_to("buy", 61500)) == (D("61234.59"), D("0.04"), D("1.234567"))
    assert view.vwap("buy", 1, fees=True) == D("61295.84461")
    assert view.vwap("sell", 1, fees=True) == D("61173.33543")


class View:
    """As much of a RiskView as these checks look at."""

    def __init__(self, price):
        self.reference_price = D(price)


def test_risk_checks():
    command = PlaceOrder("BTC/USDT", "buy", "1.000001", price="60000")
    assert "worth 60000.06, more than 60000" in MaxOrderValue(60000)(command, View("60000"))

    class Kept:
        def book(self, symbol):
            return book()

    band = PriceBand("0.01", Kept())
    assert band(command, View("61234.57")) is None
    assert "is 0.01 % away from 61234.59" in band(command, View("61240.72"))


def test_two_orders_that_differ_in_the_last_digit_are_two_wishes():
    one, other = (meaning_of(PlaceOrder("BTC/USDT", "buy", quantity, price=1)) for quantity in ("1.23456", "1.23457"))
    assert one != other


def test_a_level_compares():
    assert book().best_bid == Level(D("61234.57"), D("1.234567"))
