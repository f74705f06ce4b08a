"""Alpaca's own client on a bad line: does what it is told, and when an answer is lost, what a careful bot does.

Environment: DESK (the address, with /alpaca), APCA_API_KEY_ID, APCA_API_SECRET_KEY. Reads lines `buy NAME`, `rest NAME PRICE`, `replace NAME NEW
PRICE`, `cancel NAME`. Writes a line of JSON for each answer that was lost, and one for what came of it in the end: `id` or
`refused`, with the status and the time of each answer that came.
"""

import json
import os
import sys
import time

from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest
from requests.exceptions import RequestException

PAIR, QUANTITY = "BTC/USD", 0.0001
TAKEN, MISSING, GATEWAY = "client_order_id must be unique", 404, 504

trading = TradingClient(os.environ["APCA_API_KEY_ID"], os.environ["APCA_API_SECRET_KEY"], url_override=os.environ["DESK"])
# It repeats by itself what was answered with 429 or 504, after three seconds. Nothing else of it is touched.
trading._retry_wait = 0.1
answers: list = []
trading._session.hooks["response"].append(lambda answer, **_: answers.append((answer.status_code, answer.elapsed.total_seconds())))


def say(**what) -> None:
    print(json.dumps(what), flush=True)


def found(name: str):
    """The order of a name; `None` when there is none."""
    while True:
        try:
            return trading.get_order_by_client_id(name)
        except APIError as error:
            if error.status_code == MISSING:
                return None
            raise
        except (RequestException, ValueError) as lost:
            say(lost=type(lost).__name__)
            time.sleep(0.05)


def surely(name: str, act):
    """Does something that leaves an order of this name. An answer that is lost says nothing: it is asked again."""
    while True:
        try:
            return act()
        except (RequestException, ValueError) as lost:
            say(lost=type(lost).__name__)
        except APIError as error:
            order = found(name)
            if order is not None:
                return order
            if error.status_code != GATEWAY:
                raise
            say(lost="GatewayTimeout")
        time.sleep(0.05)


def order_of(words: list):
    match words:
        case ["buy", name]:
            request = MarketOrderRequest(
                symbol=PAIR, qty=QUANTITY, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, client_order_id=name)
            return surely(name, lambda: trading.submit_order(request))
        case ["rest", name, price]:
            request = LimitOrderRequest(
                symbol=PAIR, qty=QUANTITY, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=float(price),
                client_order_id=name)
            return surely(name, lambda: trading.submit_order(request))
        case ["replace", name, new, price]:
            old = found(name)
            request = ReplaceOrderRequest(limit_price=float(price), client_order_id=new)
            return surely(new, lambda: trading.replace_order_by_id(old.id, request))
        case ["cancel", name]:
            old = found(name)
            # What was canceled already is refused, and that is an answer.
            surely(name, lambda: trading.cancel_order_by_id(old.id))
            return old
    raise SystemExit(f"what is {words}?")


for line in sys.stdin:
    answers.clear()
    try:
        outcome = {"id": str(order_of(line.split()).id)}
    except APIError as error:
        outcome = {"refused": error.message}
    say(answers=answers, **outcome)
