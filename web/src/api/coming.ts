/**
 * Shapes that the desk's description of itself (`openapi.json`) does not have yet.
 *
 * Each one goes when the generated one is there: `types.ts` is the only file that takes names from here.
 */
import type { components, paths } from "./schema";

type Old = components["schemas"];
type Decimal = string;
type Time = string;
type Order = Old["Order"];
type OrderRequest = Old["OrderRequest"];
type Scope = Old["Scope"];
type TimeInForce = Old["TimeInForce"];
type Who = Old["Who"];

export interface OrderAmendment {
  client_order_id?: string;
  quantity?: Decimal;
  limit_price?: Decimal;
  stop_price?: Decimal;
  trail_price?: Decimal;
  trail_percent?: Decimal;
  time_in_force?: TimeInForce;
}

/** An order whose outcome is not known, and what was tried to know it. */
export interface UnknownOrder {
  order: Order;
  since_at: Time;
  tries: number;
  misses: number;
  last_answer: string | null;
}

export type Resolution = { choice: "ask_again" } | { choice: "not_there"; evidence: string };

/** Whether the broker does it, the desk does it for him, or nobody. */
export interface Support {
  name: string;
  way: "broker" | "desk" | "no";
  reason: string | null;
}

export interface Venue {
  broker: string;
  mode: Old["Mode"];
  types: Support[];
  times_in_force: Support[];
  classes: Support[];
  features: Support[];
  requests_per_minute: number;
  burst: number;
  settle_window_ms: number;
}

type OldAccountDetail = Old["AccountDetail"];
export interface AccountDetail extends OldAccountDetail {
  deposits?: Decimal;
  sparing_since_at?: Time | null;
  requests?: { free: number; burst: number; per_minute: number };
  live_since_at?: Time | null;
  cost_method?: CostMethod;
}
export type CostMethod = "fifo" | "average";

export interface Liquidated {
  symbol: string;
  order: Order | null;
  problem: { code: string; detail: string } | null;
}

export interface KillSwitch {
  scope: Scope;
  reason: string;
  flatten: boolean;
  drill: boolean;
  engaged_by: Who;
  engaged_at: Time;
  in_database: boolean;
  in_file: boolean;
  drill_result: {
    last_accepted_ms: number;
    cancels_sent_ms: number;
    cancels: number;
    in_flight: number;
  } | null;
}
export interface KillRequest {
  scope: string;
  reason: string;
  flatten?: boolean;
  drill?: boolean;
}

export interface LimitInForce {
  scope: Scope;
  kind: string;
  title: string;
  explanation: string;
  value: string;
  /** Where the use is of one instrument: which. */
  symbol: string | null;
  used: Decimal | null;
  fraction: number | null;
  set_by: Who;
  set_at: Time;
  /** Set in the configuration: nobody can loosen it here. */
  fixed: boolean;
}
export interface LimitChange {
  done: boolean;
  before: string | null;
  after: string | null;
  approval_id: string | null;
}
export interface LimitKind {
  kind: string;
  title: string;
  explanation: string;
  allowed: string;
}
export interface LimitList {
  items: LimitInForce[];
  kinds: LimitKind[];
}

export interface Approval {
  id: string;
  status: "waiting" | "approved" | "refused" | "expired" | "withdrawn";
  /** What is asked for. */
  order: { account_id: string; mode: Old["Mode"]; request: OrderRequest } | null;
  limit: {
    scope: Scope;
    kind: string;
    title: string;
    before: string | null;
    after: string | null;
  } | null;
  why: string;
  asked_by: Who;
  asked_at: Time;
  expires_at: Time;
  decided_by: Who | null;
  decided_at: Time | null;
  note: string | null;
  result: string | null;
  order_id: string | null;
}

export interface BookHolding {
  symbol: string;
  quantity: Decimal;
  average_price: Decimal;
  market_price: Decimal | null;
  market_value: Decimal | null;
  realised_pnl: Decimal;
  unrealised_pnl: Decimal | null;
}
export interface Book {
  /** The account's own book has none. */
  id: string | null;
  name: string;
  kind: "own" | "person" | "bot" | "strategy";
  owner: Who | null;
  cost_method: CostMethod;
  cash: Decimal;
  reserved: Decimal;
  buying_power: Decimal;
  equity: Decimal;
  realised_pnl: Decimal;
  unrealised_pnl: Decimal;
  fees: Decimal;
  funded: Decimal;
  open_orders: number;
  positions: BookHolding[];
  opened_at: Time | null;
  closed_at: Time | null;
}
export interface NewBook {
  name: string;
  kind: "person" | "bot" | "strategy";
  owner?: string;
  cost_method?: CostMethod;
  opening_cash?: Decimal;
}
export interface BookTransfer {
  from?: string;
  to?: string;
  amount?: Decimal;
  symbol?: string;
  quantity?: Decimal;
  price?: Decimal;
  note: string;
}

export interface Lot {
  quantity: Decimal;
  price: Decimal;
  opened_at: Time;
  execution_id: string;
}

export interface EquityPoint {
  at: Time;
  equity: Decimal;
  cash: Decimal;
  realised: Decimal;
  unrealised: Decimal;
  flows: Decimal;
}
export interface Return {
  fraction: number;
  per_year: number | null;
}
export interface Portfolio {
  at: Time;
  value: Decimal;
  cash: Decimal;
  deposits: Decimal;
  realised: Decimal;
  unrealised: Decimal;
  fees: Decimal;
  allocation: { symbol: string | null; value: Decimal; fraction: number | null }[];
  by_book: {
    book: { id: string | null; name: string };
    value: Decimal;
    realised: Decimal;
    unrealised: Decimal;
    fees: Decimal;
  }[];
  by_symbol: {
    symbol: string;
    quantity: Decimal;
    value: Decimal;
    realised: Decimal;
    unrealised: Decimal;
  }[];
  by_day: {
    day: string;
    profit: Decimal;
    realised: Decimal;
    unrealised: Decimal;
    flows: Decimal;
  }[];
  periods: {
    period: "1d" | "1w" | "1m" | "1y" | "all";
    since: Time | null;
    profit: Decimal;
    time_weighted: Return | null;
    money_weighted: Return | null;
    drawdown: { now: number; maximum: number } | null;
  }[];
  formulas: Formula[];
}
export interface Formula {
  id: string;
  title: string;
  formula: string;
  inputs: string;
}

interface Call<Path, Query, Body, Answer> {
  parameters: {
    query?: Query;
    header?: { "Idempotency-Key"?: string };
    cookie?: never;
  } & (Path extends None ? { path?: never } : { path: Path });
  requestBody?: { content: { "application/json": Body } };
  responses: {
    200: { headers: Record<string, unknown>; content: { "application/json": Answer } };
    default: {
      headers: Record<string, unknown>;
      content: { "application/problem+json": Old["Problem"] };
    };
  };
}
type None = { none?: never };
type Id = { id: string };
type List<Row> = { items: Row[] };

interface Coming {
  "/api/v1/accounts/{id}": { get: Call<Id, None, never, AccountDetail> };
  "/api/v1/accounts/{id}/venue": { get: Call<Id, None, never, Venue> };
  "/api/v1/accounts/{id}/orders/cancel-all": {
    post: Call<Id, { symbol?: string }, never, List<Order>>;
  };
  "/api/v1/accounts/{id}/positions/{symbol}/close": {
    post: Call<
      { id: string; symbol: string },
      None,
      { quantity?: Decimal; client_order_id?: string },
      Order
    >;
  };
  "/api/v1/accounts/{id}/liquidate": { post: Call<Id, None, never, List<Liquidated>> };
  "/api/v1/accounts/{id}/reconcile": { post: Call<Id, None, never, AccountDetail> };
  "/api/v1/orders/unknown": { get: Call<None, None, never, List<UnknownOrder>> };
  "/api/v1/orders/{id}": {
    get: paths["/api/v1/orders/{id}"]["get"];
    patch: Call<Id, None, OrderAmendment, Order>;
  };
  "/api/v1/orders/{id}/resolve": { post: Call<Id, None, Resolution, Order> };
  "/api/v1/kill-switches": {
    get: Call<None, None, never, List<KillSwitch>>;
    post: Call<None, None, KillRequest, KillSwitch>;
    delete: Call<None, { scope: string }, never, undefined>;
  };
  "/api/v1/limits": {
    get: Call<None, { scope?: string }, never, LimitList>;
    put: Call<None, None, { scope: string; kind: string; value: string }, LimitChange>;
    delete: Call<None, { scope: string; kind: string }, never, LimitChange>;
  };
  "/api/v1/limits/drawdown-reset": { post: Call<None, None, { scope: string }, undefined> };
  "/api/v1/approvals": { get: Call<None, { waiting?: boolean }, never, List<Approval>> };
  "/api/v1/approvals/{id}/approve": { post: Call<Id, None, { note?: string }, Approval> };
  "/api/v1/approvals/{id}/refuse": { post: Call<Id, None, { note?: string }, Approval> };
  "/api/v1/approvals/{id}/withdraw": { post: Call<Id, None, never, Approval> };
  "/api/v1/accounts/{id}/live": {
    post: Call<Id, None, { name: string }, AccountDetail>;
    delete: Call<Id, None, never, AccountDetail>;
  };
  "/api/v1/accounts/{id}/books": {
    get: Call<Id, None, never, List<Book>>;
    post: Call<Id, None, NewBook, Book>;
  };
  "/api/v1/accounts/{id}/books/transfers": { post: Call<Id, None, BookTransfer, unknown> };
  "/api/v1/accounts/{id}/books/{book_id}": {
    delete: Call<{ id: string; book_id: string }, None, never, undefined>;
  };
  "/api/v1/accounts/{id}/positions/{symbol}/lots": {
    get: Call<{ id: string; symbol: string }, None, never, List<Lot>>;
  };
  "/api/v1/accounts/{id}/portfolio": { get: Call<Id, None, never, Portfolio> };
  "/api/v1/accounts/{id}/history": {
    get: Call<Id, { every: "1m" | "1h" | "1d"; book_id?: string }, never, List<EquityPoint>>;
  };
}

/** What can be asked of the desk. */
export type Paths = Omit<paths, keyof Coming> & Coming;
