// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AccountSummary } from "../../api/types";
import { stepUp } from "../../live/step-up";
import { SwitchOn } from "./real-money";

configure({ asyncUtilTimeout: 10_000 });

const account: AccountSummary = {
  id: "a1",
  name: "Main",
  broker: "alpaca",
  mode: "live",
  currency: "USD",
  access: "manage",
};

const refusal = (status: number, code: string, field?: string) =>
  Response.json(
    { type: "", title: code, status, detail: "That is not its name.", code, field, request_id: "" },
    { status },
  );

let factorShown: boolean;
let switched: string[];
let onClose: ReturnType<typeof vi.fn<() => void>>;

beforeEach(() => {
  factorShown = false;
  switched = [];
  onClose = vi.fn<() => void>();
  vi.stubGlobal("fetch", async (request: Request) => {
    const body = await request.json();
    if (request.url.endsWith("/session/step-up")) {
      factorShown = true;
      return Response.json({});
    }
    if (!factorShown) return refusal(403, "step_up_needed");
    if (body.name !== account.name) return refusal(422, "field_invalid", "name");
    switched.push(new URL(request.url).pathname);
    return Response.json({});
  });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <SwitchOn account={account} returnTo={() => null} onClose={onClose} />
    </QueryClientProvider>,
  );
});
afterEach(() => {
  stepUp.get()?.leave();
  cleanup();
  vi.unstubAllGlobals();
});

function typeName(name: string) {
  fireEvent.change(screen.getByLabelText(/^The account's name/), { target: { value: name } });
}
const press = () => fireEvent.click(screen.getByRole("button", { name: "Switch real money on" }));

describe("the switch for real money", () => {
  it("is not pressed before the account's name is typed", () => {
    const button = screen.getByRole<HTMLButtonElement>("button", { name: "Switch real money on" });
    expect(button.disabled).toBe(true);
    typeName("Main");
    expect(button.disabled).toBe(false);
  });

  it("asks for the second factor, and then is thrown once", async () => {
    typeName(" Main ");
    press();
    await waitFor(() => expect(stepUp.get()).not.toBeNull());
    expect(switched).toEqual([]);
    await stepUp.get()?.show("123456");
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(switched).toEqual(["/api/v1/accounts/a1/live"]);
  });

  it("says at the field that it was another account's name", async () => {
    factorShown = true;
    typeName("Mian");
    press();
    expect(await screen.findByText("That is not its name.")).toBeTruthy();
    expect(screen.getByLabelText(/^The account's name/).getAttribute("aria-invalid")).toBe("true");
    expect(onClose).not.toHaveBeenCalled();
  });

  it("says nothing to whoever declines to show the factor", async () => {
    typeName("Main");
    press();
    await waitFor(() => expect(stepUp.get()).not.toBeNull());
    stepUp.get()?.leave();
    await waitFor(() => expect(screen.queryByText("Switching…")).toBeNull());
    expect(screen.queryByRole("alert")).toBeNull();
    expect(switched).toEqual([]);
  });
});
