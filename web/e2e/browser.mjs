// A real Chromium, and what a person can tell of a page: what is in sight, readable and reachable.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Opens a browser with one page; `complaints` collects what the page should never say. */
export async function openBrowser() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: FLAGS,
  });
  const page = await openPage(browser);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML|TrustedScript|^policy:/.test(message.text()))
      complaints.push(message.text());
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.effectiveDirective} refused ${event.blockedURI}`);
    });
  });
  return { browser, page, complaints };
}

/** Another page, as another person's: it knows nothing of the others. Closing its context closes it. */
export async function openPage(browser) {
  const context = await browser.newContext({
    // The desk's certificate is its own.
    ignoreHTTPSErrors: true,
    viewport: { width: 1440, height: 900 },
    colorScheme: "dark",
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(15_000);
  return context.newPage();
}

/** Saves a picture into SHOTS_DIR, when there is one; of what colours and places end as, not of the way there. */
export async function shoot(page, name) {
  if (process.env.SHOTS_DIR)
    await page.screenshot({
      path: join(process.env.SHOTS_DIR, `${name}.png`),
      animations: "disabled",
    });
}

/** The steps of a story: when one fails there is a picture of it, and the rest is left out, as it builds on it. */
export function steps(t, page) {
  let failed = false;
  return (name, act) =>
    t.test(name, { skip: failed && "an earlier step failed" }, async () => {
      try {
        await act();
      } catch (error) {
        failed = true;
        await shoot(page(), "failed").catch(() => undefined);
        throw error;
      }
    });
}

/**
 * Fails unless the element can be seen and pressed: it has a size, and the middle of it belongs to it.
 *
 * That it is in the document proves nothing: a chart once lay over a dialog, and every test passed.
 */
export async function assertInSight(locator, what) {
  await locator.waitFor({ state: "visible" });
  await locator.scrollIntoViewIfNeeded();
  const on = await locator.evaluate((element) => {
    const box = element.getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const top = document.elementFromPoint(x, y);
    return {
      hit: top !== null && (element.contains(top) || top.contains(element)),
      top: top?.outerHTML,
    };
  });
  assert.ok(on.hit, `${what} is covered by ${on.top?.slice(0, 200)}`);
}

/** Fails when axe finds something serious or critical on the page as it is now. */
export async function assertAccessible(page, what) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return result.violations
      .filter((one) => one.impact === "serious" || one.impact === "critical")
      .map(
        (one) =>
          `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
      );
  });
  assert.deepEqual(violations, [], `${what} has barriers`);
}

/**
 * Fails unless each number that opens a formula is what its formula makes of the numbers put in, as it stands there.
 *
 * Opened with the keyboard. Both are read at once, as prices move meanwhile.
 */
export async function assertNumbersAreReckoned(page, what) {
  const numbers = page.locator("[data-explained]").filter({ visible: true });
  const open = page.locator("[data-radix-popper-content-wrapper]");
  let reckoned = 0;
  for (let at = 0; at < (await numbers.count()); at += 1) {
    const number = await numbers.nth(at).elementHandle();
    await number.focus();
    await page.keyboard.press("Enter");
    await open.waitFor();
    await open.getByText("Loading…").waitFor({ state: "detached" });
    const { title, shown, made } = await number.evaluate((element) => {
      const opened = document.querySelector("[data-radix-popper-content-wrapper]");
      const text = [...element.childNodes].filter((one) => one.className !== "sr-only");
      return {
        title: opened.querySelector("p").textContent,
        shown: text.map((one) => one.textContent).join(""),
        made: opened.querySelector("[data-result]")?.textContent,
      };
    });
    if (made !== undefined) {
      // What is used of a limit stands before the share that it is; a profit has its plus.
      const number = shown.split(" · ").at(-1).replace(/^\+/, "");
      assert.equal(made, number, `${title} in ${what}`);
      reckoned += 1;
    }
    await page.keyboard.press("Escape");
    await open.waitFor({ state: "detached" });
    await until(
      () => number.evaluate((element) => element === document.activeElement),
      "the focus is back at the number",
    );
  }
  assert.ok(reckoned > 0, `${what} has numbers`);
}

/** Fails when the page itself scrolls sideways. */
export async function assertNoSidewaysScroll(page, what) {
  const [wide, screen] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    innerWidth,
  ]);
  assert.ok(wide <= screen, `${what} is ${wide} px wide on a screen of ${screen}`);
}

/** Waits until `read` answers with something true, and answers with that. */
export async function until(read, what, ms = 20_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await read();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
