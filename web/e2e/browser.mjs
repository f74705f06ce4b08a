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
  const context = await browser.newContext({
    // The desk's certificate is its own.
    ignoreHTTPSErrors: true,
    viewport: { width: 1440, height: 900 },
    colorScheme: "dark",
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
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

/** Saves a picture into SHOTS_DIR, when there is one. */
export async function shoot(page, name) {
  if (process.env.SHOTS_DIR)
    await page.screenshot({ path: join(process.env.SHOTS_DIR, `${name}.png`) });
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
