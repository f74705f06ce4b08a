import { Check } from "../../ui/icons";
import { useRoles } from "./roles";

/** Every permission by every role. */
export function RoleMatrix() {
  const { data } = useRoles();
  if (!data) return <p className="p-3 text-muted">Loading…</p>;
  return (
    <section
      aria-label="Permissions by role"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to take the focus
      tabIndex={0}
      className="scroll-fade overflow-auto focus-visible:outline-offset-[-2px]"
    >
      <table className="w-full border-separate border-spacing-0">
        <caption className="sr-only">Which role has which permission</caption>
        <thead>
          <tr>
            <th
              scope="col"
              className="border-b border-line px-3 py-2 text-left text-xs font-medium text-muted"
            >
              Permission
            </th>
            {data.items.map((one) => (
              <th
                key={one.role}
                scope="col"
                title={one.description}
                className="border-b border-line px-3 py-2 text-xs font-medium whitespace-nowrap text-muted"
              >
                {one.role.replaceAll("_", " ")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.permissions.map(({ permission, title }) => (
            <tr key={permission} className="hover:bg-raised/70">
              <th
                scope="row"
                className="min-w-48 border-b border-line/60 px-3 py-2 text-left font-normal"
              >
                {title}
                <code className="block text-2xs text-muted">{permission}</code>
              </th>
              {data.items.map((one) => (
                <td key={one.role} className="border-b border-line/60 px-3 text-center">
                  {one.permissions.includes(permission) ? (
                    <>
                      <Check className="mx-auto size-4 text-up" />
                      <span className="sr-only">yes</span>
                    </>
                  ) : (
                    <span className="text-muted">
                      <span aria-hidden="true">·</span>
                      <span className="sr-only">no</span>
                    </span>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
