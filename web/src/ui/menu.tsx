import { type ReactNode, useId } from "react";

/**
 * A few choices behind a button at the end of the header, or of the bar below the page.
 *
 * The browser's own popover: it closes on Escape and on a press beside it, and gives the focus back.
 */
export function Menu({
  label,
  button,
  above,
  children,
}: {
  /** What the button is called, where its own words do not say it. */
  label?: string;
  button: ReactNode;
  /** The button stands at the foot of the screen. */
  above?: boolean;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <>
      <button
        type="button"
        popoverTarget={id}
        aria-label={label}
        className="inline-flex min-h-11 min-w-11 items-center justify-center gap-1.5 rounded-md px-2 text-muted hover:bg-raised hover:text-ink sm:min-h-9 sm:min-w-9"
      >
        {button}
      </button>
      <div
        id={id}
        popover="auto"
        className={`fixed inset-auto right-3 min-w-56 rounded-lg border border-line bg-panel p-1 text-ink shadow-xl ${above ? "bottom-16" : "top-14"}`}
      >
        {children}
      </div>
    </>
  );
}

export function MenuItem({ onSelect, children }: { onSelect(): void; children: ReactNode }) {
  return (
    <button
      type="button"
      onClick={(event) => {
        event.currentTarget.closest<HTMLElement>("[popover]")?.hidePopover();
        onSelect();
      }}
      className="flex min-h-11 w-full items-center gap-2 rounded-md px-3 text-left hover:bg-raised focus-visible:outline-offset-[-2px] sm:min-h-9"
    >
      {children}
    </button>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <p className="mb-1 border-b border-line px-3 py-2 text-muted">{children}</p>;
}
