import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { problemOf } from "../../api/client";
import { type StepUp, stepUp } from "../../live/step-up";
import { useStore } from "../../live/store";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";
import { CodeField } from "./code-field";

/** Asks for the second factor when an act waits for it. Stands in the frame, so that every page can do such acts. */
export function StepUpDialog() {
  const open = useStore(stepUp);
  return open && <Question open={open} />;
}

function Question({ open }: { open: StepUp }) {
  const [code, setCode] = useState("");
  const show = useMutation({ mutationFn: () => open.show(code), onError: () => setCode("") });
  const problem = show.error ? problemOf(show.error) : null;
  return (
    <Dialog
      open
      onClose={open.leave}
      returnTo={() => focusable(open.from)}
      title="Show your second factor"
      description="This act needs a code that is not older than five minutes."
    >
      <form
        noValidate
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (code.trim() && !show.isPending) show.mutate();
        }}
      >
        <CodeField
          value={code}
          onChange={setCode}
          error={problem?.field === "code" ? problem.detail : null}
        />
        {problem && <Refusal problem={problem} title="The code was not accepted" />}
        <div className="flex gap-2">
          <Button className="flex-1" onClick={open.leave}>
            Cancel
          </Button>
          <Button
            type="submit"
            look="primary"
            className="flex-1"
            disabled={!code.trim() || show.isPending}
          >
            {show.isPending ? "Checking…" : "Go on"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Where the focus can go back to: a button that waits for the answer may be disabled, what stands round it is not. */
function focusable(from: HTMLElement | null): HTMLElement | null {
  return from?.matches(":disabled") ? from.closest<HTMLElement>("[tabindex]") : from;
}
