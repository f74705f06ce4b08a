/** Short names for what the generated schema calls by long paths. The only file that knows its names. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Access = Schemas["Access"];
export type AccountDetail = Schemas["AccountDetail"];
export type AccountSummary = Schemas["AccountSummary"];
export type ApiKey = Schemas["Key"];
export type Approval = Schemas["Approval"];
export type AuditRow = Schemas["AuditRow"];
export type AuditVerification = Schemas["AuditVerification"];
export type Bar = Schemas["Bar"];
export type Book = Schemas["Book"];
export type BrokerReason = Schemas["BrokerReason"];
export type Check = Schemas["Check"];
export type CostMethod = Schemas["CostMethod"];
export type Enrolment = Schemas["Enrolment"];
export type Endpoint = Schemas["Endpoint"];
export type EquityPoint = Schemas["EquityPoint"];
export type Factors = Schemas["Factors"];
export type EventKind = Schemas["EventKind"];
export type Feed = Schemas["Feed"];
export type Fill = Schemas["Fill"];
export type Formula = Schemas["Formula"];
export type KillSwitch = Schemas["KillSwitch"];
export type Leg = Schemas["Leg"];
export type LimitInForce = Schemas["RiskLimit"];
export type LimitKind = Schemas["RiskLimitKind"];
export type LimitList = Schemas["RiskLimitList"];
export type Lot = Schemas["Lot"];
export type MarketSymbol = Schemas["MarketSymbol"];
export type Mode = Schemas["Mode"];
export type NewBook = Schemas["BookRequest"];
export type Order = Schemas["Order"];
export type OrderAmendment = Schemas["OrderAmendment"];
export type OrderClass = Schemas["OrderClass"];
export type OrderEvent = Schemas["OrderEvent"];
export type OrderPreview = Schemas["OrderPreview"];
export type OrderRequest = Schemas["OrderRequest"];
export type OrderStatus = Schemas["OrderStatus"];
export type OrderType = Schemas["OrderType"];
export type Permission = Schemas["Permission"];
export type Portfolio = Schemas["Portfolio"];
export type Position = Schemas["Position"];
export type Problem = Schemas["Problem"];
export type Role = Schemas["Role"];
export type RoleList = Schemas["RoleList"];
export type Scope = Schemas["Scope"];
export type Session = Schemas["Session"];
export type Side = Schemas["Side"];
export type Support = Schemas["Support"];
export type TimeInForce = Schemas["TimeInForce"];
export type Trade = Schemas["Trade"];
export type UnknownOrder = Schemas["UnknownOrder"];
export type UsageBy = Schemas["UsageBy"];
export type UsagePeriod = Schemas["UsagePeriod"];
export type UsageRow = Schemas["UsageRow"];
export type User = Schemas["User"];
export type Venue = Schemas["Venue"];
export type Webhook = Schemas["Webhook"];
export type WebhookDelivery = Schemas["WebhookDelivery"];
export type Who = Schemas["Who"];

/** How long a bar lasts. */
export type Every = "1s" | "1m";

/** How far apart the points of a portfolio's history stand. */
export type Span = "1m" | "1h" | "1d";
