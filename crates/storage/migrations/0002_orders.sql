-- Orders of every type, books on an account, limits, kill switches, approvals, and what an account was worth.

ALTER TABLE orders ADD COLUMN request TEXT;                     -- the whole request, JSON; NULL on orders from before
ALTER TABLE orders ADD COLUMN origin TEXT NOT NULL DEFAULT 'desk';
ALTER TABLE orders ADD COLUMN book_id TEXT;                     -- NULL is the account's own book
ALTER TABLE orders ADD COLUMN parent_id TEXT;                   -- the order that brought it with it
ALTER TABLE orders ADD COLUMN leg TEXT;                         -- take_profit, stop_loss
ALTER TABLE orders ADD COLUMN replaces TEXT;
ALTER TABLE orders ADD COLUMN replaced_by TEXT;
ALTER TABLE orders ADD COLUMN reason_code TEXT;
ALTER TABLE orders ADD COLUMN done_by_desk TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN strategy TEXT;
ALTER TABLE orders ADD COLUMN triggered BIGINT NOT NULL DEFAULT 0;

ALTER TABLE accounts ADD COLUMN cost_method TEXT NOT NULL DEFAULT 'average';
ALTER TABLE accounts ADD COLUMN live_since BIGINT;              -- real money may be traded since then; NULL: not
ALTER TABLE grants ADD COLUMN live BIGINT NOT NULL DEFAULT 0;   -- whether the grant goes for real money too

-- Fills once more: of orders, and what moves units without one. Nothing is ever changed here: a correction is a row.
CREATE TABLE bookings (
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    seq          BIGINT NOT NULL,               -- 1, 2, ... within the account: the order in which they were booked
    kind         TEXT NOT NULL,                 -- fill, correction, bust, transfer
    execution_id TEXT NOT NULL,
    corrects     TEXT,                          -- the execution that a correction or a bust is about
    order_id     TEXT REFERENCES orders (id),   -- NULL on transfers
    book_id      TEXT,                          -- NULL is the account's own book
    symbol       TEXT NOT NULL,
    side         TEXT NOT NULL,
    price        TEXT NOT NULL,
    quantity     TEXT NOT NULL,                 -- below zero on busts
    fee          TEXT NOT NULL,
    realised_pnl TEXT NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (account_id, seq),
    UNIQUE (account_id, execution_id)
);
INSERT INTO bookings (account_id, seq, kind, execution_id, order_id, symbol, side, price, quantity, fee, realised_pnl, at)
    SELECT account_id, seq, 'fill', execution_id, order_id, symbol, side, price, quantity, fee, realised_pnl, at FROM fills;
DROP TABLE fills;
ALTER TABLE bookings RENAME TO fills;
CREATE INDEX fills_of_order ON fills (order_id);
CREATE INDEX fills_of_symbol ON fills (account_id, symbol, seq);
CREATE INDEX fills_by_time ON fills (account_id, at, seq);

-- Money that comes and goes without a trade. What an account has is opening cash, flows and fills.
CREATE TABLE flows (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    seq        BIGINT NOT NULL,                 -- 1, 2, ... within the account
    at         BIGINT NOT NULL,
    kind       TEXT NOT NULL,                   -- deposit, withdrawal, adjustment, securities, transfer
    book_id    TEXT,                            -- NULL is the account's own book
    amount     TEXT NOT NULL,                   -- above zero comes in
    detail     TEXT NOT NULL,
    PRIMARY KEY (account_id, seq)
);

CREATE INDEX orders_of_parent ON orders (parent_id);

CREATE TABLE books (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,                  -- person, bot, strategy
    owner       TEXT,                           -- the user whose book it is, or the strategy's name
    cost_method TEXT NOT NULL,                  -- average, fifo
    created_at  BIGINT NOT NULL,
    closed_at   BIGINT,
    UNIQUE (account_id, name)
);

CREATE TABLE equity (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    book_id    TEXT NOT NULL,                   -- '' is the whole account
    every      TEXT NOT NULL,                   -- 1m, 1h, 1d
    at         BIGINT NOT NULL,
    equity     TEXT NOT NULL,
    cash       TEXT NOT NULL,
    realised   TEXT NOT NULL,
    unrealised TEXT NOT NULL,
    flows      TEXT NOT NULL,                   -- that came in since the account was opened
    PRIMARY KEY (account_id, book_id, every, at)
);

CREATE TABLE risk_limits (
    scope  TEXT NOT NULL,                       -- as desk, account/0192..., user/0192...
    kind   TEXT NOT NULL,
    value  TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (scope, kind)
);

CREATE TABLE kill_switches (
    scope        TEXT PRIMARY KEY,
    engaged_at   BIGINT NOT NULL,
    engaged_by   TEXT NOT NULL,
    reason       TEXT NOT NULL,
    flatten      BIGINT NOT NULL,
    drill        BIGINT NOT NULL
);

CREATE TABLE approvals (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,                   -- order, limit
    account_id TEXT,
    asked_by   TEXT NOT NULL,
    asked_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    request    TEXT NOT NULL,                   -- JSON
    why        TEXT NOT NULL,
    status     TEXT NOT NULL,                   -- waiting, approved, refused, expired, withdrawn
    decided_by TEXT,
    decided_at BIGINT,
    note       TEXT,
    result     TEXT                             -- what came of it: an order's id, or why it was refused after all
);
CREATE INDEX approvals_waiting ON approvals (status, asked_at);
