-- Connections: credentials that customers gave for storage of their own.
--
-- Where it is and what opens it stand sealed (ledger/envelope.py), bound to account and connection;
-- in the clear is only what tells one connection from another in a list.

create schema connections;

create table connections.connection (
    id           text        primary key check (id ~ '^[0-9A-Za-z]{16}$'),
    account_id   bigint      not null references credits.account (id) on delete cascade,
    kind         text        not null check (kind in ('s3', 'webdav', 'http')),
    label        text        not null check (length(label) between 1 and 100),
    host         text        not null check (length(host) <= 300),
    sealed       bytea       not null check (length(sealed) <= 16384),
    created_at   timestamptz not null default now(),
    changed_at   timestamptz not null default now(),
    last_used_at timestamptz,
    checked_at   timestamptz,
    found        text        check (length(found) <= 32),
    constraint connection_checked check ((checked_at is null) = (found is null))
) with (fillfactor = 70);
create index connection_account on connections.connection (account_id, created_at);

comment on column connections.connection.host is 'who is asked: the host of its address';
comment on column connections.connection.sealed is
    'address and credentials, in the envelope: place connections.connection.sealed|account_id|id';
comment on column connections.connection.changed_at is 'when the credentials were given';
comment on column connections.connection.found is 'what the last check found';

-- Credentials of an account that is closed are good for nothing any more.
create function connections.destroy() returns trigger
language plpgsql security definer set search_path = connections, pg_temp as $$
begin
    delete from connection where account_id = new.id;
    return null;
end $$;

create trigger account_closed after update of status on credits.account
    for each row when (new.status = 'closed') execute function connections.destroy();
