import type { Role } from "../../api/types";
import { useRoles } from "./roles";

/** The roles as check boxes, each with what it is for. */
export function RoleChoice({
  chosen,
  onChange,
  disabled,
}: {
  chosen: readonly Role[];
  onChange(roles: readonly Role[]): void;
  disabled?: boolean;
}) {
  const roles = useRoles().data?.items ?? [];
  return (
    <fieldset disabled={disabled}>
      <legend className="mb-1 text-xs text-muted">Roles</legend>
      <div className="rounded-md border border-line">
        {roles.map((one) => (
          <label
            key={one.role}
            className="flex min-h-11 items-center gap-2.5 border-b border-line/60 px-3 py-1.5 last:border-0 hover:bg-raised sm:min-h-9"
          >
            <input
              type="checkbox"
              name="roles"
              value={one.role}
              className="size-4 shrink-0 accent-accent"
              checked={chosen.includes(one.role)}
              onChange={(event) =>
                onChange(
                  event.target.checked
                    ? [...chosen, one.role]
                    : chosen.filter((role) => role !== one.role),
                )
              }
            />
            <span>
              <span className="font-medium">{one.title}</span>{" "}
              <span className="text-xs text-muted">{one.description}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
