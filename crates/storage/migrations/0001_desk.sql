-- One schema for SQLite and PostgreSQL. Money and quantities are TEXT, so that both keep every digit; times are
-- BIGINT microseconds since 1970 UTC; ids are UUIDs as TEXT; hashes are hex, sealed values base64.

-- People ---------------------------------------------------------------------------------------------

CREATE TABLE users (
    id              TEXT PRIMARY KEY,
    username        TEXT NOT NULL,
    username_key    TEXT NOT NULL UNIQUE,       -- canonical form: what is looked up
    display_name    TEXT NOT NULL,
    password_hash   TEXT,                       -- NULL until the invitation is taken up
    status          TEXT NOT NULL,              -- invited, active, disabled
    created_at      BIGINT NOT NULL,
    last_sign_in_at BIGINT
);

CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id),
    role    TEXT NOT NULL,
    PRIMARY KEY (user_id, role)
);

CREATE TABLE invitations (
    code_hash  TEXT PRIMARY KEY,                -- SHA-256 of the code in the link
    user_id    TEXT REFERENCES users (id),      -- NULL: the first owner's set-up
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    token_hash   TEXT NOT NULL UNIQUE,          -- SHA-256 of the cookie's value
    user_id      TEXT NOT NULL REFERENCES users (id),
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    ended_at     BIGINT,
    address      TEXT,
    user_agent   TEXT
);
CREATE INDEX sessions_of_user ON sessions (user_id);

CREATE TABLE sign_in_failures (
    username_key TEXT NOT NULL,                 -- SHA-256 of the canonical form: some type their password there
    address      TEXT NOT NULL,
    at           BIGINT NOT NULL
);
CREATE INDEX sign_in_failures_by_name ON sign_in_failures (username_key, address, at);
CREATE INDEX sign_in_failures_by_address ON sign_in_failures (address, at);
CREATE INDEX sign_in_failures_by_time ON sign_in_failures (at);

-- Secrets ----------------------------------------------------------------------------------------------

CREATE TABLE key_versions (
    version    BIGINT PRIMARY KEY,
    wrapped    TEXT NOT NULL,                   -- the key-encryption key, wrapped by the master key
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE secrets (
    name        TEXT PRIMARY KEY,               -- as feed/sandbox/key
    key_version BIGINT NOT NULL REFERENCES key_versions (version),
    sealed      TEXT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- Audit ------------------------------------------------------------------------------------------------

CREATE TABLE audit_log (
    seq        BIGINT PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT,
    act        TEXT NOT NULL,
    resource   TEXT,
    outcome    TEXT NOT NULL,
    address    TEXT,
    request_id TEXT,
    detail     TEXT NOT NULL,                   -- JSON
    hash       TEXT NOT NULL                    -- SHA-256 over the previous hash and this row
);
CREATE INDEX audit_log_by_actor ON audit_log (actor_id, seq);
CREATE INDEX audit_log_by_act ON audit_log (act, seq);

CREATE TABLE audit_heads (
    seq       BIGINT PRIMARY KEY,               -- the last row of a commit group
    hash      TEXT NOT NULL,
    signature TEXT NOT NULL                     -- Ed25519, by a key that the database does not hold
);

-- Accounts and orders --------------------------------------------------------------------------------------

CREATE TABLE accounts (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    broker       TEXT NOT NULL,
    mode         TEXT NOT NULL,                 -- paper, live
    currency     TEXT NOT NULL,
    opening_cash TEXT,                          -- cash before the first fill; NULL until the broker told it
    router_epoch BIGINT NOT NULL,               -- who holds the newest may write the journal
    created_at   BIGINT NOT NULL
);

CREATE TABLE grants (
    user_id    TEXT NOT NULL REFERENCES users (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    access     TEXT NOT NULL,
    PRIMARY KEY (user_id, account_id)
);

CREATE TABLE orders (
    id              TEXT PRIMARY KEY,
    account_id      TEXT NOT NULL REFERENCES accounts (id),
    client_order_id TEXT NOT NULL,
    symbol          TEXT NOT NULL,
    side            TEXT NOT NULL,
    kind            TEXT NOT NULL,
    time_in_force   TEXT NOT NULL,
    quantity        TEXT NOT NULL,
    limit_price     TEXT,
    reserve_price   TEXT NOT NULL,              -- what head-room was reserved at, per unit
    submitted_by    TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    -- The fold over the order's events, kept so that lists and restarts need not fold again.
    status          TEXT NOT NULL,
    is_open         BIGINT NOT NULL,
    broker_order_id TEXT,
    attempts        BIGINT NOT NULL,
    filled          TEXT NOT NULL,
    filled_notional TEXT NOT NULL,
    fees            TEXT NOT NULL,
    reason          TEXT,
    version         BIGINT NOT NULL,
    UNIQUE (account_id, client_order_id)
);
CREATE INDEX orders_open ON orders (account_id, is_open);

-- The order journal. An order that is not here was never sent.
CREATE TABLE order_events (
    order_id TEXT NOT NULL REFERENCES orders (id),
    seq      BIGINT NOT NULL,                   -- 1, 2, ... within the order
    at       BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    detail   TEXT NOT NULL,                     -- JSON
    epoch    BIGINT NOT NULL,                   -- of the router that wrote it
    PRIMARY KEY (order_id, seq)
);

CREATE TABLE fills (
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    seq          BIGINT NOT NULL,               -- 1, 2, ... within the account: the order in which they were booked
    execution_id TEXT NOT NULL,
    order_id     TEXT NOT NULL REFERENCES orders (id),
    symbol       TEXT NOT NULL,
    side         TEXT NOT NULL,
    price        TEXT NOT NULL,
    quantity     TEXT NOT NULL,
    fee          TEXT NOT NULL,
    realised_pnl TEXT NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (account_id, seq),
    UNIQUE (account_id, execution_id)
);
CREATE INDEX fills_of_order ON fills (order_id);

-- Interfaces -----------------------------------------------------------------------------------------------

CREATE TABLE idempotency_keys (
    principal   TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,                  -- SHA-256 of method, path and body
    answer      TEXT NOT NULL,                  -- JSON
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (principal, key)
);

-- Market data ------------------------------------------------------------------------------------------------

CREATE TABLE bars (
    symbol      TEXT NOT NULL,
    every       TEXT NOT NULL,
    start_at    BIGINT NOT NULL,
    open        TEXT NOT NULL,
    high        TEXT NOT NULL,
    low         TEXT NOT NULL,
    close       TEXT NOT NULL,
    volume      TEXT NOT NULL,
    notional    TEXT NOT NULL,
    trades      BIGINT NOT NULL,
    buy_volume  TEXT NOT NULL,
    sell_volume TEXT NOT NULL,
    buy_trades  BIGINT NOT NULL,
    sell_trades BIGINT NOT NULL,
    PRIMARY KEY (symbol, every, start_at)
);
