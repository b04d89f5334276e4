"""Orders, fills and candles as this exchange writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exconnect.mock.engine import FIRST_TRADE
from exconnect.mock.fixed import SCALE, text
from exconnect.mock.market import FEE
from exconnect.mock.orders import BUY

if TYPE_CHECKING:
    from exconnect.mock.history import Bar
    from exconnect.mock.market import Market
    from exconnect.mock.orders import Amendment, Fill, Order, Prevention, Report, Trade
    from exconnect.mock.tape import Aggregate, Tape

Json = dict[str, Any]
ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"]
STP_MODES = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]
DEFAULT_STP = "EXPIRE_MAKER"
ZERO = text(0)


def instrument(market: Market) -> Json:
    """One row of exchangeInfo."""
    return {
        "symbol": market.name,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(market),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": DEFAULT_STP,
        "allowedSelfTradePreventionModes": STP_MODES,
    }


def filters(market: Market) -> list[Json]:
    """The rules of a symbol."""
    up, down = f"{market.band_up / 10:g}", f"{market.band_down / 10:g}"
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(market.min_price),
            "maxPrice": text(market.max_price),
            "tickSize": text(market.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": text(market.min_quantity),
            "maxQty": text(market.max_quantity),
            "stepSize": text(market.lot),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": ZERO,
            "maxQty": text(market.market_max_quantity),
            "stepSize": ZERO,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text(market.min_notional),
            "applyMinToMarket": True,
            "maxNotional": text(market.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": market.max_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": market.max_conditional},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": market.max_amends},
    ]


def ack(order: Order) -> Json:
    """The shortest answer to a placement."""
    return {
        "symbol": order.market.name,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ms,
    }


def result(order: Order) -> Json:
    """An answer to a placement without fills."""
    return {**ack(order), **_amounts(order), **_end(order), "workingTime": order.working_ms, **_stp(order)}


def full(order: Order) -> Json:
    """An answer to a placement with its fills."""
    answer = result(order)
    mode = answer.pop("selfTradePreventionMode")
    return {**answer, "fills": [_fill(fill) for fill in order.fills], "selfTradePreventionMode": mode}


def canceled(order: Order, original_id: str) -> Json:
    """The answer to a cancel."""
    head = {"symbol": order.market.name, "origClientOrderId": original_id}
    return {**head, **ack(order), **_amounts(order), **_end(order), **_stp(order)}


def queried(order: Order) -> Json:
    """An order as queries give it."""
    row = {
        "symbol": order.market.name,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        **_amounts(order),
        **_end(order),
    }
    quote = row.pop("origQuoteOrderQty")
    row |= {
        "stopPrice": text(order.wish.stop_price),
        "icebergQty": ZERO,
        "time": order.time_ms,
        "updateTime": order.updated_ms,
        "isWorking": not order.is_conditional or order.has_triggered,
        "workingTime": order.working_ms,
        "origQuoteOrderQty": quote,
    }
    return {**row, **_stp(order)}


def amended(order: Order, report: Report) -> Json:
    """The answer to an amend."""
    row = {
        "symbol": order.market.name,
        "orderId": order.id,
        "orderListId": -1,
        "origClientOrderId": report.original_id,
        "clientOrderId": order.client_id,
        "price": text(order.price),
        "qty": text(order.quantity),
        "executedQty": text(order.filled),
        "preventedQty": text(order.prevented),
        "quoteOrderQty": text(order.wish.quote_quantity),
        "cumulativeQuoteQty": text(order.filled_quote),
        **_end(order),
    }
    if order.working_ms >= 0:
        row["workingTime"] = order.working_ms
    row["selfTradePreventionMode"] = order.wish.stp.upper()
    return {"transactTime": report.time_ms, "executionId": report.id, "amendedOrder": row}


def amendment(order: Order, change: Amendment) -> Json:
    """One row of an order's amendments."""
    return {
        "symbol": order.market.name,
        "orderId": order.id,
        "executionId": change.id,
        "origClientOrderId": change.original_id,
        "newClientOrderId": change.client_id,
        "origQty": text(change.original_quantity),
        "newQty": text(change.quantity),
        "time": change.time_ms,
    }


def prevented_match(one: Prevention) -> Json:
    """One row of myPreventedMatches: what a side did not lose is not named."""
    lost = (("takerPreventedQuantity", one.taker_quantity), ("makerPreventedQuantity", one.maker_quantity))
    return {
        "symbol": one.taker.market.name,
        "preventedMatchId": one.id,
        "takerOrderId": one.taker.id,
        "makerSymbol": one.maker.market.name,
        "makerOrderId": one.maker.id,
        "tradeGroupId": -1,
        "selfTradePreventionMode": one.taker.wish.stp.upper(),
        "price": text(one.price),
        **{name: text(quantity) for name, quantity in lost if quantity},
        "transactTime": one.time_ms,
    }


def _amounts(order: Order) -> Json:
    return {
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled),
        "origQuoteOrderQty": text(order.wish.quote_quantity),
        "cummulativeQuoteQty": text(order.filled_quote),
    }


def _end(order: Order) -> Json:
    row: Json = {
        "status": order.status.upper(),
        "timeInForce": order.wish.time_in_force.upper(),
        "type": order.wish.type.upper(),
        "side": order.side.upper(),
    }
    if order.wish.stop_price:
        row["stopPrice"] = text(order.wish.stop_price)
    row |= dict(order.wish.extra)
    if order.expiry_reason:
        row["expiryReason"] = order.expiry_reason.upper()
    return row


def _stp(order: Order) -> Json:
    row: Json = {"selfTradePreventionMode": order.wish.stp.upper()}
    if order.prevented:
        row |= {"preventedMatchId": order.prevented_match_id, "preventedQuantity": text(order.prevented)}
    return row


def _fill(fill: Fill) -> Json:
    return {
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.trade_id,
    }


def own_trade(fill: Fill) -> Json:
    """One row of myTrades."""
    return {
        "symbol": fill.order.market.name,
        "id": fill.trade_id,
        "orderId": fill.order.id,
        "orderListId": -1,
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "quoteQty": text(fill.price * fill.quantity // SCALE),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time_ms,
        "isBuyer": fill.order.side == BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def public_trade(trade: Trade) -> Json:
    """One row of trades."""
    return {
        "id": trade.id,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.price * trade.quantity // SCALE),
        "time": trade.time_ms,
        "isBuyerMaker": trade.side != BUY,
        "isBestMatch": True,
    }


def aggregate(trade: Aggregate) -> Json:
    """One row of aggTrades."""
    return {
        "a": trade.id,
        "p": text(trade.price),
        "q": text(trade.quantity),
        "f": trade.first_id,
        "l": trade.last_id,
        "T": trade.time_ms,
        "m": trade.side != BUY,
        "M": True,
    }


def kline(begin_ms: int, end_ms: int, bar: Bar) -> list[Any]:
    """One row of klines."""
    return [
        begin_ms,
        text(bar.open),
        text(bar.high),
        text(bar.low),
        text(bar.close),
        text(bar.volume),
        end_ms - 1,
        text(bar.quote_volume),
        bar.count,
        text(bar.taker_base),
        text(bar.taker_quote),
        "0",
    ]


def mini(market: Market, tape: Tape, begin_ms: int, now_ms: int) -> Json:
    """A ticker of type MINI over ``begin_ms`` … now."""
    bar = tape.window(begin_ms, now_ms)
    first, last = ids(tape, bar)
    return {
        "symbol": market.name,
        "openPrice": text(bar.open),
        "highPrice": text(bar.high),
        "lowPrice": text(bar.low),
        "lastPrice": text(bar.close),
        "volume": text(bar.volume),
        "quoteVolume": text(bar.quote_volume),
        "openTime": begin_ms,
        "closeTime": now_ms,
        "firstId": first,
        "lastId": last,
        "count": bar.count,
    }


def ids(tape: Tape, bar: Bar) -> tuple[int, int]:
    """The ids of the first and the last trade of a window that reaches until now; −1 where nothing traded."""
    last = tape.trades[-1].id if tape.trades else FIRST_TRADE - 1
    return (last - bar.count + 1, last) if bar.count else (-1, -1)


def changes(row: Json, bar: Bar) -> Json:
    """The fields that a FULL ticker has beyond MINI, in the exchange's order."""
    change = bar.close - bar.open
    percent = f"{change * 100 / bar.open:z.3f}"
    average = bar.quote_volume * SCALE // bar.volume if bar.volume else bar.close
    symbol = row.pop("symbol")
    head = {"symbol": symbol, "priceChange": text(change), "priceChangePercent": percent}
    return {**head, "weightedAvgPrice": text(average), **row}


def commission() -> Json:
    """Fee rates as fractions."""
    rate = text(FEE)
    return {"maker": rate, "taker": rate, "buyer": ZERO, "seller": ZERO}
