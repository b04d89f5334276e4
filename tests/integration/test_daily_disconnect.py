"""An exchange that closes every connection after its life: nobody who listens notices."""

from dataclasses import replace
from threading import Condition

import pytest

from exconnect import Client
from exconnect.mock import MockExchange

pytestmark = pytest.mark.network


def test_nothing_is_lost_over_the_ends_of_several_lives():
    with MockExchange("binance", seed=7, activity=60) as mock, Client("binance", environment=mock) as client:
        mock._core.rules = replace(mock._core.rules, lifetime=8.0, notice=7.0)  # a day, as a rule
        trades, books, notices, reliefs, news = [], [], [], [], Condition()
        stream = client.stream("BTC/USDT")
        stream.on_trade(lambda trade: trades.append(int(trade.id)))
        stream.on_book(lambda book: books.append(book.sequence))
        stream.on_notice(notices.append)

        @stream.on_status
        def changed(change):
            if "has relieved it" in change.reason:
                with news:
                    reliefs.append(change.connection)
                    news.notify_all()

        with stream:
            stream.start()
            assert stream.wait_live(30)
            with news:
                assert news.wait_for(lambda: len(reliefs) >= 2, 60)
            metrics = stream.metrics()
        assert reliefs[:2] == ["public-1", "public-2"]
        assert metrics["reconnects"] == 0
        assert notices == []
        assert len(trades) > 1
        assert trades == list(range(trades[0], trades[-1] + 1))
        assert books == sorted(set(books))
        assert mock.ledger.violations == []
