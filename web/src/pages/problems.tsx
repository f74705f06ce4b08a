import { Link } from "@tanstack/react-router";
import { problemOf } from "../api/client";
import { Button } from "../ui/controls";
import { Panel } from "../ui/surface";
import { Refusal } from "./refusal";

/** There is nothing at this address. */
export function NotFound() {
  return (
    <Panel title={<h1>Not found</h1>} className="mx-auto max-w-xl">
      <p className="p-4">
        There is no page at this address.{" "}
        <Link to="/" className="text-accent underline underline-offset-2">
          Go to the desk
        </Link>
        .
      </p>
    </Panel>
  );
}

/** Something on the page broke; the rest of the desk goes on. */
export function Broken({ error, reset }: { error: unknown; reset(): void }) {
  return (
    <Panel title={<h1>This page could not be shown</h1>} className="mx-auto max-w-xl">
      <div className="flex flex-col items-start gap-3 p-4">
        <Refusal problem={problemOf(error)} />
        <Button onClick={reset}>Try again</Button>
      </div>
    </Panel>
  );
}
