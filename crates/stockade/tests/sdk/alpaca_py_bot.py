"""Alpaca's own client, unchanged, against a desk: only address and key are the desk's.

Environment: DESK (https://localhost:8443), APCA_API_KEY_ID, APCA_API_SECRET_KEY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE (the desk's certificate).
Ends with a line "all is well", or with the first thing that is not.
"""

import asyncio
import faulthandler
import os
import threading
import time
import uuid
from datetime import date, datetime, timedelta, timezone

from alpaca.common.exceptions import APIError
from alpaca.data.historical import CryptoHistoricalDataClient
from alpaca.data.live import CryptoDataStream
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    OrderClass,
    OrderSide,
    OrderStatus,
    QueryOrderStatus,
    TimeInForce,
    TradeEvent,
)
from alpaca.trading.requests import (
    ClosePositionRequest,
    CreateWatchlistRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
    UpdateWatchlistRequest,
)
from alpaca.trading.stream import TradingStream

# The client has no time-out of its own.
faulthandler.dump_traceback_later(180, exit=True)

DESK, KEY_ID, SECRET = (os.environ[name] for name in ("DESK", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"))
REST, STREAM = f"{DESK}/alpaca", f"{DESK.replace('http', 'ws', 1)}/alpaca"
PAIR = "BTC/USD"

trading = TradingClient(KEY_ID, SECRET, url_override=REST)
prices = CryptoHistoricalDataClient(KEY_ID, SECRET, url_override=REST)
heard: list = []


def step(name: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.2f} s  {name}", flush=True)


def until(what: str, wanted, patience_s: float = 20):
    """Asks until the answer is one."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        answer = wanted()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen in {patience_s} s; heard: {[(u.event, u.order.status) for u in heard]}")


def refused(status: int, code: int, call) -> APIError:
    """The client must read the refusal: status, number and words."""
    try:
        answer = call()
    except APIError as error:
        assert (error.status_code, error.code) == (status, code), f"{error.status_code} {error}"
        assert error.message
        return error
    raise AssertionError(f"it was not refused: {answer}")


def stands(order, *statuses):
    return until(f"{order.id} {statuses}", lambda: (o := trading.get_order_by_id(order.id)).status in statuses and o)


def price() -> float:
    quote = prices.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols=PAIR))[PAIR]
    return quote.ask_price


def listen() -> TradingStream:
    """The stream of orders, in a thread of its own; returns once it listens."""
    stream = TradingStream(KEY_ID, SECRET, url_override=f"{STREAM}/stream")

    async def note(update) -> None:
        heard.append(update)

    stream.subscribe_trade_updates(note)
    threading.Thread(target=stream.run, daemon=True).start()
    # The client does not say when it listens: an order is placed until it is heard of.
    def probe():
        order = trading.submit_order(far_limit())
        trading.cancel_order_by_id(order.id)
        time.sleep(0.2)
        return heard
    until("the stream", probe)
    return stream


def events(order_id) -> list:
    return [update.event for update in heard if update.order.id == order_id]


def far_limit(**more) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=PAIR, qty=0.001, side=OrderSide.BUY, time_in_force=TimeInForce.GTC,
        limit_price=round(price() * 0.7, 2), **more,
    )


def the_account() -> None:
    account = trading.get_account()
    assert account.status.value == "ACTIVE" and float(account.buying_power) > 0
    assert float(account.equity) == float(account.portfolio_value)
    configured = trading.get_account_configurations()
    assert trading.set_account_configurations(configured) == configured
    configured.fractional_trading = False
    refused(403, 40310000, lambda: trading.set_account_configurations(configured))
    clock = trading.get_clock()
    assert clock.next_open > clock.timestamp and clock.next_close > clock.timestamp
    assert clock.is_open == (clock.next_close < clock.next_open)
    # Thanksgiving, and half a day after it.
    days = trading.get_calendar(GetCalendarRequest(start=date(2026, 11, 25), end=date(2026, 11, 28)))
    assert [(day.date.day, day.close.hour) for day in days] == [(25, 16), (27, 13)]


def the_assets() -> None:
    assets = trading.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    asset = next(one for one in assets if one.symbol == PAIR)
    assert trading.get_asset(str(asset.id)).symbol == PAIR
    # The client does not encode the slash.
    assert trading.get_asset(PAIR).id == trading.get_asset("BTCUSD").id == asset.id
    refused(404, 40410000, lambda: trading.get_asset("NOPE"))


def an_order_lives_and_ends() -> None:
    name = "a free text, of 2026; ünïcode #1"
    order = trading.submit_order(far_limit(client_order_id=name))
    assert order.client_order_id == name and order.status in (OrderStatus.ACCEPTED, OrderStatus.PENDING_NEW, OrderStatus.NEW)
    assert trading.get_order_by_client_id(name).id == order.id
    refused(422, 40010001, lambda: trading.submit_order(far_limit(client_order_id=name)))
    replaced = trading.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=round(price() * 0.6, 2)))
    assert replaced.id != order.id and replaced.replaces == order.id
    old = stands(order, OrderStatus.REPLACED)
    assert old.replaced_by == replaced.id
    stands(replaced, OrderStatus.NEW)
    trading.cancel_order_by_id(replaced.id)
    stands(replaced, OrderStatus.CANCELED)
    refused(422, 42210000, lambda: trading.cancel_order_by_id(replaced.id))
    until("the events", lambda: TradeEvent.CANCELED in events(replaced.id) and TradeEvent.REPLACED in events(order.id))
    assert TradeEvent.NEW in events(order.id) and TradeEvent.NEW in events(replaced.id), (events(order.id), events(replaced.id))
    refused(404, 40410000, lambda: trading.get_order_by_id(uuid.uuid4()))
    refused(404, 40410000, lambda: trading.cancel_order_by_id(uuid.uuid4()))


def every_type_is_taken() -> None:
    now = price()
    bought = trading.submit_order(MarketOrderRequest(symbol=PAIR, qty=0.02, side=OrderSide.BUY, time_in_force=TimeInForce.GTC))
    filled = stands(bought, OrderStatus.FILLED)
    assert float(filled.filled_qty) == 0.02 and float(filled.filled_avg_price) > 0 and filled.filled_at
    until("the fill", lambda: TradeEvent.FILL in events(bought.id))
    update = next(u for u in heard if u.order.id == bought.id and u.event == TradeEvent.FILL)
    assert float(update.price) > 0 and float(update.position_qty) >= 0.02 and update.execution_id
    by_money = trading.submit_order(MarketOrderRequest(symbol=PAIR, notional=500, side=OrderSide.BUY, time_in_force=TimeInForce.GTC))
    assert float(by_money.notional) == 500 and stands(by_money, OrderStatus.FILLED).qty is None
    at_once = trading.submit_order(LimitOrderRequest(
        symbol=PAIR, qty=0.001, side=OrderSide.BUY, time_in_force=TimeInForce.IOC, limit_price=round(now * 1.01, 2)))
    stands(at_once, OrderStatus.FILLED, OrderStatus.CANCELED)
    waiting = [
        StopOrderRequest(symbol=PAIR, qty=0.001, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, stop_price=round(now * 0.7, 2)),
        StopLimitOrderRequest(symbol=PAIR, qty=0.001, side=OrderSide.SELL, time_in_force=TimeInForce.GTC,
                              stop_price=round(now * 0.7, 2), limit_price=round(now * 0.69, 2)),
        TrailingStopOrderRequest(symbol=PAIR, qty=0.001, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, trail_percent=20),
        TrailingStopOrderRequest(symbol=PAIR, qty=0.001, side=OrderSide.SELL, time_in_force=TimeInForce.DAY, trail_price=5000),
    ]
    for request in waiting:
        order = trading.submit_order(request)
        assert stands(order, OrderStatus.NEW).order_type == request.type
    open_now = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, symbols=[PAIR]))
    assert len(open_now) == len(waiting)
    canceled = trading.cancel_orders()
    assert len(canceled) == len(waiting) and all(one.status == 200 for one in canceled)
    until("no open order", lambda: not trading.get_orders())
    closed = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED, limit=3, direction="asc"))
    assert len(closed) == 3 and closed[0].submitted_at <= closed[1].submitted_at <= closed[2].submitted_at


def groups_of_orders() -> None:
    now = price()
    bracket = trading.submit_order(MarketOrderRequest(
        symbol=PAIR, qty=0.002, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=round(now * 1.4, 2)), stop_loss=StopLossRequest(stop_price=round(now * 0.6, 2))))
    assert bracket.order_class == OrderClass.BRACKET and len(bracket.legs) == 2
    stands(bracket, OrderStatus.FILLED)
    nested = trading.get_order_by_id(bracket.id, GetOrderByIdRequest(nested=True))
    assert {leg.order_type.value for leg in nested.legs} == {"limit", "stop"}
    for leg in nested.legs:
        assert leg.order_class == OrderClass.BRACKET
    listed = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True, limit=50))
    assert next(one for one in listed if one.id == bracket.id).legs
    oto = trading.submit_order(LimitOrderRequest(
        symbol=PAIR, qty=0.001, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, order_class=OrderClass.OTO,
        limit_price=round(now * 0.7, 2), take_profit=TakeProfitRequest(limit_price=round(now * 1.4, 2))))
    assert len(oto.legs) == 1 and oto.legs[0].status == OrderStatus.HELD
    oco = trading.submit_order(LimitOrderRequest(
        symbol=PAIR, qty=0.001, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, order_class=OrderClass.OCO,
        take_profit=TakeProfitRequest(limit_price=round(now * 1.4, 2)), stop_loss=StopLossRequest(stop_price=round(now * 0.6, 2)),
        limit_price=round(now * 1.4, 2)))
    assert oco.order_class == OrderClass.OCO
    trading.cancel_orders()
    until("no open order", lambda: not trading.get_orders())


def refusals() -> None:
    now = round(price() * 0.7, 2)
    def limit(**other):
        fields = dict(symbol=PAIR, qty=0.001, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=now)
        return lambda: trading.submit_order(LimitOrderRequest(**{**fields, **other}))
    refused(422, 42210000, limit(limit_price=now + 0.001))
    refused(422, 42210000, limit(symbol="NOPE"))
    poor = refused(403, 40310000, limit(qty=5, limit_price=now))
    assert "insufficient buying power" in poor.message
    short = refused(403, 40310000, limit(side=OrderSide.SELL, qty=50))
    assert "insufficient qty" in short.message
    filled = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED))
    filled = next(one for one in filled if one.status == OrderStatus.FILLED)
    already = refused(422, 42210000, lambda: trading.replace_order_by_id(filled.id, ReplaceOrderRequest(limit_price=now)))
    assert "filled" in already.message
    stranger = TradingClient(KEY_ID, "stk_wrong", url_override=REST)
    refused(401, 40110000, stranger.get_account)
    refused(404, 40410000, lambda: trading.get("/options/contracts"))


def one_word_is_both_halves_of_a_key() -> None:
    bearer = TradingClient(oauth_token=f"{KEY_ID}.{SECRET}", url_override=REST)
    assert bearer.get_account().id == trading.get_account().id
    order = bearer.submit_order(far_limit())
    bearer.cancel_order_by_id(order.id)
    assert stands(order, OrderStatus.CANCELED).id == order.id
    for wrong in [f"{KEY_ID}.stk_wrong", f"{KEY_ID}.{SECRET}x", KEY_ID, SECRET]:
        stranger = TradingClient(oauth_token=wrong, url_override=REST)
        refused(401, 40110000, stranger.get_account)


def positions_and_history() -> None:
    position = trading.get_open_position(PAIR)
    assert position.symbol == "BTCUSD" and float(position.qty) > 0.01 and float(position.market_value) > 0
    assert trading.get_open_position(str(position.asset_id)).qty == position.qty
    assert [one.symbol for one in trading.get_all_positions()] == ["BTCUSD"]
    part = trading.close_position(PAIR, ClosePositionRequest(qty="0.005"))
    stands(part, OrderStatus.FILLED)
    part = trading.close_position("BTCUSD", ClosePositionRequest(percentage="50"))
    stands(part, OrderStatus.FILLED)
    closed = trading.close_all_positions(cancel_orders=True)
    assert [one.status for one in closed] == [200], closed
    until("no position", lambda: not trading.get_all_positions())
    refused(404, 40410000, lambda: trading.get_open_position(PAIR))
    fills = trading.get("/account/activities/FILL", {"page_size": 5})
    assert len(fills) == 5 and fills[0]["side"] == "sell" and fills[0]["cum_qty"]
    following = trading.get("/account/activities", {"activity_types": "FILL", "page_size": 5, "page_token": fills[-1]["id"]})
    assert following and following[0]["id"] < fills[-1]["id"]
    executions = {str(update.execution_id) for update in heard if update.event in (TradeEvent.FILL, TradeEvent.PARTIAL_FILL)}
    assert {fill["id"].split("::")[1] for fill in fills} <= executions, "the stream tells every execution, by the same id"
    history = trading.get_portfolio_history(GetPortfolioHistoryRequest(period="1D", timeframe="1Min"))
    assert len(history.equity) == len(history.timestamp) == len(history.profit_loss)


def the_watchlists() -> None:
    made = trading.create_watchlist(CreateWatchlistRequest(name="mine", symbols=[PAIR]))
    assert [asset.symbol for asset in made.assets] == [PAIR]
    trading.add_asset_to_watchlist_by_id(made.id, "ETH/USD")
    shorter = trading.remove_asset_from_watchlist_by_id(made.id, PAIR)
    assert [asset.symbol for asset in shorter.assets] == ["ETH/USD"]
    renamed = trading.update_watchlist_by_id(made.id, UpdateWatchlistRequest(name="ours"))
    assert renamed.name == "ours" and [one.id for one in trading.get_watchlists()] == [made.id]
    trading.delete_watchlist_by_id(made.id)
    refused(404, 40410000, lambda: trading.get_watchlist_by_id(made.id))


def the_market() -> None:
    one = dict(symbol_or_symbols=PAIR)
    assert prices.get_crypto_latest_trade(CryptoLatestTradeRequest(**one))[PAIR].price > 0
    assert prices.get_crypto_latest_bar(CryptoLatestBarRequest(**one))[PAIR].close > 0
    assert prices.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(**one))[PAIR].asks[0].price > 0
    snapshot = prices.get_crypto_snapshot(CryptoSnapshotRequest(**one))[PAIR]
    assert snapshot.latest_trade and snapshot.minute_bar
    since = datetime.now(timezone.utc) - timedelta(hours=2)
    minutes = prices.get_crypto_bars(CryptoBarsRequest(timeframe=TimeFrame.Minute, start=since, **one))[PAIR]
    fives = prices.get_crypto_bars(CryptoBarsRequest(timeframe=TimeFrame(5, TimeFrameUnit.Minute), start=since, **one))[PAIR]
    assert len(minutes) > len(fives) > 0 and minutes[0].timestamp >= since
    assert prices.get_crypto_trades(CryptoTradesRequest(start=since, limit=10, **one))[PAIR]


def the_market_live() -> None:
    quotes, trades = [], []
    # MessagePack both ways, with times as extensions and fragmented subscriptions.
    stream = CryptoDataStream(KEY_ID, SECRET, url_override=f"{STREAM}/v1beta3/crypto/us")

    async def quote(one) -> None:
        quotes.append(one)

    async def trade(one) -> None:
        trades.append(one)

    stream.subscribe_quotes(quote, PAIR)
    stream.subscribe_trades(trade, "*")
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    until("prices", lambda: quotes and trades)
    assert quotes[0].symbol == PAIR and quotes[0].timestamp.tzinfo and trades[0].price > 0
    stream.stop()
    thread.join(timeout=10)


BEGAN = time.monotonic()
STEPS = [
    the_account, the_assets, listen, an_order_lives_and_ends, every_type_is_taken, groups_of_orders, refusals,
    one_word_is_both_halves_of_a_key, positions_and_history, the_watchlists, the_market, the_market_live,
]
if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    for one in STEPS:
        step(one.__name__.replace("_", " "))
        one()
    print("all is well", flush=True)
    os._exit(0)
