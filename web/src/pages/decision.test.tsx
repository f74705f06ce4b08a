// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ProblemError } from "../api/client";
import { Field } from "../ui/controls";
import { Decision } from "./decision";

configure({ asyncUtilTimeout: 10_000 });
afterEach(cleanup);

const refusal = (field?: string) =>
  new ProblemError({
    type: "",
    title: "Refused",
    status: 422,
    detail: "Too long.",
    code: "field_invalid",
    request_id: "",
    field,
  });

function decide(act: (key: string) => Promise<string>, more: object = {}) {
  const onClose = vi.fn();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Decision
        title="Name it"
        description="A try."
        act={act}
        button="Go"
        busy="Going…"
        refused="It was not named"
        returnTo={() => null}
        onClose={onClose}
        {...more}
      >
        {(errorAt) => <Field label="Name" error={errorAt("name")} />}
      </Decision>
    </QueryClientProvider>,
  );
  return onClose;
}
const press = () => fireEvent.submit(screen.getByLabelText("Name").closest("form") as Element);

it("is sent once, however often it is pressed, and closes when it is done", async () => {
  let done = (_: string) => {};
  const act = vi.fn(() => new Promise<string>((resolve) => (done = resolve)));
  const onClose = decide(act);
  press();
  await screen.findByText("Going…");
  press();
  done("done");
  await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
  expect(act).toHaveBeenCalledOnce();
});

it("is sent again under the same key", async () => {
  const keys: string[] = [];
  decide(async (key) => {
    keys.push(key);
    throw refusal();
  });
  press();
  await screen.findByRole("alert");
  press();
  await waitFor(() => expect(keys).toHaveLength(2));
  expect(keys[0]).toBe(keys[1]);
});

it("says what is wrong at the field that shows it, and only there", async () => {
  decide(() => Promise.reject(refusal("name")));
  press();
  await screen.findByText("Too long.");
  expect(screen.getByLabelText("Name").getAttribute("aria-invalid")).toBe("true");
  expect(screen.queryByRole("alert")).toBeNull();
});

it("says below what is wrong with a field that no input shows", async () => {
  decide(() => Promise.reject(refusal("account")));
  press();
  expect((await screen.findByRole("alert")).textContent).toContain("It was not named");
});

it("is not sent when the last look finds a mistake, nor before it is ready", () => {
  const act = vi.fn(async () => "");
  decide(act, { check: () => false });
  press();
  cleanup();
  decide(act, { ready: false });
  press();
  expect(act).not.toHaveBeenCalled();
});

it("shows what came of it in the place of the questions", async () => {
  const outcome = (answer: string) => ({ title: "Named", description: "", content: answer });
  const onClose = decide(async () => "its new name", { outcome });
  press();
  await screen.findByText("its new name");
  expect(screen.queryByLabelText("Name")).toBeNull();
  expect(onClose).not.toHaveBeenCalled();
  fireEvent.click(screen.getByRole("button", { name: "Done" }));
  expect(onClose).toHaveBeenCalledOnce();
});
