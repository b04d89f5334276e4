"""Hear of every fill of your orders once, on two exchanges, whatever happens to the connections meanwhile."""

from threading import Event

from exconnect import Client, Fill
from exconnect.mock import MockExchange

booked: dict[str, list[Fill]] = {"binance": [], "bybit": []}
both = Event()


def book(fill: Fill) -> None:
    """Each fill once: one that was missed while the connection was down has been fetched (`fill.source`)."""
    booked[fill.exchange].append(fill)
    bought = f"{fill.side} {fill.quantity:.5f} at {fill.price:.2f}"
    print(f"{fill.exchange:8} {bought}, fee {fill.fee} {fill.fee_asset}, {fill.source}")
    if all(booked.values()):
        both.set()


with (
    MockExchange("binance", seed=7, activity=0) as mock_binance,
    MockExchange("bybit", seed=7, activity=0) as mock_bybit,
    Client("binance", environment=mock_binance) as binance,
    Client("bybit", environment=mock_bybit) as bybit,
    binance.stream() as binance_stream,
    bybit.stream() as bybit_stream,
):
    for stream in (binance_stream, bybit_stream):
        stream.on_fill(book)
        stream.start()
        stream.wait_live(timeout=10)

    mock_bybit.faults.add("refuse", on="private", seconds=0.5)  # hung up, and nobody answers for a while
    for client in (binance, bybit):
        client.place_order("BTC/USDT", "buy", "0.01", type="market")
    both.wait(timeout=20)
