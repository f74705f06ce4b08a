"use strict";
// Alpaca's own client for Node, unchanged, against a desk. It has no setting for an address, and takes a `fetch` of one's own.
//
// Environment: DESK (https://localhost:8443), APCA_API_KEY_ID, APCA_API_SECRET_KEY, NODE_PATH (where the client is) and
// NODE_EXTRA_CA_CERTS (the desk's certificate). Ends with a line "all is well", or with the first thing that is not.

const assert = require("node:assert/strict");
const { Alpaca, errors } = require("@alpacahq/alpaca-trade-api");

const DESK = process.env.DESK;
const STREAM = `${DESK.replace("http", "ws")}/alpaca`;
const PAIR = "BTC/USD";

/** The whole change of a bot: the same requests, to the desk. Prices of coins it asks for without a key. */
const toDesk = (address, options) => {
  const { pathname, search } = new URL(address.toString());
  const headers = new Headers(options.headers);
  if (!headers.has("authorization") && !headers.has("apca-api-key-id")) {
    headers.set("apca-api-key-id", process.env.APCA_API_KEY_ID);
    headers.set("apca-api-secret-key", process.env.APCA_API_SECRET_KEY);
  }
  return fetch(`${DESK}/alpaca${pathname}${search}`, { ...options, headers });
};
// It allows itself 200 requests a minute, as Alpaca does; the desk does not count.
const alpaca = new Alpaca({ fetchApi: toDesk, rateLimit: false });
const { trading, marketData } = alpaca;
const updates = trading.stream({ url: `${STREAM}/stream` });
const heard = [];

setTimeout(() => fail("this takes too long"), 180_000).unref();

function fail(why) {
  console.error(why, heard.map((update) => [update.event, update.order.status]));
  process.exit(1);
}

/** Asks until the answer is one. */
async function until(what, wanted, patienceMs = 20_000) {
  const end = Date.now() + patienceMs;
  while (Date.now() < end) {
    const answer = await wanted();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not happen`);
}

/** The client must read the refusal: status, number and words. */
async function refused(kind, status, code, call) {
  try {
    await call();
  } catch (error) {
    assert(error instanceof kind, error);
    assert.deepEqual([error.status, error.code], [status, code], error.message);
    assert(error.message);
    return error;
  }
  throw new Error("it was not refused");
}

const one = (id, nested) => trading.orders.getOrderByOrderID({ orderId: id, nested });
const stands = (order, ...statuses) =>
  until(`${order.id} ${statuses}`, async () => {
    const now = await one(order.id);
    return statuses.includes(now.status) && now;
  });
const price = async () => (await marketData.crypto.cryptoLatestQuotes({ loc: "us", symbols: PAIR })).quotes[PAIR].ap;
const at = (price, part) => (price * part).toFixed(2);
const events = (id) => heard.filter((update) => update.order.id === id).map((update) => update.event);
const noOpenOrder = () => until("no open order", async () => (await trading.orders.getAllOrders()).length === 0);
const farLimit = async (more) => {
  const limitPrice = at(await price(), 0.7);
  return trading.orders.limit({ symbol: PAIR, qty: 0.001, side: "buy", timeInForce: "gtc", limitPrice, ...more });
};

async function theAccount() {
  assert((await trading.validateConnection()).ok);
  const account = await trading.account.getAccount();
  assert(account.status === "ACTIVE" && Number(account.buyingPower) > 0 && account.createdAt instanceof Date);
  const configured = await trading.accountConfigurations.getAccountConfig();
  const again = await trading.accountConfigurations.patchAccountConfig({ accountConfigurations: configured });
  assert.deepEqual(again, configured);
  const clock = await trading.clock.legacyClock();
  assert(clock.nextClose > clock.timestamp);
  assert((await trading.calendar.legacyCalendar({ start: new Date(), end: new Date() })).length <= 1);
}

async function theAssets() {
  const assets = await trading.assets.getV2Assets({ assetClass: "crypto" });
  const asset = assets.find((asset) => asset.symbol === PAIR);
  // This client encodes the slash.
  for (const symbolOrAssetId of [asset.id, PAIR, "BTCUSD"]) {
    assert.equal((await trading.assets.getV2AssetsSymbolOrAssetId({ symbolOrAssetId })).id, asset.id);
  }
  const missing = () => trading.assets.getV2AssetsSymbolOrAssetId({ symbolOrAssetId: "NOPE" });
  await refused(errors.NotFoundError, 404, 40410000, missing);
}

async function listen() {
  updates.onTradeUpdate((update) => heard.push(update));
  updates.onError((error) => fail(error));
  const listens = new Promise((resolve) => updates.on("subscription", resolve));
  updates.subscribeTradeUpdates();
  updates.connect();
  assert(await updates.waitForAuthentication(20_000));
  assert.deepEqual(await listens, ["trade_updates"]);
}

async function anOrderLivesAndEnds() {
  const clientOrderId = "a free text, of 2026; ünïcode #1 &+";
  const order = await farLimit({ clientOrderId });
  assert.equal(order.clientOrderId, clientOrderId);
  assert.equal((await trading.orders.getOrderByClientOrderId({ clientOrderId })).id, order.id);
  await refused(errors.ValidationError, 422, 40010001, () => farLimit({ clientOrderId }));
  const patchOrderRequest = { limitPrice: at(await price(), 0.6) };
  const replaced = await trading.orders.patchOrderByOrderId({ orderId: order.id, patchOrderRequest });
  assert(replaced.id !== order.id && replaced.replaces === order.id);
  assert.equal((await stands(order, "replaced")).replacedBy, replaced.id);
  await stands(replaced, "new");
  await trading.orders.deleteOrderByOrderID({ orderId: replaced.id });
  await stands(replaced, "canceled");
  const again = () => trading.orders.deleteOrderByOrderID({ orderId: replaced.id });
  await refused(errors.ValidationError, 422, 42210000, again);
  await until("the events", () => events(replaced.id).includes("canceled") && events(order.id).includes("replaced"));
  assert(events(order.id).includes("new") && events(replaced.id).includes("new"));
  await refused(errors.NotFoundError, 404, 40410000, () => one(crypto.randomUUID()));
}

async function everyTypeIsTaken() {
  const now = await price();
  const bought = await trading.orders.market({ symbol: PAIR, qty: 0.02, side: "buy", timeInForce: "gtc" });
  const filled = await stands(bought, "filled");
  assert(Number(filled.filledQty) === 0.02 && Number(filled.filledAvgPrice) > 0 && filled.filledAt instanceof Date);
  await until("the fill", () => events(bought.id).includes("fill"));
  const fill = heard.find((update) => update.order.id === bought.id && update.event === "fill");
  assert(Number(fill.price) > 0 && Number(fill.positionQty) >= 0.02 && fill.executionId);
  const byMoney = await trading.orders.market({ symbol: PAIR, notional: 500, side: "buy", timeInForce: "gtc" });
  assert.equal(Number(byMoney.notional), 500);
  assert.equal((await stands(byMoney, "filled")).qty ?? null, null);
  const atOnce = { type: "limit", symbol: PAIR, qty: 0.001, side: "buy", timeInForce: "ioc", limitPrice: at(now, 1.01) };
  const waited = await trading.submitAndWait(atOnce, { stream: updates });
  assert(["filled", "canceled"].includes(waited.status), waited.status);

  const sell = { symbol: PAIR, qty: "0.001", side: "sell", timeInForce: "gtc" };
  const waiting = [
    await trading.orders.stop({ ...sell, stopPrice: at(now, 0.7) }),
    await trading.orders.stopLimit({ ...sell, stopPrice: at(now, 0.7), limitPrice: at(now, 0.69) }),
    await trading.orders.trailingStop({ ...sell, trailPercent: 20 }),
    await trading.orders.trailingStop({ ...sell, timeInForce: "day", trailPrice: 5000 }),
  ];
  const types = [];
  for (const order of waiting) types.push((await stands(order, "new")).type);
  assert.deepEqual(types, ["stop", "stop_limit", "trailing_stop", "trailing_stop"]);
  assert.equal((await trading.orders.getAllOrders({ status: "open", symbols: [PAIR] })).length, waiting.length);
  const canceled = await trading.orders.deleteAllOrders();
  assert(canceled.length === waiting.length && canceled.every((one) => Number(one.status) === 200));
  await noOpenOrder();
  const closed = await trading.orders.getAllOrders({ status: "closed", limit: 3, direction: "asc", side: "sell" });
  assert(closed.length === 3 && closed[0].submittedAt <= closed[1].submittedAt);
}

async function groupsOfOrders() {
  const now = await price();
  const takeProfit = { limitPrice: at(now, 1.4) };
  const stopLoss = { stopPrice: at(now, 0.6) };
  const terms = { symbol: PAIR, timeInForce: "gtc" };
  const bracket = await trading.orders.bracket({ ...terms, qty: 0.002, side: "buy", takeProfit, stopLoss });
  assert(bracket.orderClass === "bracket" && bracket.legs.length === 2);
  await stands(bracket, "filled");
  const nested = await one(bracket.id, true);
  assert.deepEqual(nested.legs.map((leg) => leg.type).sort(), ["limit", "stop"]);
  const listed = await trading.orders.getAllOrders({ status: "all", nested: true, limit: 50 });
  assert(listed.find((order) => order.id === bracket.id).legs);
  const oto = await trading.orders.oto({ ...terms, qty: 0.001, side: "buy", limitPrice: at(now, 0.7), takeProfit });
  assert(oto.legs.length === 1 && oto.legs[0].status === "held");
  const oco = await trading.orders.oco({ ...terms, qty: 0.001, side: "sell", takeProfit, stopLoss });
  assert.equal(oco.orderClass, "oco");
  await trading.orders.deleteAllOrders();
  await noOpenOrder();
}

async function refusals() {
  const limit = (more) => async () => farLimit(more);
  await refused(errors.ValidationError, 422, 42210000, limit({ limitPrice: "30000.001" }));
  await refused(errors.ValidationError, 422, 42210000, limit({ symbol: "NOPE" }));
  const poor = await refused(errors.PermissionError, 403, 40310000, limit({ qty: 5 }));
  assert(poor.message.includes("insufficient buying power"));
  const short = await refused(errors.PermissionError, 403, 40310000, limit({ side: "sell", qty: 50 }));
  assert(short.message.includes("insufficient qty"));
  const stranger = new Alpaca({ secret: "stk_wrong", fetchApi: toDesk });
  await refused(errors.AuthError, 401, 40110000, () => stranger.trading.account.getAccount());
  const options = () => trading.assets.getOptionsContracts({ underlyingSymbols: "AAPL" });
  await refused(errors.NotFoundError, 404, 40410000, options);
  const bearer = new Alpaca({
    accessToken: `${process.env.APCA_API_KEY_ID}.${process.env.APCA_API_SECRET_KEY}`,
    fetchApi: toDesk,
  });
  assert((await bearer.trading.validateConnection()).ok, "one word is both halves of a key");
}

async function positionsAndHistory() {
  const position = await trading.positions.getOpenPosition({ symbolOrAssetId: PAIR });
  assert(position.symbol === "BTCUSD" && Number(position.qty) > 0.01 && Number(position.marketValue) > 0);
  assert.equal((await trading.positions.getAllOpenPositions()).length, 1);
  const part = await trading.positions.deleteOpenPosition({ symbolOrAssetId: PAIR, qty: 0.005 });
  await stands(part, "filled");
  await stands(await trading.positions.deleteOpenPosition({ symbolOrAssetId: "BTCUSD", percentage: 50 }), "filled");
  const closed = await trading.closeAllPositions({ cancelOrders: true });
  assert.deepEqual(closed.map((one) => Number(one.status)), [200]);
  const none = async () => (await trading.positions.getAllOpenPositions()).length === 0;
  await until("no position", none);
  const missing = () => trading.positions.getOpenPosition({ symbolOrAssetId: PAIR });
  await refused(errors.NotFoundError, 404, 40410000, missing);
  // It goes through the pages by itself.
  const fills = await trading.collectActivitiesByType({ activityType: "FILL", pageSize: 2 });
  assert(fills.length >= 5 && new Set(fills.map((fill) => fill.id)).size === fills.length);
  const told = heard.filter((update) => update.event === "fill" || update.event === "partial_fill");
  const executions = new Set(told.map((update) => update.executionId));
  assert(fills.every((fill) => executions.has(fill.id.split("::")[1])), "the stream tells every execution, by the same id");
  const history = await trading.portfolioHistory.getAccountPortfolioHistory({ period: "1D", timeframe: "1Min" });
  assert(history.equity.length === history.timestamp.length);
}

async function theWatchlists() {
  const made = await trading.watchlists.postWatchlist({ createWatchlistRequest: { name: "mine", symbols: [PAIR] } });
  assert.deepEqual(made.assets.map((asset) => asset.symbol), [PAIR]);
  const watchlistId = made.id;
  await trading.watchlists.addAssetToWatchlist({ watchlistId, addAssetToWatchlistRequest: { symbol: "ETH/USD" } });
  const shorter = await trading.watchlists.removeAssetFromWatchlist({ watchlistId, symbol: PAIR });
  assert.deepEqual(shorter.assets.map((asset) => asset.symbol), ["ETH/USD"]);
  assert.equal((await trading.watchlists.getWatchlistByName({ name: "mine" })).id, watchlistId);
  await trading.watchlists.deleteWatchlistById({ watchlistId });
  await refused(errors.NotFoundError, 404, 40410000, () => trading.watchlists.getWatchlistById({ watchlistId }));
}

async function theMarket() {
  const asked = { loc: "us", symbols: PAIR };
  const { crypto } = marketData;
  assert((await crypto.cryptoLatestTrades(asked)).trades[PAIR].p > 0);
  assert((await crypto.cryptoLatestOrderbooks(asked)).orderbooks[PAIR].a[0].p > 0);
  assert((await crypto.cryptoSnapshots(asked)).snapshots[PAIR].latestTrade);
  const start = new Date(Date.now() - 2 * 3_600_000);
  const bars = await marketData.getCryptoBarsFor(PAIR, { loc: "us", timeframe: "1Min", start });
  assert(bars.length > 1 && bars[0].close > 0 && bars[0].timestamp >= start);
  // More than one page.
  const trades = await crypto.cryptoTrades({ ...asked, start, limit: 10 });
  assert(trades.trades[PAIR].length > 0);
}

async function theMarketLive() {
  const quotes = [];
  const trades = [];
  // MessagePack both ways, with times as extensions.
  const stream = marketData.cryptoStream({ url: `${STREAM}/v1beta3/crypto/us` });
  stream.onQuote((quote) => quotes.push(quote));
  stream.onTrade((trade) => trades.push(trade));
  stream.onConnect(() => {
    stream.subscribeForQuotes([PAIR]);
    stream.subscribeForTrades(["*"]);
  });
  stream.connect();
  await until("prices", () => quotes.length > 0 && trades.length > 0);
  assert(quotes[0].symbol === PAIR && !Number.isNaN(quotes[0].timestamp.getTime()) && trades[0].price > 0);
  stream.disconnect();
}

const STEPS = [
  theAccount, theAssets, listen, anOrderLivesAndEnds, everyTypeIsTaken, groupsOfOrders, refusals, positionsAndHistory,
  theWatchlists, theMarket, theMarketLive,
];

async function main() {
  const began = Date.now();
  for (const step of STEPS) {
    console.log(`${((Date.now() - began) / 1_000).toFixed(2).padStart(6)} s  ${step.name}`);
    await step();
  }
  console.log("all is well");
  process.exit(0);
}

main().catch((error) => fail(error));
