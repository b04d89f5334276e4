"""A mock exchange on loopback, for tests and demonstrations.

It shares no code with what is tested with it, only the records that it hands to a client.
"""

from __future__ import annotations

from .exchange import MockExchange
from .faults import Fault, Faults
from .ledger import Ledger, LedgerBook, LedgerFill, LedgerOrder, LedgerRequest, LedgerTrade

__all__ = [
    "Fault",
    "Faults",
    "Ledger",
    "LedgerBook",
    "LedgerFill",
    "LedgerOrder",
    "LedgerRequest",
    "LedgerTrade",
    "MockExchange",
]
