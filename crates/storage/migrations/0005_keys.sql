-- API keys: what programs show instead of signing in, each for one account of its owner.

CREATE TABLE api_keys (
    id             TEXT PRIMARY KEY,            -- the public half, as PKQ3...
    user_id        TEXT NOT NULL REFERENCES users (id),
    account_id     TEXT NOT NULL REFERENCES accounts (id),
    name           TEXT NOT NULL,
    scopes         TEXT NOT NULL,               -- permissions, with commas: the most that the key may
    networks       TEXT NOT NULL,               -- from where it may be used, with commas; '' is anywhere
    secret_hash    TEXT NOT NULL,               -- SHA-256 of the secret half
    previous_hash  TEXT,                        -- of the secret before the last rotation,
    previous_until BIGINT,                      -- and until when it is good
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT,                      -- NULL: never
    last_used_at   BIGINT,                      -- to the minute
    last_used_from TEXT,
    revoked_at     BIGINT
);
CREATE INDEX api_keys_of_user ON api_keys (user_id);

-- The key that asked, where a program did.
ALTER TABLE orders ADD COLUMN key_id TEXT;
ALTER TABLE approvals ADD COLUMN key_id TEXT;

-- Lists of instruments that programs keep through the API for Alpaca's clients.
CREATE TABLE watchlists (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id),
    name       TEXT NOT NULL,
    symbols    TEXT NOT NULL,                   -- with commas, in the order in which they were added
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);
