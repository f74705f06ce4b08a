// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Access, Mode, Session, User } from "../../api/types";
import { sessionQuery } from "../session";
import { Grants } from "./edit-user";

afterEach(cleanup);

const onLive = vi.fn<(accountId: string, on: boolean) => void>();

function show(mode: Mode, grant: { access: Access; live: boolean } | null) {
  const client = new QueryClient();
  const account = { id: "a1", name: "Main", broker: "b", mode, currency: "USD", access: "manage" };
  client.setQueryData(sessionQuery.queryKey, { accounts: [account] } as unknown as Session);
  const grants = grant ? [{ account_id: "a1", account_name: "Main", ...grant }] : [];
  render(
    <QueryClientProvider client={client}>
      <Grants
        user={{ grants } as unknown as User}
        disabled={false}
        onChange={vi.fn()}
        onLive={onLive}
      />
    </QueryClientProvider>,
  );
  return screen.queryByRole<HTMLInputElement>("checkbox", { name: "Also with real money" });
}

describe("a grant for real money", () => {
  it("is given beside the access to a live account", () => {
    const box = show("live", { access: "trade", live: false });
    expect(box?.checked).toBe(false);
    fireEvent.click(box as HTMLElement);
    expect(onLive).toHaveBeenLastCalledWith("a1", true);
  });

  it("is taken again", () => {
    fireEvent.click(show("live", { access: "trade", live: true }) as HTMLElement);
    expect(onLive).toHaveBeenLastCalledWith("a1", false);
  });

  it("is not for those who may only look", () => {
    expect(show("live", { access: "view", live: false })?.disabled).toBe(true);
  });

  it("does not exist without access, nor on paper", () => {
    expect(show("live", null)).toBeNull();
    cleanup();
    expect(show("paper", { access: "trade", live: false })).toBeNull();
  });
});
