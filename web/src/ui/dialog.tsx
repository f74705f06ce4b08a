import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { Cross } from "./icons";

interface DialogProps {
  open: boolean;
  onClose(): void;
  title: ReactNode;
  /** One sentence on what is being decided. */
  description: ReactNode;
  children: ReactNode;
  /** Stays in sight below what scrolls: the buttons that decide. */
  footer?: ReactNode;
  /** Where the focus goes after closing; a dialog opened by an answer has no trigger of its own. */
  returnTo?: () => HTMLElement | null;
  wide?: boolean;
}

/** A modal dialog: focus stays inside, Escape closes it. */
export function Dialog({
  open,
  onClose,
  title,
  description,
  children,
  footer,
  returnTo,
  wide,
}: DialogProps) {
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-50 bg-[#05090dcc]" />
        <Radix.Content
          // Never onto a button that acts: the Enter that opened the dialog may still be held down.
          onOpenAutoFocus={(event) => {
            event.preventDefault();
            const box = event.currentTarget as HTMLElement;
            (box.querySelector<HTMLElement>("[data-first-focus]") ?? box).focus();
          }}
          onCloseAutoFocus={(event) => {
            const target = returnTo?.();
            if (!target) return;
            event.preventDefault();
            target.focus();
          }}
          className={`outline-none fixed inset-x-0 bottom-0 z-50 mx-auto flex max-h-[92dvh] w-full flex-col rounded-t-xl border border-line bg-panel shadow-2xl sm:inset-x-4 sm:top-1/2 sm:bottom-auto sm:w-auto sm:-translate-y-1/2 sm:rounded-xl ${wide ? "sm:max-w-3xl" : "sm:max-w-md"}`}
        >
          <div className="flex items-start justify-between gap-4 px-5 pt-4 pb-2">
            <div>
              <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
              <Radix.Description className="mt-0.5 text-muted">{description}</Radix.Description>
            </div>
            <Radix.Close
              aria-label="Close"
              className="-mr-2 inline-flex size-11 items-center justify-center rounded-md text-muted hover:bg-raised hover:text-ink sm:size-8"
            >
              <Cross />
            </Radix.Close>
          </div>
          {/* Reached with Tab, so that what is longer than the screen can be read without a mouse. */}
          <section
            aria-label="Details"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
            tabIndex={0}
            className="scroll-fade min-h-0 overflow-y-auto px-5 pb-5"
          >
            {children}
          </section>
          {footer && <div className="flex gap-2 border-t border-line px-5 py-4">{footer}</div>}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
