"""Seeded market sessions with losses, repetitions, swaps and junk, through session and books, against the truth.

A valid book is the exchange's book at its sequence, and no older than what has been heard; in the end it is the newest.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import SimpleNamespace

import pytest

from exconnect.errors import MalformedMessage
from exconnect.exchanges import load
from exconnect.feeds.books import Books
from exconnect.model.enums import MarketType
from exconnect.protocol.call import Response
from exconnect.protocol.session import Acked, BookUpdate, Topic

SYMBOL, NAME = "BTC/USDT", "BTCUSDT"
INSTRUMENT = SimpleNamespace(symbol=SYMBOL, exchange_symbol=NAME, market=MarketType.SPOT)
AT = datetime(2026, 1, 1, tzinfo=UTC)
MUTATIONS = ["lost", "swapped", "cut", "junk", "reconnect"]
JUNK = (
    '{"e":"new","s":"BTCUSDT"}',
    '{"topic":"new.BTCUSDT","data":{}}',
    '{"id":null,"error":{"code":2}}',
    "[]",
    "{",
    "",
)


class Tape:
    """Books of a market, one for each id, and the frames between them. Around 100 and 1000 prices change in length."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.first = random.choice([5, 18_521_288])
        middle = random.choice([1_000, 10_000])
        book = {middle + distance: "1.5" for distance in range(-8, 8)}
        self.books = [(book, middle)]
        for _ in range(60):
            self.books.append(self._changed(*self.books[-1]))
        self.last = self.first + len(self.books) - 1

    def _changed(self, book, middle):
        """Below the middle are bids; it moves over levels that are gone."""
        book, price = dict(book), middle + self.random.choice([-3, -2, -1, 0, 1, 2])
        if self.random.random() < 0.5:
            book.pop(price, None)
        else:
            book[price] = self.random.choice(["1", "2.50", "0.00000001"])
        if middle - 1 not in book and self.random.random() < 0.5:
            middle -= 1
        return book, middle

    def sides(self, number):
        book, middle = self.books[number - self.first]
        bids = {self.text(price): book[price] for price in sorted(book, reverse=True) if price < middle}
        return bids, {self.text(price): book[price] for price in sorted(book) if price >= middle}

    def text(self, price):
        return f"{price // 100}.{price % 100:02}"

    def changes(self, before, after):
        """Levels of both sides that were touched, zero where one is gone."""
        for side in (0, 1):
            steps = [self.sides(number)[side] for number in range(before, after + 1)]
            prices = dict.fromkeys(price for step in steps for price in step)
            touched = [price for price in prices if len({step.get(price) for step in steps}) > 1]
            yield [[price, steps[-1].get(price, "0.0")] for price in touched]

    def truth(self, number):
        return [{Decimal(p): Decimal(q) for p, q in side.items()} for side in self.sides(number)]


class Binance:
    """One to three ids a frame; a snapshot may be old or new."""

    step = 3

    def __init__(self, tape):
        self.tape = tape

    def frame(self, before, after):
        bids, asks = self.tape.changes(before, after)
        data = {"e": "depthUpdate", "E": after, "s": NAME, "U": before + 1, "u": after, "b": bids, "a": asks}
        return {"stream": "btcusdt@depth@100ms", "data": data}

    def snapshot(self, number):
        bids, asks = (list(side.items()) for side in self.tape.sides(number))
        return json.dumps({"lastUpdateId": number, "bids": bids, "asks": asks})

    def answers(self, request, number):
        return [json.dumps({"result": None, "id": request["id"]})]


class Bybit:
    """One id a frame; a subscription is answered with the whole book."""

    step = 1

    def __init__(self, tape):
        self.tape = tape

    def frame(self, before, after, kind="delta"):
        bids, asks = self.tape.changes(before, after)
        if kind == "snapshot":
            bids, asks = (list(side.items()) for side in self.tape.sides(after))
        data = {"s": NAME, "b": bids, "a": asks, "u": after, "seq": after}
        return {"topic": f"orderbook.50.{NAME}", "ts": after, "type": kind, "data": data, "cts": after}

    def answers(self, request, number):
        yes = {"success": True, "ret_msg": "", "op": request["op"], "req_id": request["req_id"]}
        is_begun = request["op"] == "subscribe" and f"orderbook.50.{NAME}" in request["args"]
        return [json.dumps(yes), *[json.dumps(self.frame(number, number, "snapshot"))] * is_begun]


DIALECTS = {"binance": Binance, "bybit": Bybit}


class Replay:
    """Plays a tape to session and books, as a feed does, and does for the books what a feed does."""

    def __init__(self, name: str, seed: int) -> None:
        self.random = Random(seed)
        self.tape = Tape(self.random)
        self.dialect = DIALECTS[name](self.tape)
        self.exchange = load(name)
        self.market = self.exchange.markets[MarketType.SPOT]
        self.time = 1_000.0
        self.at = self.tape.first  # what the exchange has come to
        self.heard = 0  # the newest id that was heard of
        self.jobs: list = []
        self.faults: list = []
        self.notes: deque = deque(maxlen=8)  # what happened last, to be read when a seed fails
        self.books = Books(self, self.exchange, self.market, self)
        self.books.want({SYMBOL: (INSTRUMENT, 50)})
        self.topics = frozenset({Topic("book", SYMBOL, NAME, depth=50 if name == "bybit" else 0)})
        self.connect()

    # the environment

    def now(self):
        return self.time

    def wall(self):
        return AT

    def uniform(self, low, high):
        return self.random.uniform(low, high)

    def lock(self):
        return threading.Lock()

    # the outlet

    def book_changed(self, symbol):
        pass

    def book_broke(self, symbol, fault):
        self.faults.append(fault)

    def fetch_snapshot(self, instrument, depth, generation, delay):
        self.jobs.append((self.time + delay, lambda: self.load(generation, depth)))

    def renew(self, symbol, delay):
        self.jobs.append((self.time + delay, self.subscribe_anew))

    # the feed

    def connect(self):
        self.session = self.exchange.session(self.market)
        self.session.opened(self.time, 0)
        self.session.want(self.topics)
        self.send()

    def reconnect(self):
        self.books.disconnected("the connection was lost")
        self.connect()

    def subscribe_anew(self):
        self.books.renewed(SYMBOL)
        for wanted in (frozenset(), self.topics):
            self.session.want(wanted)
            self.send()

    def send(self):
        for frame in self.session.due(self.time, 0)[0]:
            request = json.loads(frame)
            if request.get("op") != "ping":
                for text in self.dialect.answers(request, self.at):
                    self.hear(text)
                if "snapshot" in text:
                    self.heard = self.at

    def load(self, generation, depth):
        asked = self.at + self.random.choice([-9, -2, 0, 0, 4])
        number = min(max(asked, self.tape.first), self.tape.last)
        call = self.exchange.rest.book_snapshot(INSTRUMENT, depth)
        snapshot = call.decode(Response(200, {}, self.dialect.snapshot(number).encode()))
        self.books.load(SYMBOL, generation, snapshot, depth)
        self.check(f"snapshot {number}")

    def hear(self, text):
        try:
            for event in self.session.receive(text, self.time, AT):
                if isinstance(event, BookUpdate):
                    self.books.receive(event)
                elif isinstance(event, Acked):
                    self.books.subscribed(SYMBOL)
                    self.send()
        except MalformedMessage as error:
            if error.symbol is not None:
                self.books.broken(error.symbol, "a message made no sense")
        self.check(text)

    def check(self, what):
        self.notes.append(what)
        book = self.books.view(SYMBOL, None)[1]
        if book.is_valid:
            sides = [dict(book.bids), dict(book.asks)]
            assert sides == self.tape.truth(book.sequence), (book.sequence, self.notes)
            assert [*sides[0]] == sorted(sides[0], reverse=True)
            assert [*sides[1]] == sorted(sides[1])
            assert book.sequence >= self.heard, (book.sequence, self.notes)

    # the session

    def play(self) -> None:
        past: list[str] = []
        while self.at < self.tape.last:
            self.time += 0.1
            self.work()
            before = self.at
            text = self.next_frame()
            is_calm = self.at > self.tape.last - 20
            mutation = None if is_calm else self.random.choice([None] * 12 + MUTATIONS)
            if mutation == "lost":
                continue
            if mutation == "cut":
                self.hear(text[: self.random.randrange(len(text))])
                continue
            if mutation == "swapped":
                self.notice(self.next_frame())
                self.hear(text)
                continue
            if mutation == "reconnect":
                self.at = before
                self.reconnect()
                continue
            if mutation == "junk":
                self.hear(self.random.choice(JUNK))
            self.notice(text)
            past.append(text)
            for repeated in self.random.choices(past, k=2):
                self.repeat(repeated)
        self.settle()

    def next_frame(self):
        before = self.at
        self.at = min(before + self.random.randint(1, self.dialect.step), self.tape.last)
        message = self.dialect.frame(before, self.at)
        if self.random.random() < 0.2:
            message = {"new": [1.5, None], **dict(reversed(message.items()))}
        return json.dumps(message, separators=self.random.choice([(",", ":"), (", ", ": ")]))

    def notice(self, text):
        self.heard = max(self.heard, self.at)
        self.hear(text)

    def repeat(self, text):
        known = self.books.view(SYMBOL, None)[1], len(self.faults)
        self.hear(text)
        assert (self.books.view(SYMBOL, None)[1], len(self.faults)) == known, self.notes

    def work(self):
        jobs, self.jobs = self.jobs, []
        for at, job in jobs:
            if at <= self.time:
                job()
            else:
                self.jobs.append((at, job))

    def settle(self):
        for _ in range(100):
            self.time += 1.0
            self.work()
        book = self.books.view(SYMBOL, None)[1]
        assert (book.is_valid, book.sequence) == (True, self.tape.last), self.notes


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_a_valid_book_is_right(name, seed):
    Replay(name, seed).play()
