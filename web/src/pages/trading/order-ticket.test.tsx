// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ProblemError } from "../../api/client";
import type {
  AccountSummary,
  MarketSymbol,
  Order,
  OrderPreview,
  OrderRequest,
} from "../../api/types";
// Loaded before the tests, as nobody waits for a file in them.
import "./confirm";
import { TicketForm } from "./order-ticket";
import { TicketDesk } from "./ticket";

// The machine may be busy building the desk beside this.
configure({ asyncUtilTimeout: 10_000 });

const account: AccountSummary = {
  id: "a1",
  name: "Paper one",
  broker: "paper",
  mode: "paper",
  currency: "USD",
  access: "trade",
};
const symbol = {
  symbol: "BTC-USD",
  base: "BTC",
  quote: "USD",
  price_increment: "0.01",
  bid: "61000",
  ask: "61010.5",
} as MarketSymbol;

function preview(ok: boolean): OrderPreview {
  return {
    preview_id: "p1",
    quantity: "0.25",
    refused: null,
    needs_approval: null,
    done_by_desk: [],
    estimated_price: "61010.5",
    estimated_notional: "15252.625",
    estimated_fee: "15.25",
    estimated_total: "15267.88",
    buying_power_before: "100000",
    buying_power_after: "84732.12",
    checks: [
      {
        rule: "buying_power",
        title: "Buying power",
        field: null,
        scope: { scope: "desk", kind: "desk", id: "", name: "the whole desk" },
        set_by: { id: "u1", name: "Olga Owner" },
        ok,
        detail: "The account must be able to pay.",
        limit: "100000",
        value: "15267.88",
      },
    ],
    ok,
    quote: null,
    mode: "paper",
  };
}

let previews: OrderRequest[];
let submits: string[];
let finish: (order: Order) => void;
let allowed: boolean;
let refusal: ProblemError | null;

beforeEach(() => {
  previews = [];
  submits = [];
  allowed = true;
  refusal = null;
  // Only the list of open orders asks for it here, and may wait.
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  const desk = new TicketDesk({
    preview(request) {
      previews.push(request);
      return refusal ? Promise.reject(refusal) : Promise.resolve(preview(allowed));
    },
    submit(id) {
      submits.push(id);
      return new Promise((resolve) => {
        finish = resolve;
      });
    },
  });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <TicketForm desk={desk} account={account} symbol={symbol} />
    </QueryClientProvider>,
  );
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const type = (label: RegExp, value: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value } });

async function ask() {
  type(/^Quantity/, "0.25");
  type(/^Limit price/, "61010.50");
  fireEvent.click(screen.getByRole("button", { name: "Preview buy order" }));
  return screen.findByRole("dialog");
}

/** Enter on a focused button, as a browser does it: the press submits the form round it. */
const enter = (button: HTMLElement) => fireEvent.click(button);

describe("the order ticket", () => {
  it("sends one order for two Enters", async () => {
    await ask();
    const place = screen.getByRole("button", { name: "Place buy order" });
    enter(place);
    enter(place);
    fireEvent.submit((place as HTMLButtonElement).form as HTMLFormElement);
    expect(submits).toEqual(["p1"]);
    finish({ id: "o1", status: "accepted", ...previews[0] } as Order);
    const accepted = await screen.findByText("Order accepted");
    expect(screen.queryByRole("dialog")).toBeNull();
    // An Enter that comes late lands on the news, not on the button that previews the next order.
    await waitFor(() => expect(document.activeElement?.contains(accepted)).toBe(true));
    expect(document.activeElement?.tagName).toBe("DIV");
    expect(submits).toHaveLength(1);
  });

  it("previews exactly what was typed, as text", async () => {
    await ask();
    expect(previews).toEqual([
      {
        symbol: "BTC-USD",
        side: "buy",
        type: "limit",
        time_in_force: "day",
        quantity: "0.25",
        limit_price: "61010.50",
      },
    ]);
  });

  it("shows each check with its numbers, the cost and the mode", async () => {
    const dialog = await ask();
    for (const text of [
      "Buying power",
      "$15,267.88",
      "84,732.12",
      "100,000",
      "PAPER",
      "set on the whole desk by Olga Owner",
    ])
      expect(dialog.textContent).toContain(text);
  });

  it("does not put the focus on the button that sends", async () => {
    await ask();
    await waitFor(() => expect(document.activeElement?.getAttribute("role")).toBe("dialog"));
  });

  it("cannot send what the checks forbid", async () => {
    allowed = false;
    await ask();
    const place = screen.getByRole("button", { name: "Place buy order" });
    expect((place as HTMLButtonElement).disabled).toBe(true);
    fireEvent.submit((place as HTMLButtonElement).form as HTMLFormElement);
    expect(submits).toEqual([]);
  });

  it.each([
    ["", "1"],
    ["0", "1"],
    ["-1", "1"],
    ["1e3", "1"],
    ["NaN", "1"],
    ["1", "0"],
  ])("asks nothing for quantity %j at %j", (quantity, limit) => {
    type(/^Quantity/, quantity);
    type(/^Limit price/, limit);
    fireEvent.click(screen.getByRole("button", { name: "Preview buy order" }));
    expect(previews).toEqual([]);
    expect(document.querySelectorAll("[aria-invalid=true]")).toHaveLength(1);
  });

  it("puts a refusal at its field and names rule, limit and value", async () => {
    refusal = new ProblemError({
      type: "",
      title: "Too large",
      status: 422,
      code: "quantity_too_large",
      detail: "At most 100 go into one order.",
      field: "quantity",
      rule: "order_size",
      limit: "100",
      value: "250",
      request_id: "r1",
    });
    type(/^Quantity/, "250");
    type(/^Limit price/, "1");
    fireEvent.click(screen.getByRole("button", { name: "Preview buy order" }));
    const alert = await screen.findByRole("alert");
    expect(alert.textContent).toContain("rule order size · limit 100 · value 250");
    expect(screen.getByLabelText(/^Quantity/).getAttribute("aria-invalid")).toBe("true");
  });

  it("asks only for what the chosen type needs", () => {
    fireEvent.change(screen.getByLabelText("Type"), { target: { value: "trailing_stop" } });
    expect(screen.queryByLabelText(/^Limit price/)).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "Trail in USD" }));
    type(/^Quantity/, "0.25");
    type(/^Trail behind/, "150");
    fireEvent.click(screen.getByRole("button", { name: "Preview buy order" }));
    expect(previews[0]).toMatchObject({ type: "trailing_stop", trail_price: "150" });
    expect(previews[0]).not.toHaveProperty("limit_price");
  });

  it("takes a price of the market by one press", () => {
    fireEvent.click(screen.getByRole("button", { name: /^Ask/ }));
    expect((screen.getByLabelText(/^Limit price/) as HTMLInputElement).value).toBe("61010.5");
  });
});
