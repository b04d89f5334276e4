"""What the account holds, as far as it was told: the last known balance of every asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exconnect.model.account import Balance, Balances
from exconnect.model.values import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exconnect.environment import Environment


class Holdings:
    """Thread-safe. Of two reports about an asset the newer one counts, whichever came first."""

    def __init__(self, exchange: str, env: Environment) -> None:
        self._exchange = exchange
        self._lock = env.lock()
        self._known: dict[str, tuple[Balance, int]] = {}

    def put(self, balances: Balances, time_ms: int) -> list[Balance]:
        """All that is held, as asked at `time_ms` or later; what is not in it is zero. Gives what changed."""
        with self._lock:
            gone = [
                Balance(exchange=self._exchange, asset=asset, free=ZERO, locked=ZERO)
                for asset, (balance, _) in self._known.items()
                if asset not in balances and balance.total
            ]
        return self.change((*balances.values(), *gone), time_ms)

    def change(self, balances: Iterable[Balance], time_ms: int) -> list[Balance]:
        """Some assets as they are since `time_ms`. Gives those of which that is news."""
        changed = []
        with self._lock:
            for balance in balances:
                known, since_ms = self._known.get(balance.asset, (None, 0))
                if time_ms < since_ms:
                    continue
                self._known[balance.asset] = balance, time_ms
                if balance != known:
                    changed.append(balance)
        return changed

    def balances(self) -> Balances:
        """Everything that is known to be held."""
        with self._lock:
            known = {asset: balance for asset, (balance, _) in self._known.items() if balance.total}
        return Balances(self._exchange, known)
