/** The addresses of the page. What can be chosen on a page stands in its address, so that it can be shared. */
import { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  retainSearchParams,
} from "@tanstack/react-router";
import { problemOf, signInUrl } from "../api/client";
import type { Every, Span, UsageBy, UsagePeriod } from "../api/types";
import { Frame } from "./frame/frame";
import { Broken, NotFound } from "./problems";
import { sessionQuery } from "./session";
import { Desk } from "./trading/desk";

interface Context {
  client: QueryClient;
}

/** What the address says, believed only after a look at it. */
type Given = Record<string, unknown>;

const root = createRootRouteWithContext<Context>()({
  validateSearch: (search: Given): { account?: string } => ({ account: text(search.account) }),
  search: { middlewares: [retainSearchParams(["account"])] },
  beforeLoad: ({ context }) => signedIn(context.client),
  component: Frame,
  notFoundComponent: NotFound,
});

const desk = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: (
    search: Given,
  ): { symbol?: string; every?: Every; tab?: "orders" | "positions" | "bars" } => ({
    symbol: text(search.symbol),
    every: one<Every>(search.every, ["1s", "1m"]),
    tab: one(search.tab, ["orders", "positions", "bars"]),
  }),
  component: Desk,
});

const orders = createRoute({
  getParentRoute: () => root,
  path: "/orders",
  validateSearch: (
    search: Given,
  ): {
    tab?: "orders" | "fills" | "unknown";
    status?: "all" | "open" | "closed";
    symbol?: string;
    order?: string;
  } => ({
    tab: one(search.tab, ["orders", "fills", "unknown"]),
    status: one(search.status, ["all", "open", "closed"]),
    symbol: text(search.symbol),
    order: text(search.order),
  }),
  component: lazyRouteComponent(() => import("./trading/orders"), "Orders"),
});

const portfolio = createRoute({
  getParentRoute: () => root,
  path: "/portfolio",
  validateSearch: (
    search: Given,
  ): { span?: Span; by?: "symbol" | "book" | "day" | "positions"; book?: string } => ({
    span: one<Span>(search.span, ["1m", "1h", "1d"]),
    by: one(search.by, ["symbol", "book", "day", "positions"]),
    book: text(search.book),
  }),
  component: lazyRouteComponent(() => import("./trading/portfolio"), "Portfolio"),
});

const books = createRoute({
  getParentRoute: () => root,
  path: "/books",
  component: lazyRouteComponent(() => import("./trading/books"), "Books"),
});

const account = createRoute({
  getParentRoute: () => root,
  path: "/account",
  component: lazyRouteComponent(() => import("./trading/account"), "Account"),
});

const accounts = createRoute({
  getParentRoute: () => root,
  path: "/accounts",
  component: lazyRouteComponent(() => import("./trading/accounts"), "Accounts"),
});

const risk = createRoute({
  getParentRoute: () => root,
  path: "/risk",
  validateSearch: (search: Given): { scope?: string } => ({ scope: text(search.scope) }),
  component: lazyRouteComponent(() => import("./trading/risk"), "Risk"),
});

const approvals = createRoute({
  getParentRoute: () => root,
  path: "/approvals",
  component: lazyRouteComponent(() => import("./trading/approvals"), "Approvals"),
});

const users = createRoute({
  getParentRoute: () => root,
  path: "/users",
  validateSearch: (search: Given): { tab?: "people" | "roles" } => ({
    tab: one(search.tab, ["people", "roles"]),
  }),
  component: lazyRouteComponent(() => import("./identity/users"), "Users"),
});

const security = createRoute({
  getParentRoute: () => root,
  path: "/security",
  component: lazyRouteComponent(() => import("./identity/security"), "Security"),
});

const keys = createRoute({
  getParentRoute: () => root,
  path: "/keys",
  component: lazyRouteComponent(() => import("./identity/keys"), "Keys"),
});

const webhooks = createRoute({
  getParentRoute: () => root,
  path: "/webhooks",
  validateSearch: (search: Given): { webhook?: string } => ({ webhook: text(search.webhook) }),
  component: lazyRouteComponent(() => import("./webhooks/webhooks"), "Webhooks"),
});

const usage = createRoute({
  getParentRoute: () => root,
  path: "/usage",
  validateSearch: (
    search: Given,
  ): {
    tab?: "usage" | "endpoints";
    period?: UsagePeriod;
    by?: UsageBy;
    user?: string;
    key?: string;
  } => ({
    tab: one(search.tab, ["usage", "endpoints"]),
    period: one<UsagePeriod>(search.period, ["hour", "day", "week", "month", "quarter"]),
    by: one<UsageBy>(search.by, ["endpoint", "caller"]),
    user: text(search.user),
    key: text(search.key),
  }),
  component: lazyRouteComponent(() => import("./server/usage"), "Usage"),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  validateSearch: (search: Given): { search?: string } => ({ search: text(search.search) }),
  component: lazyRouteComponent(() => import("./audit/audit"), "Audit"),
});

const about = createRoute({
  getParentRoute: () => root,
  path: "/about",
  component: lazyRouteComponent(() => import("./about/about"), "About"),
});

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal stays a refusal; only silence is worth asking again.
      retry: (failures, error) => failures < 2 && problemOf(error).status === 0,
    },
  },
});

export const router = createRouter({
  routeTree: root.addChildren([
    desk,
    orders,
    portfolio,
    account,
    accounts,
    books,
    risk,
    approvals,
    users,
    security,
    keys,
    webhooks,
    usage,
    audit,
    about,
  ]),
  context: { client },
  defaultErrorComponent: Broken,
  defaultNotFoundComponent: NotFound,
  defaultPendingMs: 300,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/** Without a session there is nothing to show here: the server's own pages take over. */
async function signedIn(queries: QueryClient): Promise<void> {
  try {
    await queries.ensureQueryData(sessionQuery);
  } catch (error) {
    const { status, code } = problemOf(error);
    if (status === 401) location.assign(signInUrl());
    else if (code === "set_up_required") location.assign("/set-up");
    throw error;
  }
}

function text(value: unknown): string | undefined {
  // A search for 123 arrives as a number.
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function one<T extends string>(value: unknown, allowed: readonly T[]): T | undefined {
  return allowed.find((word) => word === value);
}
