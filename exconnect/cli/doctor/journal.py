"""What is written down here: whether orders may leave, and whether one is still without an answer."""

from __future__ import annotations

from exconnect.cli.doctor.check import Check
from exconnect.client import Client
from exconnect.environment import Environment
from exconnect.errors import JournalUnavailable
from exconnect.model.enums import OrderStatus
from exconnect.trading.journal import Journal

_UNANSWERED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN})


def check(client: Client) -> Check:
    """The account's journal, as it is; a halt is what keeps its orders back, and no fault of anything else."""
    path = client.journal
    if path is None:
        return Check("journal", True, "none: it is kept for an account that may trade")
    if not path.is_file():
        return Check("journal", True, f"{path.name} is made with the account's first order")
    journal = Journal(path, Environment())
    try:
        halt, pending = journal.halt_state(), journal.orders(only_open=True)
    except JournalUnavailable as error:
        return Check("journal", False, error.message, "see `exconnect journal verify`")
    if halt is not None:
        reason = f" ({halt.reason})" if halt.reason else ""
        detail = f"trading is halted since {halt.since:%Y-%m-%d %H:%M:%S} UTC{reason}: no order leaves"
        return Check("journal", False, detail, "`exconnect resume` ends it")
    unanswered = sum(order.status in _UNANSWERED for order in pending)
    advice = "`exconnect journal reconcile` finds out what became of them" if unanswered else ""
    return Check("journal", True, f"{path.name}: {len(pending)} open, {unanswered} of them without an answer", advice)
