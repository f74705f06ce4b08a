// The first day of an owner, in a real browser, against the real desk.
//
//   BASE_URL   where the desk answers, https with its own certificate
//   SETUP_URL  the one-time link that the desk printed
//   VENUE_PID  the process of the paper venue that the desk trades on
//   SHOTS_DIR  where pictures go; none are taken without it
//   CHROMIUM   the browser's program; /usr/bin/chromium without it
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { authenticator } from "./authenticator.mjs";
import {
  assertAccessible,
  assertInSight,
  assertNoSidewaysScroll,
  assertNumbersAreReckoned,
  openBrowser,
  openPage,
  shoot,
  steps,
  until,
} from "./browser.mjs";

const { BASE_URL, SETUP_URL } = process.env;
const VENUE_PID = Number(process.env.VENUE_PID);
const OWNER = {
  username: "olga",
  display_name: "Olga Owner",
  password: "nine-oaks-and-a-Gate-1847",
};

let browser;
let page;
let complaints;
let invitation;
let app;

before(async () => {
  assert.ok(BASE_URL && SETUP_URL, "BASE_URL and SETUP_URL say where the desk is");
  assert.ok(VENUE_PID > 1, "VENUE_PID is the process of its venue");
  ({ browser, page, complaints } = await openBrowser());
});
after(async () => {
  await browser?.close();
});

const button = (name, within = page) => within.getByRole("button", { name });
const tab = (name) => page.getByRole("tab", { name });
const table = (name) => page.getByRole("table", { name, exact: true });
const lastPrice = (symbol) => page.locator(`[data-last-price="${symbol}"]`).textContent();
const number = (text) => Number(text.replaceAll(",", ""));

/** The symbol shown on the desk. */
async function chosenSymbol() {
  return page.locator("[data-last-price]").first().getAttribute("data-last-price");
}

/** A program that is told by webhooks: it takes everything. */
async function listen() {
  const told = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      told.push({ headers: request.headers, body });
      response.end("taken");
    });
  });
  await new Promise((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  // A test that fails ends all the same.
  server.unref();
  const url = `http://127.0.0.1:${server.address().port}/desk`;
  return { url, told, close: () => server.close() };
}

/** What the signature of a message has to be, as Standard Webhooks says it. */
function signature(secret, { headers, body }) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  return `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
}

/** Opens a page through the navigation, as a person would; on a phone some stand behind a button. */
async function go(name) {
  const link = page.getByRole("navigation").getByRole("link", { name }).filter({ visible: true });
  if (await link.count()) await link.click();
  else {
    await (name === "About" ? button(/: menu$/) : button(/^More pages/)).click();
    await page
      .getByRole("button", { name: new RegExp(`^${name}`) })
      .filter({ visible: true })
      .click();
  }
  await page.waitForURL(
    (url) => url.pathname === (name === "Desk" ? "/" : `/${name.toLowerCase()}`),
  );
  // Its own heading: until the page has come, the one before it is still there.
  const heading = page.getByRole("heading", { level: 1, name: new RegExp(`^${name}`) });
  await heading.waitFor({ state: "attached" });
}

/** Fills the ticket, previews and confirms; answers when the desk has the order. */
async function placeOrder(
  { type, quantity, limit, takeProfit, stopLoss },
  beforeSending = () => {},
) {
  await page.getByLabel("Exits").selectOption(takeProfit ? "bracket" : "simple");
  await page.getByLabel("Type", { exact: true }).selectOption(type);
  await page.getByLabel(/^Quantity/).fill(quantity);
  if (limit) await page.getByLabel(/^Limit price/).fill(limit);
  if (takeProfit) await page.getByLabel(/^Take-profit price/).fill(takeProfit);
  if (stopLoss) await page.getByLabel(/^Stop-loss price/).fill(stopLoss);
  await button("Preview buy order").click();
  const dialog = page.getByRole("dialog");
  const place = button("Place buy order", dialog);
  await assertInSight(place, "the button that sends the order");
  for (const text of ["PAPER", "Buying power", "Fees", "Estimated total"])
    await assertInSight(dialog.getByText(text).first(), `${text} in the confirmation`);
  await shoot(page, `confirm-${takeProfit ? "bracket" : type}`);
  await assertAccessible(page, "the confirmation");
  await place.focus();
  beforeSending();
  // Twice, as impatient people do. It must be one order.
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
}

async function showPassword() {
  await page.locator("[name=username]").fill(OWNER.username);
  await page.locator("[name=password]").fill(OWNER.password);
  await page.locator("form button").click();
}

async function signIn() {
  await showPassword();
  await page.waitForURL((url) => url.pathname === "/");
}

async function signOut() {
  await button(/: menu$/).click();
  await button("Sign out").click();
  await page.waitForURL((url) => url.pathname === "/sign-in");
}

/** Types a code into the dialog that asks for one, and sends it with Enter. */
async function showCode(code) {
  const field = page.getByRole("dialog").last().getByLabel("Code");
  await assertInSight(field, "the field for the code");
  await field.fill(code);
  await page.keyboard.press("Enter");
}

test("the owner's first day", async (t) => {
  const step = steps(t, () => page);
  await step("an owner is made by the one-time link", async () => {
    await page.goto(SETUP_URL);
    await assertAccessible(page, "set-up");
    await shoot(page, "set-up");
    for (const name of ["username", "display_name", "password"])
      await page.locator(`[name=${name}]`).fill(OWNER[name]);
    await page.locator("[name=password_again]").fill(OWNER.password);
    await page.locator("form button").click();
    await page.waitForURL((url) => url.pathname === "/sign-in");
  });

  await step("the owner signs in", async () => {
    await assertAccessible(page, "sign-in");
    await shoot(page, "sign-in");
    await signIn();
  });

  await step("the desk shows a moving market", async () => {
    const symbol = await until(chosenSymbol, "a symbol");
    await assertInSight(page.getByText("PAPER").first(), "the PAPER badge");
    await until(
      async () => (await page.locator("[data-feed-state]").textContent()).includes("live"),
      "a live feed",
    );
    const was = await lastPrice(symbol);
    await until(async () => (await lastPrice(symbol)) !== was, "the last price moves");
    const chart = page.getByRole("group", { name: /^Candle chart/ });
    await assertInSight(chart, "the chart");
    await tab("Bars").click();
    const bars = table(`Bars of ${symbol}, newest first`);
    await until(async () => (await bars.getByRole("row").count()) > 2, "bars in the table");
    const row = await bars.getByRole("row").nth(1).textContent();
    await until(
      async () => (await bars.getByRole("row").nth(1).textContent()) !== row,
      "bars move",
    );
    await tab(/^Open orders/).click();
  });

  await step("a limit order far from the market waits and is cancelled", async () => {
    const last = number(await lastPrice(await chosenSymbol()));
    await placeOrder({
      type: "limit",
      quantity: (500 / last).toFixed(4),
      limit: (last * 0.95).toFixed(2),
    });
    const open = table("Open orders");
    const cancel = open.getByRole("button", { name: /^Cancel Buy/ });
    await assertInSight(cancel.first(), "the open order's cancel button");
    assert.equal(await cancel.count(), 1, "two Enters are one order");
    await shoot(page, "desk-open-order");
    await until(async () => (await page.getByText("Working").count()) > 0, "the order is working");
    await cancel.click();
    await until(async () => (await cancel.count()) === 0, "the order is gone");
  });

  await step("a market order fills and becomes a position", async () => {
    const last = number(await lastPrice(await chosenSymbol()));
    await placeOrder({ type: "market", quantity: (1000 / last).toFixed(4) });
    await assertInSight(page.getByText("Order filled"), "the news of the fill");
    await tab(/^Positions/).click();
    const positions = table("Positions");
    await until(async () => (await positions.getByRole("row").count()) === 2, "a position");
    await assertInSight(positions.getByRole("row").nth(1), "the position");
    await shoot(page, "desk-dark");
    await assertAccessible(page, "the desk, dark");
  });

  await step("a refused order says which field and why", async () => {
    await page.getByLabel(/^Quantity/).fill("99999999");
    await button("Preview buy order").click();
    const said = page.getByRole("alert").or(page.getByText("This order would be refused"));
    await assertInSight(said.first(), "the refusal");
    await shoot(page, "desk-refused");
    if (await page.getByRole("dialog").count()) {
      assert.ok(await button("Place buy order").isDisabled(), "a refused order cannot be sent");
      await button("Back").click();
    }
  });

  await step("the desk is the same in light, and on a phone", async () => {
    await button("Use the light theme").click();
    await shoot(page, "desk-light");
    await assertAccessible(page, "the desk, light");
    await page.setViewportSize({ width: 390, height: 844 });
    for (const name of [
      "Orders",
      "Portfolio",
      "Risk",
      "Approvals",
      "Books",
      "Users",
      "Audit",
      "About",
      "Desk",
    ]) {
      await go(name);
      await assertNoSidewaysScroll(page, `${name} on a phone`);
      await shoot(page, `phone-${name.toLowerCase()}`);
      await assertAccessible(page, `${name} on a phone`);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
    await button("Use the dark theme").click();
  });

  await step("both orders are in the history, with their trail", async () => {
    await go("Orders");
    const history = table("Orders");
    await until(async () => (await history.getByRole("row").count()) === 3, "two orders");
    await assertInSight(history.getByText("Filled", { exact: true }), "the filled order");
    await assertInSight(history.getByText("Cancelled", { exact: true }), "the cancelled order");
    await history.getByRole("button").first().click();
    const trail = page.getByRole("dialog");
    await until(async () => (await trail.getByRole("listitem").count()) > 1, "events of the order");
    await assertInSight(trail.getByRole("listitem").first(), "the trail");
    await shoot(page, "order-trail");
    await assertAccessible(page, "the trail of an order");
    await page.keyboard.press("Escape");
    await tab("Fills").click();
    await until(async () => (await table("Fills").getByRole("row").count()) >= 2, "a fill");
    await shoot(page, "fills");
    await assertAccessible(page, "orders");
  });

  await step("a bracket brings its exits with it, held until it is filled", async () => {
    await go("Desk");
    const last = number(await lastPrice(await chosenSymbol()));
    const open = table("Open orders");
    await tab(/^Open orders/).click();
    await placeOrder({
      type: "limit",
      quantity: (500 / last).toFixed(4),
      limit: (last * 0.97).toFixed(2),
      takeProfit: (last * 1.01).toFixed(2),
      stopLoss: (last * 0.96).toFixed(2),
    });
    await until(async () => (await open.getByRole("row").count()) === 4, "the entry and its legs");
    await assertInSight(open.getByText("Take-profit"), "the take-profit");
    await assertInSight(open.getByText("Stop-loss"), "the stop-loss");
    await until(
      async () => (await open.getByText("Held", { exact: true }).count()) === 2,
      "both legs are held",
    );
    await shoot(page, "desk-bracket");
    await assertAccessible(page, "a bracket");
  });

  await step("an order is changed: another one takes its place", async () => {
    const last = number(await lastPrice(await chosenSymbol()));
    const open = table("Open orders");
    const price = (last * 0.965).toFixed(2);
    await placeOrder({ type: "limit", quantity: "0.01", limit: (last * 0.96).toFixed(2) });
    const row = open.getByRole("row").filter({ hasText: "/ 0.01" });
    await until(async () => (await row.getByText("Working").count()) > 0, "it works");
    await row.getByRole("button", { name: /^Change/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Limit price").fill(price);
    await shoot(page, "order-change");
    await assertAccessible(page, "the change of an order");
    await button("Send the change", dialog).click();
    await dialog.waitFor({ state: "detached" });
    const grouped = Number(price).toLocaleString("en-US", { minimumFractionDigits: 2 });
    await until(
      async () => (await open.getByText(grouped, { exact: true }).count()) === 1,
      "the new price",
    );
  });

  await step("all orders are cancelled with two presses", async () => {
    const open = table("Open orders");
    await button("Cancel all").click();
    await button("Cancel all orders", page.getByRole("dialog")).click();
    await assertInSight(page.getByText("No open orders."), "that none is left");
    assert.equal(await open.getByRole("row").count(), 1);
    await go("Orders");
    await assertInSight(table("Orders").getByText("Replaced"), "the order that was replaced");
    await shoot(page, "orders");
    const file = page.waitForEvent("download");
    await button("Orders as CSV").click();
    assert.equal((await file).suggestedFilename(), "orders.csv");
  });

  await step(
    "an order goes UNKNOWN while the venue hangs, and resolves when it wakes",
    async () => {
      await go("Desk");
      const last = number(await lastPrice(await chosenSymbol()));
      const open = table("Open orders");
      const banner = page.getByRole("region", { name: "The outcome of an order is not known." });
      const order = { type: "limit", quantity: "0.011", limit: (last * 0.96).toFixed(2) };
      // At the last moment: a desk that misses its broker for three seconds takes no orders.
      const hang = () => process.kill(VENUE_PID, "SIGSTOP");
      try {
        await placeOrder(order, hang);
        await assertInSight(banner, "the banner that says so on every page");
        await assertInSight(open.getByText("Unknown", { exact: true }), "the order, unknown");
        await shoot(page, "desk-unknown");
        await assertAccessible(page, "a desk with an unknown order");
        await banner.getByRole("link").click();
        await assertInSight(button("Ask again now"), "what a person can do");
        await assertInSight(page.getByText("Asked the broker"), "what was tried");
        await shoot(page, "orders-unknown");
        await assertAccessible(page, "the list of unknown orders");
      } finally {
        process.kill(VENUE_PID, "SIGCONT");
      }
      await until(async () => (await banner.count()) === 0, "it is known again", 60_000);
      await assertInSight(page.getByText("The outcome of every order is known."), "the empty list");
      await go("Desk");
      await until(async () => (await open.getByText("Working").count()) === 1, "the order works");
      await shoot(page, "desk-resolved");
      await open.getByRole("button", { name: /^Cancel Buy/ }).click();
      await assertInSight(page.getByText("No open orders."), "that it is cancelled");
    },
  );

  await step("an order is refused by a limit that somebody set", async () => {
    await go("Risk");
    await button("Set a limit").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Limit", { exact: true }).selectOption("order_notional");
    await dialog.getByLabel("Value").fill("100");
    await shoot(page, "limit-set");
    await assertAccessible(page, "setting a limit");
    await button("Set the limit", dialog).click();
    await dialog.waitFor({ state: "detached" });
    await assertInSight(page.getByRole("heading", { name: "Account Paper" }), "the new limit");
    await shoot(page, "risk");
    await assertAccessible(page, "the limits");

    await go("Desk");
    const last = number(await lastPrice(await chosenSymbol()));
    await page.getByLabel("Type", { exact: true }).selectOption("market");
    await page.getByLabel(/^Quantity/).fill((500 / last).toFixed(4));
    await button("Preview buy order").click();
    await assertInSight(dialog.getByText(/^set on Paper by Olga Owner/), "who set the limit");
    assert.ok(await button("Place buy order", dialog).isDisabled(), "it cannot be sent");
    await shoot(page, "desk-limit");
    await button("Back", dialog).click();

    // Whoever loosens a limit shows a second factor first, and nobody has one yet.
    await go("Risk");
    await button("Remove Order value").click();
    await assertInSight(page.getByText("Set up a second factor"), "the way to a second factor");
  });

  await step("the kill switch is two presses away on every page", async () => {
    await go("Audit");
    await button("Kill switch").click();
    const dialog = page.getByRole("dialog");
    await shoot(page, "kill-switch");
    await assertAccessible(page, "the kill switch");
    await button("Stop trading now", dialog).click();
    await assertInSight(page.getByText("Kill switch pulled: Paper."), "that it is pulled");
    await assertInSight(button("STOPPED switch"), "the stopped sign");
    await go("Desk");
    await shoot(page, "desk-stopped");
    await assertAccessible(page, "a desk that is stopped");
    await page.getByLabel("Type", { exact: true }).selectOption("market");
    await page.getByLabel(/^Quantity/).fill("0.001");
    await button("Preview buy order").click();
    await assertInSight(dialog.getByText("This order would be refused"), "that orders are refused");
    await button("Back", dialog).click();
    await button("Re-arm Paper").click();
    await assertInSight(page.getByText("Set up a second factor"), "the way to a second factor");
  });

  await step("what is held is shown by lots, and every number by its formula", async () => {
    await go("Portfolio");
    const positions = table("Positions");
    await until(async () => (await positions.getByRole("row").count()) === 2, "the position");
    await positions.getByRole("button", { name: /, lots$/ }).click();
    const dialog = page.getByRole("dialog");
    await until(async () => (await dialog.getByRole("row").count()) >= 2, "a lot");
    await assertAccessible(page, "the lots");
    await page.keyboard.press("Escape");
    await assertNumbersAreReckoned(page, "the portfolio");
    await button(/ Value: how it is computed$/)
      .first()
      .click();
    await assertInSight(page.getByText(/^cash \+ sum over/), "the formula of the value");
    await shoot(page, "portfolio");
    await assertAccessible(page, "the portfolio");
    await page.keyboard.press("Escape");
  });

  await step("a part of the account becomes a book", async () => {
    await go("Books");
    await button("Open a book").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("Olga's part");
    await dialog.getByLabel(/^Opening cash/).fill("1000");
    await button("Open the book", dialog).click();
    await dialog.waitFor({ state: "detached" });
    await assertInSight(page.getByRole("heading", { name: /^Olga's part/ }), "the book");
    await button("Cost of what Olga's part sells: average cost").click();
    await dialog.getByText("First in, first out").click();
    await shoot(page, "cost-method");
    await assertAccessible(page, "the choice of a cost method");
    await button("Reckon like this", dialog).click();
    await assertInSight(
      button("Cost of what Olga's part sells: first in, first out"),
      "the new cost method",
    );
    await button("Transfer").click();
    await dialog.getByLabel("Amount").fill("250");
    await dialog.getByLabel("Note").fill("for a try");
    await button("Transfer", dialog).click();
    await dialog.waitFor({ state: "detached" });
    await until(async () => (await page.getByText("$1,250.00").count()) > 0, "the transfer");
    await assertNumbersAreReckoned(page, "the books");
    await shoot(page, "books");
    await assertAccessible(page, "the books");
  });

  await step("an account says who does what, and is compared with its broker by hand", async () => {
    await page.getByRole("link", { name: "Account Paper" }).click();
    await assertInSight(page.getByText("Agrees with the broker"), "that the desk sees it");
    await assertInSight(page.getByText("This account is on paper."), "that no money is real");
    await assertInSight(page.getByText("by the desk").first(), "what the desk does");
    await button("Compare with the broker").click();
    await assertInSight(page.getByText("Compared anew."), "that it was compared");
    await shoot(page, "account");
    await assertAccessible(page, "the account");
    await page.setViewportSize({ width: 390, height: 844 });
    await assertNoSidewaysScroll(page, "the account on a phone");
    await shoot(page, "phone-account");
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  await step("a person is invited by a link shown once", async () => {
    await go("Users");
    await button("New user").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("User name").fill("nora");
    await dialog.getByLabel("Display name").fill("Nora North");
    await dialog.locator("input[value=trader]").check();
    await shoot(page, "user-new");
    await assertAccessible(page, "the new user");
    await button("Create user", dialog).click();
    const link = dialog.getByLabel("Invitation link");
    await assertInSight(link, "the invitation link");
    invitation = await link.inputValue();
    assert.match(invitation, /\/welcome\?code=/);
    await button("Done", dialog).click();
    await assertInSight(table("People").getByText("Nora North"), "the new person");
    await shoot(page, "users");
    await assertAccessible(page, "users");
    await tab("Roles and permissions").click();
    await assertInSight(page.getByText("orders.place"), "the matrix of roles");
    await page.setViewportSize({ width: 390, height: 844 });
    await assertNoSidewaysScroll(page, "the matrix of roles on a phone");
    await shoot(page, "phone-roles");
    await page.setViewportSize({ width: 1440, height: 900 });
    await assertAccessible(page, "the matrix of roles");
  });

  await step(
    "the invited person gets an account, works with it, and is locked out at once",
    async () => {
      const nora = await openPage(browser);
      await nora.goto(invitation);
      await assertAccessible(nora, "the invitation");
      for (const name of ["password", "password_again"])
        await nora.locator(`[name=${name}]`).fill("a slow boat on the grey canal");
      await nora.locator("form button").click();
      await nora.waitForURL((url) => url.pathname === "/sign-in");
      await nora.locator("[name=username]").fill("nora");
      await nora.locator("[name=password]").fill("a slow boat on the grey canal");
      await nora.locator("form button").click();
      await nora.waitForURL((url) => url.pathname === "/");
      await until(() => nora.locator("[data-last-price]").count(), "nora's desk");
      assert.equal(await button(/^Preview/, nora).count(), 0, "without a grant there is no ticket");

      await tab("People").click();
      await button(/Nora North/).click();
      const dialog = page.getByRole("dialog");
      await assertAccessible(page, "a person");
      // The list shows what was chosen before the desk has it.
      const granted = page.waitForResponse((answer) => answer.url().includes("/grants/"));
      await dialog.getByLabel("Paper").selectOption("trade");
      assert.ok((await granted).ok(), "the grant");
      await dialog.locator("input[value=analyst]").check();
      await button("Save roles", dialog).click();
      await assertInSight(button("Roles are saved", dialog), "the saved roles");
      await shoot(page, "user-edit");

      await nora.reload();
      await assertInSight(
        button("Preview buy order", nora),
        "nora's ticket, now that she has the account",
      );

      await button("Disable", dialog).click();
      await assertInSight(button("Enable", dialog), "that she is disabled");
      await nora.reload();
      await nora.waitForURL((url) => url.pathname === "/sign-in");
      await nora.context().close();
      await page.keyboard.press("Escape");
    },
  );

  await step("all of it is in the audit log, and the chain holds", async () => {
    await go("Audit");
    const log = table("Audit log");
    await until(async () => (await log.getByText(/^order\./).count()) >= 2, "rows of the orders");
    await button("Verify").click();
    await assertInSight(page.getByText("The log is unaltered"), "the verdict");
    await shoot(page, "audit");
    await assertAccessible(page, "audit");
    await page.getByLabel("Search the audit log").fill("user.");
    await button("Search").click();
    await until(async () => (await log.getByText(/^order\./).count()) === 0, "the search narrows");
    await log.getByRole("button").first().click();
    await assertInSight(page.getByRole("dialog").getByText("Hash"), "the row's hash");
    await page.keyboard.press("Escape");
    await go("About");
    await assertInSight(page.getByText("TradingView, Inc."), "the attribution of the charts");
    await assertAccessible(page, "about");
  });

  await step("an address without a page says so", async () => {
    await page.goto(`${BASE_URL}/no-such-page`);
    await assertInSight(page.getByText("There is no page at this address"), "not found");
    await assertAccessible(page, "not found");
  });

  await step("the owner sets up a second factor", async () => {
    await page.goto(BASE_URL);
    await button(/: menu$/).click();
    await button("Security").click();
    await assertInSight(page.getByText("No second factor", { exact: true }), "that there is none");
    await assertAccessible(page, "security");
    await button("Set up an authenticator app").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Password").fill("not my password at all");
    await button("Go on", dialog).click();
    await assertInSight(dialog.getByRole("alert"), "the wrong password");
    await dialog.getByLabel("Password").fill(OWNER.password);
    await button("Go on", dialog).click();
    const qr = dialog.getByRole("img", { name: /^QR code/ });
    await assertInSight(qr, "the QR code");
    await until(() => qr.evaluate((image) => image.naturalWidth > 100), "the QR code is drawn");
    await shoot(page, "factor-scan");
    await assertAccessible(page, "the QR code");
    app = authenticator(await dialog.locator("[data-totp-key]").textContent());
    await showCode(await app.code());
    const codes = dialog.getByRole("list", { name: "Recovery codes" }).getByRole("listitem");
    await assertInSight(codes.first(), "the recovery codes");
    assert.equal(await codes.count(), 10);
    await shoot(page, "factor-codes");
    await assertAccessible(page, "the recovery codes");
    await button("I have kept them", dialog).click();
    await assertInSight(page.getByText("Second factor on"), "that the factor counts");
    await shoot(page, "security");
  });

  await step("a dangerous act asks for the factor again, and goes on", async () => {
    // Nobody waits for five minutes here: the desk's answer to a factor that is too old is played, once.
    const refusal = {
      type: "/api/docs/problems#step_up_needed",
      title: "Second factor needed again",
      status: 403,
      detail: "This needs a second factor shown within the last 5 minutes.",
      code: "step_up_needed",
      request_id: "",
    };
    const playRefusal = () =>
      page.route(
        "**/api/v1/factors/recovery-codes",
        (route) =>
          route.fulfill({
            status: 403,
            contentType: "application/problem+json",
            body: JSON.stringify(refusal),
          }),
        { times: 1 },
      );
    await playRefusal();
    const renew = button("New recovery codes");
    await renew.click();
    const dialog = page.getByRole("dialog");
    await assertInSight(dialog.getByText("Show your second factor"), "the question");
    await shoot(page, "step-up-dark");
    await assertAccessible(page, "the question for the factor");
    // Left with Escape, nothing is done, and the focus is where it was.
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal(await renew.evaluate((element) => element === document.activeElement), true);
    assert.equal(await page.getByRole("alert").count(), 0, "whoever declines is told nothing new");

    await playRefusal();
    await renew.click();
    await showCode("AAAA-AAAA-AAAA-AAAA");
    await assertInSight(dialog.getByRole("alert"), "that the code is wrong");
    await showCode(await app.code());
    await assertInSight(dialog.getByText("Your new recovery codes"), "what the act gave");
    await button("I have kept them", dialog).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal(await page.getByText("Your session has ended").count(), 0, "the session goes on");
    await button("Use the light theme").click();
    await shoot(page, "security-light");
    await assertAccessible(page, "security, light");
    await button("Use the dark theme").click();
  });

  await step("the kill switch is released with the second factor", async () => {
    const refusal = {
      type: "/api/docs/problems#step_up_needed",
      title: "Second factor needed again",
      status: 403,
      detail: "This needs a second factor shown within the last 5 minutes.",
      code: "step_up_needed",
      request_id: "",
    };
    const contentType = "application/problem+json";
    await page.route(
      "**/api/v1/kill-switches?*",
      (route) => route.fulfill({ status: 403, contentType, body: JSON.stringify(refusal) }),
      { times: 1 },
    );
    await button("Re-arm Paper").click();
    await showCode(await app.code());
    await until(
      async () => (await page.getByText("Kill switch pulled").count()) === 0,
      "the switch is released",
    );
    await assertInSight(button("Kill switch"), "the switch, armed");
    await go("Risk");
    await button("Remove Order value").click();
    await until(
      async () => (await page.getByRole("heading", { name: "Account Paper" }).count()) === 0,
      "the limit is gone",
    );
  });

  await step("an order above a limit waits for a second person, who agrees", async () => {
    await button("Set a limit").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Limit", { exact: true }).selectOption("approval_above");
    await dialog.getByLabel("Value").fill("100");
    await button("Set the limit", dialog).click();
    await dialog.waitFor({ state: "detached" });

    await go("Users");
    await button(/Nora North/).click();
    await button("Enable", dialog).click();
    await assertInSight(button("Disable", dialog), "that she is back");
    await page.keyboard.press("Escape");

    const nora = await openPage(browser);
    await nora.goto(`${BASE_URL}/sign-in`);
    await nora.locator("[name=username]").fill("nora");
    await nora.locator("[name=password]").fill("a slow boat on the grey canal");
    await nora.locator("form button").click();
    await nora.getByLabel("Type", { exact: true }).selectOption("market");
    await nora.getByLabel(/^Quantity/).fill("0.003");
    await button("Preview buy order", nora).click();
    const asks = nora.getByRole("dialog");
    await assertInSight(asks.getByText("A second person has to agree"), "that it will wait");
    await shoot(nora, "approval-preview");
    await button("Place buy order", asks).click();
    await asks.waitFor({ state: "detached" });
    await assertInSight(nora.getByText("A second person has to agree"), "that it waits");

    await go("Approvals");
    await assertInSight(button("Approve"), "what waits");
    await shoot(page, "approvals");
    await assertAccessible(page, "the approvals");
    await page.getByLabel(/^Note/).fill("small enough");
    await button("Approve").click();
    await assertInSight(page.getByText("Approved", { exact: true }), "that it was decided");
    await assertInSight(nora.getByText("Order filled"), "the news for whoever asked");
    await shoot(page, "approvals-decided");
    await nora.context().close();
    await go("Risk");
    await button("Remove Approval needed above").click();
    await until(
      async () => (await page.getByRole("heading", { name: "Account Paper" }).count()) === 0,
      "the limit is gone",
    );
  });

  await step("a program gets a key, which can be stopped by itself, and is revoked", async () => {
    await button(/: menu$/).click();
    await button("API keys").click();
    await button("New key").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("Rebalancer");
    await shoot(page, "key-new");
    await assertAccessible(page, "the form of a key");
    await button("Make the key", dialog).click();
    await assertInSight(dialog.getByText("Copy both now"), "that the secret is shown once");
    const headers = {
      "APCA-API-KEY-ID": await dialog.getByRole("textbox", { name: "Key id" }).inputValue(),
      "APCA-API-SECRET-KEY": await dialog.getByRole("textbox", { name: "Secret" }).inputValue(),
    };
    await assertAccessible(page, "a key that is shown once");
    await page.keyboard.press("Escape");
    // Elsewhere: a program has no cookie.
    const program = (await openPage(browser)).context();
    const asked = () => program.request.get(`${BASE_URL}/alpaca/v2/account`, { headers });
    assert.equal((await asked()).status(), 200, "the key is good");
    await assertInSight(button("Revoke Rebalancer"), "the key in the list");
    await shoot(page, "keys");
    await button("Kill switch").click();
    await dialog.getByLabel("What to stop").selectOption({ label: "API key Rebalancer" });
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await button("Revoke Rebalancer").click();
    await button("Revoke the key", dialog).click();
    await assertInSight(page.getByText("revoked", { exact: true }), "that it is revoked");
    assert.equal((await asked()).status(), 401, "the key is good no more");
    await program.close();
  });

  await step("an account is added, paused, renamed and removed while the desk runs", async () => {
    await button(/: menu$/).click();
    await button("Broker accounts").click();
    await button("Add an account").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name on the desk").fill("Second");
    await dialog.getByLabel("Key id").fill("PK0123456789ABCDEFGH");
    await dialog.getByLabel("Secret").fill("hush");
    await dialog.getByLabel(/^Address/).fill("https://api.alpaca.markets");
    await button("Try it and add it", dialog).click();
    const paperOnly = dialog.getByText("This is not the address of a paper account.");
    await assertInSight(paperOnly, "that paper is never real money");
    await shoot(page, "account-new");
    await assertAccessible(page, "the form of an account");
    await dialog.getByLabel("Broker").selectOption("paper");
    await button("Try it and add it", dialog).click();
    await dialog.waitFor({ state: "detached" });
    const second = page.getByRole("link", { name: "Second", exact: true });
    await assertInSight(second, "the new account");
    const trades = page.getByText("Trades", { exact: true });
    await until(async () => (await trades.count()) === 2, "both trade");
    await shoot(page, "accounts");
    await assertAccessible(page, "the accounts");
    await button("Use the light theme").click();
    await page.setViewportSize({ width: 390, height: 844 });
    await assertNoSidewaysScroll(page, "the accounts on a phone");
    await shoot(page, "phone-accounts-light");
    await assertAccessible(page, "the accounts, light");
    await button("Use the dark theme").click();
    await second.click();
    await button("Pause the account").click();
    const banner = page.getByRole("region", { name: "PAUSED: Second takes no new risk." });
    await assertInSight(banner, "that it is paused");
    await assertNoSidewaysScroll(page, "a paused account on a phone");
    await shoot(page, "phone-account-paused");
    await page.setViewportSize({ width: 1440, height: 900 });
    await shoot(page, "account-paused");
    await assertAccessible(page, "a paused account");
    await button("Activate the account").click();
    await banner.waitFor({ state: "detached" });
    await button("Rename…").click();
    await dialog.getByLabel("Name on the desk").fill("Third");
    await button("Rename it", dialog).click();
    await dialog.waitFor({ state: "detached" });
    await button("Remove…").click();
    await dialog.getByLabel("The account's name, to be sure").fill("Second");
    await button("Remove the account", dialog).click();
    await assertInSight(dialog.getByText("That is not the account's name"), "the wrong name");
    await dialog.getByLabel("The account's name, to be sure").fill("Third");
    await shoot(page, "account-remove");
    await button("Remove the account", dialog).click();
    await page.waitForURL((url) => url.pathname === "/accounts");
    await page.getByRole("link", { name: "Third", exact: true }).waitFor({ state: "detached" });
  });

  await step("a webhook is made, tested, told of an order, and deleted", async () => {
    const receiver = await listen();
    await button(/: menu$/).click();
    await button("Webhooks").click();
    await button("New webhook").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("Back office");
    await dialog.getByLabel("URL").fill("https://169.254.169.254/");
    await button("Make the webhook", dialog).click();
    await assertInSight(dialog.getByText(/not public/).first(), "that the address is refused");
    await dialog.getByLabel("URL").fill(receiver.url);
    await shoot(page, "webhook-new");
    await assertAccessible(page, "the form of a webhook");
    await button("Make the webhook", dialog).click();
    await assertInSight(dialog.getByText("Copy it now"), "that the secret is shown once");
    const secret = await dialog.getByRole("textbox", { name: "Secret" }).inputValue();
    await assertAccessible(page, "a secret that is shown once");
    await page.keyboard.press("Escape");
    await button("Open Back office").click();
    await button("Test").click();
    await assertInSight(page.getByText("The ping was taken"), "what came back");
    // The first webhook is told at once how its accounts stand, too.
    const ping = receiver.told.find(({ body }) => JSON.parse(body).type === "ping");
    assert.equal(ping.headers["webhook-signature"], signature(secret, ping), "the signature");

    await go("Desk");
    const last = number(await lastPrice(await chosenSymbol()));
    await placeOrder({ type: "limit", quantity: "0.001", limit: (last * 0.96).toFixed(2) });
    await until(
      () => receiver.told.some(({ body }) => JSON.parse(body).type === "order.changed"),
      "the order is told",
    );
    await button(/: menu$/).click();
    await button("Webhooks").click();
    await button("Open Back office").click();
    await assertInSight(page.getByText("order.changed", { exact: true }).first(), "the log");
    await assertAccessible(page, "webhooks");
    await shoot(page, "webhooks");
    await button("Use the light theme").click();
    await shoot(page, "webhooks-light");
    await page.setViewportSize({ width: 390, height: 844 });
    await assertNoSidewaysScroll(page, "webhooks on a phone");
    await shoot(page, "webhooks-phone");
    await page.setViewportSize({ width: 1440, height: 900 });
    await button("Use the dark theme").click();
    await button("Details of number 1").click();
    await assertInSight(button("Tell it again", dialog), "the button that tells it again");
    await shoot(page, "webhook-delivery");
    await assertAccessible(page, "a delivery");
    await page.keyboard.press("Escape");
    await button("Switch off").click();
    await assertInSight(button("Switch on"), "that it is off");
    await button("Delete", page).click();
    await button("Delete the webhook", dialog).click();
    await assertInSight(page.getByText("No webhooks yet."), "that it is gone");
    receiver.close();
  });

  await step(
    "what was asked of the API is counted, and an endpoint is switched off and on",
    async () => {
      await button(/: menu$/).click();
      await button("API usage").click();
      const asked = table("Requests").getByText("GET /api/v1/accounts/{id}", { exact: true });
      await assertInSight(asked, "what was asked for");
      await shoot(page, "usage");
      await assertAccessible(page, "the usage of the API");
      await page.getByLabel("By", { exact: true }).selectOption("caller");
      await assertInSight(table("Requests").getByText(OWNER.display_name).first(), "who asked");
      await tab("Endpoints").click();
      const change = button("Change GET /api/v1/factors");
      const dialog = page.getByRole("dialog");
      for (const [on, state] of [
        [false, 403],
        [true, 200],
      ]) {
        await change.click();
        await dialog.getByLabel("It answers").setChecked(on);
        await dialog.getByLabel("Why").fill("a drill");
        if (!on) await assertAccessible(page, "the form of an endpoint");
        await button("Change the endpoint", dialog).click();
        await dialog.waitFor({ state: "detached" });
        const asked = `${BASE_URL}/api/v1/factors`;
        assert.equal((await page.request.get(asked)).status(), state, `it answers: ${on}`);
        if (!on) await shoot(page, "endpoints");
      }
    },
  );

  await step("the documentation of the API sends what is filled in", async () => {
    await page.goto(`${BASE_URL}/api/docs`);
    const orders = page.locator("#orders");
    await orders.getByText("Try it").click();
    await orders.getByLabel("limit").fill("1");
    await button("Send", orders).click();
    await orders.getByText(/200 .*"next_cursor"/s).waitFor();
    await orders.scrollIntoViewIfNeeded();
    await shoot(page, "docs-try");
    await assertAccessible(page, "the documentation of the API");
    await page.goto(BASE_URL);
  });

  await step("signing in asks for the code, and the factor can be removed again", async () => {
    await signOut();
    await showPassword();
    await page.waitForURL((url) => url.pathname === "/sign-in/code");
    await assertAccessible(page, "the page for the code");
    await shoot(page, "sign-in-code");
    await page.goto(BASE_URL);
    await page.waitForURL((url) => url.pathname === "/sign-in");
    await showPassword();
    await page.waitForURL((url) => url.pathname === "/sign-in/code");
    await page.locator("[name=code]").fill("AAAA-AAAA-AAAA-AAAA");
    await page.locator("form button").click();
    await assertInSight(page.getByRole("alert"), "that the code is wrong");
    await page.locator("[name=code]").fill(await app.code());
    await page.locator("form button").click();
    await page.waitForURL((url) => url.pathname === "/");
    await button(/: menu$/).click();
    await button("Security").click();
    await button("Remove the second factor").click();
    await button("Remove", page.getByRole("dialog")).click();
    await assertInSight(page.getByText("No second factor", { exact: true }), "that it is gone");
  });

  await step("signing out ends it, and signing in brings it back", async () => {
    await signOut();
    await page.goto(BASE_URL);
    await page.waitForURL((url) => url.pathname === "/sign-in");
    await signIn();
    await tab(/^Positions/).click();
    await until(
      async () => (await table("Positions").getByRole("row").count()) === 2,
      "the position",
    );
  });

  await step("the page broke no rule of its policy and threw nothing", () => {
    assert.deepEqual(complaints, []);
  });
});
