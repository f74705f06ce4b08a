"""Alpaca's older client, unchanged: it reads address and key from the environment, as old bots do.

Environment: APCA_API_BASE_URL, APCA_API_DATA_URL, APCA_API_KEY_ID, APCA_API_SECRET_KEY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE
(the desk's certificate). Ends with a line "all is well", or with the first thing that is not.
"""

import asyncio
import faulthandler
import os
import threading
import time

import alpaca_trade_api as tradeapi
from alpaca_trade_api.rest import APIError
from alpaca_trade_api.stream import Stream

# The client has no time-out of its own.
faulthandler.dump_traceback_later(120, exit=True)

PAIR = "BTC/USD"
api = tradeapi.REST()
heard: list = []


def until(what, wanted, patience_s=20):
    """Asks until the answer is one."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        answer = wanted()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen; heard: {[(u.event, u.order['status']) for u in heard]}")


def price() -> float:
    return api.get_latest_crypto_quotes(PAIR)[PAIR].ap


def stands(order, *statuses):
    return until(f"{statuses}", lambda: (o := api.get_order(order.id)).status in statuses and o)


def listen() -> None:
    # It opens the stream with a slash at the end.
    stream = Stream(base_url=os.environ["APCA_API_BASE_URL"])

    async def note(update):
        heard.append(update)

    stream.subscribe_trade_updates(note)

    def run():
        asyncio.set_event_loop(asyncio.new_event_loop())
        asyncio.get_event_loop().run_until_complete(stream._trading_ws._run_forever())

    threading.Thread(target=run, daemon=True).start()

    def probe():
        order = api.submit_order(PAIR, qty=0.001, side="buy", type="limit", time_in_force="gtc", limit_price=round(price() * 0.7, 2))
        api.cancel_order(order.id)
        time.sleep(0.2)
        return heard
    until("the stream", probe)


account = api.get_account()
assert account.status == "ACTIVE" and float(account.buying_power) > 0
assert api.get_clock().next_open and api.get_calendar()
assert any(asset.symbol == PAIR for asset in api.list_assets(asset_class="crypto"))
listen()

bought = api.submit_order(PAIR, qty="0.01", side="buy", type="market", time_in_force="gtc", client_order_id="old but good")
assert stands(bought, "filled").filled_qty == "0.01"
assert api.get_order_by_client_order_id("old but good").id == bought.id
until("the fill", lambda: any(u.event == "fill" and u.order["id"] == bought.id for u in heard))

bracket = api.submit_order(
    PAIR, qty=0.001, side="buy", type="limit", time_in_force="gtc", limit_price=round(price() * 0.7, 2), order_class="bracket",
    take_profit={"limit_price": round(price() * 1.4, 2)}, stop_loss={"stop_price": round(price() * 0.6, 2)})
assert len(bracket.legs) == 2 and bracket.legs[0].status == "held"
assert api.list_orders(status="open", nested=True)[0].id == bracket.id
stands(bracket, "new")
replaced = api.replace_order(bracket.id, limit_price=str(round(price() * 0.6, 2)))
assert replaced.id != bracket.id
api.cancel_all_orders()
until("no open order", lambda: not api.list_orders())

try:
    api.submit_order(PAIR, qty=5, side="buy", type="limit", time_in_force="gtc", limit_price=round(price() * 0.7, 2))
    raise AssertionError("it was not refused")
except APIError as error:
    assert error.code == 40310000 and error.status_code == 403, error

assert api.get_position("BTCUSD").side == "long" and len(api.list_positions()) == 1
stands(api.close_position("BTCUSD"), "filled")
until("no position", lambda: not api.list_positions())
activities = api.get_activities(activity_types="FILL")
assert activities and activities[0].activity_type == "FILL"
assert len(api.get_portfolio_history(period="1D", timeframe="1Min").equity) >= 0
mine = api.create_watchlist("old", [PAIR])
assert api.get_watchlist_by_name("old").id == mine.id
api.delete_watchlist(mine.id)
print("all is well", flush=True)
os._exit(0)
