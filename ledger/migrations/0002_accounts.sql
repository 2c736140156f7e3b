-- Who the owners of credits are, as far as we know, and the API keys that speak for them.
-- All that names a person or a firm is in this schema and can be emptied; credits stay.

create schema accounts;

create table accounts.profile (
    account_id bigint      primary key,
    name       text        not null unique check (length(name) between 1 and 200),
    created_at timestamptz not null default now()
);

create table accounts.api_key (
    id         text        primary key check (id ~ '^[0-9A-Za-z]{12}$'),
    account_id bigint      not null references accounts.profile (account_id),
    label      text        not null check (length(label) between 1 and 200),
    hash       bytea       not null check (length(hash) = 32),
    pepper_id  text        not null,
    last_four  text        not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
create index api_key_account on accounts.api_key (account_id);

comment on column accounts.api_key.hash is 'BLAKE2b-256 of the whole key, keyed with the pepper';
comment on column accounts.api_key.pepper_id is 'tells which pepper made the hash, not the pepper';

-- Every gateway keeps verified keys in memory and listens here to forget them.
create function accounts.announce_change() returns trigger
language plpgsql as $$
begin
    perform pg_notify('ephemera_keys', '');
    return null;
end $$;

create trigger api_key_changed after update or delete on accounts.api_key
    for each statement execute function accounts.announce_change();
create trigger account_status_changed after update of status on credits.account
    for each statement execute function accounts.announce_change();
