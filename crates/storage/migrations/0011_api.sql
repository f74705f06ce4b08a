-- The programming interface: what was asked how often, endpoints that were switched off, and writes that are done once.

-- Requests by minute and by hour, added up; kept for hours and for months.
CREATE TABLE api_usage (
    every         TEXT NOT NULL,                -- minute, hour
    at            BIGINT NOT NULL,              -- when it began
    endpoint      TEXT NOT NULL,                -- as GET /api/v1/orders
    user_id       TEXT NOT NULL,                -- '': none was signed in
    key_id        TEXT NOT NULL,                -- '': with a session
    requests      BIGINT NOT NULL,
    client_errors BIGINT NOT NULL,              -- 4xx, without those that came too often
    limited       BIGINT NOT NULL,              -- 429
    server_errors BIGINT NOT NULL,              -- 5xx
    last_at       BIGINT NOT NULL,
    -- Answers that took at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000 ms, and longer.
    t0 BIGINT NOT NULL, t1 BIGINT NOT NULL, t2 BIGINT NOT NULL, t3 BIGINT NOT NULL, t4 BIGINT NOT NULL,
    t5 BIGINT NOT NULL, t6 BIGINT NOT NULL, t7 BIGINT NOT NULL, t8 BIGINT NOT NULL, t9 BIGINT NOT NULL,
    t10 BIGINT NOT NULL, t11 BIGINT NOT NULL, t12 BIGINT NOT NULL,
    PRIMARY KEY (every, at, endpoint, user_id, key_id)
);

-- Endpoints that do not answer as the program would have it.
CREATE TABLE api_endpoints (
    id         TEXT PRIMARY KEY,                -- as GET /api/v1/orders
    is_on      BIGINT NOT NULL,
    per_minute BIGINT,                          -- NULL: no budget of its own
    reason     TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Public keys for which answers are encrypted.
CREATE TABLE encryption_keys (
    user_id       TEXT NOT NULL REFERENCES users (id),
    key_id        TEXT NOT NULL,                -- the API key; '': sessions, and API keys that have none of their own
    jwk           TEXT NOT NULL,
    registered_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, key_id)
);

-- A write under an Idempotency-Key, from before it is done. NULL in both: written with the act itself.
ALTER TABLE idempotency_keys ADD COLUMN status BIGINT;  -- of the answer; NULL while there is none
ALTER TABLE idempotency_keys ADD COLUMN run TEXT;       -- which run of the desk does it; '': it ended in the middle
