/** Short names for what the generated schema calls by long paths. The only file that knows its names. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Access = Schemas["Access"];
export type AccountDetail = Schemas["AccountDetail"];
export type AccountSummary = Schemas["AccountSummary"];
export type AuditRow = Schemas["AuditRow"];
export type AuditVerification = Schemas["AuditVerification"];
export type Bar = Schemas["Bar"];
export type Check = Schemas["Check"];
export type Enrolment = Schemas["Enrolment"];
export type Factors = Schemas["Factors"];
export type Feed = Schemas["Feed"];
export type Fill = Schemas["Fill"];
export type MarketSymbol = Schemas["MarketSymbol"];
export type Mode = Schemas["Mode"];
export type Order = Schemas["Order"];
export type OrderEvent = Schemas["OrderEvent"];
export type OrderPreview = Schemas["OrderPreview"];
export type OrderRequest = Schemas["OrderRequest"];
export type OrderStatus = Schemas["OrderStatus"];
export type Permission = Schemas["Permission"];
export type Position = Schemas["Position"];
export type Problem = Schemas["Problem"];
export type Role = Schemas["Role"];
export type RoleList = Schemas["RoleList"];
export type Session = Schemas["Session"];
export type Side = Schemas["Side"];
export type Trade = Schemas["Trade"];
export type User = Schemas["User"];

/** How long a bar lasts. */
export type Every = "1s" | "1m";
