-- Second factors. The secret of an authenticator app is in `secrets`, sealed, as user/<id>/totp.

CREATE TABLE totp_factors (
    user_id   TEXT PRIMARY KEY REFERENCES users (id),
    begun_at  BIGINT NOT NULL,
    active_at BIGINT,                           -- NULL until one right code was shown: it counts for nothing before
    last_step BIGINT NOT NULL                   -- of 30 s since 1970: codes of this one and those before are used up
);

CREATE TABLE recovery_codes (
    user_id   TEXT NOT NULL REFERENCES users (id),
    code_hash TEXT NOT NULL,                    -- SHA-256 over person and code
    used_at   BIGINT,
    PRIMARY KEY (user_id, code_hash)
);

-- Who showed the password and owes a code. Not a session: nothing else can be done with it.
CREATE TABLE sign_in_challenges (
    token_hash TEXT PRIMARY KEY,                -- SHA-256 of the cookie's value
    user_id    TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    guesses    BIGINT NOT NULL
);
CREATE INDEX sign_in_challenges_of_user ON sign_in_challenges (user_id);

-- When the session last saw a second factor; NULL: never.
ALTER TABLE sessions ADD COLUMN factor_at BIGINT;
