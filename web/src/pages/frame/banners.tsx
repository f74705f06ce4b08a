import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { AccountSummary } from "../../api/types";
import { sentence } from "../../format/sentence";
import { dateTime } from "../../format/time";
import { account as accountOf, unknown } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Warning } from "../../ui/icons";
import { useAccountIds } from "../session";

/** A line across the page for what nobody may overlook. */
export function Banner({
  tone,
  title,
  children,
  action,
}: {
  tone: "warn" | "bad";
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  const look =
    tone === "bad"
      ? "border-down/50 bg-bad-ground text-down"
      : "border-warn/50 bg-warn-ground text-warn";
  return (
    <section
      aria-label={title}
      className={`flex flex-wrap items-center gap-x-3 gap-y-1 border-b px-3 py-1.5 sm:px-4 ${look}`}
    >
      <Warning />
      <p role="status" className="min-w-0 flex-1 wrap-anywhere">
        <b className="mr-1.5">{title}</b>
        <span className="text-ink">{children}</span>
      </p>
      {action && <div className="max-sm:w-full max-sm:pl-7">{action}</div>}
    </section>
  );
}

/** What is wrong with the account now: that the desk cannot see it, or spares its broker. */
export function AccountBanners({ account }: { account: AccountSummary }) {
  const { state } = useResource(accountOf(account.id));
  return (
    <>
      {state?.state === "blind" && (
        <Banner
          tone="bad"
          title={`BLIND: the desk cannot see ${account.name} at the broker.`}
          action={
            state.locked_out && (
              <Link
                to="/account"
                search={{ account: account.id }}
                className="inline-flex min-h-11 items-center font-semibold underline underline-offset-2 sm:min-h-7"
              >
                Renew its credentials
              </Link>
            )
          }
        >
          Since {dateTime(state.blind_since_at)} no orders are taken that add risk; cancels and
          closing still work.{" "}
          {state.blind_reason === null
            ? "The reason is not known yet."
            : sentence(state.blind_reason)}
        </Banner>
      )}
      {state?.paused_since_at && (
        <Banner tone="warn" title={`PAUSED: ${account.name} takes no new risk.`}>
          Since {dateTime(state.paused_since_at)}, because somebody wants so. Cancels and closing
          still work.
        </Banner>
      )}
      {state?.sparing_since_at && (
        <Banner tone="warn" title="The broker is being spared.">
          It failed again and again, so since {dateTime(state.sparing_since_at)} the desk asks it
          only what it must. New orders wait; cancels go first.
        </Banner>
      )}
    </>
  );
}

/** Orders whose outcome is not known, of any account; stays until it is known. */
export function UnknownBanner() {
  const { state = [] } = useResource(unknown(useAccountIds()));
  if (state.length === 0) return null;
  return (
    <Banner
      tone="warn"
      title={
        state.length === 1
          ? "The outcome of an order is not known."
          : `The outcome of ${state.length} orders is not known.`
      }
      action={
        <Link
          to="/orders"
          search={{ tab: "unknown" }}
          className="inline-flex min-h-11 items-center font-semibold underline underline-offset-2 sm:min-h-7"
        >
          See what was tried
        </Link>
      }
    >
      The broker may have {state.length === 1 ? "it" : "them"}: do not place{" "}
      {state.length === 1 ? "it" : "them"} again. The desk keeps asking.
    </Banner>
  );
}
