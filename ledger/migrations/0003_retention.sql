-- What happens to the books later: goodwill, daily seals, and the end of closed accounts.

-- A refund of something that was settled, by a person, with a reason: at most the debit, once.
create function credits.goodwill(
    p_account bigint, p_conversion uuid, p_amount bigint, p_reference text, p_reason text,
    out outcome text, out balance_after bigint)
language plpgsql security definer set search_path = credits, pg_temp as $$
declare
    a account;
    debit entry;
    refund entry;
begin
    select * into a from account where id = p_account;
    select * into debit from entry e where e.account_id = p_account
       and e.conversion_id = p_conversion and e.kind = 'consumption';
    select * into refund from entry e where e.account_id = p_account
       and e.conversion_id = p_conversion and e.kind = 'refund';
    balance_after := a.balance;
    if a.id is null then
        outcome := 'account_unknown';
    elsif a.status = 'closed' then
        outcome := 'account_closed';
    elsif refund.seq is not null then
        outcome := case when (refund.reference, refund.amount) = (p_reference, p_amount)
                        then 'repeat' else 'lapsed' end;
    elsif debit.seq is null or p_amount > -debit.amount or exists (
            select from open_debit o
             where o.account_id = p_account and o.conversion_id = p_conversion) then
        outcome := 'lapsed';
    else
        balance_after := a.balance + p_amount;
        update account set balance = a.balance + p_amount, seq = a.seq + 1 where id = p_account;
        insert into entry (account_id, seq, amount, balance_after, created_at, kind,
                           conversion_id, reference, reason)
        values (p_account, a.seq + 1, p_amount, a.balance + p_amount, clock_timestamp(), 'refund',
                p_conversion, p_reference, p_reason);
        outcome := 'done';
    end if;
end $$;

-- One line a day over everything booked on it, each made of the one before: whoever publishes or
-- signs the last digest elsewhere can show later that no entry was changed, not even by a
-- superuser who switched the triggers off.
create table credits.seal (
    day       date        primary key,
    entries   bigint      not null,
    total     numeric     not null,
    content   bytea       not null,
    digest    bytea       not null,
    sealed_at timestamptz not null default now()
);
create trigger seal_append_only before update or delete or truncate on credits.seal
    for each statement execute function credits.deny_change();

-- Entries arrive in the order of their time, so a few kilobytes of index find a day.
create index entry_time on credits.entry using brin (created_at) with (pages_per_range = 32);

create function credits.day_content(
    p_day date, out entries bigint, out total numeric, out content bytea)
language sql stable set search_path = credits, pg_temp as $$
    select count(*), coalesce(sum(e.amount), 0),
           sha256(coalesce(string_agg(sha256(
               int8send(e.account_id) || int8send(e.seq) || int8send(e.amount)
               || int8send(e.balance_after) || convert_to(e.kind::text, 'UTF8')
               || coalesce(uuid_send(e.conversion_id), '\x00') || '\x00'
               || coalesce(convert_to(e.reference, 'UTF8'), '') || '\x00'
               || coalesce(convert_to(e.reason, 'UTF8'), '')),
               ''::bytea order by e.account_id, e.seq), ''::bytea))
      from entry e
     where e.created_at >= p_day::timestamp at time zone 'UTC'
       and e.created_at < (p_day + 1)::timestamp at time zone 'UTC'
$$;

-- Seals every day that ended a while ago: no transaction of that day is still under way.
create function credits.seal_days() returns setof credits.seal
language plpgsql security definer set search_path = credits, pg_temp as $$
declare
    last seal;
    sealed seal;
    next_day date;
begin
    lock table seal in share row exclusive mode;
    select * into last from seal order by day desc limit 1;
    next_day := coalesce(last.day + 1,
        (select (min(created_at) at time zone 'UTC')::date from entry));
    while next_day < ((now() - interval '1 hour') at time zone 'UTC')::date loop
        insert into seal (day, entries, total, content, digest)
        select next_day, c.entries, c.total, c.content,
               sha256(coalesce(last.digest, ''::bytea) || c.content)
          from day_content(next_day) c
        returning * into sealed;
        return next sealed;
        last := sealed;
        next_day := next_day + 1;
    end loop;
end $$;

-- Days whose entries or whose place in the chain are no longer what was sealed. Entries are
-- compared for seven years; older ones may have been purged, and only their digests are checked.
create function credits.broken_seals() returns setof date
language sql stable security definer set search_path = credits, pg_temp as $$
    select s.day
      from (select *, lag(digest) over (order by day) as previous,
                   lag(day) over (order by day) as previous_day from seal) s
      left join lateral day_content(s.day) c on s.day > now() - interval '7 years'
     where s.digest <> sha256(coalesce(s.previous, ''::bytea) || s.content)
        or s.previous_day <> s.day - 1
        or (c.content, c.entries, c.total) is distinct from (s.content, s.entries, s.total)
           and s.day > now() - interval '7 years'
     order by s.day
$$;

-- Seven years after its closure an account and its entries go, and leave this.
create table credits.tombstone (
    account_id bigint      primary key,
    entries    bigint      not null,
    balance    bigint      not null,
    digest     bytea       not null,
    closed_at  timestamptz not null,
    purged_at  timestamptz not null default now()
);
create trigger tombstone_append_only before update or delete or truncate on credits.tombstone
    for each statement execute function credits.deny_change();

drop trigger entry_append_only on credits.entry;
create trigger entry_append_only before update or truncate on credits.entry
    for each statement execute function credits.deny_change();
drop trigger account_kept on credits.account;
create trigger account_kept before truncate on credits.account
    for each statement execute function credits.deny_change();

create function credits.check_retention() returns trigger
language plpgsql set search_path = credits, pg_temp as $$
begin
    if exists (select from gone g
                where not exists (select from tombstone t
                                   where t.account_id = g.account_id
                                     and t.closed_at < now() - interval '7 years')) then
        raise exception '%.% is kept for seven years after the account was closed',
            tg_table_schema, tg_table_name using errcode = 'restrict_violation';
    end if;
    return null;
end $$;
create trigger entry_kept after delete on credits.entry
    referencing old table as gone
    for each statement execute function credits.check_retention();

create function credits.check_account_retention() returns trigger
language plpgsql set search_path = credits, pg_temp as $$
begin
    if not exists (select from tombstone t where t.account_id = old.id)
       or exists (select from entry e where e.account_id = old.id) then
        raise exception 'credits.account is kept for seven years after it was closed'
            using errcode = 'restrict_violation';
    end if;
    return old;
end $$;
create trigger account_kept_row before delete on credits.account
    for each row execute function credits.check_account_retention();

create function credits.purge(p_limit int) returns bigint
language plpgsql security definer set search_path = credits, accounts, pg_temp as $$
declare
    dead bigint[];
begin
    with due as (
        select id, balance, closed_at from account
         where status = 'closed' and closed_at < now() - interval '7 years'
         order by closed_at limit p_limit),
    buried as (
        insert into tombstone (account_id, entries, balance, digest, closed_at)
        select d.id, count(e.seq), d.balance,
               sha256(coalesce(string_agg(int8send(e.seq) || int8send(e.amount)
                   || convert_to(e.kind::text, 'UTF8'), ''::bytea order by e.seq), ''::bytea)),
               d.closed_at
          from due d left join entry e on e.account_id = d.id
         group by d.id, d.balance, d.closed_at
        returning account_id)
    select array_agg(account_id) into dead from buried;
    delete from idempotency_key where account_id = any (dead);
    delete from entry where account_id = any (dead);
    delete from account where id = any (dead);
    delete from api_key where account_id = any (dead);
    delete from profile where account_id = any (dead);
    return coalesce(cardinality(dead), 0);
end $$;

-- The right to be forgotten: of a closed account everything that names somebody goes, at once;
-- its entries stay under an id that means nothing.
create function accounts.erase(p_account bigint) returns boolean
language plpgsql security definer set search_path = accounts, pg_temp as $$
begin
    if not exists (select from credits.account where id = p_account and status = 'closed') then
        return false;
    end if;
    delete from api_key where account_id = p_account;
    update profile set name = 'erased ' || p_account where account_id = p_account;
    return true;
end $$;
