import { beforeEach, describe, expect, it } from "vitest";
import { ProblemError } from "../../api/client";
import type { Order, OrderPreview, OrderRequest, Problem } from "../../api/types";
import { TicketDesk } from "./ticket";

const request: OrderRequest = {
  symbol: "BTC-USD",
  side: "buy",
  type: "market",
  time_in_force: "day",
  quantity: "0.5",
};
const preview = { preview_id: "p1", ok: true } as OrderPreview;
const order = { id: "o1" } as Order;
const problem = (status: number, code: string): ProblemError =>
  new ProblemError({ type: "", title: "", detail: "", request_id: "", status, code } as Problem);

let submits: string[];
let answers: (() => Promise<Order>)[];
let previewed: () => Promise<OrderPreview>;
let desk: TicketDesk;
const step = () => desk.ticket.get().step;

beforeEach(() => {
  submits = [];
  answers = [() => Promise.resolve(order)];
  previewed = () => Promise.resolve(preview);
  desk = new TicketDesk({
    preview: () => previewed(),
    submit: (id) => {
      submits.push(id);
      return (answers.shift() ?? (() => Promise.resolve(order)))();
    },
  });
});

describe("a ticket", () => {
  it("goes from the form over the preview to an order", async () => {
    await desk.preview(request);
    expect(step()).toBe("previewed");
    await desk.send();
    expect(desk.ticket.get()).toEqual({ step: "sent", order });
  });

  it("sends once, however often it is told to", async () => {
    await desk.preview(request);
    await Promise.all([desk.send(), desk.send(), desk.send()]);
    await desk.send();
    expect(submits).toEqual(["p1"]);
  });

  it("sends nothing that was not previewed, or whose checks failed", async () => {
    await desk.send();
    previewed = () => Promise.resolve({ ...preview, ok: false });
    await desk.preview(request);
    await desk.send();
    expect(submits).toEqual([]);
  });

  it("keeps the same id when no answer came, as the desk may have the order", async () => {
    answers = [() => Promise.reject(problem(0, "")), () => Promise.resolve(order)];
    await desk.preview(request);
    await desk.send();
    expect(step()).toBe("unanswered");
    await desk.send();
    expect(submits).toEqual(["p1", "p1"]);
    expect(step()).toBe("sent");
  });

  it("is refused for good by a desk that says why", async () => {
    answers = [() => Promise.reject(problem(503, "account_blind"))];
    await desk.preview(request);
    await desk.send();
    expect(desk.ticket.get()).toMatchObject({
      step: "refused",
      problem: { code: "account_blind" },
    });
    await desk.send();
    expect(submits).toHaveLength(1);
  });

  it("waits for a second person when the order is above a limit", async () => {
    answers = [() => Promise.reject(problem(403, "approval_needed"))];
    await desk.preview(request);
    await desk.send();
    expect(step()).toBe("waiting");
  });

  it("forgets a preview that was left before it came", async () => {
    const pending = desk.preview(request);
    desk.edit();
    await pending;
    expect(step()).toBe("editing");
  });

  it("does not go back to the form while it is being sent", async () => {
    await desk.preview(request);
    const sending = desk.send();
    desk.edit();
    expect(step()).toBe("sending");
    await sending;
  });
});
