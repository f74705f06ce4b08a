// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { type ReactNode, Suspense } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Session, Webhook, WebhookDelivery } from "../../api/types";
import { DeleteWebhook, RotateSecret } from "./change-webhook";
import { CreateWebhook } from "./create-webhook";
import { DeliveryLog } from "./delivery-log";
import { TestResult } from "./webhook";
import { standing } from "./webhooks";

configure({ asyncUtilTimeout: 10_000 });

const webhook: Webhook = {
  id: "w1",
  name: "Back office",
  url: "https://hooks.example/",
  account_id: null,
  kinds: [],
  state: "on",
  reason: null,
  failing_since: null,
  former_secret_until: null,
  created_at: "2026-11-21T12:00:00Z",
};
const delivery: WebhookDelivery = {
  seq: 7,
  event_id: "e1",
  kind: "order.changed",
  account_id: "a1",
  status: "failed",
  body: '{"type":"order.changed"}',
  tried: 1,
  next_at: null,
  finished_at: "2026-11-21T12:00:01Z",
  attempts: [
    {
      at: "2026-11-21T12:00:00Z",
      duration_ms: 12,
      http_status: 500,
      error: "It answered with status 500.",
      answer: "<script>alert(1)</script>",
    },
  ],
};

let sent: { method: string; path: string; body: unknown }[];
let onClose: ReturnType<typeof vi.fn<() => void>>;

beforeEach(() => {
  sent = [];
  onClose = vi.fn<() => void>();
  vi.stubGlobal("fetch", async (request: Request) => {
    const path = new URL(request.url).pathname;
    const text = await request.text();
    sent.push({ method: request.method, path, body: text ? JSON.parse(text) : null });
    if (path.endsWith("/deliveries"))
      return Response.json({ items: [delivery], next_cursor: null });
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    return Response.json({ webhook, secret: "whsec_c2VjcmV0" }, { status: 201 });
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(what: ReactNode) {
  const client = new QueryClient();
  const session: Partial<Session> = { accounts: [], permissions: [] };
  client.setQueryData(["session"], session);
  render(
    <QueryClientProvider client={client}>
      <Suspense>{what}</Suspense>
    </QueryClientProvider>,
  );
}
const closing = () => ({ returnTo: () => null, onClose });
const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));

describe("a new webhook", () => {
  it("is told everything unless something is left out, and its secret is shown once", async () => {
    show(<CreateWebhook {...closing()} />);
    fireEvent.change(screen.getByLabelText(/^Name/), { target: { value: " Back office " } });
    fireEvent.change(screen.getByLabelText(/^URL/), { target: { value: webhook.url } });
    press("Make the webhook");
    const secret = await screen.findByLabelText<HTMLInputElement>("Secret");
    expect(secret.value).toBe("whsec_c2VjcmV0");
    expect(sent[0]?.body).toEqual({
      name: "Back office",
      url: webhook.url,
      account_id: null,
      kinds: [],
    });
  });

  it("can be told of a part, but not of nothing", async () => {
    show(<CreateWebhook {...closing()} />);
    fireEvent.change(screen.getByLabelText(/^Name/), { target: { value: "Fills" } });
    fireEvent.change(screen.getByLabelText(/^URL/), { target: { value: webhook.url } });
    for (const box of screen.getAllByRole("checkbox")) fireEvent.click(box);
    const make = screen.getByRole<HTMLButtonElement>("button", { name: "Make the webhook" });
    expect(make.disabled).toBe(true);
    fireEvent.click(screen.getByLabelText(/fill.booked/));
    press("Make the webhook");
    await screen.findByLabelText("Secret");
    expect(sent[0]?.body).toMatchObject({ kinds: ["fill.booked"] });
  });
});

it("gets a new secret with an overlap that one chooses", async () => {
  show(<RotateSecret webhook={webhook} {...closing()} />);
  press("Make a new secret");
  await screen.findByLabelText("Secret");
  expect(sent[0]).toEqual({
    method: "POST",
    path: "/api/v1/webhooks/w1/rotate",
    body: { overlap_hours: 24 },
  });
});

it("is deleted after a second look", async () => {
  show(<DeleteWebhook webhook={webhook} {...closing()} />);
  expect(sent).toEqual([]);
  press("Delete the webhook");
  await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
  expect(sent[0]).toMatchObject({ method: "DELETE", path: "/api/v1/webhooks/w1" });
});

it("shows what came back as text, and tells an event again", async () => {
  show(<DeliveryLog webhook={webhook} />);
  fireEvent.click(await screen.findByRole("button", { name: /^Details/ }));
  expect(await screen.findByText("<script>alert(1)</script>")).toBeTruthy();
  expect(document.querySelector("script")).toBeNull();
  press("Tell it again");
  await waitFor(() =>
    expect(sent).toContainEqual({
      method: "POST",
      path: "/api/v1/webhooks/w1/deliveries/7/redeliver",
      body: null,
    }),
  );
});

it("says why a ping was not taken", () => {
  show(<TestResult delivery={delivery} />);
  expect(screen.getByText("The ping was not taken")).toBeTruthy();
  expect(screen.getByText(/status 500/)).toBeTruthy();
});

it.each([
  [{ state: "on", failing_since: null }, "on"],
  [{ state: "on", failing_since: "2026-11-21T12:00:00Z" }, "failing"],
  [{ state: "off", failing_since: null }, "off"],
  [{ state: "failed", failing_since: "2026-11-21T12:00:00Z" }, "switched off by the desk"],
] as const)("%j is called so", (of, word) => {
  expect(standing(of)[0]).toBe(word);
});
