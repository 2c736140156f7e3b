-- What operators did to the running service: a row before each action, and one after it.

create schema audit;

-- Never content, never a file name: who, what, with which numbers, and how it ended. Each hash is
-- made of the one before and of the row (ledger/audit/record.py), so that a row that is changed,
-- removed or put in later, even by a superuser who switched the triggers off, breaks the chain.
create table audit.record (
    seq        bigint      primary key check (seq > 0),
    at         timestamptz not null,
    action_id  uuid        not null,
    actor      text        not null check (length(actor) between 1 and 100),
    gateway    text        not null check (length(gateway) between 1 and 100),
    action     text        not null check (length(action) between 1 and 50),
    parameters text        not null check (length(parameters) between 2 and 2000),
    -- Null in the row that is written before the action.
    outcome    text        check (outcome in ('done', 'failed', 'cancelled')),
    detail     text        not null check (length(detail) <= 2000),
    hash       bytea       not null check (length(hash) = 32)
);

-- An action is announced once and ends at most once.
create unique index record_intent on audit.record (action_id) where outcome is null;
create unique index record_outcome on audit.record (action_id) where outcome is not null;

create trigger record_append_only before update or delete or truncate on audit.record
    for each statement execute function credits.deny_change();

-- Whoever saw the last row before we did makes us fail at the primary key; a gap fails here.
create function audit.check_place() returns trigger
language plpgsql set search_path = audit, pg_temp as $$
begin
    if new.seq > 1 and not exists (select from record where seq = new.seq - 1) then
        raise exception 'audit.record % has no row before it', new.seq
            using errcode = 'restrict_violation';
    end if;
    if new.outcome is not null and not exists (
            select from record where action_id = new.action_id and outcome is null) then
        raise exception 'audit.record % ends an action that was never announced', new.seq
            using errcode = 'restrict_violation';
    end if;
    return new;
end $$;

create trigger record_place before insert on audit.record
    for each row execute function audit.check_place();
