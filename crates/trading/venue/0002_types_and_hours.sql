-- All order types, replacements, latency and hours; corrections and busts of executions.

ALTER TABLE venue_orders ADD COLUMN stop_price TEXT;
ALTER TABLE venue_orders ADD COLUMN trail TEXT;                              -- JSON: {"price": "5"} or {"percent": "5"}
ALTER TABLE venue_orders ADD COLUMN extended_hours BIGINT NOT NULL DEFAULT 0;
ALTER TABLE venue_orders ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;      -- the time in price-time priority
ALTER TABLE venue_orders ADD COLUMN met BIGINT NOT NULL DEFAULT 1;           -- has stood against a quote
ALTER TABLE venue_orders ADD COLUMN best TEXT;                               -- best price a trailing stop has seen
ALTER TABLE venue_orders ADD COLUMN reserve_price TEXT NOT NULL DEFAULT '0';
ALTER TABLE venue_orders ADD COLUMN raw_fees TEXT NOT NULL DEFAULT '0';      -- before the least and the most of an order
ALTER TABLE venue_orders ADD COLUMN arrives_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE venue_orders ADD COLUMN cancel_at BIGINT;
ALTER TABLE venue_orders ADD COLUMN expires_at BIGINT;
ALTER TABLE venue_orders ADD COLUMN replaces BIGINT;                         -- seq; NULL once it took the place
ALTER TABLE venue_orders ADD COLUMN replaces_filled TEXT;
ALTER TABLE venue_orders ADD COLUMN replaced_by TEXT;                        -- client order id
ALTER TABLE venue_orders ADD COLUMN refusal_reason TEXT;
ALTER TABLE venue_orders ADD COLUMN refusal_text TEXT;

-- status is also: arriving, waiting, replaced, rejected.
UPDATE venue_orders SET priority = seq, arrives_at = placed_at, reserve_price = coalesce(limit_price, '0');
UPDATE venue_orders SET expires_at = (placed_at / 86400000000 + 1) * 86400000000 WHERE time_in_force = 'day';
CREATE INDEX venue_orders_of_account ON venue_orders (account_id, status, seq);

-- filled, corrected or busted; `about` is the execution that was corrected or busted.
ALTER TABLE venue_executions ADD COLUMN kind TEXT NOT NULL DEFAULT 'filled';
ALTER TABLE venue_executions ADD COLUMN about TEXT;
-- When the venue reported it: the time in `executions since`. A correction repeats the time of the execution in `at`.
ALTER TABLE venue_executions ADD COLUMN reported_at BIGINT NOT NULL DEFAULT 0;
UPDATE venue_executions SET reported_at = at;
DROP INDEX venue_executions_by_time;
CREATE INDEX venue_executions_by_time ON venue_executions (account_id, reported_at);

CREATE TABLE venue_halts (
    symbol TEXT PRIMARY KEY
);
