-- What limits several gateways share: one moment a subject. And who is suspended.

create schema limits;

-- All that a subject used is paid for at its moment, in nanoseconds since 1970 by this server's
-- clock, so that no other clock counts. Unlogged: after a crash everybody begins anew, which costs
-- a window of limits and saves all the writing. Half-empty pages keep updates inside them (HOT).
create unlogged table limits.moment (
    policy  text   not null check (policy ~ '^[a-z-]{1,40}$'),
    subject bytea  not null check (length(subject) = 16),
    paid_at bigint not null,
    primary key (policy, subject)
) with (fillfactor = 50);

comment on column limits.moment.subject is
    'BLAKE2b-128 of policy and subject, keyed with the pepper: no address and no key stands here';

-- Takes for many subjects at once: what was used already (must), and what is wanted on top while it
-- fits into the window, but not less than `least`. Gives what was granted of it, and how far each
-- moment lies ahead. Whoever calls sorts by policy and subject, so that no two wait in a circle.
create function limits.take(
    p_policy text[], p_subject bytea[], p_window bigint[],
    p_must bigint[], p_want bigint[], p_least bigint[],
    out granted bigint[], out ahead bigint[])
language plpgsql set search_path = limits, pg_temp as $$
declare
    this_moment bigint;
    paid bigint;
    extra bigint;
begin
    for i in 1 .. cardinality(p_policy) loop
        select paid_at into paid from moment
         where policy = p_policy[i] and subject = p_subject[i] for update;
        if not found then
            insert into moment values (p_policy[i], p_subject[i], 0) on conflict do nothing;
            select paid_at into paid from moment
             where policy = p_policy[i] and subject = p_subject[i] for update;
        end if;
        this_moment := (extract(epoch from clock_timestamp()) * 1000000000)::bigint;
        paid := greatest(coalesce(paid, 0), this_moment) + p_must[i];
        extra := least(p_want[i], greatest(0, this_moment + p_window[i] - paid));
        if extra < p_least[i] then
            extra := 0;
        end if;
        -- Nobody is shut out for longer than two windows by what was used already.
        paid := least(paid + extra, this_moment + 2 * p_window[i]);
        update moment set paid_at = paid where policy = p_policy[i] and subject = p_subject[i];
        granted[i] := extra;
        ahead[i] := paid - this_moment;
    end loop;
end $$;

-- How many uploads of an account each gateway is busy with, as it told last.
create unlogged table limits.inside (
    gateway_id bigint      not null,
    account_id bigint      not null,
    uploads    integer     not null check (uploads > 0),
    told_at    timestamptz not null default now(),
    primary key (account_id, gateway_id)
);

-- So many moments that have passed go: their subjects are as good as unknown. And so does what
-- gateways told that are dead.
create function limits.forget(p_limit int) returns bigint
language sql set search_path = limits, pg_temp as $$
    with gone as (
        delete from moment where (policy, subject) in (
            select policy, subject from moment
             where paid_at < (extract(epoch from clock_timestamp()) * 1000000000)::bigint
             limit p_limit for update skip locked)
        returning 1),
    silent as (
        delete from inside where (account_id, gateway_id) in (
            select account_id, gateway_id from inside
             where told_at < now() - interval '1 minute' limit p_limit for update skip locked))
    select count(*) from gone
$$;

-- Accounts, or single keys of theirs, that an operator shut out until further notice. A row goes
-- when its suspension is lifted; the audit records keep what happened.
create table accounts.suspension (
    account_id   bigint      not null references credits.account on delete cascade,
    key_id       text        references accounts.api_key on delete cascade,
    reason       text        not null check (length(reason) between 1 and 500),
    since        timestamptz not null default now(),
    -- The account could spend, and can again when this is lifted.
    was_active   boolean     not null
);
create unique index suspension_one on accounts.suspension (account_id, coalesce(key_id, ''));
create index suspension_key on accounts.suspension (key_id);
create trigger suspension_changed after insert or delete on accounts.suspension
    for each statement execute function accounts.announce_change();

comment on column accounts.suspension.reason is 'an operator''s words, without names';
