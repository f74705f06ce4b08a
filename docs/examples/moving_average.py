"""A bot of one idea, written for Alpaca: hold bitcoin while its short average is above its long one.

    pip install alpaca-py
    APCA_API_BASE_URL=https://localhost:8443/alpaca APCA_API_KEY_ID=PK... APCA_API_SECRET_KEY=stk_... \
    REQUESTS_CA_BUNDLE=data/certificate.pem python moving_average.py
"""

import os
import time

from alpaca.common.exceptions import APIError
from alpaca.data.historical import CryptoHistoricalDataClient
from alpaca.data.requests import CryptoBarsRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest

PAIR, QUANTITY = "BTC/USD", 0.01
SHORT, LONG, EVERY_S = (float(os.environ.get(name, usual)) for name, usual in dict(SHORT=5, LONG=20, EVERY_S=15).items())

key, secret = os.environ["APCA_API_KEY_ID"], os.environ["APCA_API_SECRET_KEY"]
desk = os.environ["APCA_API_BASE_URL"]  # the one line that is not Alpaca's
trading = TradingClient(key, secret, url_override=desk)
prices = CryptoHistoricalDataClient(key, secret, url_override=desk)


def average(closes: list[float], minutes: float) -> float:
    last = closes[-int(minutes):]
    return sum(last) / len(last)


while True:
    bars = prices.get_crypto_bars(CryptoBarsRequest(symbol_or_symbols=PAIR, timeframe=TimeFrame.Minute))
    closes = [bar.close for bar in bars.data.get(PAIR, [])]
    holds = any(position.symbol == "BTCUSD" for position in trading.get_all_positions())
    wants = len(closes) >= max(SHORT, LONG) and average(closes, SHORT) > average(closes, LONG)
    if wants != holds:
        side = OrderSide.BUY if wants else OrderSide.SELL
        try:
            order = trading.submit_order(MarketOrderRequest(
                symbol=PAIR, qty=QUANTITY, side=side, time_in_force=TimeInForce.GTC))
            print(f"{side.value} {QUANTITY} {PAIR}: {order.status.value}", flush=True)
        except APIError as refused:  # a limit, a kill switch, no money: the desk says which
            print(f"{side.value} refused: {refused.message}", flush=True)
    time.sleep(EVERY_S)
