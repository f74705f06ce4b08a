"""A bot of Alpaca's own client: listens to its stream and places an order a second. Says what it placed and what it never heard of.

Environment: DESK, APCA_API_KEY_ID, APCA_API_SECRET_KEY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE; NAME, SECONDS. Writes JSON.
"""

import json
import os
import threading
import time

from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce, TradeEvent
from alpaca.trading.requests import MarketOrderRequest
from alpaca.trading.stream import TradingStream

env = os.environ
KEY, SECRET, DESK = env["APCA_API_KEY_ID"], env["APCA_API_SECRET_KEY"], f"{env['DESK']}/alpaca"
trading = TradingClient(KEY, SECRET, url_override=DESK)
stream = TradingStream(KEY, SECRET, url_override=f"{DESK.replace('http', 'ws', 1)}/stream")
filled, placed, errors = set(), set(), []


async def note(update) -> None:
    if update.event == TradeEvent.FILL:
        filled.add(update.order.client_order_id)


stream.subscribe_trade_updates(note)
threading.Thread(target=stream.run, daemon=True).start()
# The client does not say when it listens.
time.sleep(2)
end = time.monotonic() + float(env["SECONDS"])
while time.monotonic() < end:
    begun = time.monotonic()
    name = f"{env['NAME']}-{len(placed)}"
    try:
        trading.submit_order(MarketOrderRequest(
            symbol="BTC/USD", qty=0.00002, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, client_order_id=name))
        placed.add(name)
    except Exception as error:
        errors.append(str(error))
    time.sleep(max(0.0, begun + 1 - time.monotonic()))
time.sleep(5)
print(json.dumps({"placed": len(placed), "unheard": len(placed - filled), "errors": errors}), flush=True)
os._exit(0)
