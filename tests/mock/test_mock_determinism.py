"""The same seed and the same inputs give the same exchange, to the byte."""

import random


def story(core, seed):
    """A fixed stream of user actions and the whole outcome."""
    messages = []
    core.open("/stream?streams=btcusdt@trade/btcusdt@depth@100ms/ethusdt@bookTicker/btcusdt@kline_1m", messages)
    source, replies = random.Random(seed), []
    for number in range(60):
        core.advance(source.randint(1, 400))
        side = source.choice(("BUY", "SELL"))
        if source.random() < 0.5:
            replies.append(core.order(side=side, price=str(source.randint(59_900, 60_100)), quantity="0.01"))
        else:
            replies.append(core.order(side=side, type="MARKET", price=None, newClientOrderId=f"m{number}"))
    books = {
        symbol: list(book.bids.prices()) + list(book.asks.prices()) for symbol, book in core.world.engine.books.items()
    }
    trades = [(trade.id, trade.price, trade.quantity, trade.time_ms) for trade in core.world.tapes["BTC/USDT"].trades]
    return messages, [reply.body for reply in replies], books, trades


def test_the_same_again(make_core):
    first = story(make_core(seed=5, activity=30.0), 1)
    assert story(make_core(seed=5, activity=30.0), 1) == first
    assert len(first[3]) > 30


def test_another_seed_is_another_market(make_core):
    assert story(make_core(seed=5, activity=30.0), 1)[3] != story(make_core(seed=6, activity=30.0), 1)[3]


def test_steps_of_time_do_not_matter(make_core):
    """Other people act at their own times, however often somebody looks."""
    coarse, fine = make_core(seed=5, activity=30.0), make_core(seed=5, activity=30.0)
    coarse.advance(20_000)
    for _ in range(2_000):
        fine.advance(10)
    outcome = [
        [(trade.id, trade.price, trade.quantity, trade.time_ms) for trade in core.world.tapes["ETH/USDT"].trades]
        for core in (coarse, fine)
    ]
    assert outcome[0] == outcome[1] != []


def test_a_third_of_the_events_are_trades(make_core):
    core = make_core(seed=5, activity=30.0)
    core.advance(100_000)
    for tape in core.world.tapes.values():
        takers = {trade.taker_order_id for trade in tape.trades}
        assert 800 < len(takers) < 1200


def test_the_market_stays_sane(make_core):
    core = make_core(seed=5, activity=100.0)
    for _ in range(60):
        core.advance(1_500)
        for book in core.world.engine.books.values():
            assert book.bids.best() < book.asks.best()
            assert 40 <= len(book.bids) <= 250
            assert 40 <= len(book.asks) <= 250
    market = core.world.markets["BTCUSDT"]
    assert 0.9 < core.world.engine.last["BTC/USDT"] / market.start < 1.1


def test_a_still_market_is_still(core):
    before = core.world.engine.books["BTC/USDT"].sequence
    core.advance(60_000)
    assert core.world.engine.books["BTC/USDT"].sequence == before
    assert core.world.tapes["BTC/USDT"].trades == []
