"""The rows of the fault table: what is tried, how a cell is worded, and what exconnect's cell must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Facts = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One fault. `needs` names what a peer must have for the row to say anything about it."""

    name: str
    title: str
    needs: tuple[str, ...]
    tell: Callable[[Facts], str]
    right: Callable[[Facts], bool]
    options: dict[str, Any] = field(default_factory=dict)  # of the mock exchange
    seconds: float = 80.0  # until its process is killed; most need few


def times(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")


def said(facts: Facts) -> str:
    return "returned it" if facts["said"] == "returned" else f"`{facts['said']}`"


# ---------------------------------------------------------------- orders


def sent(facts: Facts) -> str:
    ids = {0: "no id"}.get(facts["ids"], times(facts["ids"], "id"))
    return f"{times(facts['posts'], 'POST')}, {ids}, **{times(facts['orders'], 'order')}**; {said(facts)}"


def with_id(facts: Facts) -> str:
    return f"{sent(facts)}, {'with' if facts['has_id'] else '**without**'} an id of it"


def one_order(facts: Facts) -> bool:
    return facts["posts"] == facts["orders"] == 1 and facts["has_id"]


def later(facts: Facts) -> str:
    if facts["state"]:
        return f"{said(facts)}, with id; resolved to {facts['state']} by itself"
    held = "with id" if facts["has_id"] else "without id"
    return (
        f"{said(facts)}, {held}; {times(facts['queries'], 'query').replace('querys', 'queries')} in 12 s, not resolved"
    )


def restart(facts: Facts) -> str:
    seen = (
        f", {facts['seen_open']} of {facts['orders']} among the open orders" if facts["seen_open"] is not None else ""
    )
    if facts["remembered"]:
        return f"{facts['remembered']} of {facts['orders']} known, filled"
    return f"**0 of {facts['orders']} known**{seen}"


def elsewhere(facts: Facts) -> str:
    if not facts["seen"]:
        return f"not followed; {said(facts)}"
    what = " and ".join(
        word for word, is_there in (("key", facts["key"]), ("signed order", facts["signed"])) if is_there
    )
    return f"**sent there: {what}**; {said(facts)}"


def kept_secret(facts: Facts) -> str:
    return f"repr {'**shows it**' if facts['repr'] else 'clean'}, pickle {facts.get('pickle')}"


def number(facts: Facts) -> str:
    return f"sends `{facts['sent'][0]}`" if facts["sent"] else f"`{facts['said']}`, nothing sent"


def logged(facts: Facts) -> str:
    leaks = [name for name in ("key", "secret", "signature") if facts[name]]
    return f"**{' and '.join(leaks)}** in the log" if leaks else f"nothing of it ({facts['lines']} lines)"


def overtaken(facts: Facts) -> str:
    if facts["states"] is None:
        return f"{facts['before']} of {facts['fills']} fills before the answer; keeps no state of orders"
    return f"{said(facts)} as {'filled' if facts['told'] else 'not filled'}; states seen: {', '.join(facts['states'])}"


def forward(states: list[str]) -> bool:
    order = ["pending_new", "accepted", "new", "partially_filled", "filled"]
    places = [order.index(state) for state in states if state in order]
    return places == sorted(places)


ALLOWED = 120  # calls a second


def paced(facts: Facts) -> str:
    if not facts["refused"]:
        return f"none of {facts['sent']} refused"
    return f"**{facts['refused']} of {facts['sent']} refused**, {facts['peak']} in a second"


ORDERS = (
    Row("reply_lost", "The answer to an order is lost after the exchange accepted it", ("orders",), with_id, one_order),
    Row(
        "reply_lost_with_retries",
        "The same, with the library's own retries switched on",
        ("retries",),
        with_id,
        one_order,
    ),
    Row(
        "resolved",
        "The same, and no query shows the order for 5 s: does it find out by itself?",
        ("orders",),
        later,
        lambda f: f["said"] in ("OutcomeUnknown", "returned") and f["has_id"] and f["state"] == "filled",
    ),
    Row(
        "timeout_code",
        "The exchange answers “timeout, outcome unknown” (−1007, 10000) to an order that it has",
        ("orders",),
        with_id,
        one_order,
    ),
    Row(
        "killed",
        "`kill -9` between send and answer: what does the next process know?",
        ("orders",),
        restart,
        lambda f: f["remembered"] == f["orders"] == 1,
    ),
    Row(
        "early_fills",
        "The fills come before the answer to the order",
        ("orders", "user stream"),
        overtaken,
        lambda f: f["said"] == "returned" and f["told"] and forward(f["states"]),
        {"activity": 0},
    ),
    Row(
        "redirected",
        "The exchange answers an order with a 307 to another host",
        ("orders",),
        elsewhere,
        lambda f: not f["seen"] and f["said"] in ("OutcomeUnknown", "TransportError"),
    ),
    Row(
        "secrets",
        "`repr` and `pickle` of the client",
        ("orders",),
        kept_secret,
        lambda f: not f["repr"] and f["pickle"].startswith("refused"),
    ),
    Row("numbers", "`0.00001`, a float, as quantity", ("orders",), number, lambda f: not f["sent"]),
    Row(
        "logs",
        "A signed call with DEBUG logging",
        ("orders",),
        logged,
        lambda f: not (f["key"] or f["secret"] or f["signature"]),
    ),
    Row(
        "limiter",
        f"16 threads share one client; the exchange allows {ALLOWED} calls a second",
        ("orders",),
        paced,
        lambda f: not f["refused"] and set(f["said"]) == {"returned"},
        {"limits": "limits"},
    ),
)

# ---------------------------------------------------------------- streams


def goes_on(facts: Facts) -> bool:
    return bool(facts["started"] and facts["after"])


def state(facts: Facts) -> str:
    claims = {True: ", **says that it is connected**", False: ", says that it is not connected", None: ""}
    odd = f", calls the handler with an error {facts['odd']:,} times" if facts.get("odd", 0) > 100 else ""
    return claims[facts.get("claims")] + odd


def disturbed(facts: Facts) -> str:
    if not facts["started"]:
        return "did not start here"
    if facts["after"]:
        return f"goes on after {max(facts['within'], 0.1):.0f} s" if facts["within"] >= 1 else "goes on"
    return f"**dead**{state(facts)}"


def raised(facts: Facts) -> str:
    if not facts["started"]:
        return "did not start here"
    goes = "goes on" if facts["after"] else f"**dead**{state(facts)}"
    told = ", the program is told" if facts["told"] else ", the program is not told"
    ends = "" if facts["ended"] else "; **the process does not end**" if facts.get("stopped") else "; **stop hangs**"
    return f"{goes}{told}{ends}"


def noticed(facts: Facts) -> str:
    if not facts["started"]:
        return "did not start here"
    if facts["noticed"] is None:
        return f"**not noticed in 75 s**{state(facts)}"
    return f"noticed after {facts['noticed']:.0f} s"


def left(facts: Facts) -> str:
    if not facts["started"]:
        return "did not start here"
    return "ends" if facts["ended"] else "**hangs**"


def child(facts: Facts) -> str:
    if not facts["started"]:
        return "did not start here"
    said_there = f"`{facts['guard']}`" if facts["guard"] else times(facts["child"], "message") + state(facts)
    return f"child: {said_there}; parent {'goes on' if facts['parent'] else '**dead**'}"


def resubscribed(facts: Facts) -> str:
    if not facts["started"]:
        return "did not start here"
    lost = facts["missed_meanwhile"], facts["missed_after"]
    if not any(lost):
        return "no fill lost, none twice" if not facts["doubled"] else f"**{facts['doubled']} fills twice**"
    return f"**lost: {times(lost[0], 'fill')} while it was away, {times(lost[1], 'fill')} after it**{state(facts)}"


def book(facts: Facts) -> str:
    if not facts["started"]:
        return "did not start here"
    crossed = f"**crossed in {facts['crossed']} of {facts['shown']} looks**; " if facts.get("crossed") else ""
    if facts["differs"] is None:
        return f"{crossed}no book shown at the end"
    return crossed + (f"**{facts['differs']} of 20 levels wrong**" if facts["differs"] else "right at the end")


def true_book(facts: Facts) -> bool:
    return bool(facts["started"]) and not facts.get("crossed") and facts["differs"] == 0


STREAMS = (
    Row(
        "callback_raises",
        "The handler raises once",
        ("handlers",),
        raised,
        lambda f: goes_on(f) and bool(f["told"]) and f["ended"],
    ),
    Row("dropped", "The connection is lost", ("streams",), disturbed, goes_on),
    Row("outage", "The exchange is away for 30 s", ("streams",), disturbed, goes_on, seconds=110.0),
    Row(
        "half_open",
        "The socket stays open, pings are answered, no data comes",
        ("streams",),
        noticed,
        lambda f: bool(f["started"]) and f["noticed"] is not None,
        seconds=115.0,
    ),
    Row(
        "main_returns",
        "The main thread returns without `stop()`",
        ("threads",),
        left,
        lambda f: bool(f["started"]) and f["ended"],
    ),
    Row("forked", "`os.fork()` with a live stream", ("threads",), child, lambda f: bool(f["guard"] and f["parent"])),
    Row("malformed", "A frame is no JSON", ("streams",), disturbed, goes_on),
    Row(
        "user_stream",
        "The user's stream is cut for 3 s, an order is filled meanwhile, another one later",
        ("user stream",),
        resubscribed,
        lambda f: f["started"] and not (f["missed_meanwhile"] or f["missed_after"] or f["doubled"]),
        {"activity": 0},
    ),
    Row("book_gap", "Ten updates of the book are lost", ("book",), book, true_book, {"activity": 60}),
    Row("book_cross", "An update makes the book cross", ("book",), book, true_book, {"activity": 60}),
)

ROWS = (*ORDERS, *STREAMS)
