-- The paper venue's own book. The desk never reads it: it asks the venue, as it would ask any broker.

CREATE TABLE venue_accounts (
    id   TEXT PRIMARY KEY,
    cash TEXT NOT NULL
);

CREATE TABLE venue_positions (
    account_id TEXT NOT NULL REFERENCES venue_accounts (id),
    symbol     TEXT NOT NULL,
    quantity   TEXT NOT NULL,
    PRIMARY KEY (account_id, symbol)
);

CREATE TABLE venue_orders (
    id              TEXT PRIMARY KEY,
    seq             BIGINT NOT NULL UNIQUE,     -- arrival: the time in price-time priority
    account_id      TEXT NOT NULL REFERENCES venue_accounts (id),
    client_order_id TEXT NOT NULL,
    symbol          TEXT NOT NULL,
    side            TEXT NOT NULL,
    kind            TEXT NOT NULL,
    time_in_force   TEXT NOT NULL,
    quantity        TEXT NOT NULL,
    limit_price     TEXT,
    filled          TEXT NOT NULL,
    queue_ahead     TEXT NOT NULL,              -- size that was displayed at the price before it
    status          TEXT NOT NULL,              -- open, filled, canceled, expired
    placed_at       BIGINT NOT NULL,
    UNIQUE (account_id, client_order_id)
);
CREATE INDEX venue_orders_open ON venue_orders (status, seq);

CREATE TABLE venue_executions (
    id         TEXT PRIMARY KEY,
    order_id   TEXT NOT NULL REFERENCES venue_orders (id),
    account_id TEXT NOT NULL REFERENCES venue_accounts (id),
    price      TEXT NOT NULL,
    quantity   TEXT NOT NULL,
    fee        TEXT NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX venue_executions_of_order ON venue_executions (order_id);
CREATE INDEX venue_executions_by_time ON venue_executions (account_id, at);
