// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ProblemError } from "../../api/client";
import { stepUp, withStepUp } from "../../live/step-up";
import { StepUpDialog } from "./step-up-dialog";

const refusal = (status: number, code: string, field?: string) => ({
  type: "",
  title: code,
  status,
  detail: "The code is wrong.",
  code,
  field,
  request_id: "r1",
});

let act: ReturnType<typeof vi.fn<() => Promise<string>>>;

beforeEach(() => {
  const needed = new ProblemError(refusal(403, "step_up_needed"));
  act = vi.fn<() => Promise<string>>().mockRejectedValueOnce(needed).mockResolvedValue("done");
  vi.stubGlobal("fetch", async (request: Request) => {
    const { code } = await request.json();
    return code === "123456"
      ? Response.json({})
      : Response.json(refusal(422, "code_refused", "code"), { status: 422 });
  });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <button type="button">Re-arm</button>
      <StepUpDialog />
    </QueryClientProvider>,
  );
  screen.getByRole("button", { name: "Re-arm" }).focus();
});
afterEach(() => {
  stepUp.get()?.leave();
  cleanup();
  vi.unstubAllGlobals();
});

async function type(code: string) {
  const field = await screen.findByLabelText("Code");
  fireEvent.change(field, { target: { value: code } });
  fireEvent.submit((field as HTMLInputElement).form as HTMLFormElement);
}

describe("the question for the second factor", () => {
  it("is not there until an act needs it, and then takes the focus", async () => {
    expect(screen.queryByRole("dialog")).toBeNull();
    void withStepUp(act).catch(() => undefined);
    const field = await screen.findByLabelText("Code");
    await waitFor(() => expect(document.activeElement).toBe(field));
    expect(screen.getByRole("dialog", { name: "Show your second factor" })).toBeTruthy();
    expect(field.getAttribute("autocomplete")).toBe("one-time-code");
  });

  it("says that a code is wrong, empties the field and asks on", async () => {
    const done = withStepUp(act);
    await type("000000");
    expect((await screen.findByRole("alert")).textContent).toContain("The code was not accepted");
    const field = screen.getByLabelText<HTMLInputElement>("Code");
    expect([field.value, field.getAttribute("aria-invalid")]).toEqual(["", "true"]);
    await type("123456");
    expect(await done).toBe("done");
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(act).toHaveBeenCalledTimes(2);
  });

  it("is left with Escape, and the focus goes back to what began the act", async () => {
    const done = withStepUp(act);
    fireEvent.keyDown(await screen.findByLabelText("Code"), { key: "Escape" });
    await expect(done).rejects.toMatchObject({ problem: { code: "step_up_needed" } });
    const button = screen.getByRole("button", { name: "Re-arm" });
    await waitFor(() => expect(document.activeElement).toBe(button));
    expect(act).toHaveBeenCalledTimes(1);
  });

  it("sends nothing while nothing is typed", async () => {
    void withStepUp(act).catch(() => undefined);
    await type("  ");
    const go = screen.getByRole<HTMLButtonElement>("button", { name: "Go on" });
    expect(go.disabled).toBe(true);
    expect(screen.queryByRole("alert")).toBeNull();
  });
});
