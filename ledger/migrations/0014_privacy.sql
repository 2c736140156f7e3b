-- What people may ask for (erasure, restriction, objection), what shows that the rules were kept
-- (runs of retention), and what was promised when (versions of the privacy page).
--
-- ledger/privacy/inventory.toml says what becomes of every column; this schema names nobody.

create schema privacy;

-- One row for each round of a table: written in the transaction that deleted the rows.
create table privacy.retention_run (
    id         bigint      generated always as identity primary key,
    at         timestamptz not null,
    table_name text        not null check (length(table_name) <= 130),
    retention  text        not null check (length(retention) <= 40),
    -- What was older than this went.
    cutoff     timestamptz not null,
    rows       bigint      not null check (rows >= 0),
    -- False: there was more of it, and the next round goes on.
    complete   boolean     not null
);
create index retention_run_table on privacy.retention_run (table_name, at desc);
create trigger retention_run_append_only before update or delete or truncate
    on privacy.retention_run for each statement execute function credits.deny_change();

-- An erasure from the moment it is asked for. Its steps are tables that are empty of their owner;
-- each is noted in the transaction that emptied it, so that whoever goes on after a death knows
-- where. What stays of it is the proof: a number that means nothing, times, and a count.
create table privacy.erasure (
    id           uuid        primary key,
    -- Null: of a person who leaves the service and no account.
    account_id   bigint,
    requested_by bigint,
    requested_at timestamptz not null,
    -- Until then it can be called off.
    begins_at    timestamptz not null,
    finish_by    timestamptz not null,
    -- What the account was before, to be again when it is called off.
    was          text        check (was in ('active', 'frozen')),
    state        text        not null default 'waiting'
                             check (state in ('waiting', 'running', 'done', 'cancelled')),
    began_at     timestamptz,
    -- Who goes with it: decided when it begins, forgotten when it is done.
    persons      bigint[]    not null default '{}',
    steps        text[]      not null default '{}',
    rows         bigint      not null default 0,
    ended_at     timestamptz,
    constraint erasure_began check (state in ('waiting', 'cancelled') or began_at is not null),
    constraint erasure_over_when check ((state in ('done', 'cancelled')) = (ended_at is not null)),
    constraint erasure_forgets check (
        state <> 'done' or requested_by is null and persons = '{}')
);
create unique index erasure_account on privacy.erasure (account_id)
    where state in ('waiting', 'running') and account_id is not null;
create unique index erasure_person on privacy.erasure (requested_by)
    where state in ('waiting', 'running') and account_id is null;
create index erasure_due on privacy.erasure (begins_at) where state in ('waiting', 'running');

-- Processing is restricted (GDPR, article 18): what is there stays, and nothing is done with it.
create table privacy.restriction (
    account_id bigint      primary key references credits.account (id) on delete cascade,
    since      timestamptz not null,
    was        text        not null check (was in ('active', 'frozen'))
);

-- Objections to what rests on legitimate interest (article 21): of a person, or for an account.
create table privacy.objection (
    person_id  bigint      references people.person on delete cascade,
    account_id bigint      references credits.account (id) on delete cascade,
    purpose    text        not null check (purpose ~ '^[a-z-]{1,40}$'),
    since      timestamptz not null,
    constraint objection_of_one check ((person_id is null) <> (account_id is null))
);
create unique index objection_person on privacy.objection (person_id, purpose)
    where person_id is not null;
create unique index objection_account on privacy.objection (account_id, purpose)
    where account_id is not null;

-- Machines of somebody who does not want them remembered are not, whoever asks for it.
create function privacy.respect_objection() returns trigger
language plpgsql set search_path = privacy, pg_temp as $$
begin
    if exists (select from objection o
                where o.person_id = new.person_id and o.purpose = tg_argv[0]) then
        return null;
    end if;
    return new;
end $$;
create trigger device_objected before insert on people.device
    for each row execute function privacy.respect_objection('devices');

-- Every version of the privacy page that was ever published, by the hash of what it says.
create table privacy.policy (
    hash         text        primary key check (hash ~ '^[0-9a-f]{64}$'),
    published_at timestamptz not null,
    page         text        not null check (length(page) <= 1000000)
);
create trigger policy_append_only before update or delete or truncate on privacy.policy
    for each statement execute function credits.deny_change();

-- An account that is restricted or about to be erased does nothing, whoever would let it.
create function privacy.hold_frozen() returns trigger
language plpgsql set search_path = privacy, pg_temp as $$
begin
    if exists (select from restriction r where r.account_id = new.id)
       or exists (select from erasure e
                   where e.account_id = new.id and e.state in ('waiting', 'running')) then
        new.status := 'frozen';
    end if;
    return new;
end $$;
create trigger account_held_frozen before update of status on credits.account
    for each row when (new.status = 'active') execute function privacy.hold_frozen();
