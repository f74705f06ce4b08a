"""Orders of Alpaca's own client at two places in turn, and how long each took.

Environment: DESK, APCA_API_KEY_ID, APCA_API_SECRET_KEY and REQUESTS_CA_BUNDLE; DIRECT, DIRECT_KEY and DIRECT_SECRET; PRICE. Writes
JSON.
"""

import json
import os
import time
import uuid

from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest

WARM_UP, ORDERS = 50, 1_000
env = os.environ
PRICE = float(env["PRICE"])
places = {
    "direct": TradingClient(env["DIRECT_KEY"], env["DIRECT_SECRET"], url_override=env["DIRECT"]),
    "desk": TradingClient(env["APCA_API_KEY_ID"], env["APCA_API_SECRET_KEY"], url_override=f"{env['DESK']}/alpaca"),
}
took_ms: dict = {name: [] for name in places}


def order() -> LimitOrderRequest:
    # Nobody takes it, and then it is gone.
    return LimitOrderRequest(
        symbol="BTC/USD", qty=0.001, side=OrderSide.BUY, time_in_force=TimeInForce.IOC, limit_price=PRICE,
        client_order_id=str(uuid.uuid4()))


for nth in range(WARM_UP + ORDERS):
    for name, client in places.items():
        request = order()
        began = time.perf_counter()
        client.submit_order(request)
        if nth >= WARM_UP:
            took_ms[name].append((time.perf_counter() - began) * 1_000)

print(json.dumps({
    name: {"p50": sorted(times)[len(times) // 2], "p99": sorted(times)[len(times) * 99 // 100]} for name, times in took_ms.items()
}))
