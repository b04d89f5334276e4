"""What happens to one peer in one row of the table: cases, each in a process of its own, with the peer's own Python.

python cases.py MODULE CASE      tells facts as they are found: who is killed at the deadline has told what it could

The standard library only. A peer is a module `peer_…` with a class `Peer`, see `peer.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import importlib.metadata
import io
import json
import logging
import os
import pickle
import re
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

PATIENCE = 8.0  # seconds for what should come at once
ENDS_BY_ITSELF = ("main_returns", "callback_raises")  # there, how the process ends is part of the case
MESSAGES = 5  # are a stream that is alive

SIGNATURE = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")  # HMAC-SHA256, as both exchanges want it


class Mock:
    """The exchange, through the pipe to whoever runs the table; the facts go the same way."""

    def __init__(self) -> None:
        self.address: dict[str, Any] = json.loads(os.environ["MOCK_ADDRESS"])
        self._lock = threading.Lock()

    def ask(self, do: str, **more: Any) -> Any:
        with self._lock:
            _out.write(json.dumps({"ask": {"do": do, **more}}) + "\n")
            return json.loads(sys.stdin.readline())

    def tell(self, **facts: Any) -> None:
        with self._lock:
            _out.write(json.dumps({"facts": facts}, default=str) + "\n")

    def buy(self, quantity: str) -> None:
        """Another program of the same account buys."""
        key, secret, base = (self.address[name] for name in ("key", "secret", "rest_url"))
        now = int(time.time() * 1000)
        if self.address["exchange"] == "bybit":
            body = json.dumps({"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market",
                               "qty": quantity, "marketUnit": "baseCoin"})  # fmt: skip
            headers = {"X-BAPI-API-KEY": key, "X-BAPI-TIMESTAMP": str(now), "X-BAPI-RECV-WINDOW": "5000",
                       "X-BAPI-SIGN": signed(secret, f"{now}{key}5000{body}"),
                       "Content-Type": "application/json"}  # fmt: skip
            url = f"{base}/v5/order/create"
        else:
            text = urlencode(
                {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity, "timestamp": now}
            )
            body, url, headers = (
                f"{text}&signature={signed(secret, text)}",
                f"{base}/api/v3/order",
                {"X-MBX-APIKEY": key},
            )
        request = urllib.request.Request(url, body.encode(), headers, method="POST")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()

    def posts(self) -> list[dict[str, Any]]:
        """The requests that would place an order."""
        return [request for request in self.ask("requests") if request["operation"] == "place_order"]


_out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what a library prints is no fact


def signed(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def until(ready: Callable[[], Any], seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return True
        time.sleep(0.05)
    return bool(ready())


# ---------------------------------------------------------------- orders


def attempt(call: Callable[[], Any]) -> tuple[str, str, Any]:
    """What was said, all that the caller then holds as text, and the value."""
    try:
        value = call()
    except Exception as error:
        held = f"{error!r} {error} {vars(error)}"
        return type(error).__name__, held, error
    return "returned", repr(value), value


def lost(peer: Any, mock: Mock, **plan: Any) -> str:
    """An order to the market whose answer suffers; gives what the caller holds."""
    mock.ask("fault", on="place_order", **plan)
    began = time.monotonic()
    said, held, _ = attempt(lambda: peer.place("buy", "0.01"))
    posts = mock.posts()
    until(lambda: len(mock.ask("orders")) == len(posts), 1.0)  # Bybit takes an order some time after it said so
    orders = mock.ask("orders")
    ids = {post["params"].get("newClientOrderId") or post["params"].get("orderLinkId") for post in posts} - {None}
    known = any(order["client_order_id"] in held or order["order_id"] in held for order in orders)
    mock.tell(said=said, posts=len(posts), ids=len(ids), orders=len(orders), has_id=known,
              seconds=round(time.monotonic() - began, 1))  # fmt: skip
    return held


def reply_lost(peer: Any, mock: Mock) -> None:
    peer.connect()
    lost(peer, mock, name="reset")


def reply_lost_with_retries(peer: Any, mock: Mock) -> None:
    peer.connect(retries=True)
    lost(peer, mock, name="reset")


def timeout_code(peer: Any, mock: Mock) -> None:
    peer.connect()
    bybit = {"status": 200, "code": 10000}
    lost(peer, mock, name="status", **(bybit if peer.exchange == "bybit" else {"status": 408, "code": -1007}))


def resolved(peer: Any, mock: Mock) -> None:
    """The answer is lost, and for some seconds no query shows the order: can it be known later, without being asked?"""
    peer.connect()
    mock.ask("fault", name="lag", on="*", seconds=5.0)
    lost(peer, mock, name="reset")
    before = len(mock.ask("requests"))
    state = until(lambda: getattr(peer, "state", lambda: None)() == "filled", 12.0)
    mock.tell(state="filled" if state else None, queries=len(mock.ask("requests")) - before)


def killed(peer: Any, mock: Mock) -> None:
    peer.connect()
    mock.ask("fault", name="hang", on="place_order", seconds=30.0)
    mock.tell(kill=True)  # as soon as the fault has acted, which is after the exchange accepted
    peer.place("buy", "0.01")


def killed_after(peer: Any, mock: Mock) -> None:
    """The next process, which is told nothing."""
    mock.ask("clear")
    peer.connect()
    mock.tell(orders=len(mock.ask("orders")), remembered=peer.remembered(), seen_open=peer.seen_open())


def redirected(peer: Any, mock: Mock) -> None:
    peer.connect()
    mock.ask("fault", name="redirect", on="place_order", at="before_accept", times=None)
    said, _, _ = attempt(lambda: peer.place("buy", "0.01"))
    seen = mock.ask("elsewhere")
    mock.tell(said=said, seen=len(seen), key=any(s["key"] for s in seen), signed=any(s["signed"] for s in seen))


def secrets(peer: Any, mock: Mock) -> None:
    peer.connect()
    secret = mock.address["secret"]
    mock.tell(repr=secret in f"{peer.client!r} {peer.client}")
    try:
        text = pickle.dumps(peer.client)
    except Exception as error:
        mock.tell(pickle=f"refused ({type(error).__name__})")
    else:
        mock.tell(pickle="holds the secret" if secret.encode() in text else "clean")


def numbers(peer: Any, mock: Mock) -> None:
    peer.connect()
    said, _, _ = attempt(lambda: peer.place("buy", 0.00001, 60000.0))
    sent = [post["params"].get("quantity") or post["params"].get("qty") for post in mock.posts()]
    mock.tell(said=said, sent=sent)


def logs(peer: Any, mock: Mock) -> None:
    """At DEBUG, with what the library itself offers for looking at requests."""
    text = io.StringIO()
    logging.basicConfig(level=logging.DEBUG, stream=text, force=True)
    peer.connect(debug=True)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)
    attempt(peer.read)
    attempt(lambda: peer.place("buy", "0.01"))
    written = text.getvalue()
    found = set(SIGNATURE.findall(written)) - {mock.address["key"], mock.address["secret"]}
    mock.tell(lines=len(written.splitlines()), key=mock.address["key"] in written,
              secret=mock.address["secret"] in written, signature=bool(found))  # fmt: skip


def early_fills(peer: Any, mock: Mock) -> None:
    """The events of the fills overtake the answer by a second."""
    peer.connect()
    seen: list[str] = []
    subscribe(peer, mock, seen.append)
    mock.ask("fault", name="delay", on="place_order", at="after_accept", seconds=1.0)
    said, _, value = attempt(lambda: peer.place("buy", "0.01"))
    mock.tell(said=said, fills=len(mock.ask("fills")), before=len(seen), states=peer.states(),
              told=peer.filled(value) if said == "returned" else None)  # fmt: skip


def limiter(peer: Any, mock: Mock) -> None:
    """16 threads share one client and ask for more than the exchange allows."""
    peer.connect()
    peer.learn()
    window = 5 if peer.exchange == "bybit" else 1  # seconds that the exchange counts over
    calls = 20 * (3 if window == 5 else 1)
    said: Counter[str] = Counter()

    def ask() -> None:
        for _ in range(calls):
            said[attempt(peer.time)[0]] += 1

    before = len(mock.ask("requests"))
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    requests = mock.ask("requests")[before:]
    times = [request["time"] for request in requests]
    peak = max(sum(1 for t in times if moment <= t < moment + window) for moment in times)
    refused = sum(1 for r in requests if r["status"] in (403, 418, 429) or r["code"] in (10006, -1003))
    mock.tell(sent=len(times), peak=peak // window, refused=refused, said=dict(said))


# ---------------------------------------------------------------- streams


class Heard:
    """What came on a stream, and how long ago."""

    def __init__(self) -> None:
        self.count = 0
        self.odd = 0

    def __call__(self, item: Any) -> None:
        if isinstance(item, dict) and item.get("e") == "error":
            self.odd += 1
        else:
            self.count += 1

    def more(self, seconds: float) -> int:
        """How many came in the next so many seconds; it does not wait longer than it takes to be sure."""
        before = self.count
        until(lambda: self.count - before >= MESSAGES, seconds)
        return self.count - before


def listening(peer: Any, mock: Mock, listener: Callable[[Any], None]) -> None:
    peer.connect()
    peer.trades(listener)


def alive(heard: Heard) -> bool:
    return until(lambda: heard.count >= MESSAGES, 15.0)


def callback_raises(peer: Any, mock: Mock) -> None:
    heard = Heard()

    def handle(item: Any) -> None:
        heard(item)
        if heard.count == 3:
            raise RuntimeError("the user's mistake")

    listening(peer, mock, handle)
    until(lambda: heard.count >= 3, 15.0)
    mock.tell(started=heard.count >= 3)
    mock.tell(after=heard.more(PATIENCE), claims=peer.claims(), odd=heard.odd, told=peer.told())
    mock.tell(stopping=True)
    peer.stop()
    mock.tell(stopped=True)


def dropped(peer: Any, mock: Mock) -> None:
    _disturbed(peer, mock, PATIENCE + 7, name="disconnect", on="public")


def outage(peer: Any, mock: Mock) -> None:
    """The exchange cannot be reached for 30 seconds."""
    _disturbed(peer, mock, 70.0, name="refuse", on="public", seconds=30.0)


def malformed(peer: Any, mock: Mock) -> None:
    _disturbed(peer, mock, PATIENCE + 7, name="malformed", on="trade")


def _disturbed(peer: Any, mock: Mock, patience: float, **plan: Any) -> None:
    heard = Heard()
    listening(peer, mock, heard)
    mock.tell(started=alive(heard))
    mock.ask("fault", **plan)
    if plan["name"] == "malformed":
        mock.ask("fired", seconds=10.0)
    pause = plan.get("seconds", 0.3)
    time.sleep(pause)
    began = time.monotonic()
    after = heard.more(patience - pause)
    mock.tell(after=after, within=round(time.monotonic() - began, 1), claims=peer.claims(), odd=heard.odd,
              connections=mock.ask("connections"))  # fmt: skip


def half_open(peer: Any, mock: Mock) -> None:
    """The socket stays open and pings are answered, but no data comes for more than a minute."""
    heard = Heard()
    listening(peer, mock, heard)
    mock.tell(started=alive(heard))
    time.sleep(3)  # long enough to know how often something comes
    before = peer.doubts()
    mock.ask("fault", name="silence", on="public", seconds=80.0)
    began = time.monotonic()
    noticed = until(lambda: peer.doubts() > before or peer.claims() is False, 75.0)
    mock.tell(noticed=round(time.monotonic() - began, 1) if noticed else None, claims=peer.claims())


def main_returns(peer: Any, mock: Mock) -> None:
    heard = Heard()
    listening(peer, mock, heard)
    mock.tell(started=alive(heard), returning=True)


def forked(peer: Any, mock: Mock) -> None:
    heard = Heard()
    listening(peer, mock, heard)
    mock.tell(started=alive(heard))
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        count = heard.count
        time.sleep(2)
        found = {"child": heard.count - count, "claims": peer.claims(), "guard": peer.guard()}
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    found = json.loads(os.read(reading, 65_536))
    os.waitpid(pid, 0)
    mock.tell(parent=heard.more(PATIENCE), **found)


def user_stream(peer: Any, mock: Mock) -> None:
    """The user's socket is cut, one order is filled while it is away, another when it could be back."""
    peer.connect()
    heard: list[str] = []
    subscribe(peer, mock, heard.append)

    def all_heard() -> bool:
        return {fill["id"] for fill in mock.ask("fills")} <= set(heard)

    mock.buy("0.01")
    mock.tell(started=until(lambda: mock.ask("fills")) and until(all_heard))
    mock.ask("fault", name="refuse", on="private", seconds=3.0)
    mock.buy("0.02")
    until(lambda: len(mock.ask("fills")) > 1)
    meanwhile = {fill["id"] for fill in mock.ask("fills")}
    time.sleep(3)
    until(lambda: mock.ask("connections", kind="private") > 0, 15.0)
    time.sleep(3)
    mock.buy("0.03")
    until(lambda: len(mock.ask("fills")) > len(meanwhile))
    until(all_heard, 12.0)
    missed = {fill["id"] for fill in mock.ask("fills")} - set(heard)
    mock.tell(missed_meanwhile=len(missed & meanwhile), missed_after=len(missed - meanwhile), claims=peer.claims(),
              doubled=len(heard) - len(set(heard)), connections=mock.ask("connections", kind="private"))  # fmt: skip


def subscribe(peer: Any, mock: Mock, listener: Callable[[str], None]) -> None:
    """Not every library tells when it is subscribed."""
    peer.user_events(listener)
    until(lambda: mock.ask("connections", kind="private") > 0, 20.0)
    time.sleep(2)


def book_gap(peer: Any, mock: Mock) -> None:
    """Ten updates in a row are lost on the way."""
    _book(peer, mock, name="gap", on="book", count=10)


def book_cross(peer: Any, mock: Mock) -> None:
    """An update that makes the best bid dearer than the best ask."""
    _book(peer, mock, name="cross", on="book", count=1)


def _book(peer: Any, mock: Mock, **plan: Any) -> None:
    peer.connect()
    seen: Counter[str] = Counter()
    peer.keep_book()
    until(lambda: peer.top() is not None, 15.0)
    mock.tell(started=peer.top() is not None)
    mock.ask("fault", **plan)
    mock.ask("fired", seconds=10.0)
    _look(peer, seen, 1.5)  # the fault is over, and as much goes on as shows that something is missing
    mock.ask("activity", rate=4)  # not so much that all levels would be new by the end
    _look(peer, seen, 2.0)
    mock.ask("activity", rate=0)
    time.sleep(2)
    mock.tell(**seen, differs=_differs(peer.top(), mock.ask("book")))


def _look(peer: Any, seen: Counter[str], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        top = peer.top()
        if top is not None:
            seen["crossed"] += float(top[0][0][0]) >= float(top[1][0][0])
            seen["shown"] += 1
        time.sleep(0.01)


def _differs(top: Any, truth: dict[str, Any]) -> int | None:
    """How many of the ten best levels a side are not the exchange's; None if no book is shown."""
    if top is None:
        return None
    theirs = [[(float(p), float(q)) for p, q in truth[side]] for side in ("bids", "asks")]
    ours = [[(float(level[0]), float(level[1])) for level in side[:10]] for side in top]
    return sum(level not in right for side, right in zip(ours, theirs, strict=True) for level in side)


def main(module: str, case: str) -> None:
    made = importlib.import_module(module)
    mock = Mock()
    mock.tell(version=importlib.metadata.version(made.Peer.distribution))
    globals()[case](made.Peer(mock.address), mock)
    mock.tell(done=True)
    if case not in ENDS_BY_ITSELF:
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
