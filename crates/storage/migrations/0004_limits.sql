-- What limits remember across a restart, and which order an approval is for.

CREATE TABLE risk_marks (
    scope            TEXT PRIMARY KEY,
    day              BIGINT NOT NULL,               -- days since 1970-01-01 UTC
    day_start_profit TEXT NOT NULL,                 -- profit when that day began
    peak_profit      TEXT NOT NULL                  -- the highest profit so far
);

-- One order is waited for once, however often it is asked for.
ALTER TABLE approvals ADD COLUMN client_order_id TEXT;                 -- of orders
CREATE UNIQUE INDEX approvals_of_order ON approvals (account_id, client_order_id) WHERE status = 'waiting';
