-- Accounts that are added, paused, renewed and removed while the desk runs. A running desk looks at these columns every few
-- seconds, so that what a command beside it has done takes effect without a restart.

ALTER TABLE accounts ADD COLUMN paused_since BIGINT;            -- no new risk since then; NULL: not paused
ALTER TABLE accounts ADD COLUMN credentials_since BIGINT;       -- when what opens it at its broker was sealed last
ALTER TABLE accounts ADD COLUMN broker_account TEXT;            -- what the broker calls it: no two rows for one account
ALTER TABLE accounts ADD COLUMN removed_at BIGINT;              -- orders, fills and audit rows stay; NULL: not removed

CREATE UNIQUE INDEX accounts_at_broker ON accounts (broker, broker_account) WHERE removed_at IS NULL;
