"""Words of the trade: any case in, UNKNOWN never, and the choices in the refusal."""

import pytest

from exconnect.errors import InvalidArgument, InvalidType
from exconnect.model import enums
from exconnect.model.enums import OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce, choose

KINDS = [getattr(enums, name) for name in enums.__all__ if name != "choose"]
FED_BY_EXCHANGES = {
    "Side",
    "OrderType",
    "TimeInForce",
    "MarketType",
    "InstrumentStatus",
    "SelfTradePrevention",
    "OrderStatus",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_members_value_is_its_name_in_lower_case(kind):
    assert all(member.value == member.name.lower() == str(member) for member in kind)
    assert ("UNKNOWN" in kind.__members__) == (kind.__name__ in FED_BY_EXCHANGES | {"Outcome"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_and_its_text_in_any_case_are_taken(kind):
    for member in kind:
        if member.name != "UNKNOWN":
            for given in (member, member.value, member.name, member.value.title()):
                assert choose(kind, given, "argument") is member


@pytest.mark.parametrize(
    "kind, value, message",
    [
        (Side, "b", "side='b': must be one of 'buy', 'sell'"),
        (Side, "", "side='': must be one of 'buy', 'sell'"),
        (Side, " buy", "side=' buy': must be one of 'buy', 'sell'"),
        (Side, "unknown", "side='unknown': must be one of 'buy', 'sell'"),
        (Side, Side.UNKNOWN, "side='unknown': must be one of 'buy', 'sell'"),
        (Side, OrderType.LIMIT, "side='limit': must be one of 'buy', 'sell'"),
        (Side, "x" * 1000, f"side='{'x' * 60}': must be one of 'buy', 'sell'"),
        (TimeInForce, "day", "side='day': must be one of 'gtc', 'ioc', 'fok'"),
        (
            SelfTradePrevention,
            "both",
            "side='both': must be one of 'none', 'expire_taker', 'expire_maker', 'expire_both', 'decrement'",
        ),
    ],
)
def test_any_other_text_is_refused_with_the_choices(kind, value, message):
    with pytest.raises(InvalidArgument) as refused:
        choose(kind, value, "side")
    assert (refused.value.message, refused.value.argument) == (message, "side")


@pytest.mark.parametrize("value", [None, 1, b"buy", ["buy"]])
def test_what_is_no_text_is_a_type_error(value):
    with pytest.raises(InvalidType, match=f"side must be text or a Side, not {type(value).__name__}"):
        choose(Side, value, "side")


def test_which_types_name_a_price_and_which_wait():
    assert [kind for kind in OrderType if kind.has_price] == ["limit", "stop_loss_limit", "take_profit_limit"]
    waiting = ["stop_loss", "stop_loss_limit", "take_profit", "take_profit_limit"]
    assert [kind for kind in OrderType if kind.is_conditional] == waiting


def test_which_statuses_are_over_and_which_are_definite():
    over = ["filled", "canceled", "expired", "rejected", "never_sent", "not_accepted"]
    assert [status for status in OrderStatus if status.is_done] == over
    assert [s for s in OrderStatus if not s.is_definite] == ["pending_new", "accepted", "unknown"]
