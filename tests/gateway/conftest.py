"""A small exchange on loopback that answers as it is told, its dialect in a dozen lines, and a gateway to it."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from msgspec.structs import replace

from exconnect import errors
from exconnect.credentials import Credentials
from exconnect.environment import Environment
from exconnect.gateway import Gateway
from exconnect.metrics import Registry
from exconnect.protocol.call import Call, Cost, Failure, FailureKind, Lane, Pool, Replay, Request, Security, Usage
from exconnect.protocol.signing import signer
from exconnect.resilience.breaker import CircuitBreaker
from exconnect.resilience.clock import Clock
from exconnect.resilience.ratelimit import RateLimiter
from exconnect.transport.http import Http

KEY, SECRET = "CANARYKEY-abcd", "CANARYSECRET-efgh"


class Hurried(Environment):
    """The machine's clock, but whoever waits is there at once: waiting moves the clock.

    It begins five seconds into a minute, so that no window of a limit ends in the middle of a test.
    """

    def __init__(self):
        self.ahead = (5 - time.time()) % 60
        self.slept_ms = 0

    def now(self):
        return time.monotonic() + self.ahead

    def wall_ms(self):
        return time.time_ns() // 1_000_000 + round(self.ahead * 1000) + self.slept_ms

    def sleep(self, seconds):
        self.ahead += seconds

    def wait_for(self, condition, ready, timeout):
        if not ready():
            self.ahead += timeout
        return ready()


class Server(ThreadingHTTPServer):
    """`answers[path]` are given one after the other, then 200. An answer is (status, JSON or text[, headers]),
    `"reset"`, or a callable that is called first."""

    daemon_threads = True

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.env = None
        self.ahead_ms = 0
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):  # a client may reset what it does not need any more
            super().handle_error(request, client_address)

    def seen(self, path):
        return [params for _, asked, params in self.asked if asked == path]

    def tell(self, path, *answers):
        self.answers[path] = deque(answers)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        url = urlsplit(self.path)
        params = dict(parse_qsl(url.query + self.rfile.read(length).decode()))
        self.server.asked.append((self.command, url.path, params))
        queue = self.server.answers.get(url.path)
        if queue:
            self.give(queue.popleft())
        elif url.path == "/time":
            self.give((200, {"time": self.server.env.wall_ms() + self.server.ahead_ms}))
        else:
            self.give((200, {"number": len(self.server.asked)}))

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

    def give(self, answer):
        if callable(answer):
            answer = answer() or (200, {})
        if answer == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.close_connection = True
            return
        status, content, *headers = answer
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers[0] if headers else {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()
        if self.close_connection:
            self.connection.close()

    def log_message(self, *_):
        pass


# ------------------------------------------------------------ the dialect

CODES = {
    -1: (FailureKind.CLOCK, errors.ClockSkew),
    -2: (FailureKind.LIMIT, errors.RateLimited),
    -3: (FailureKind.AUTH, errors.AuthenticationError),
    -4: (FailureKind.DUPLICATE, errors.DuplicateOrder),
    -5: (FailureKind.BUSINESS, errors.OrderNotFound),
    -6: (FailureKind.SERVER, errors.Unavailable),
}


def read_error(response):
    if response.status == 200:
        return None
    if response.status >= 500:
        return Failure(FailureKind.SERVER, errors.Unavailable("it is down", {"code": response.status}))
    if response.status == 418:
        return Failure(FailureKind.LIMIT, errors.Banned("go away"))
    code = json.loads(response.body)["code"]
    kind, error = CODES[code]
    return Failure(kind, error("the exchange's words", {"code": code}))


def read_usage(response):
    after = response.headers.get("retry-after")
    used = response.headers.get("x-used")
    return Usage(
        {} if used is None else {"weight_60s": int(used)},
        None if after is None else float(after),
        response.status == 418,
        response.headers.get("x-exhausted"),
    )


def sign(request, signer, at, window):
    query = urlencode([*request.params, ("timestamp", at), ("recvWindow", window)])
    signed = f"{query}&signature={signer.sign(query.encode())}"
    return replace(request, headers=(("X-Key", signer.key),), query=signed)


def time_call():
    return Call("fetch_time", Request("GET", "/time"), lambda r: json.loads(r.body)["time"], lane=Lane.QUERY)


DIALECT = SimpleNamespace(
    name="toy",
    sign=sign,
    encode=lambda request: replace(request, query=urlencode(request.params)),
    error=read_error,
    usage=read_usage,
    rest=SimpleNamespace(time=time_call),
)


def number(response):
    return json.loads(response.body)["number"]


def call(lane, replay, **changes):
    signed = Security.SIGNED if lane <= Lane.QUERY else Security.PUBLIC
    method = {Lane.PLACE: "POST", Lane.CANCEL: "DELETE"}.get(lane, "GET")
    made = Call(
        lane.name.lower(),
        Request(method, f"/{lane.name.lower()}", (("symbol", "BTCUSDT"),)),
        number,
        costs=(Cost("weight"),) if lane > Lane.PLACE else (Cost("weight", refunded=True), Cost("orders")),
        lane=lane,
        replay=replay,
        security=signed,
        symbol="BTC/USDT",
        client_order_id="X1" if lane <= Lane.PLACE else None,
    )
    return replace(made, **changes)


@pytest.fixture
def place():
    return call(Lane.PLACE, Replay.NEVER)


@pytest.fixture
def cancel():
    return call(Lane.CANCEL, Replay.ABSOLUTE, costs=(Cost("weight", refunded=True),))


@pytest.fixture
def query():
    return call(Lane.QUERY, Replay.SAFE)


@pytest.fixture
def market():
    return call(Lane.MARKET, Replay.SAFE)


# ------------------------------------------------------------ the road


@pytest.fixture
def env():
    return Hurried()


@pytest.fixture
def http(server, env):
    one = Http(f"http://127.0.0.1:{server.server_port}", env=env)
    yield one
    one.close()


@pytest.fixture
def server(env):
    with Server() as one:
        one.env = env
        one.daemon_threads = False  # so that closing waits for them
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def parts(env, http):
    """What a gateway is made of; a test may replace some before it makes one."""
    limiter = RateLimiter()
    limiter.learn((Pool("weight", "ip", 100, 60), Pool("orders", "account", 50, 10)))
    return SimpleNamespace(
        env=env,
        http=http,
        limiter=limiter,
        breaker=CircuitBreaker(env),
        clock=Clock(env),
        metrics=Registry(),
        account="main",
        signer=lambda: signer(Credentials(KEY, SECRET)),
        recv_window_ms=None,
    )


@pytest.fixture
def make(parts):
    """Make a gateway of other parts."""
    return lambda **changes: Gateway(DIALECT, **(vars(parts) | changes))


@pytest.fixture
def gateway(make):
    return make()


class Flaky:
    """The real transport, after the given failures."""

    def __init__(self, http, *failures):
        self.http, self.failures, self.host = http, deque(failures), http.host

    def send(self, request, **options):
        if self.failures and request.path != "/time":
            failure = self.failures.popleft()
            if failure is not None:
                raise failure
        return self.http.send(request, **options)


@pytest.fixture
def flaky(make, http):
    """Make a gateway whose transport fails so at first."""
    return lambda *failures: make(http=Flaky(http, *failures))


@pytest.fixture
def canaries():
    return KEY, SECRET
