import { Link, type LinkProps, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { signInUrl, signOut } from "../../api/client";
import { approvals, stream } from "../../live/desk";
import { useResource } from "../../live/resource";
import { sessionOver } from "../../live/session";
import { useStore } from "../../live/store";
import { Select } from "../../ui/controls";
import {
  Books,
  Candles,
  ChevronRight,
  Gauge,
  Growth,
  Handshake,
  List,
  Mark,
  Moon,
  More,
  People,
  Person,
  Shield,
  Sun,
  Warning,
} from "../../ui/icons";
import { Menu, MenuItem, MenuLabel } from "../../ui/menu";
import { chooseTheme, useTheme } from "../../ui/theme";
import { StepUpDialog } from "../identity/step-up-dialog";
import { useAccount, useAccountIds, useChooseAccount, useMay, useSession } from "../session";
import { KillBanners, KillButton } from "../trading/kill-switch";
import { OrderNews } from "../trading/order-news";
import { AccountBanners, UnknownBanner } from "./banners";
import { ModeBadge } from "./mode";
import { ConnectionState, FeedState } from "./states";

const TITLES: Record<string, string> = {
  "/": "Desk",
  "/orders": "Orders",
  "/portfolio": "Portfolio",
  "/account": "Account",
  "/accounts": "Broker accounts",
  "/books": "Books",
  "/risk": "Risk",
  "/approvals": "Approvals",
  "/users": "Users",
  "/security": "Security",
  "/keys": "API keys",
  "/webhooks": "Webhooks",
  "/usage": "API usage",
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
      {/* What nobody may overlook stays in sight with the header, where the screen has room for both. */}
      <div className="max-md:contents md:sticky md:top-0 md:z-30">
        <header className="border-b border-line bg-panel max-md:sticky max-md:top-0 max-md:z-30">
          <div className="flex flex-wrap items-center gap-x-4 px-3 sm:px-4">
            <Link
              to="/"
              className="flex min-h-13 items-center gap-2 text-[0.9375rem] font-semibold tracking-tight"
            >
              <Mark />
              <span className="max-sm:sr-only">Stockade</span>
            </Link>
            {account && <ModeBadge mode={account.mode} />}
            <Navigation className="max-md:hidden" />
            <div className="ml-auto flex items-center gap-1">
              <KillButton />
              <ThemeButton />
              <PersonMenu />
            </div>
            <div className="-mx-3 flex min-h-8 w-[calc(100%+1.5rem)] min-w-0 items-center gap-x-5 border-t border-line/60 px-3 text-xs sm:-mx-4 sm:w-[calc(100%+2rem)] sm:px-4">
              {mayMarket && <FeedState />}
              <ConnectionState />
              <AccountChoice />
            </div>
          </div>
        </header>
        {mayOrders && <KillBanners />}
        {account && <AccountBanners account={account} />}
        {mayOrders && <UnknownBanner />}
      </div>
      <Ended />
      <main
        id="main"
        tabIndex={-1}
        className="min-w-0 flex-1 p-3 pb-24 outline-none sm:px-4 md:pb-6"
      >
        <Outlet />
      </main>
      <Navigation
        short
        className="fixed inset-x-0 bottom-0 z-30 justify-around border-t border-line bg-panel pb-[env(safe-area-inset-bottom)] md:hidden"
      />
      {account && mayOrders && <OrderNews account={account} />}
      <StepUpDialog />
    </div>
  );
}

interface Page {
  to: LinkProps["to"];
  icon: ReactNode;
  text: string;
  /** How many things wait there. */
  waiting?: number;
}

/** The pages that the person may see, those needed most first. */
function usePageList(): readonly Page[] {
  const { permissions } = useSession();
  const orders = permissions.includes("orders.view");
  const accounts = permissions.includes("accounts.view");
  const waiting = useWaiting(orders);
  const pages: (Page | false)[] = [
    { to: "/", icon: <Candles />, text: "Desk" },
    orders && { to: "/orders", icon: <List />, text: "Orders" },
    accounts && { to: "/portfolio", icon: <Growth />, text: "Portfolio" },
    orders && { to: "/risk", icon: <Gauge />, text: "Risk" },
    orders && { to: "/approvals", icon: <Handshake />, text: "Approvals", waiting },
    accounts && { to: "/books", icon: <Books />, text: "Books" },
    permissions.includes("users.view") && { to: "/users", icon: <People />, text: "Users" },
    permissions.includes("audit.view") && { to: "/audit", icon: <Shield />, text: "Audit" },
  ];
  return pages.filter((page) => page !== false);
}

/** How many requests wait for a second person. */
function useWaiting(may: boolean): number {
  const ids = useAccountIds();
  const { state } = useResource(approvals(may ? ids : []));
  return state?.filter((one) => one.status === "waiting").length ?? 0;
}

/** Links beside each other; on a narrow screen the first few, and the others behind one button. */
function Navigation({ className, short }: { className: string; short?: boolean }) {
  const pages = usePageList();
  const navigate = useNavigate();
  const cut = short ? 4 : pages.length;
  const rest = pages.slice(cut);
  const waiting = rest.reduce((sum, page) => sum + (page.waiting ?? 0), 0);
  return (
    <nav aria-label="Pages" className={`flex ${className}`}>
      {pages.slice(0, cut).map((page) => (
        <PageLink key={page.text} page={page} />
      ))}
      {rest.length > 0 && (
        <Menu
          above
          button={
            <span className="relative flex min-h-13 min-w-13 flex-col items-center justify-center gap-0.5 text-2xs font-medium">
              <More />
              <span>
                More<span className="sr-only"> pages</span>
              </span>
              <Waiting count={waiting} />
            </span>
          }
        >
          {rest.map((page) => (
            <MenuItem key={page.text} onSelect={() => void navigate({ to: page.to ?? "/" })}>
              {page.icon} {page.text}
              {page.waiting ? ` (${page.waiting})` : ""}
            </MenuItem>
          ))}
        </Menu>
      )}
    </nav>
  );
}

function Waiting({ count }: { count: number }) {
  if (count === 0) return null;
  return (
    <span className="inline-flex min-w-4 items-center justify-center rounded-full bg-warn px-1 text-2xs leading-4 font-bold text-panel max-md:absolute max-md:top-1 max-md:right-1">
      {count}
      <span className="sr-only"> waiting</span>
    </span>
  );
}

function PageLink({ page: { to, icon, text, waiting = 0 } }: { page: Page }) {
  return (
    <Link
      to={to}
      activeOptions={{ exact: to === "/", includeSearch: false }}
      className="relative flex min-h-13 min-w-13 items-center gap-1.5 px-2 font-medium text-muted hover:text-ink focus-visible:outline-offset-[-3px] aria-[current=page]:text-ink aria-[current=page]:shadow-[inset_0_-2px_0_var(--accent)] max-md:flex-col max-md:justify-center max-md:gap-0.5 max-md:text-2xs md:max-xl:px-1.5 xl:px-3"
    >
      <span className="md:max-xl:hidden">{icon}</span>
      {text}
      <Waiting count={waiting} />
    </Link>
  );
}

function AccountChoice() {
  const { accounts } = useSession();
  const account = useAccount();
  const choose = useChooseAccount();
  if (!account) return null;
  return (
    <span className="ml-auto flex min-w-0 items-center gap-2">
      {accounts.length > 1 && (
        <Select
          bare
          label="Account"
          className="max-w-48 max-xl:my-1"
          value={account.id}
          onChange={(event) => choose(event.target.value)}
        >
          {accounts.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </Select>
      )}
      <Link
        to="/account"
        className="relative flex min-h-8 min-w-0 items-center gap-1 text-muted before:absolute before:-inset-x-2 before:-inset-y-1.5 before:content-[''] hover:text-ink"
      >
        <span className="truncate">
          <span className="sr-only">Account </span>
          {accounts.length > 1 ? "Details" : account.name}
        </span>
        <ChevronRight className="size-3" />
      </Link>
    </span>
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
      <MenuItem onSelect={() => void navigate({ to: "/accounts" })}>Broker accounts</MenuItem>
      <MenuItem onSelect={() => void navigate({ to: "/security" })}>Security</MenuItem>
      <MenuItem onSelect={() => void navigate({ to: "/keys" })}>API keys</MenuItem>
      <MenuItem onSelect={() => void navigate({ to: "/webhooks" })}>Webhooks</MenuItem>
      <MenuItem onSelect={() => void navigate({ to: "/usage" })}>API usage</MenuItem>
      <MenuItem onSelect={() => void navigate({ to: "/about" })}>About</MenuItem>
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
      className="sticky top-0 z-40 flex flex-wrap items-center justify-center gap-3 bg-warn-ground px-4 py-2 text-warn"
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
