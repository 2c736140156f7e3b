-- Files that customers asked to be kept for a while, as ciphertext.
--
-- A file's key is made of a secret that only its handle has and of a half that only this schema
-- has (ledger/files/sealing.py): neither opens it alone, and deleting the half is deleting the file.
-- UNLOGGED: nothing of it is in the write-ahead log, on a standby or in an archive of the log, and
-- a crash of the server empties it, which is the safe side.

create schema files;

-- A file from the moment that room is made for it. It is there for customers once it has a half;
-- until then `expires_at` is the moment at which its writer counts as dead.
create unlogged table files.file (
    id         text        primary key check (id ~ '^[0-9A-Za-z]{16}$'),
    seq        bigint      generated always as identity,
    account_id bigint      not null,
    bytes      bigint      not null check (bytes >= 0),
    media_type text        not null default '' check (length(media_type) <= 200),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null check (expires_at <= created_at + interval '4 hours')
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create unique index file_account on files.file (account_id, seq);
create index file_expiry on files.file (expires_at);

comment on column files.file.bytes is 'the room that is kept for it; its size once it has a half';

-- Written once, when the file is complete, and never updated: every version of a row that
-- PostgreSQL keeps until its next vacuum would be one more copy of the half.
create unlogged table files.half (
    file_id text  primary key references files.file (id) on delete cascade,
    half    bytea not null check (length(half) = 32),
    proof   bytea not null check (length(proof) = 32),
    -- The file's name, sealed with the file's own key.
    name    bytea
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50);

create unlogged table files.chunk (
    file_id text    not null references files.file (id) on delete cascade,
    number  integer not null check (number >= 0),
    -- Not compressed: ciphertext does not get smaller, and trying costs CPU.
    sealed  bytea   not null,
    primary key (file_id, number)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0,
        toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 10000,
        toast.autovacuum_vacuum_cost_delay = 0);
alter table files.chunk alter column sealed set storage external;

-- Makes room for a file, or makes a file's room larger; says who is in the way. The lock lasts for
-- these few statements; without it two gateways could both take the last room.
create function files.make_room(
    p_id text, p_account bigint, p_bytes bigint, p_patience interval,
    p_bytes_max bigint, p_files_max bigint, p_account_bytes_max bigint, p_account_files_max bigint)
returns text
language plpgsql set search_path = files, pg_temp as $$
declare
    others record;
begin
    perform pg_advisory_xact_lock(hashtextextended('files.make_room', 0));
    select count(*) as files, coalesce(sum(f.bytes), 0) as bytes,
           count(*) filter (where f.account_id = p_account) as account_files,
           coalesce(sum(f.bytes) filter (where f.account_id = p_account), 0) as account_bytes
      into others from file f where f.id <> p_id;
    if not exists (select from credits.account a where a.id = p_account and a.status = 'active') then
        return 'account_frozen';
    elsif others.account_files >= p_account_files_max
          or others.account_bytes + p_bytes > p_account_bytes_max then
        return 'account_full';
    elsif others.files >= p_files_max or others.bytes + p_bytes > p_bytes_max then
        return 'full';
    end if;
    insert into file (id, account_id, bytes, expires_at)
    values (p_id, p_account, p_bytes, now() + p_patience)
    on conflict (id) do update set bytes = excluded.bytes, expires_at = excluded.expires_at;
    return 'done';
end $$;
