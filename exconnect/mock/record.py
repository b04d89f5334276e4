"""What an exchange writes down as it goes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Arrival:
    """A request while it is being answered."""

    time_ms: int
    method: str
    path: str
    operation: str
    params: dict[str, str]
    status: int = 0
    code: int | str | None = None
    weight: int = 0
    signed: bool = False
    problem: Exception | None = None


@dataclass(slots=True)
class Record:
    """Requests, and what broke the exchange's rules."""

    arrivals: list[Arrival] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    used_ids: set[str] = field(default_factory=set)

    def violation(self, text: str) -> None:
        """A breach of the exchange's rules."""
        self.violations.append(text)

    def accepted(self, client_id: str) -> None:
        """An order was accepted under this id; a second one is a breach."""
        if client_id in self.used_ids:
            self.violation(f"client order id {client_id} accepted twice")
        self.used_ids.add(client_id)
