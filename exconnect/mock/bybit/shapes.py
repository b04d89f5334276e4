"""Orders, fills, balances and candles as this exchange writes them.

https://bybit-exchange.github.io/docs/v5/enum
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exconnect.mock.fixed import SCALE, padded, plain, times
from exconnect.mock.market import FEE
from exconnect.mock.orders import MARKET_TYPES, Order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exconnect.mock.account import Account, Balance
    from exconnect.mock.book import BookSide
    from exconnect.mock.history import Bar
    from exconnect.mock.market import Market
    from exconnect.mock.orders import Fill, Report, Trade
    from exconnect.mock.world import World

Json = dict[str, Any]
SIDES = {"buy": "Buy", "sell": "Sell"}
STOP_KINDS = {"StopOrder": "Stop", "Order": ""}
RATIO = "0.05"
PROTECTION = ("takeProfit", "stopLoss", "tpLimitPrice", "slLimitPrice")
INTERVALS = {
    "1": "1m",
    "3": "3m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "120": "2h",
    "240": "4h",
    "360": "6h",
    "720": "12h",
    "D": "1d",
    "W": "1w",
    "M": "1M",
}
_REJECT_REASONS = {
    "would_take": "EC_PostOnlyWillTakeLiquidity",
    "insufficient_liquidity": "EC_NoImmediateQtyToFill",
    "no_liquidity": "EC_NoImmediateQtyToFill",
    "unfilled_ioc_quantity_expired": "EC_NoImmediateQtyToFill",
    "unfilled_fok_order_expired": "EC_NoEnoughQtyToFill",
    "canceled": "EC_PerCancelRequest",
    "": "EC_NoError",
}
_CANCEL_TYPES = {
    "canceled": "CancelByUser",
    "expired_in_match": "CancelBySmp",
    "oco_tp": "CancelByOCOTpCanceledBySlTriggered",
    "oco_sl": "CancelByOCOSlCanceledByTpTriggered",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """An order's numbers as they were at one time."""

    order: Order
    status: str
    filled: int
    filled_quote: int
    has_triggered: bool

    @staticmethod
    def now(order: Order) -> Moment:
        """As the order stands."""
        return Moment(order, order.status, order.filled, order.filled_quote, order.has_triggered)

    @staticmethod
    def of(report: Report) -> Moment:
        """As the order stood after one step."""
        order = report.order
        return Moment(order, report.status, report.filled, report.filled_quote, order.has_triggered)

    @property
    def name(self) -> str:
        """The status in this exchange's words."""
        waits = self.order.is_conditional and not self.has_triggered
        if self.status in {"new", "partially_filled", "filled"}:
            words = {"new": "Untriggered" if waits else "New", "partially_filled": "PartiallyFilled"}
            return words.get(self.status, "Filled")
        if self.status == "rejected" or self.order.expiry_reason == "rejected":
            return "Rejected"
        if self.filled:
            return "PartiallyFilledCanceled"
        return "Deactivated" if waits else "Cancelled"

    @property
    def is_over(self) -> bool:
        """Whether it will not trade any more."""
        return self.status not in {"new", "partially_filled"}

    @property
    def reject_reason(self) -> str:
        """Why it ended without what was wished."""
        if self.status == "canceled":
            return _REJECT_REASONS["canceled"]
        if self.status == "expired_in_match":
            return "EC_BySelfMatch"
        if self.status not in {"expired", "rejected"} or self.order.expiry_reason.startswith("oco_"):
            return _REJECT_REASONS[""]
        return _REJECT_REASONS.get(self.order.expiry_reason, "EC_Others")

    @property
    def cancel_type(self) -> str:
        """Who ended it."""
        return _CANCEL_TYPES.get(self.status) or _CANCEL_TYPES.get(self.order.expiry_reason, "UNKNOWN")


def instrument(market: Market, number: int) -> Json:
    """One row of instruments-info."""
    return {
        "symbolId": number,
        "symbol": market.name,
        "baseCoin": market.base,
        "quoteCoin": market.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": plain(market.lot),
            "quotePrecision": plain(times(market.tick, market.lot)),
            "minOrderQty": plain(market.min_quantity),
            "maxOrderQty": plain(market.max_quantity),
            "minOrderAmt": plain(market.min_notional),
            "maxOrderAmt": plain(market.max_notional),
            "maxLimitOrderQty": plain(market.max_quantity),
            "maxMarketOrderQty": plain(market.market_max_quantity),
            "postOnlyMaxLimitOrderSize": plain(market.max_quantity),
        },
        "priceFilter": {"tickSize": plain(market.tick)},
        "riskParameters": {"priceLimitRatioX": RATIO, "priceLimitRatioY": RATIO},
        "symbolType": "",
    }


def levels(side: BookSide, limit: int) -> list[list[str]]:
    """``[[price, quantity], …]``, best first."""
    return [[plain(price), plain(side.total(price))] for price in side.prices(limit)]


def order(moment: Moment) -> Json:
    """An order as queries and the stream give it: what was wished has the decimals of tick and lot, zeros too."""
    at, wish = moment.order, moment.order.wish
    tick, lot = at.market.tick, at.market.lot
    facts = dict(wish.extra)
    left = 0 if moment.is_over else at.quantity - moment.filled
    kind = facts.get("filter", "Order")
    return {
        "symbol": at.market.name,
        "orderId": str(at.id),
        "orderLinkId": at.placed_id,
        "parentOrderLinkId": facts.get("parent", ""),
        "blockTradeId": "",
        "side": SIDES[at.side],
        "orderType": "Market" if wish.type in MARKET_TYPES else "Limit",
        "timeInForce": facts.get("tif", "GTC"),
        "price": padded(at.price, tick),
        "qty": plain(wish.quote_quantity) if wish.quote_quantity else padded(at.quantity, lot),
        "isLeverage": "0",
        "positionIdx": 0,
        "orderStatus": moment.name,
        "cancelType": moment.cancel_type if moment.is_over else "UNKNOWN",
        "rejectReason": moment.reject_reason,
        "avgPrice": plain(moment.filled_quote * SCALE // moment.filled) if moment.filled else "",
        "leavesQty": plain(left),
        "leavesValue": padded(times(at.price, left), times(tick, lot)),
        "cumExecQty": plain(moment.filled),
        "cumExecValue": padded(moment.filled_quote, times(tick, lot)),
        **_fees(at),
        "stopOrderType": STOP_KINDS.get(kind, kind),
        "marketUnit": facts.get("unit", ""),
        "slippageToleranceType": facts.get("slippageToleranceType", "UNKNOWN"),
        "slippageTolerance": facts.get("slippageTolerance", ""),
        "triggerPrice": padded(wish.stop_price, tick),
        "triggerDirection": 0,
        "triggerBy": "",
        **{name: padded(facts[name], tick) if facts.get(name) else "" for name in PROTECTION},
        "tpslMode": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "ocoTriggerBy": "OcoTriggerByUnknown",
        "orderIv": "",
        "placeType": "",
        "basePrice": _optional(facts.get("base", 0)),
        "lastPriceOnCreated": _optional(facts.get("base", 0)),
        "reduceOnly": False,
        "closeOnTrigger": False,
        "smpType": facts.get("smp", "None"),
        "smpGroup": 0,
        "smpOrderId": "",
        "extraFees": "",
        "createdTime": str(at.time_ms),
        "updatedTime": str(at.updated_ms),
    }


def _fees(at: Order) -> Json:
    paid: dict[str, int] = {}
    for fill in at.fills:
        paid[fill.fee_asset] = paid.get(fill.fee_asset, 0) + fill.fee
    detail = {asset: plain(fee) for asset, fee in paid.items()}
    return {"cumExecFee": plain(sum(paid.values())), "cumFeeDetail": detail}


def _optional(value: int) -> str:
    return plain(value) if value else ""


def execution(fill: Fill, left: int) -> Json:
    """The user's half of a trade, as queries and the stream give it."""
    at = fill.order
    is_market = at.wish.type in MARKET_TYPES
    return {
        "symbol": at.market.name,
        "orderId": str(at.id),
        "orderLinkId": at.placed_id,
        "side": SIDES[at.side],
        "orderPrice": plain(at.price),
        "orderQty": plain(at.quantity),
        "leavesQty": plain(left),
        "orderType": "Market" if is_market else "Limit",
        "stopOrderType": STOP_KINDS.get(dict(at.wish.extra).get("filter", "Order"), ""),
        "execId": str(fill.trade_id),
        "execPrice": plain(fill.price),
        "execQty": plain(fill.quantity),
        "execValue": plain(times(fill.price, fill.quantity)),
        "execType": "Trade",
        "execTime": str(fill.time_ms),
        "execFee": plain(fill.fee),
        "execFeeV2": "",
        "feeCurrency": fill.fee_asset,
        "feeRate": plain(FEE),
        "isMaker": fill.is_maker,
        "isLeverage": "0",
        "marketUnit": dict(at.wish.extra).get("unit", ""),
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "markIv": "",
        "tradeIv": "",
        "blockTradeId": "",
        "closedSize": "",
        "extraFees": "",
        "seq": fill.sequence,
    }


def public_trade(trade: Trade) -> Json:
    """One row of recent-trade."""
    return {
        "execId": str(trade.id),
        "symbol": trade.market.name,
        "price": plain(trade.price),
        "size": plain(trade.quantity),
        "side": SIDES[trade.side],
        "time": str(trade.time_ms),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.sequence),
    }


def kline(begin_ms: int, bar: Bar) -> list[str]:
    """One row of kline."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    return [str(begin_ms), *map(plain, prices), plain(bar.volume), plain(bar.quote_volume)]


def day(market: Market, bar: Bar) -> Json:
    """What REST and the stream tell of the last 24 hours."""
    change = f"{(bar.close - bar.open) / bar.open:.4f}"
    return {
        "symbol": market.name,
        "lastPrice": plain(bar.close),
        "highPrice24h": plain(bar.high),
        "lowPrice24h": plain(bar.low),
        "prevPrice24h": plain(bar.open),
        "volume24h": plain(bar.volume),
        "turnover24h": plain(bar.quote_volume),
        "price24hPcnt": change if float(change) else "0",
        "usdIndexPrice": plain(bar.close) if market.quote == "USDT" else "",
    }


def wallet(world: World, account: Account, assets: Iterable[str]) -> Json:
    """The unified account with these coins; totals in USD are of all coins."""
    total = plain(sum(_usd(world, asset, _whole(balance)) for asset, balance in account.assets.items()))
    free = plain(sum(_usd(world, asset, balance.free) for asset, balance in account.assets.items()))
    return {
        "accountType": "UNIFIED",
        "totalEquity": total,
        "totalWalletBalance": total,
        "totalMarginBalance": total,
        "totalAvailableBalance": free,
        **dict.fromkeys(("accountIMRate", "accountMMRate", "totalPerpUPL", "totalInitialMargin"), "0"),
        **dict.fromkeys(("totalMaintenanceMargin", "accountIMRateByMp", "accountMMRateByMp", "accountLTV"), "0"),
        **dict.fromkeys(("totalInitialMarginByMp", "totalMaintenanceMarginByMp"), "0"),
        "coin": [_coin(world, asset, account.of(asset)) for asset in assets],
    }


def _coin(world: World, asset: str, balance: Balance) -> Json:
    held = plain(_whole(balance))
    return {
        "coin": asset,
        "equity": held,
        "usdValue": plain(_usd(world, asset, _whole(balance))),
        "walletBalance": held,
        "locked": plain(balance.locked),
        **dict.fromkeys(("spotBorrow", "borrowAmount", "accruedInterest", "totalOrderIM", "totalPositionIM"), "0"),
        **dict.fromkeys(("totalPositionMM", "unrealisedPnl", "cumRealisedPnl", "bonus", "spotHedgingQty"), "0"),
        "marginCollateral": True,
        "collateralSwitch": True,
        "colRes": "0",
        **dict.fromkeys(("availableToWithdraw", "availableToBorrow", "free"), ""),
    }


def _whole(balance: Balance) -> int:
    return balance.free + balance.locked


def _usd(world: World, asset: str, amount: int) -> int:
    """At the last price against USDT; what has none is worth nothing."""
    if asset == "USDT":
        return amount
    last = world.engine.last.get(f"{asset}/USDT", 0)
    return times(last, amount)
