import { Link, type LinkProps, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { signInUrl, signOut } from "../../api/client";
import { stream } from "../../live/desk";
import { sessionOver } from "../../live/session";
import { useStore } from "../../live/store";
import { Select } from "../../ui/controls";
import {
  Candles,
  Info,
  List,
  Mark,
  Moon,
  People,
  Person,
  Shield,
  Sun,
  Warning,
} from "../../ui/icons";
import { Menu, MenuItem, MenuLabel } from "../../ui/menu";
import { chooseTheme, useTheme } from "../../ui/theme";
import { StepUpDialog } from "../identity/step-up-dialog";
import { useAccount, useChooseAccount, useMay, useSession } from "../session";
import { OrderNews } from "../trading/order-news";
import { ModeBadge } from "./mode";
import { ConnectionState, FeedState } from "./states";

const TITLES: Record<string, string> = {
  "/": "Desk",
  "/orders": "Orders",
  "/users": "Users",
  "/security": "Security",
  "/audit": "Audit log",
  "/about": "About",
};

/** What stands round every page: who, on which account, whether money is real, whether data is fresh. */
export function Frame() {
  const account = useAccount();
  const mayMarket = useMay("market.view");
  const mayOrders = useMay("orders.view");
  const path = useLocation({ select: (location) => location.pathname });
  useEffect(() => {
    document.title = `${TITLES[path] ?? "Not found"} · Stockade`;
  }, [path]);
  return (
    <div className="flex min-h-dvh flex-col">
      <a
        href="#main"
        className="absolute top-0 left-2 z-60 -translate-y-full rounded-b-md bg-accent px-3 py-3 text-accent-ink focus:translate-y-0"
      >
        Skip to the page
      </a>
      <header className="sticky top-0 z-30 border-b border-line bg-panel">
        <div className="flex flex-wrap items-center gap-x-4 px-3 sm:px-4">
          <Link
            to="/"
            className="flex min-h-13 items-center gap-2 text-[0.9375rem] font-semibold tracking-tight"
          >
            <Mark />
            Stockade
          </Link>
          {account && <ModeBadge mode={account.mode} />}
          <Navigation className="max-md:hidden" />
          <div className="flex items-center gap-1 max-xl:ml-auto xl:order-last">
            <ThemeButton />
            <PersonMenu />
          </div>
          <div className="flex min-h-8 min-w-0 items-center gap-x-5 text-xs max-xl:-mx-3 max-xl:w-[calc(100%+1.5rem)] max-xl:border-t max-xl:border-line/60 max-xl:px-3 xl:ml-auto">
            {mayMarket && <FeedState />}
            <ConnectionState />
            <AccountChoice />
          </div>
        </div>
      </header>
      <Ended />
      <main
        id="main"
        tabIndex={-1}
        className="min-w-0 flex-1 p-3 pb-24 outline-none sm:px-4 md:pb-6"
      >
        <Outlet />
      </main>
      <Navigation className="fixed inset-x-0 bottom-0 z-30 justify-around border-t border-line bg-panel pb-[env(safe-area-inset-bottom)] md:hidden" />
      {account && mayOrders && <OrderNews account={account} />}
      <StepUpDialog />
    </div>
  );
}

function Navigation({ className }: { className: string }) {
  const { permissions } = useSession();
  return (
    <nav aria-label="Pages" className={`flex ${className}`}>
      <PageLink to="/" icon={<Candles />} text="Desk" exact />
      {permissions.includes("orders.view") && (
        <PageLink to="/orders" icon={<List />} text="Orders" />
      )}
      {permissions.includes("users.view") && (
        <PageLink to="/users" icon={<People />} text="Users" />
      )}
      {permissions.includes("audit.view") && (
        <PageLink to="/audit" icon={<Shield />} text="Audit" />
      )}
      <PageLink to="/about" icon={<Info />} text="About" />
    </nav>
  );
}

function PageLink({
  to,
  icon,
  text,
  exact = false,
}: {
  to: LinkProps["to"];
  icon: ReactNode;
  text: string;
  exact?: boolean;
}) {
  return (
    <Link
      to={to}
      activeOptions={{ exact, includeSearch: false }}
      className="flex min-h-13 min-w-13 items-center gap-1.5 px-2 font-medium text-muted hover:text-ink focus-visible:outline-offset-[-3px] aria-[current=page]:text-ink aria-[current=page]:shadow-[inset_0_-2px_0_var(--accent)] max-md:flex-col max-md:justify-center max-md:gap-0.5 max-md:text-2xs md:px-3"
    >
      {icon}
      {text}
    </Link>
  );
}

function AccountChoice() {
  const { accounts } = useSession();
  const account = useAccount();
  const choose = useChooseAccount();
  if (!account) return null;
  if (accounts.length === 1)
    return <span className="ml-auto max-w-40 truncate text-muted">{account.name}</span>;
  return (
    <Select
      bare
      label="Account"
      className="ml-auto max-w-48 max-xl:my-1"
      value={account.id}
      onChange={(event) => choose(event.target.value)}
    >
      {accounts.map((one) => (
        <option key={one.id} value={one.id}>
          {one.name}
        </option>
      ))}
    </Select>
  );
}

function ThemeButton() {
  const theme = useTheme();
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      aria-label={`Use the ${other} theme`}
      title={`Use the ${other} theme`}
      onClick={() => chooseTheme(other)}
      className="inline-flex size-11 items-center justify-center rounded-md text-muted hover:bg-raised hover:text-ink sm:size-9"
    >
      {theme === "dark" ? <Sun /> : <Moon />}
    </button>
  );
}

function PersonMenu() {
  const { user } = useSession();
  const navigate = useNavigate();
  return (
    <Menu
      label={`${user.display_name}: menu`}
      button={
        <>
          <Person />
          <span className="max-w-28 truncate max-lg:hidden">{user.display_name}</span>
        </>
      }
    >
      <MenuLabel>
        <b className="block font-semibold text-ink">{user.display_name}</b>
        {user.username} · {user.roles.join(", ").replaceAll("_", " ")}
      </MenuLabel>
      <MenuItem onSelect={() => void navigate({ to: "/security" })}>Security</MenuItem>
      <MenuItem onSelect={() => chooseTheme("system")}>Theme as the system says</MenuItem>
      <MenuItem onSelect={() => void signOut()}>Sign out</MenuItem>
    </Menu>
  );
}

/** The session is over: nothing on the page is true any more, so it says so and shows the way back. */
function Ended() {
  const over = useStore(sessionOver);
  const connection = useStore(stream.connection);
  const closed = connection.step === "closed" && connection.code === "session_ended";
  if (!over && !closed) return null;
  return (
    <div
      role="alert"
      className="sticky top-13 z-40 flex flex-wrap items-center justify-center gap-3 bg-warn-ground px-4 py-2 text-warn"
    >
      <Warning />
      <b>Your session has ended. What you see is no longer updated.</b>
      <a
        className="inline-flex min-h-11 items-center font-semibold underline sm:min-h-7"
        href={signInUrl()}
      >
        Sign in again
      </a>
    </div>
  );
}
