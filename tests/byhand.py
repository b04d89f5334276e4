"""A mock exchange driven by hand: without sockets, its clock in the test's hands, or through one plain socket."""

from __future__ import annotations

import socket
import time
from urllib.parse import quote

from exconnect.mock.faults import Faults
from exconnect.mock.http import Request
from exconnect.mock.market import DEFAULT_BALANCES, DEFAULT_SYMBOLS
from exconnect.mock.steps import Reset, Wait
from exconnect.mock.world import Setup

NOW = 1_795_000_000_000


def encode(params):
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())


class Still:
    """A dialect without sockets: requests are values, time stands until it is moved."""

    dialect = None

    def __init__(self, *, seed=7, activity=0.0, limits=None, symbols=DEFAULT_SYMBOLS, balances=DEFAULT_BALANCES):
        self.now = NOW
        self.faults = Faults(lambda fault: self.exchange.on_fault(fault, self.now))
        self.exchange = self.dialect(Setup(symbols, balances, seed, activity, NOW), self.faults, limits)
        self.world = self.exchange.world
        self.key, self.secret = self.exchange.keys.hmac()

    def request(self, method, path, query="", headers=None, body=""):
        steps = self.exchange.serve(Request(method, path, query, headers or {}, body), self.now)
        step = next(steps)
        while isinstance(step, Wait):
            self.now += int(step.seconds * 1000)
            step = steps.send(self.now)
        return None if isinstance(step, Reset) else step.response

    def get(self, path, **params):
        return self.request("GET", path, encode(params))

    def open(self, target, messages):
        path, _, query = target.partition("?")
        return self.exchange.open(Request("GET", path, query, {}), messages.append, self.now)

    def advance(self, ms):
        self.now += ms
        self.exchange.advance(self.now)


class OneSocket:
    """A client made of one socket."""

    content_type = "application/json"

    def __init__(self, mock):
        self.mock = mock
        env, name = mock.env(), mock.exchange.upper()
        self.key, self.secret = env[f"EXCONNECT_{name}_API_KEY"], env[f"EXCONNECT_{name}_API_SECRET"]
        self.sock = socket.create_connection(("127.0.0.1", int(mock.rest_url.rpartition(":")[2])), timeout=30)
        self.headers = {}

    @property
    def timestamp(self):
        """By the clock of the exchange."""
        return time.time_ns() // 1_000_000 + round(self.mock.clock_offset * 1000)

    def request(self, method, path, query="", body="", headers=()):
        target = f"{path}?{query}" if query else path
        lines = [f"{method} {target} HTTP/1.1", "Host: mock", *headers]
        if body:
            lines += [f"Content-Type: {self.content_type}", f"Content-Length: {len(body)}"]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return self.read()

    def read(self):
        """(status, body as text); headers stay in ``headers``."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65_536)
            if not more:
                raise ConnectionError("closed")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(self.headers["content-length"]):
            body += self.sock.recv(65_536)
        return int(first.split(" ")[1]), body.decode()

    def close(self):
        self.sock.close()


def as_many_as_wanted(kind):
    """For a fixture: a function that makes clients, which are closed at the end."""
    made = []

    def make(mock):
        made.append(kind(mock))
        return made[-1]

    yield make
    for client in made:
        client.close()
