import { Tabs as Radix } from "radix-ui";
import type { ReactNode } from "react";

interface TabsProps {
  label: string;
  value: string;
  onChange(value: string): void;
  tabs: readonly { value: string; text: ReactNode; content: ReactNode }[];
  className?: string;
}

/** Views that share one place. The one shown is the page's state, so it is given in. */
export function Tabs({ label, value, onChange, tabs, className = "" }: TabsProps) {
  return (
    <Radix.Root
      value={value}
      onValueChange={onChange}
      className={`flex min-w-0 flex-col ${className}`}
    >
      <Radix.List
        aria-label={label}
        className="scroll-fade flex gap-1 overflow-x-auto border-b border-line px-1.5"
      >
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.value}
            value={tab.value}
            className="-mb-px inline-flex min-h-11 items-center gap-1.5 border-b-2 border-transparent px-2.5 font-medium whitespace-nowrap text-muted hover:text-ink focus-visible:outline-offset-[-3px] data-[state=active]:border-accent data-[state=active]:text-ink"
          >
            {tab.text}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.value} value={tab.value} className="min-w-0">
          {tab.content}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
