import type { ReactNode } from "react";
import { Explained } from "../../ui/explained";
import { useFormula } from "./formulas";

interface ReckonedProps {
  /** Which of the desk's formulas it comes from. */
  of: string;
  /** What went into it now. */
  values?: readonly (readonly [name: string, value: ReactNode])[];
  children: ReactNode;
}

/** A number of the account that opens its formula. */
export function Reckoned({ of, values, children }: ReckonedProps) {
  const formula = useFormula()(of);
  return (
    <Explained
      title={formula?.title ?? of}
      formula={formula?.formula}
      inputs={formula?.inputs}
      values={values}
    >
      {children}
    </Explained>
  );
}
