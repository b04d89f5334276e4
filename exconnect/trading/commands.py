"""The write path of one account: everything that changes money goes through one of its parts, once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from exconnect.trading.amends import Amends
from exconnect.trading.batches import Batches
from exconnect.trading.cancels import Cancels
from exconnect.trading.outcomes import Outcomes
from exconnect.trading.places import Places
from exconnect.trading.recovery import Recovery
from exconnect.trading.sweep import Sweep

if TYPE_CHECKING:
    from exconnect.model.account import Balances
    from exconnect.model.instrument import Instrument
    from exconnect.protocol.exchange import Batch
    from exconnect.trading.desk import Desk
    from exconnect.trading.intents import IntentLog
    from exconnect.trading.reconcile import Resolver
    from exconnect.trading.risk import RiskCheck


class Commands:
    """The parts, made together: they share what is looked for in the background."""

    def __init__(
        self,
        desk: Desk,
        *,
        intents: IntentLog,
        resolver: Resolver,
        checks: tuple[RiskCheck, ...],
        new_id: Callable[[], str],
        keyed_id: Callable[[str], str],
        last_price: Callable[[Instrument, float], Decimal | None],
        seen_price: Callable[[str], Decimal | None],
        balances: Callable[[], Balances],
        recall: Callable[[], None],
        batch: Batch | None,
    ) -> None:
        outcomes = Outcomes(desk, resolver)
        self.recovery = Recovery(desk, intents, resolver, recall)
        self.places = Places(
            desk,
            intents,
            self.recovery,
            resolver,
            outcomes,
            checks=checks,
            new_id=new_id,
            keyed_id=keyed_id,
            last_price=last_price,
            seen_price=seen_price,
            balances=balances,
        )
        self.amends = Amends(desk, intents, self.recovery, outcomes, admit=self.places.admit, new_id=new_id)
        self.cancels = Cancels(desk, resolver, outcomes)
        self.sweep = Sweep(desk, self.cancels.followed, self.recovery.take_over)
        self.batches = Batches(desk, self.places, self.amends, self.cancels, batch)
