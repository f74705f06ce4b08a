// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { type ReactNode, Suspense } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AccountSummary, ApiKey, Session } from "../../api/types";
import { stepUp } from "../../live/step-up";
import { CreateKey } from "./create-key";
import { standing } from "./keys";
import { RevokeKey } from "./revoke-key";

configure({ asyncUtilTimeout: 10_000 });

const account: AccountSummary = {
  id: "a1",
  name: "Paper",
  broker: "paper",
  mode: "paper",
  currency: "USD",
  access: "manage",
};
const key: ApiKey = {
  id: "PKQ3ZJ7T2MXK5VBW4N6D",
  name: "Rebalancer",
  owner: { id: "u1", name: "Olga" },
  account_id: "a1",
  scopes: ["orders.view"],
  networks: [],
  created_at: "2026-11-21T12:00:00Z",
  expires_at: null,
  last_used_at: null,
  last_used_from: null,
  revoked_at: null,
  former_secret_until: null,
};

interface Sent {
  method: string;
  path: string;
  key: string | null;
  body: Record<string, unknown> | null;
}

let sent: Sent[];
let factorShown: boolean;
let onClose: ReturnType<typeof vi.fn<() => void>>;

beforeEach(() => {
  sent = [];
  factorShown = true;
  onClose = vi.fn<() => void>();
  vi.stubGlobal("fetch", async (request: Request) => {
    const path = new URL(request.url).pathname;
    if (path.endsWith("/step-up")) {
      factorShown = true;
      return Response.json({});
    }
    const text = await request.text();
    sent.push({
      method: request.method,
      path,
      key: request.headers.get("Idempotency-Key"),
      body: text ? JSON.parse(text) : null,
    });
    if (!factorShown)
      return Response.json(
        { type: "", title: "", status: 403, detail: "", code: "step_up_needed", request_id: "" },
        { status: 403 },
      );
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    return Response.json({ key, secret: "s3cr3t" }, { status: 201 });
  });
});
afterEach(() => {
  stepUp.get()?.leave();
  cleanup();
  vi.unstubAllGlobals();
});

function show(what: ReactNode) {
  const client = new QueryClient();
  const session: Partial<Session> = {
    accounts: [account],
    permissions: ["market.view", "accounts.view", "orders.view", "orders.place"],
  };
  client.setQueryData(["session"], session);
  render(
    <QueryClientProvider client={client}>
      <Suspense>{what}</Suspense>
    </QueryClientProvider>,
  );
}
const closing = () => ({ returnTo: () => null, onClose });
const press = (name: string) => fireEvent.click(screen.getByRole("button", { name }));
const type = (label: RegExp, value: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value } });

describe("a new key", () => {
  it("is asked for with what was chosen, and its halves are shown once", async () => {
    show(<CreateKey account={account} {...closing()} />);
    type(/^Name/, " Rebalancer ");
    type(/^From these addresses/, "192.0.2.7, 198.51.100.0/24 ");
    fireEvent.change(screen.getByLabelText("Ends"), { target: { value: "" } });
    fireEvent.click(screen.getByLabelText(/^Place orders/));
    press("Make the key");
    const secret = await screen.findByLabelText<HTMLInputElement>("Secret");
    expect(secret.value).toBe("s3cr3t");
    expect(screen.getByLabelText<HTMLInputElement>("Key id").value).toBe(key.id);
    expect(sent[0]?.body).toEqual({
      name: "Rebalancer",
      account_id: "a1",
      scopes: ["market.view", "accounts.view", "orders.view", "orders.place"],
      networks: ["192.0.2.7", "198.51.100.0/24"],
      expires_at: null,
    });
    press("Done");
    expect(onClose).toHaveBeenCalledOnce();
  });

  it("cannot be given what its maker lacks, nor nothing at all", () => {
    show(<CreateKey account={account} {...closing()} />);
    expect(screen.getByLabelText<HTMLInputElement>(/^Pull the kill switch/).disabled).toBe(true);
    type(/^Name/, "Idle");
    for (const scope of [/^See prices/, /^See balances/, /^See orders/])
      fireEvent.click(screen.getByLabelText(scope));
    const make = screen.getByRole<HTMLButtonElement>("button", { name: "Make the key" });
    expect(make.disabled).toBe(true);
  });

  it("is the same question before and after the second factor", async () => {
    factorShown = false;
    show(<CreateKey account={account} {...closing()} />);
    type(/^Name/, "Rebalancer");
    press("Make the key");
    await waitFor(() => expect(stepUp.get()).not.toBeNull());
    await stepUp.get()?.show("123456");
    await screen.findByLabelText("Secret");
    expect(sent).toHaveLength(2);
    expect(sent[1]).toEqual(sent[0]);
  });
});

it("is revoked after a second look", async () => {
  show(<RevokeKey apiKey={key} {...closing()} />);
  expect(sent).toEqual([]);
  press("Revoke the key");
  await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
  expect(sent[0]).toMatchObject({ method: "DELETE", path: `/api/v1/keys/${key.id}` });
});

it.each([
  [{ revoked_at: null, expires_at: null }, "good"],
  [{ revoked_at: null, expires_at: "2026-11-21T12:00:01Z" }, "good"],
  [{ revoked_at: null, expires_at: "2026-11-21T12:00:00Z" }, "over"],
  [{ revoked_at: "2026-11-20T12:00:00Z", expires_at: "2026-11-20T13:00:00Z" }, "revoked"],
] as const)("%j is %s at noon", (of, expected) => {
  expect(standing(of, Date.parse("2026-11-21T12:00:00Z"))).toBe(expected);
});
