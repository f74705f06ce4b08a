-- What happened on the desk, for whoever is told of it elsewhere; and webhooks, which tell it.

-- Written in the transaction of what happened, while somebody wants to be told. What everybody was told is removed again.
CREATE TABLE outbox (
    seq        BIGINT PRIMARY KEY,              -- grows in the order of the commits
    id         TEXT NOT NULL UNIQUE,            -- of the event, wherever it is told
    at         BIGINT NOT NULL,
    kind       TEXT NOT NULL,                   -- as order.changed
    account_id TEXT,                            -- NULL: of no account alone
    scope      TEXT,                            -- of kill switches, and of limits that wait for a second person
    data       TEXT NOT NULL                    -- JSON
);
CREATE INDEX outbox_by_time ON outbox (at);

CREATE TABLE webhooks (
    id            TEXT PRIMARY KEY,
    user_id       TEXT NOT NULL REFERENCES users (id),
    name          TEXT NOT NULL,
    url           TEXT NOT NULL,
    account_id    TEXT REFERENCES accounts (id), -- NULL: every one that the owner may see at the moment
    kinds         TEXT NOT NULL,                -- with commas; '' is all
    state         TEXT NOT NULL,                -- on, off, failed
    reason        TEXT,                         -- why it is off by itself
    cursor        BIGINT NOT NULL,              -- the last event that was looked at
    failing_since BIGINT,                       -- of the attempts since then none succeeded
    former_until  BIGINT,                       -- until when the former secret signs too
    created_at    BIGINT NOT NULL
);
CREATE INDEX webhooks_of_user ON webhooks (user_id);

CREATE TABLE webhook_deliveries (
    webhook_id  TEXT NOT NULL REFERENCES webhooks (id),
    seq         BIGINT NOT NULL,                -- 1, 2, ... within the webhook
    event_id    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    account_id  TEXT,
    scope       TEXT,
    lane        TEXT NOT NULL,                  -- within one, an event is told after those before it
    body        TEXT NOT NULL,                  -- as it is sent
    status      TEXT NOT NULL,                  -- waiting, delivered, failed, withheld
    attempts    BIGINT NOT NULL,
    first_at    BIGINT NOT NULL,                -- since when it is tried
    next_at     BIGINT,                         -- of the next attempt, while it waits
    finished_at BIGINT,
    PRIMARY KEY (webhook_id, seq)
);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, status, lane, seq);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (status, next_at);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at);

CREATE TABLE webhook_attempts (
    webhook_id   TEXT NOT NULL,
    delivery     BIGINT NOT NULL,
    nth          BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    duration_ms  BIGINT NOT NULL,
    http_status  BIGINT,                        -- NULL: there was no answer
    error        TEXT,                          -- why it does not count as told
    answer       TEXT,                          -- the beginning of what came back
    PRIMARY KEY (webhook_id, delivery, nth)
);
