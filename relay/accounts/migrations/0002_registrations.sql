-- What was asked for by e-mail and not confirmed yet. Times are seconds since 1970.
CREATE TABLE registrations (
    -- SHA-256 of the code that was sent, in hexadecimal digits.
    code_hash TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- In small letters.
    email TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
