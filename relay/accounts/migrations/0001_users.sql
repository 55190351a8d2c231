-- Users of a relay and the keys by which their hosts show whose they are. One schema for SQLite and
-- PostgreSQL. Times are seconds since 1970.
CREATE TABLE users (
    -- Random and never given twice, so that tickets of a removed user open nothing of another's.
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in small letters: two users must differ in more than those.
    folded TEXT NOT NULL UNIQUE,
    -- In small letters.
    email TEXT UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE api_keys (
    -- The key's beginning, by which people tell their keys apart.
    label TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of the whole key, in hexadecimal digits.
    hash TEXT NOT NULL UNIQUE,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    -- To the hour.
    used_at BIGINT
);
CREATE INDEX api_keys_of_user ON api_keys (user_id);
