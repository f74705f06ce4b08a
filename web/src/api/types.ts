/** Short names for what the generated schema calls by long paths. The only file that knows its names. */
import type { components } from "./schema";

export type {
  AccountDetail,
  Approval,
  Book,
  BookTransfer,
  CostMethod,
  EquityPoint,
  Formula,
  KillSwitch,
  LimitInForce,
  LimitKind,
  LimitList,
  Liquidated,
  Lot,
  NewBook,
  OrderAmendment,
  Portfolio,
  Return,
  Support,
  UnknownOrder,
  Venue,
} from "./coming";

type Schemas = components["schemas"];

export type Access = Schemas["Access"];
export type AccountSummary = Schemas["AccountSummary"];
export type AuditRow = Schemas["AuditRow"];
export type AuditVerification = Schemas["AuditVerification"];
export type Bar = Schemas["Bar"];
export type BrokerReason = Schemas["BrokerReason"];
export type Check = Schemas["Check"];
export type Enrolment = Schemas["Enrolment"];
export type Factors = Schemas["Factors"];
export type Feed = Schemas["Feed"];
export type Fill = Schemas["Fill"];
export type Leg = Schemas["Leg"];
export type MarketSymbol = Schemas["MarketSymbol"];
export type Mode = Schemas["Mode"];
export type Order = Schemas["Order"];
export type OrderClass = Schemas["OrderClass"];
export type OrderEvent = Schemas["OrderEvent"];
export type OrderPreview = Schemas["OrderPreview"];
export type OrderRequest = Schemas["OrderRequest"];
export type OrderStatus = Schemas["OrderStatus"];
export type OrderType = Schemas["OrderType"];
export type Permission = Schemas["Permission"];
export type Position = Schemas["Position"];
export type Problem = Schemas["Problem"];
export type Role = Schemas["Role"];
export type RoleList = Schemas["RoleList"];
export type Scope = Schemas["Scope"];
export type Session = Schemas["Session"];
export type Side = Schemas["Side"];
export type TimeInForce = Schemas["TimeInForce"];
export type Trade = Schemas["Trade"];
export type User = Schemas["User"];
export type Who = Schemas["Who"];

/** How long a bar lasts. */
export type Every = "1s" | "1m";

/** How far apart the points of a portfolio's history stand. */
export type Span = "1m" | "1h" | "1d";
