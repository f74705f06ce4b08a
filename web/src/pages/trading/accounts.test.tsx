// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { type ReactNode, Suspense } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AccountSummary, Session } from "../../api/types";
import { standing } from "./account-standing";
import { AddAccount } from "./add-account";
import { RenewAccount } from "./renew-account";

configure({ asyncUtilTimeout: 10_000 });

const account: AccountSummary = {
  id: "a1",
  name: "Alpaca",
  broker: "alpaca",
  mode: "paper",
  currency: "USD",
  access: "manage",
};

interface Sent {
  method: string;
  path: string;
  body: Record<string, unknown>;
}

let sent: Sent[];
let refusal: Record<string, unknown> | null;
let onClose: ReturnType<typeof vi.fn<() => void>>;

beforeEach(() => {
  sent = [];
  refusal = null;
  onClose = vi.fn<() => void>();
  vi.stubGlobal("fetch", async (request: Request) => {
    const body = JSON.parse(await request.text());
    sent.push({ method: request.method, path: new URL(request.url).pathname, body });
    if (refusal)
      return Response.json({ type: "", title: "", request_id: "", ...refusal }, { status: 422 });
    return Response.json({ ...account });
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show(what: ReactNode) {
  const client = new QueryClient();
  const session: Partial<Session> = { accounts: [account], permissions: ["accounts.manage"] };
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

describe("adding an account", () => {
  it("means paper until somebody says otherwise", async () => {
    show(<AddAccount {...closing()} />);
    type(/^Name/, " Alpaca ");
    type(/^Key id/, "PK1");
    type(/^Secret/, "hush");
    press("Try it and add it");
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(sent).toEqual([
      {
        method: "POST",
        path: "/api/v1/accounts",
        body: { name: "Alpaca", broker: "alpaca", mode: "paper", key_id: "PK1", secret: "hush" },
      },
    ]);
  });

  it("says that real money is real", () => {
    show(<AddAccount {...closing()} />);
    fireEvent.click(screen.getByLabelText("Real money"));
    expect(screen.getByText(/cost and earn real money/)).toBeTruthy();
  });

  it("asks for no key where none is needed", async () => {
    show(<AddAccount {...closing()} />);
    type(/^Name/, "Second");
    fireEvent.change(screen.getByLabelText("Broker"), { target: { value: "paper" } });
    expect(screen.queryByLabelText(/^Secret/)).toBeNull();
    press("Try it and add it");
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(sent[0]?.body).toEqual({ name: "Second", broker: "paper", mode: "paper" });
  });

  it("cannot be sent without both halves of the key", () => {
    show(<AddAccount {...closing()} />);
    type(/^Name/, "Alpaca");
    type(/^Key id/, "PK1");
    const add = screen.getByRole<HTMLButtonElement>("button", { name: "Try it and add it" });
    expect(add.disabled).toBe(true);
  });
});

it("credentials that the broker refuses leave the dialog open, and say so", async () => {
  refusal = { status: 422, code: "credentials_refused", detail: "The broker said no." };
  show(<RenewAccount account={account} {...closing()} />);
  type(/^Key id/, "PK2");
  type(/^Secret/, "wrong");
  press("Try them and keep them");
  await screen.findByText(/The broker said no/);
  expect(onClose).not.toHaveBeenCalled();
  expect(sent[0]?.path).toBe("/api/v1/accounts/a1/credentials");
});

const well = {
  state: "ready",
  locked_out: false,
  paused_since_at: null,
  stream_since_at: "x",
} as const;

it.each([
  [{}, ["Trades"]],
  [{ state: "blind" }, ["Blind"]],
  [{ state: "blind", locked_out: true }, ["Locked out"]],
  [{ paused_since_at: "x" }, ["Paused"]],
  [{ state: "blind", paused_since_at: "x" }, ["Blind", "Paused"]],
] as const)("%j stands as %j", (state, expected) => {
  expect(standing({ ...well, ...state }).map(([word]) => word)).toEqual(expected);
});
