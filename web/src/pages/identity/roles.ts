import { useQuery } from "@tanstack/react-query";
import { answer, api } from "../../api/client";

/** The roles, what they may do and how they are called. */
export function useRoles() {
  return useQuery({
    queryKey: ["roles"],
    queryFn: () => answer(api.GET("/api/v1/roles")),
    staleTime: Number.POSITIVE_INFINITY,
  });
}
