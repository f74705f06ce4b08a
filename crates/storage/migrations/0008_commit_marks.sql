-- The latest transaction of each writer, by number, written in that transaction. When a server's answer to COMMIT is lost, this
-- says what became of it. The server's own numbers of transactions do not: after a crash it gives them out again.

CREATE TABLE commit_marks (
    writer TEXT PRIMARY KEY,                        -- drawn at random when a desk opens the database
    nth    BIGINT NOT NULL
);
