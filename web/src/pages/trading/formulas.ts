import { useQuery } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import type { Formula } from "../../api/types";
import { useAccount } from "../session";

/** How the desk reckons a number, in its own words; undefined until they are known. */
export function useFormula(): (id: string) => Formula | undefined {
  const id = useAccount()?.id ?? "";
  const { data } = useQuery({
    queryKey: ["formulas"],
    queryFn: async () => {
      const path = { id };
      const portfolio = await answer(
        api.GET("/api/v1/accounts/{id}/portfolio", { params: { path } }),
      );
      return portfolio.formulas;
    },
    // They are the same for every account, and change with the desk only.
    staleTime: Number.POSITIVE_INFINITY,
    enabled: id !== "",
  });
  return (name) => data?.find((one) => one.id === name);
}
