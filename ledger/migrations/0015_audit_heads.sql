-- The head of the audit records, signed every hour with a key that is not in the database; and who
-- of the staff may look into a customer's account, why, and until when.

-- No reference to the record: a head is to outlive one that somebody removed.
create table audit.head (
    seq       bigint      primary key,
    hash      bytea       not null check (length(hash) = 32),
    at        timestamptz not null,
    kid       text        not null check (length(kid) = 43),
    signature bytea       not null check (length(signature) = 64)
);
create trigger head_append_only before update or delete or truncate on audit.head
    for each statement execute function credits.deny_change();

comment on column audit.head.signature is
    'Ed25519 over the JSON array of "ephemera-audit-head", seq, hash in hexadecimal, microseconds';

-- Visible to the customer (GET /v1/account/access), and no longer than it is asked for.
create table audit.access (
    id         uuid        primary key,
    account_id bigint      not null,
    person_id  bigint      not null,
    role       text        not null check (length(role) between 1 and 40),
    reason     text        not null check (length(reason) between 10 and 500),
    granted_at timestamptz not null,
    expires_at timestamptz not null check (expires_at <= granted_at + interval '8 hours'),
    ended_at   timestamptz,
    -- How often, and when last, something of the account was read under it.
    reads      bigint      not null default 0,
    read_at    timestamptz
);
create index access_account on audit.access (account_id, granted_at desc);
create index access_person on audit.access (person_id, expires_at);
