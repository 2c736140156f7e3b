-- The schema as it is today: what the migrations make, printed by pg_dump. For reading; nothing
-- applies it. EPHEMERA_WRITE_SCHEMA=1 make test ARGS=tests/ledger/test_migrate.py writes it anew.

CREATE SCHEMA accounts;

CREATE SCHEMA audit;

CREATE SCHEMA connections;

CREATE SCHEMA credits;

CREATE SCHEMA ephemera;

CREATE SCHEMA files;

CREATE SCHEMA limits;

CREATE SCHEMA mail;

CREATE SCHEMA people;

CREATE SCHEMA privacy;

CREATE SCHEMA requests;

CREATE SCHEMA support;

CREATE SCHEMA tasks;

CREATE TYPE credits.kind AS ENUM (
    'purchase',
    'consumption',
    'refund',
    'adjustment'
);

CREATE FUNCTION accounts.announce_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('ephemera_keys', '');
    return null;
end $$;

CREATE FUNCTION accounts.erase(p_account bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'accounts', 'pg_temp'
    AS $$
begin
    if not exists (select from credits.account where id = p_account and status = 'closed') then
        return false;
    end if;
    delete from api_key where account_id = p_account;
    update profile set name = 'erased ' || p_account where account_id = p_account;
    return true;
end $$;

CREATE FUNCTION audit.check_place() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'audit', 'pg_temp'
    AS $$
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

CREATE FUNCTION connections.destroy() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'connections', 'pg_temp'
    AS $$
begin
    delete from connection where account_id = new.id;
    return null;
end $$;

CREATE FUNCTION credits.announce_low_balance() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    AS $$
begin
    perform pg_notify('ephemera_balance', json_build_object(
        'account_id', new.id, 'seq', new.seq, 'balance', new.balance,
        'threshold', new.low_balance)::text);
    insert into mail.crossing (account_id, seq, balance, threshold)
    values (new.id, new.seq, new.balance, new.low_balance)
    on conflict do nothing;
    return null;
end $$;

CREATE PROCEDURE credits.apply(IN p_gateway bigint, IN p_lifetime interval, IN p_kind text[], IN p_account bigint[], IN p_amount bigint[], IN p_conversion uuid[], IN p_key text[], IN p_fingerprint bytea[], IN p_reference text[], IN p_reason text[], INOUT outcomes text[], INOUT balances bigint[], INOUT seqs bigint[])
    LANGUAGE plpgsql
    AS $$
begin
    commit;
    set transaction isolation level serializable;
    set local lock_timeout = '5s';
    lock table credits.turn in share row exclusive mode;
    select t.outcomes, t.balances, t.seqs into outcomes, balances, seqs
      from credits.post(p_gateway, p_lifetime, p_kind, p_account, p_amount, p_conversion,
                        p_key, p_fingerprint, p_reference, p_reason) t;
    commit;
end $$;

CREATE PROCEDURE credits.apply_capped(IN p_gateway bigint, IN p_lifetime interval, IN p_kind text[], IN p_account bigint[], IN p_amount bigint[], IN p_conversion uuid[], IN p_key text[], IN p_fingerprint bytea[], IN p_reference text[], IN p_reason text[], IN p_spender text[], IN p_day_max bigint[], IN p_month_max bigint[], INOUT outcomes text[], INOUT balances bigint[], INOUT seqs bigint[])
    LANGUAGE plpgsql
    AS $$
begin
    commit;
    set transaction isolation level serializable;
    set local lock_timeout = '5s';
    lock table credits.turn in share row exclusive mode;
    select t.outcomes, t.balances, t.seqs into outcomes, balances, seqs
      from credits.post_capped(p_gateway, p_lifetime, p_kind, p_account, p_amount, p_conversion,
                               p_key, p_fingerprint, p_reference, p_reason,
                               p_spender, p_day_max, p_month_max) t;
    commit;
end $$;

CREATE FUNCTION credits.broken_seals() RETURNS SETOF date
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    AS $$
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

CREATE FUNCTION credits.check_account_retention() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'credits', 'pg_temp'
    AS $$
begin
    if not exists (select from tombstone t where t.account_id = old.id)
       or exists (select from entry e where e.account_id = old.id) then
        raise exception 'credits.account is kept for seven years after it was closed'
            using errcode = 'restrict_violation';
    end if;
    return old;
end $$;

CREATE FUNCTION credits.check_chain() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'credits', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_material TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    broken record;
begin
    if current_setting('transaction_isolation') <> 'serializable' then
        raise exception 'credits move in SERIALIZABLE transactions only' using errcode = 'LD001';
    end if;
    -- The CASE makes an index probe only for the first (last) new entry of each account.
    select n.account_id, n.seq into broken
      from (select account_id, seq, amount, balance_after,
                   lag(seq) over chain as previous_seq,
                   lag(balance_after) over chain as previous_balance,
                   lead(seq) over chain is null as is_last
              from new_entry
            window chain as (partition by account_id order by seq)) n
      left join entry p
        on p.account_id = n.account_id
       and p.seq = case when n.previous_seq is null then n.seq - 1 end
      left join account a
        on a.id = case when n.is_last then n.account_id end
     where n.seq is distinct from coalesce(n.previous_seq, p.seq, 0) + 1
        or n.balance_after is distinct from
           coalesce(n.previous_balance, p.balance_after, 0) + n.amount
        or n.is_last and (a.seq, a.balance) is distinct from (n.seq, n.balance_after)
     limit 1;
    if found then
        raise exception 'the chain of account % breaks at entry %', broken.account_id, broken.seq
            using errcode = 'LD900';
    end if;
    return null;
end $$;

CREATE FUNCTION credits.check_retention() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'credits', 'pg_temp'
    AS $$
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

CREATE FUNCTION credits.day_content(p_day date, OUT entries bigint, OUT total numeric, OUT content bytea) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'credits', 'pg_temp'
    AS $$
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

CREATE FUNCTION credits.deny_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception '%.% is append-only', tg_table_schema, tg_table_name
        using errcode = 'restrict_violation';
end $$;

CREATE FUNCTION credits.fold_spending(p_spender text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    AS $$
    with over as (
        delete from spending s
         where s.spender = p_spender
           and not exists (select from open_debit o
                            where o.account_id = s.account_id
                              and o.conversion_id = s.conversion_id)
        returning s.*)
    insert into spent (spender, day, amount)
    select o.spender, o.day, sum(o.amount) from over o
     where exists (select from entry e where e.account_id = o.account_id
                      and e.conversion_id = o.conversion_id and e.kind = 'consumption')
       and not exists (select from entry e where e.account_id = o.account_id
                          and e.conversion_id = o.conversion_id and e.kind = 'refund'
                          and e.reference is null)
     group by o.spender, o.day
    on conflict (spender, day) do update set amount = spent.amount + excluded.amount
$$;

CREATE FUNCTION credits.forget_keys(p_limit integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    AS $$
    with gone as (
        delete from idempotency_key k
         using (select account_id, key from idempotency_key
                 where expires_at < now() order by expires_at limit p_limit
                   for update skip locked) old
         where k.account_id = old.account_id and k.key = old.key
        returning 1)
    select count(*) from gone
$$;

CREATE FUNCTION credits.forget_spent(p_limit integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    AS $$
    with old as (
        delete from spent where (spender, day) in (
            select spender, day from spent where day < current_date - 62 limit p_limit)
        returning 1),
    lost as (
        delete from spending where (account_id, conversion_id) in (
            select account_id, conversion_id from spending
             where day < current_date - 62 limit p_limit)
        returning 1)
    select (select count(*) from old) + (select count(*) from lost)
$$;

CREATE FUNCTION credits.goodwill(p_account bigint, p_conversion uuid, p_amount bigint, p_reference text, p_reason text, OUT outcome text, OUT balance_after bigint) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    AS $$
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

CREATE FUNCTION credits.post(p_gateway bigint, p_lifetime interval, p_kind text[], p_account bigint[], p_amount bigint[], p_conversion uuid[], p_key text[], p_fingerprint bytea[], p_reference text[], p_reason text[], OUT outcomes text[], OUT balances bigint[], OUT seqs bigint[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_material TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
    op        record;
    booked    record;
    account   bigint;
    cash      bigint;
    last_seq  bigint;
    result    text;
    change    bigint;
    refunded  boolean;
    leased    boolean := exists (select from gateway g where g.id = p_gateway);
    made      entry[] := '{}';
    opened    open_debit[] := '{}';
    reserved  idempotency_key[] := '{}';
    closed    open_debit[] := '{}';
begin
    if current_setting('transaction_isolation') <> 'serializable' then
        raise exception 'credits move in SERIALIZABLE transactions only' using errcode = 'LD001';
    end if;

    for op in
        select u.ordinality::int as at, u.kind, u.account, u.amount, u.conversion,
               u.key, u.fingerprint, u.reference, u.reason,
               a.balance, a.seq, a.status,
               o.amount as open_amount, o.key as open_key,
               d.seq as debit_seq, d.balance_after as debit_balance,
               k.fingerprint as key_fingerprint, ko.conversion_id is not null as key_open,
               min(u.ordinality) over (partition by u.account, u.kind, u.conversion)::int
                   as first_at,
               min(u.ordinality) over (partition by u.account, u.key)::int as key_first_at,
               bool_or(u.kind = 'refund') over (partition by u.account, u.conversion)
                   as refund_too
          from unnest(p_kind, p_account, p_amount, p_conversion, p_key, p_fingerprint,
                      p_reference, p_reason) with ordinality
               as u (kind, account, amount, conversion, key, fingerprint, reference, reason)
          left join account a on a.id = u.account
          left join open_debit o on o.account_id = u.account and o.conversion_id = u.conversion
          left join entry d on d.account_id = u.account and d.conversion_id = u.conversion
                           and d.kind = 'consumption'
          left join idempotency_key k on k.account_id = u.account and k.key = u.key
                                     and k.expires_at > now()
          left join open_debit ko on ko.account_id = k.account_id
                                and ko.conversion_id = k.conversion_id
         order by u.account, u.kind = 'debit', u.kind = 'settle', u.ordinality
    loop
        if account is distinct from op.account then
            account := op.account;
            cash := op.balance;
            last_seq := op.seq;
        end if;
        result := 'done';
        change := 0;

        if cash is null then
            result := 'account_unknown';

        elsif op.kind in ('purchase', 'adjustment') then
            -- Booked before, or by this batch.
            select b.seq, b.amount, b.balance_after into booked
              from (select * from entry e
                     where e.account_id = op.account and e.kind = op.kind::kind
                       and e.reference = op.reference
                    union all
                    select * from unnest(made) m
                     where m.account_id = op.account and m.kind = op.kind::kind
                       and m.reference = op.reference) b;
            if found then
                result := case when booked.amount = op.amount then 'repeat'
                               else 'reference_used' end;
                outcomes[op.at] := result;
                balances[op.at] := booked.balance_after;
                seqs[op.at] := booked.seq;
                continue;
            elsif op.status = 'closed' then
                result := 'account_closed';
            elsif cash + op.amount < 0 then
                result := 'insufficient';
            else
                change := op.amount;
            end if;

        elsif op.first_at < op.at then   -- the same again in one batch has the same answer
            outcomes[op.at] := outcomes[op.first_at];
            balances[op.at] := balances[op.first_at];
            seqs[op.at] := seqs[op.first_at];
            continue;

        elsif op.kind = 'debit' then
            if op.debit_seq is not null then   -- made by an earlier call whose answer was lost
                refunded := op.open_amount is not null and op.refund_too   -- in this batch
                    or exists (select from entry e
                        where e.account_id = op.account and e.conversion_id = op.conversion
                          and e.kind = 'refund');
                outcomes[op.at] := case when refunded then 'lapsed' else 'done' end;
                balances[op.at] := op.debit_balance;
                seqs[op.at] := op.debit_seq;
                continue;
            elsif not leased then
                result := 'gateway_unknown';
            elsif op.status <> 'active' then
                result := 'account_' || op.status;
            elsif op.key_fingerprint is not null then
                result := case when op.key_fingerprint <> op.fingerprint then 'key_mismatch'
                               when op.key_open then 'key_in_flight'
                               else 'repeat' end;
            elsif op.key is not null and op.key_first_at < op.at then
                result := 'key_in_flight';   -- of this very batch; a retry is told the rest
            elsif op.amount > cash then
                result := 'insufficient';
            else
                change := -op.amount;
                opened := opened || row(op.account, op.conversion, op.amount, p_gateway,
                                        now() + p_lifetime, op.key)::open_debit;
                if op.key is not null then
                    reserved := reserved || row(op.account, op.key, op.fingerprint, op.conversion,
                                                now() + interval '24 hours')::idempotency_key;
                end if;
            end if;

        elsif op.open_amount is not null then   -- settle or refund, and the debit is open
            if op.kind = 'settle' and op.refund_too then
                result := 'lapsed';
            elsif op.kind = 'settle' then
                closed := closed || row(op.account, op.conversion, 0, 0, now(), null)::open_debit;
            else   -- a refund also gives its key back, so that a retry is a new attempt
                change := op.open_amount;
                closed := closed
                    || row(op.account, op.conversion, 0, 0, now(), op.open_key)::open_debit;
            end if;

        else   -- settle or refund, and it is too late: the entries say what happened
            refunded := exists (select from entry e
                where e.account_id = op.account and e.conversion_id = op.conversion
                  and e.kind = 'refund');
            if op.debit_seq is null or refunded <> (op.kind = 'refund') then
                result := 'lapsed';
            end if;
        end if;

        if change <> 0 then
            cash := cash + change;
            last_seq := last_seq + 1;
            made := made || row(op.account, last_seq, change, cash, clock_timestamp(),
                (case op.kind when 'debit' then 'consumption' else op.kind end)::kind,
                op.conversion, op.reference, op.reason)::entry;
        end if;
        outcomes[op.at] := result;
        balances[op.at] := cash;
        seqs[op.at] := last_seq;
    end loop;

    if cardinality(closed) > 0 then
        delete from idempotency_key k using unnest(closed) c
         where k.account_id = c.account_id and k.key = c.key
           and k.conversion_id = c.conversion_id;
        delete from open_debit o using unnest(closed) c
         where o.account_id = c.account_id and o.conversion_id = c.conversion_id;
    end if;
    if cardinality(made) > 0 then
        update account a set balance = n.balance_after, seq = n.seq
          from (select distinct on (e.account_id) e.account_id, e.seq, e.balance_after
                  from unnest(made) e order by e.account_id, e.seq desc) n
         where a.id = n.account_id;
        insert into entry select * from unnest(made);
    end if;
    if cardinality(opened) > 0 then
        insert into open_debit select * from unnest(opened);
    end if;
    if cardinality(reserved) > 0 then
        insert into idempotency_key select * from unnest(reserved)
            on conflict (account_id, key) do update
               set fingerprint = excluded.fingerprint, conversion_id = excluded.conversion_id,
                   expires_at = excluded.expires_at;
    end if;
end $$;

CREATE FUNCTION credits.post_capped(p_gateway bigint, p_lifetime interval, p_kind text[], p_account bigint[], p_amount bigint[], p_conversion uuid[], p_key text[], p_fingerprint bytea[], p_reference text[], p_reason text[], p_spender text[], p_day_max bigint[], p_month_max bigint[], OUT outcomes text[], OUT balances bigint[], OUT seqs bigint[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_material TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
    pending_max constant int := 64;   -- rows that every look at the key adds up
    today       date := (now() at time zone 'UTC')::date;
    first       date := date_trunc('month', today)::date;
    op          record;
    spender     text;
    day_used    bigint;
    month_used  bigint;
    folded      boolean;
    allowed     int[] := '{}';
    passed      int[];
    posted      record;
begin
    if current_setting('transaction_isolation') <> 'serializable' then
        raise exception 'credits move in SERIALIZABLE transactions only' using errcode = 'LD001';
    end if;
    outcomes := array_fill(null::text, array[cardinality(p_kind)]);
    balances := array_fill(null::bigint, array[cardinality(p_kind)]);
    seqs := array_fill(null::bigint, array[cardinality(p_kind)]);

    for op in
        with held as materialized (
            select h.spender, coalesce(sum(h.amount) filter (where h.day = today), 0) as day,
                   sum(h.amount) as month, sum(h.pending) as pending
              from (select s.spender, s.day, s.amount, 0 as pending from spent s
                     where s.spender = any (p_spender) and s.day >= first
                    union all
                    select s.spender, s.day, s.amount, 1 from spending s
                     where s.spender = any (p_spender) and s.day >= first) h
             group by h.spender)
        select u.ordinality::int as at, u.spender, u.amount, u.day_max, u.month_max,
               coalesce(h.day, 0)::bigint as day, coalesce(h.month, 0)::bigint as month,
               coalesce(h.pending, 0) as pending,
               -- Made by an earlier call whose answer was lost, or a repeat that costs nothing:
               -- post() knows the answer.
               exists (select from entry e where e.account_id = u.account
                          and e.conversion_id = u.conversion and e.kind = 'consumption')
               or exists (select from idempotency_key k where k.account_id = u.account
                             and k.key = u.key and k.expires_at > now()) as known
          from unnest(p_kind, p_account, p_amount, p_conversion, p_key,
                      p_spender, p_day_max, p_month_max) with ordinality
               as u (kind, account, amount, conversion, key, spender, day_max, month_max)
          left join held h on h.spender = u.spender
         where u.kind = 'debit' and u.spender is not null
         order by u.spender, u.ordinality
    loop
        if spender is distinct from op.spender then
            spender := op.spender;
            day_used := op.day;
            month_used := op.month;
            folded := false;
        end if;
        continue when op.known;
        if not folded and (op.pending > pending_max or day_used + op.amount > op.day_max
                           or month_used + op.amount > op.month_max) then
            -- Nothing of this batch stands in `spending` yet: what it took so far is added again.
            perform fold_spending(op.spender);
            select day_used - op.day + coalesce(sum(h.amount) filter (where h.day = today), 0),
                   month_used - op.month + coalesce(sum(h.amount), 0)
              into day_used, month_used
              from (select s.day, s.amount from spent s
                     where s.spender = op.spender and s.day >= first
                    union all
                    select s.day, s.amount from spending s
                     where s.spender = op.spender and s.day >= first) h;
            folded := true;
        end if;
        if day_used + op.amount > op.day_max then
            outcomes[op.at] := 'day_cap';
            balances[op.at] := greatest(op.day_max - day_used, 0);
        elsif month_used + op.amount > op.month_max then
            outcomes[op.at] := 'month_cap';
            balances[op.at] := greatest(op.month_max - month_used, 0);
        else
            day_used := day_used + op.amount;
            month_used := month_used + op.amount;
            allowed := allowed || op.at;
        end if;
    end loop;

    -- One that was sent before and was not made is there already.
    insert into spending (account_id, conversion_id, spender, day, amount)
    select p_account[at], p_conversion[at], p_spender[at], today, p_amount[at]
      from unnest(allowed) at
    on conflict do nothing;

    select array_agg(at order by at) into passed
      from generate_subscripts(p_kind, 1) at where outcomes[at] is null;
    if passed is not null then
        select t.* into posted
          from (select array_agg(p_kind[at] order by at) as kind,
                       array_agg(p_account[at] order by at) as account,
                       array_agg(p_amount[at] order by at) as amount,
                       array_agg(p_conversion[at] order by at) as conversion,
                       array_agg(p_key[at] order by at) as key,
                       array_agg(p_fingerprint[at] order by at) as fingerprint,
                       array_agg(p_reference[at] order by at) as reference,
                       array_agg(p_reason[at] order by at) as reason
                  from unnest(passed) at) a,
               post(p_gateway, p_lifetime, a.kind, a.account, a.amount, a.conversion,
                    a.key, a.fingerprint, a.reference, a.reason) t;
        for i in 1 .. cardinality(passed) loop
            outcomes[passed[i]] := posted.outcomes[i];
            balances[passed[i]] := posted.balances[i];
            seqs[passed[i]] := posted.seqs[i];
        end loop;
    end if;
end $$;

CREATE FUNCTION credits.purge(p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'credits', 'accounts', 'pg_temp'
    AS $$
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

CREATE TABLE credits.seal (
    day date NOT NULL,
    entries bigint NOT NULL,
    total numeric NOT NULL,
    content bytea NOT NULL,
    digest bytea NOT NULL,
    sealed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE FUNCTION credits.seal_days() RETURNS SETOF credits.seal
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'credits', 'pg_temp'
    AS $$
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

CREATE FUNCTION files.make_room(p_id text, p_account bigint, p_bytes bigint, p_patience interval, p_bytes_max bigint, p_files_max bigint, p_account_bytes_max bigint, p_account_files_max bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'files', 'pg_temp'
    AS $$
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

CREATE FUNCTION limits.forget(p_limit integer) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'limits', 'pg_temp'
    AS $$
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

CREATE FUNCTION limits.take(p_policy text[], p_subject bytea[], p_window bigint[], p_must bigint[], p_want bigint[], p_least bigint[], OUT granted bigint[], OUT ahead bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'limits', 'pg_temp'
    AS $$
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

CREATE FUNCTION privacy.hold_frozen() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'privacy', 'pg_temp'
    AS $$
begin
    if exists (select from restriction r where r.account_id = new.id)
       or exists (select from erasure e
                   where e.account_id = new.id and e.state in ('waiting', 'running')) then
        new.status := 'frozen';
    end if;
    return new;
end $$;

CREATE FUNCTION privacy.respect_objection() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'privacy', 'pg_temp'
    AS $$
begin
    if exists (select from objection o
                where o.person_id = new.person_id and o.purpose = tg_argv[0]) then
        return null;
    end if;
    return new;
end $$;

CREATE FUNCTION requests.drop_days(p_before date) RETURNS SETOF date
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'requests', 'pg_temp'
    AS $_$
declare
    name text;
begin
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'requests.record'::regclass and c.relname ~ '^record_\d{8}$'
           and to_date(right(c.relname, 8), 'YYYYMMDD') < p_before
         order by 1
    loop
        execute format('drop table if exists requests.%I', name);
        return next to_date(right(name, 8), 'YYYYMMDD');
    end loop;
end $_$;

CREATE FUNCTION requests.make_days(p_first date, p_last date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'requests', 'pg_temp'
    AS $$
declare
    made integer := 0;
    name text;
begin
    if p_last - p_first > 31 then
        raise exception 'at most a month of days is made at once';
    end if;
    -- Two gateways may meet here: they take turns.
    perform pg_advisory_xact_lock(hashtext('requests.make_days'));
    for offset_days in 0 .. p_last - p_first loop
        name := 'record_' || to_char(p_first + offset_days, 'YYYYMMDD');
        if to_regclass('requests.' || name) is null then
            execute format(
                'create table if not exists requests.%I partition of requests.record'
                ' for values from (%L) to (%L)',
                name,
                (p_first + offset_days)::timestamp at time zone 'UTC',
                (p_first + offset_days + 1)::timestamp at time zone 'UTC');
            made := made + 1;
        end if;
    end loop;
    return made;
end $$;

CREATE FUNCTION support.deny_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception '% of %.% is denied', tg_op, tg_table_schema, tg_table_name;
end $$;

CREATE PROCEDURE tasks.finish(IN p_seq bigint, IN p_conversion uuid, IN p_from text[], IN p_only text, IN p_state text, IN p_money text, IN p_reason text, IN p_outcome bytea, IN p_results text[], IN p_code text, IN p_keep interval, IN p_event text, IN p_event_id text, IN p_body text, INOUT result text)
    LANGUAGE plpgsql
    AS $$
declare
    t       tasks.task;
    cost    bigint;
    final   boolean;
    said    text;
begin
    -- As in credits.apply: the turn is taken before the snapshot.
    commit;
    set transaction isolation level serializable;
    set local lock_timeout = '5s';
    -- Serializable transactions lock what they scan.
    set local enable_seqscan = off;
    lock table credits.turn in share row exclusive mode;
    select * into t from tasks.task k where k.seq = p_seq;
    if t.seq is null then
        result := 'gone';
    elsif t.state = p_state and (p_conversion is null or t.conversion_id = p_conversion)
          and (p_money not in ('settle', 'free') or t.settled) then
        result := 'done';
    elsif t.state <> all (p_from)
          or p_conversion is not null and t.conversion_id is distinct from p_conversion
          or p_only = 'lapsed' and t.lease_until >= now()
          or p_only = 'expired' and t.expires_at > now() then
        result := 'lost';
    else
        select o.amount into cost from credits.open_debit o
         where o.account_id = t.account_id and o.conversion_id = t.conversion_id;
        if p_money in ('settle', 'refund') and t.conversion_id is not null then
            select p.outcomes[1] into said from credits.post(
                0, interval '0', array[p_money], array[t.account_id], array[0::bigint],
                array[t.conversion_id], array[null]::text[], array[null]::bytea[],
                array[null]::text[], array[p_reason]) p;
        end if;
        final := p_money in ('settle', 'free');
        if p_money = 'settle' and said is distinct from 'done' then
            result := 'lapsed';
        else
            update tasks.task k
               set state = p_state, settled = final,
                   credits = case when p_money = 'refund' then 0 else coalesce(cost, k.credits) end,
                   outcome = coalesce(p_outcome, k.outcome),
                   results = coalesce(p_results, k.results), code = p_code,
                   stage = p_state, progress = case when p_state = 'succeeded' then 1
                                                    else k.progress end,
                   request = null, ended_at = coalesce(k.ended_at, now()),
                   expires_at = case when p_keep is null then k.expires_at
                                     else now() + p_keep end
             where k.seq = p_seq;
            -- Unreadable from now on; the store's sweeper takes the bytes.
            update files.file f set expires_at = now()
             where f.id = any (t.inputs) and f.account_id = t.account_id and f.expires_at > now();
            if p_event is not null then
                perform tasks.tell(t.account_id, t.id, t.hook_id, t.callback,
                                   p_event, p_event_id, p_body);
            end if;
            perform pg_notify('ephemera_tasks', 'changed ' || p_seq);
            result := 'done';
        end if;
    end if;
    commit;
end $$;

CREATE FUNCTION tasks.submit(p_account bigint, p_id text, p_hold text, p_holder uuid, p_source text, p_target text, p_request bytea, p_callback bytea, p_hook text, p_inputs text[], p_key text, p_fingerprint bytea, p_queue interval, p_lease interval, p_account_max bigint, p_max bigint, OUT outcome text, OUT task_id text, OUT task_seq bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'tasks', 'pg_temp'
    AS $$
declare
    known task;
    live  record;
begin
    perform pg_advisory_xact_lock(hashtextextended('tasks.submit', 0));
    task_id := p_id;
    select * into known from task t where t.account_id = p_account and t.client_key = p_key;
    if found then
        task_id := known.id;
        task_seq := known.seq;
        outcome := case when known.fingerprint = p_fingerprint then 'repeat' else 'mismatch' end;
        return;
    end if;
    select count(*) as all_of_them, count(*) filter (where t.account_id = p_account) as own,
           coalesce(min(t.turn) filter (where t.state = 'queued'), 0) as head,
           coalesce(max(t.turn) filter (where t.account_id = p_account) + 1, 0) as after_own
      into live from task t where t.state in ('queued', 'running');
    if not exists (select from credits.account a where a.id = p_account and a.status = 'active') then
        outcome := 'account_frozen';
    elsif exists (select from task t where t.account_id = p_account and t.id = p_id) then
        outcome := 'taken';
    elsif p_hook is not null and not exists (
            select from hook h where h.id = p_hook and h.account_id = p_account) then
        outcome := 'hook_unknown';
    elsif live.own >= p_account_max then
        outcome := 'account_full';
    elsif live.all_of_them >= p_max then
        outcome := 'full';
    else
        insert into task (account_id, id, hold, holder, source, target, request, callback, hook_id,
                          inputs, client_key, fingerprint, turn, lease_until, expires_at)
        values (p_account, p_id, p_hold, p_holder, p_source, p_target, p_request, p_callback,
                p_hook, p_inputs, p_key, p_fingerprint, greatest(live.head, live.after_own),
                now() + p_lease, now() + p_queue)
        returning seq into task_seq;
        outcome := 'done';
        perform pg_notify('ephemera_tasks', 'queued');
    end if;
end $$;

CREATE FUNCTION tasks.tell(p_account bigint, p_task text, p_hook text, p_callback bytea, p_event text, p_event_id text, p_body text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'tasks', 'pg_temp'
    AS $$
    insert into delivery (account_id, event_id, event, task_id, hook_id, callback, lane, body,
                          next_at)
    select p_account, p_event_id, p_event, p_task, h.id, null, h.id, p_body, now()
      from hook h
     where h.account_id = p_account and h.status = 'active'
       and (h.id = p_hook or p_event = any (h.events))
    union all
    select p_account, p_event_id, p_event, p_task, null, p_callback, 'account ' || p_account,
           p_body, now()
     where p_callback is not null
    on conflict (event_id, lane) do nothing
$$;

CREATE TABLE accounts.api_key (
    id text NOT NULL,
    account_id bigint NOT NULL,
    label text NOT NULL,
    hash bytea NOT NULL,
    pepper_id text NOT NULL,
    last_four text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    kind text NOT NULL,
    scopes text[] NOT NULL,
    operations text[] DEFAULT '{}'::text[] NOT NULL,
    addresses cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    day_max bigint,
    month_max bigint,
    expires_at timestamp with time zone,
    deprecated_at timestamp with time zone,
    last_used_at timestamp with time zone,
    spender text,
    sealed bytea,
    CONSTRAINT api_key_addresses_check CHECK ((cardinality(addresses) <= 100)),
    CONSTRAINT api_key_day_max_check CHECK ((day_max > 0)),
    CONSTRAINT api_key_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT api_key_id_check CHECK ((id ~ '^[0-9A-Za-z]{12}$'::text)),
    CONSTRAINT api_key_kind_check CHECK ((kind = ANY (ARRAY['live'::text, 'test'::text, 'signing'::text]))),
    CONSTRAINT api_key_label_check CHECK (((length(label) >= 1) AND (length(label) <= 200))),
    CONSTRAINT api_key_month_max_check CHECK ((month_max > 0)),
    CONSTRAINT api_key_operations_check CHECK ((cardinality(operations) <= 100)),
    CONSTRAINT api_key_sealed CHECK (((kind = 'signing'::text) = (sealed IS NOT NULL))),
    CONSTRAINT api_key_spender_check CHECK ((spender ~ '^[0-9A-Za-z]{12}$'::text))
)
WITH (fillfactor='70');

COMMENT ON COLUMN accounts.api_key.hash IS 'BLAKE2b-256 of the whole key, keyed with the pepper';

COMMENT ON COLUMN accounts.api_key.pepper_id IS 'tells which pepper made the hash, not the pepper';

COMMENT ON COLUMN accounts.api_key.deprecated_at IS 'when another key took its place';

COMMENT ON COLUMN accounts.api_key.sealed IS 'the secret of a signing key, in the envelope: place accounts.api_key.sealed|id';

CREATE TABLE accounts.profile (
    account_id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    tokens_not_before timestamp with time zone,
    CONSTRAINT profile_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)))
);

CREATE TABLE accounts.suspension (
    account_id bigint NOT NULL,
    key_id text,
    reason text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    was_active boolean NOT NULL,
    CONSTRAINT suspension_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 500)))
);

COMMENT ON COLUMN accounts.suspension.reason IS 'an operator''s words, without names';

CREATE TABLE accounts.token_ended (
    account_id bigint NOT NULL,
    jti text NOT NULL,
    denied boolean NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT token_ended_jti_check CHECK (((length(jti) >= 1) AND (length(jti) <= 100)))
);

CREATE TABLE accounts.token_key (
    kid text NOT NULL,
    public bytea NOT NULL,
    sealed bytea,
    state text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT token_key_kid_check CHECK ((length(kid) = 43)),
    CONSTRAINT token_key_public_check CHECK ((length(public) = 32)),
    CONSTRAINT token_key_sealed CHECK (((sealed IS NULL) = (state = 'retired'::text))),
    CONSTRAINT token_key_state_check CHECK ((state = ANY (ARRAY['next'::text, 'active'::text, 'retired'::text])))
);

CREATE TABLE audit.access (
    id uuid NOT NULL,
    account_id bigint NOT NULL,
    person_id bigint NOT NULL,
    role text NOT NULL,
    reason text NOT NULL,
    granted_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    reads bigint DEFAULT 0 NOT NULL,
    read_at timestamp with time zone,
    CONSTRAINT access_check CHECK ((expires_at <= (granted_at + '08:00:00'::interval))),
    CONSTRAINT access_reason_check CHECK (((length(reason) >= 10) AND (length(reason) <= 500))),
    CONSTRAINT access_role_check CHECK (((length(role) >= 1) AND (length(role) <= 40)))
);

CREATE TABLE audit.head (
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    at timestamp with time zone NOT NULL,
    kid text NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT head_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT head_kid_check CHECK ((length(kid) = 43)),
    CONSTRAINT head_signature_check CHECK ((length(signature) = 64))
);

COMMENT ON COLUMN audit.head.signature IS 'Ed25519 over the JSON array of "ephemera-audit-head", seq, hash in hexadecimal, microseconds';

CREATE TABLE audit.record (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    action_id uuid NOT NULL,
    actor text NOT NULL,
    gateway text NOT NULL,
    action text NOT NULL,
    parameters text NOT NULL,
    outcome text,
    detail text NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT record_action_check CHECK (((length(action) >= 1) AND (length(action) <= 50))),
    CONSTRAINT record_actor_check CHECK (((length(actor) >= 1) AND (length(actor) <= 100))),
    CONSTRAINT record_detail_check CHECK ((length(detail) <= 2000)),
    CONSTRAINT record_gateway_check CHECK (((length(gateway) >= 1) AND (length(gateway) <= 100))),
    CONSTRAINT record_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT record_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT record_parameters_check CHECK (((length(parameters) >= 2) AND (length(parameters) <= 2000))),
    CONSTRAINT record_seq_check CHECK ((seq > 0))
);

CREATE TABLE credits.entry (
    account_id bigint NOT NULL,
    seq bigint NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    kind credits.kind NOT NULL,
    conversion_id uuid,
    reference text,
    reason text,
    CONSTRAINT entry_balance_after_check CHECK ((balance_after >= 0)),
    CONSTRAINT entry_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 500))),
    CONSTRAINT entry_reference_check CHECK (((length(reference) >= 1) AND (length(reference) <= 200))),
    CONSTRAINT entry_seq_check CHECK ((seq > 0)),
    CONSTRAINT entry_shape CHECK (
CASE kind
    WHEN 'purchase'::credits.kind THEN ((amount > 0) AND (conversion_id IS NULL) AND (reference IS NOT NULL))
    WHEN 'consumption'::credits.kind THEN ((amount < 0) AND (conversion_id IS NOT NULL) AND (reference IS NULL))
    WHEN 'refund'::credits.kind THEN ((amount > 0) AND (conversion_id IS NOT NULL))
    WHEN 'adjustment'::credits.kind THEN ((amount <> 0) AND (conversion_id IS NULL) AND (reference IS NOT NULL) AND (reason IS NOT NULL))
    ELSE false
END)
);

COMMENT ON COLUMN credits.entry.amount IS 'signed: a positive amount gives to the account';

CREATE TABLE connections.connection (
    id text NOT NULL,
    account_id bigint NOT NULL,
    kind text NOT NULL,
    label text NOT NULL,
    host text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    checked_at timestamp with time zone,
    found text,
    CONSTRAINT connection_checked CHECK (((checked_at IS NULL) = (found IS NULL))),
    CONSTRAINT connection_found_check CHECK ((length(found) <= 32)),
    CONSTRAINT connection_host_check CHECK ((length(host) <= 300)),
    CONSTRAINT connection_id_check CHECK ((id ~ '^[0-9A-Za-z]{16}$'::text)),
    CONSTRAINT connection_kind_check CHECK ((kind = ANY (ARRAY['s3'::text, 'webdav'::text, 'http'::text]))),
    CONSTRAINT connection_label_check CHECK (((length(label) >= 1) AND (length(label) <= 100))),
    CONSTRAINT connection_sealed_check CHECK ((length(sealed) <= 16384))
)
WITH (fillfactor='70');

COMMENT ON COLUMN connections.connection.host IS 'who is asked: the host of its address';

COMMENT ON COLUMN connections.connection.sealed IS 'address and credentials, in the envelope: place connections.connection.sealed|account_id|id';

COMMENT ON COLUMN connections.connection.changed_at IS 'when the credentials were given';

COMMENT ON COLUMN connections.connection.found IS 'what the last check found';

CREATE TABLE credits.account (
    id bigint NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    low_balance bigint,
    CONSTRAINT account_balance_check CHECK (((balance >= 0) AND (balance <= '9007199254740991'::bigint))),
    CONSTRAINT account_closed_when CHECK (((status = 'closed'::text) = (closed_at IS NOT NULL))),
    CONSTRAINT account_id_check CHECK ((id > 0)),
    CONSTRAINT account_low_balance_check CHECK ((low_balance > 0)),
    CONSTRAINT account_opens_empty CHECK (((seq > 0) OR (balance = 0))),
    CONSTRAINT account_seq_check CHECK ((seq >= 0)),
    CONSTRAINT account_status_check CHECK ((status = ANY (ARRAY['active'::text, 'frozen'::text, 'closed'::text])))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000');

COMMENT ON COLUMN credits.account.seq IS 'the number of entries, which is the seq of the last one';

COMMENT ON COLUMN credits.account.low_balance IS 'announced when the balance comes from here or above to below; null: never';

CREATE TABLE credits.gateway (
    id bigint NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE credits.gateway ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME credits.gateway_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE credits.idempotency_key (
    account_id bigint NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    conversion_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_key_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
)
WITH (fillfactor='70');

CREATE TABLE credits.open_debit (
    account_id bigint NOT NULL,
    conversion_id uuid NOT NULL,
    amount bigint NOT NULL,
    gateway_id bigint NOT NULL,
    deadline timestamp with time zone NOT NULL,
    key text,
    CONSTRAINT open_debit_amount_check CHECK ((amount > 0))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='20000', autovacuum_vacuum_cost_delay='0');

CREATE TABLE credits.spending (
    account_id bigint NOT NULL,
    conversion_id uuid NOT NULL,
    spender text NOT NULL,
    day date NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT spending_amount_check CHECK ((amount > 0))
);

CREATE TABLE credits.spent (
    spender text NOT NULL,
    day date NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT spent_amount_check CHECK ((amount >= 0))
)
WITH (fillfactor='70');

CREATE TABLE credits.tombstone (
    account_id bigint NOT NULL,
    entries bigint NOT NULL,
    balance bigint NOT NULL,
    digest bytea NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    purged_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE credits.turn (
);

CREATE VIEW credits.violations AS
 SELECT 'broken chain'::text AS what,
    c.account_id,
    c.seq
   FROM ( SELECT entry.account_id,
            entry.seq,
            entry.amount,
            entry.balance_after,
            lag(entry.balance_after, 1, (0)::bigint) OVER chain AS previous_balance,
            lag(entry.seq, 1, (0)::bigint) OVER chain AS previous_seq
           FROM credits.entry
          WINDOW chain AS (PARTITION BY entry.account_id ORDER BY entry.seq)) c
  WHERE ((c.balance_after <> (c.previous_balance + c.amount)) OR (c.seq <> (c.previous_seq + 1)))
UNION ALL
 SELECT 'balance is not the sum of the entries'::text AS what,
    a.id AS account_id,
    a.seq
   FROM (credits.account a
     LEFT JOIN ( SELECT entry.account_id,
            sum(entry.amount) AS total,
            count(*) AS entries
           FROM credits.entry
          GROUP BY entry.account_id) e ON ((e.account_id = a.id)))
  WHERE (((a.balance)::numeric <> COALESCE(e.total, (0)::numeric)) OR (a.seq <> COALESCE(e.entries, (0)::bigint)))
UNION ALL
 SELECT 'entry without account'::text AS what,
    e.account_id,
    min(e.seq) AS seq
   FROM credits.entry e
  WHERE (NOT (EXISTS ( SELECT
           FROM credits.account a
          WHERE (a.id = e.account_id))))
  GROUP BY e.account_id
UNION ALL
 SELECT 'debited or refunded twice'::text AS what,
    entry.account_id,
    max(entry.seq) AS seq
   FROM credits.entry
  WHERE (entry.conversion_id IS NOT NULL)
  GROUP BY entry.account_id, entry.conversion_id, entry.kind
 HAVING (count(*) > 1)
UNION ALL
 SELECT 'refund without its debit'::text AS what,
    r.account_id,
    r.seq
   FROM (credits.entry r
     LEFT JOIN credits.entry d ON (((d.account_id = r.account_id) AND (d.conversion_id = r.conversion_id) AND (d.kind = 'consumption'::credits.kind))))
  WHERE ((r.kind = 'refund'::credits.kind) AND ((d.seq IS NULL) OR (d.seq > r.seq) OR (r.amount > (- d.amount)) OR ((r.reference IS NULL) AND (r.amount <> (- d.amount)))))
UNION ALL
 SELECT 'open without its debit'::text AS what,
    o.account_id,
    d.seq
   FROM (credits.open_debit o
     LEFT JOIN credits.entry d ON (((d.account_id = o.account_id) AND (d.conversion_id = o.conversion_id) AND (d.kind = 'consumption'::credits.kind))))
  WHERE (d.amount IS DISTINCT FROM (- o.amount))
UNION ALL
 SELECT 'open and refunded'::text AS what,
    o.account_id,
    r.seq
   FROM (credits.open_debit o
     JOIN credits.entry r ON (((r.account_id = o.account_id) AND (r.conversion_id = o.conversion_id) AND (r.kind = 'refund'::credits.kind))))
UNION ALL
 SELECT 'key without a paid or open debit'::text AS what,
    k.account_id,
    NULL::bigint AS seq
   FROM credits.idempotency_key k
  WHERE ((NOT (EXISTS ( SELECT
           FROM credits.entry d
          WHERE ((d.account_id = k.account_id) AND (d.conversion_id = k.conversion_id) AND (d.kind = 'consumption'::credits.kind))))) OR (EXISTS ( SELECT
           FROM credits.entry r
          WHERE ((r.account_id = k.account_id) AND (r.reference IS NULL) AND (r.conversion_id = k.conversion_id) AND (r.kind = 'refund'::credits.kind)))));

CREATE TABLE ephemera.migration (
    version text NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE UNLOGGED TABLE files.chunk (
    file_id text NOT NULL,
    number integer NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT chunk_number_check CHECK ((number >= 0))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0', toast.autovacuum_vacuum_scale_factor='0', toast.autovacuum_vacuum_threshold='10000', toast.autovacuum_vacuum_cost_delay='0');
ALTER TABLE ONLY files.chunk ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE UNLOGGED TABLE files.file (
    id text NOT NULL,
    seq bigint NOT NULL,
    account_id bigint NOT NULL,
    bytes bigint NOT NULL,
    media_type text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT file_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT file_check CHECK ((expires_at <= (created_at + '04:00:00'::interval))),
    CONSTRAINT file_id_check CHECK ((id ~ '^[0-9A-Za-z]{16}$'::text)),
    CONSTRAINT file_media_type_check CHECK ((length(media_type) <= 200))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');

COMMENT ON COLUMN files.file.bytes IS 'the room that is kept for it; its size once it has a half';

ALTER TABLE files.file ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME files.file_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE files.half (
    file_id text NOT NULL,
    half bytea NOT NULL,
    proof bytea NOT NULL,
    name bytea,
    CONSTRAINT half_half_check CHECK ((length(half) = 32)),
    CONSTRAINT half_proof_check CHECK ((length(proof) = 32))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='50');

CREATE UNLOGGED TABLE limits.inside (
    gateway_id bigint NOT NULL,
    account_id bigint NOT NULL,
    uploads integer NOT NULL,
    told_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT inside_uploads_check CHECK ((uploads > 0))
);

CREATE UNLOGGED TABLE limits.moment (
    policy text NOT NULL,
    subject bytea NOT NULL,
    paid_at bigint NOT NULL,
    CONSTRAINT moment_policy_check CHECK ((policy ~ '^[a-z-]{1,40}$'::text)),
    CONSTRAINT moment_subject_check CHECK ((length(subject) = 16))
)
WITH (fillfactor='50');

COMMENT ON COLUMN limits.moment.subject IS 'BLAKE2b-128 of policy and subject, keyed with the pepper: no address and no key stands here';

CREATE TABLE mail.crossing (
    account_id bigint NOT NULL,
    seq bigint NOT NULL,
    balance bigint NOT NULL,
    threshold bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE mail.letter (
    id uuid NOT NULL,
    kind text NOT NULL,
    content bytea,
    recipient bytea NOT NULL,
    once text,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    error text,
    status integer,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT letter_content_check CHECK ((length(content) <= 65536)),
    CONSTRAINT letter_content_until_sent CHECK (((content IS NULL) = (state = 'sent'::text))),
    CONSTRAINT letter_error_check CHECK ((error ~ '^[a-z-]{1,40}$'::text)),
    CONSTRAINT letter_kind_check CHECK ((kind ~ '^[a-z][a-z_]{0,39}$'::text)),
    CONSTRAINT letter_once_check CHECK (((length(once) >= 1) AND (length(once) <= 200))),
    CONSTRAINT letter_over_when CHECK (((state = ANY (ARRAY['sent'::text, 'dead'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT letter_recipient_check CHECK ((length(recipient) = 32)),
    CONSTRAINT letter_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sending'::text, 'sent'::text, 'dead'::text])))
)
WITH (fillfactor='70');

COMMENT ON COLUMN mail.letter.content IS 'address and fields as JSON, in the envelope: place mail.letter.content|id';

COMMENT ON COLUMN mail.letter.recipient IS 'BLAKE2b-256 of the address in lower case, keyed with the pepper: to count and to erase by';

COMMENT ON COLUMN mail.letter.once IS 'of this name there is one mail, however often it is queued';

COMMENT ON COLUMN mail.letter.next_at IS 'the next attempt; of one that is being sent: when its sender counts as dead';

COMMENT ON COLUMN mail.letter.error IS 'why the last attempt failed, in a word of ours';

COMMENT ON COLUMN mail.letter.status IS 'the SMTP reply code of the last attempt';

CREATE TABLE mail.low_balance (
    account_id bigint NOT NULL,
    seq bigint NOT NULL,
    threshold bigint NOT NULL
);

CREATE TABLE people.account (
    account_id bigint NOT NULL,
    name text NOT NULL,
    CONSTRAINT account_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)))
);

CREATE TABLE people.device (
    hash bytea NOT NULL,
    person_id bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone NOT NULL,
    CONSTRAINT device_hash_check CHECK ((length(hash) = 32))
);

CREATE TABLE people.invitation (
    id text NOT NULL,
    hash bytea NOT NULL,
    account_id bigint NOT NULL,
    address text NOT NULL,
    role text NOT NULL,
    invited_by bigint,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT invitation_address_check CHECK (((length(address) >= 3) AND (length(address) <= 254))),
    CONSTRAINT invitation_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT invitation_id_check CHECK ((id ~ '^[0-9A-Za-z]{12}$'::text)),
    CONSTRAINT invitation_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'developer'::text, 'billing'::text, 'viewer'::text])))
);

CREATE TABLE people.link (
    hash bytea NOT NULL,
    purpose text NOT NULL,
    person_id bigint,
    address text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT link_address_check CHECK (((length(address) >= 3) AND (length(address) <= 254))),
    CONSTRAINT link_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT link_name_check CHECK ((length(name) <= 100)),
    CONSTRAINT link_purpose_check CHECK ((purpose = ANY (ARRAY['sign_up'::text, 'reset'::text, 'address'::text])))
);

CREATE TABLE people.member (
    account_id bigint NOT NULL,
    person_id bigint NOT NULL,
    role text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT member_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'developer'::text, 'billing'::text, 'viewer'::text])))
);

CREATE TABLE people.person (
    id bigint NOT NULL,
    address text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    suspended_at timestamp with time zone,
    password text NOT NULL,
    pepper_id text NOT NULL,
    password_at timestamp with time zone NOT NULL,
    totp bytea,
    totp_since timestamp with time zone,
    totp_next bytea,
    totp_step bigint DEFAULT 0 NOT NULL,
    CONSTRAINT person_address_check CHECK (((length(address) >= 3) AND (length(address) <= 254))),
    CONSTRAINT person_id_check CHECK ((id > 0)),
    CONSTRAINT person_name_check CHECK ((length(name) <= 100)),
    CONSTRAINT person_password_check CHECK ((password ~~ '$argon2id$%'::text)),
    CONSTRAINT person_totp CHECK (((totp IS NULL) = (totp_since IS NULL)))
);

COMMENT ON COLUMN people.person.address IS 'confirmed by its owner; nobody is here before that';

COMMENT ON COLUMN people.person.password IS 'argon2id of HMAC-SHA256(pepper, password)';

COMMENT ON COLUMN people.person.totp IS 'the seed of one-time codes, in the envelope: place people.person.totp|id';

COMMENT ON COLUMN people.person.totp_next IS 'a seed that no code has confirmed yet, in the envelope: place people.person.totp_next|id';

COMMENT ON COLUMN people.person.totp_step IS 'the time step of the last code that was taken: neither it nor an earlier one is taken again';

CREATE TABLE people.recovery_code (
    person_id bigint NOT NULL,
    hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT recovery_code_hash_check CHECK ((length(hash) = 32))
);

COMMENT ON TABLE people.recovery_code IS 'deleted when it is used';

COMMENT ON COLUMN people.recovery_code.hash IS 'BLAKE2b-256 of the code, keyed with the pepper';

CREATE TABLE people.session (
    id text NOT NULL,
    hash bytea NOT NULL,
    person_id bigint NOT NULL,
    account_id bigint,
    mfa boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    stepped_up_at timestamp with time zone NOT NULL,
    network cidr,
    client text DEFAULT ''::text NOT NULL,
    CONSTRAINT session_client_check CHECK ((length(client) <= 120)),
    CONSTRAINT session_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT session_id_check CHECK ((id ~ '^[0-9A-Za-z]{12}$'::text))
)
WITH (fillfactor='70');

COMMENT ON COLUMN people.session.hash IS 'SHA-256 of the whole secret, which has 190 random bits';

COMMENT ON COLUMN people.session.network IS 'where it began: the /24 or the /64';

COMMENT ON COLUMN people.session.client IS 'the program it began with, as it called itself';

CREATE TABLE people.staff (
    person_id bigint NOT NULL,
    role text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT staff_role_check CHECK ((role = ANY (ARRAY['support'::text, 'ops'::text, 'finance'::text, 'auditor'::text])))
);

CREATE TABLE privacy.erasure (
    id uuid NOT NULL,
    account_id bigint,
    requested_by bigint,
    requested_at timestamp with time zone NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    finish_by timestamp with time zone NOT NULL,
    was text,
    state text DEFAULT 'waiting'::text NOT NULL,
    began_at timestamp with time zone,
    persons bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    steps text[] DEFAULT '{}'::text[] NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT erasure_began CHECK (((state = ANY (ARRAY['waiting'::text, 'cancelled'::text])) OR (began_at IS NOT NULL))),
    CONSTRAINT erasure_forgets CHECK (((state <> 'done'::text) OR ((requested_by IS NULL) AND (persons = '{}'::bigint[])))),
    CONSTRAINT erasure_over_when CHECK (((state = ANY (ARRAY['done'::text, 'cancelled'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT erasure_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'cancelled'::text]))),
    CONSTRAINT erasure_was_check CHECK ((was = ANY (ARRAY['active'::text, 'frozen'::text])))
);

CREATE TABLE privacy.objection (
    person_id bigint,
    account_id bigint,
    purpose text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT objection_of_one CHECK (((person_id IS NULL) <> (account_id IS NULL))),
    CONSTRAINT objection_purpose_check CHECK ((purpose ~ '^[a-z-]{1,40}$'::text))
);

CREATE TABLE privacy.policy (
    hash text NOT NULL,
    published_at timestamp with time zone NOT NULL,
    page text NOT NULL,
    CONSTRAINT policy_hash_check CHECK ((hash ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT policy_page_check CHECK ((length(page) <= 1000000))
);

CREATE TABLE privacy.restriction (
    account_id bigint NOT NULL,
    since timestamp with time zone NOT NULL,
    was text NOT NULL,
    CONSTRAINT restriction_was_check CHECK ((was = ANY (ARRAY['active'::text, 'frozen'::text])))
);

CREATE TABLE privacy.retention_run (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    table_name text NOT NULL,
    retention text NOT NULL,
    cutoff timestamp with time zone NOT NULL,
    rows bigint NOT NULL,
    complete boolean NOT NULL,
    CONSTRAINT retention_run_retention_check CHECK ((length(retention) <= 40)),
    CONSTRAINT retention_run_rows_check CHECK ((rows >= 0)),
    CONSTRAINT retention_run_table_name_check CHECK ((length(table_name) <= 130))
);

ALTER TABLE privacy.retention_run ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME privacy.retention_run_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE requests.record (
    at timestamp with time zone NOT NULL,
    request_id uuid NOT NULL,
    account_id bigint NOT NULL,
    key_id text,
    method text NOT NULL,
    path text NOT NULL,
    operation text NOT NULL,
    status smallint NOT NULL,
    bytes_in bigint NOT NULL,
    milliseconds integer NOT NULL,
    credits bigint NOT NULL,
    address cidr,
    CONSTRAINT record_bytes_in_check CHECK ((bytes_in >= 0)),
    CONSTRAINT record_credits_check CHECK ((credits >= 0)),
    CONSTRAINT record_key_id_check CHECK ((length(key_id) <= 40)),
    CONSTRAINT record_method_check CHECK ((length(method) <= 10)),
    CONSTRAINT record_milliseconds_check CHECK ((milliseconds >= 0)),
    CONSTRAINT record_operation_check CHECK ((length(operation) <= 120)),
    CONSTRAINT record_path_check CHECK ((length(path) <= 200))
)
PARTITION BY RANGE (at);

COMMENT ON COLUMN requests.record.address IS 'where from; cut to /24 or /48 unless the operator keeps whole ones, or none';

CREATE TABLE requests.usage (
    account_id bigint NOT NULL,
    day date NOT NULL,
    key_id text NOT NULL,
    operation text NOT NULL,
    requests bigint NOT NULL,
    failed bigint NOT NULL,
    bytes_in bigint NOT NULL,
    milliseconds bigint NOT NULL,
    credits bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE support.incident (
    id text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    risk text DEFAULT 'unknown'::text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    title text NOT NULL,
    began_at timestamp with time zone,
    aware_at timestamp with time zone NOT NULL,
    authority_at timestamp with time zone,
    people_at timestamp with time zone,
    closed_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT incident_id_check CHECK ((id ~ '^I-[0-9A-HJKMNP-TV-Z]{10}$'::text)),
    CONSTRAINT incident_kind_check CHECK ((kind = ANY (ARRAY['availability'::text, 'security'::text, 'personal-data'::text]))),
    CONSTRAINT incident_over_when CHECK (((state = 'closed'::text) = (closed_at IS NOT NULL))),
    CONSTRAINT incident_risk_check CHECK ((risk = ANY (ARRAY['unknown'::text, 'none'::text, 'some'::text, 'high'::text]))),
    CONSTRAINT incident_severity_check CHECK ((severity = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text, 'critical'::text]))),
    CONSTRAINT incident_state_check CHECK ((state = ANY (ARRAY['open'::text, 'contained'::text, 'resolved'::text, 'closed'::text]))),
    CONSTRAINT incident_title_check CHECK (((length(title) >= 1) AND (length(title) <= 150)))
);

COMMENT ON COLUMN support.incident.risk IS 'for the people whose data it is: none needs a reason in the notes, high means they are told';

COMMENT ON COLUMN support.incident.authority_at IS 'when the supervisory authority was told';

COMMENT ON COLUMN support.incident.people_at IS 'when the people whose data it is were told';

CREATE TABLE support.incident_note (
    incident_id text NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    text text NOT NULL,
    CONSTRAINT incident_note_actor_check CHECK (((length(actor) >= 1) AND (length(actor) <= 100))),
    CONSTRAINT incident_note_seq_check CHECK ((seq > 0)),
    CONSTRAINT incident_note_text_check CHECK (((length(text) >= 1) AND (length(text) <= 10000)))
);

CREATE TABLE support.message (
    ticket_id text NOT NULL,
    seq integer NOT NULL,
    author text NOT NULL,
    person_id bigint,
    text text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT message_author_check CHECK ((author = ANY (ARRAY['customer'::text, 'staff'::text]))),
    CONSTRAINT message_seq_check CHECK ((seq > 0)),
    CONSTRAINT message_text_check CHECK (((length(text) >= 1) AND (length(text) <= 10000)))
);

COMMENT ON COLUMN support.message.person_id IS 'who wrote it, of the account or of staff';

CREATE UNLOGGED TABLE support.proof (
    hash bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT proof_hash_check CHECK ((length(hash) = 32))
);

CREATE TABLE support.ticket (
    id text NOT NULL,
    account_id bigint,
    person_id bigint,
    address text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    subject text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT ticket_address_check CHECK (((length(address) >= 3) AND (length(address) <= 254))),
    CONSTRAINT ticket_id_check CHECK ((id ~ '^T-[0-9A-HJKMNP-TV-Z]{10}$'::text)),
    CONSTRAINT ticket_name_check CHECK ((length(name) <= 100)),
    CONSTRAINT ticket_state_check CHECK ((state = ANY (ARRAY['open'::text, 'answered'::text, 'closed'::text]))),
    CONSTRAINT ticket_subject_check CHECK (((length(subject) >= 1) AND (length(subject) <= 150)))
);

COMMENT ON COLUMN support.ticket.updated_at IS 'of the last message or change; 24 months later the ticket is deleted';

CREATE TABLE tasks.delivery (
    seq bigint NOT NULL,
    account_id bigint NOT NULL,
    event_id text NOT NULL,
    event text NOT NULL,
    task_id text NOT NULL,
    hook_id text,
    callback bytea,
    lane text NOT NULL,
    body text NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    status integer,
    error text,
    log jsonb DEFAULT '[]'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT delivery_body_check CHECK ((length(body) <= 20000)),
    CONSTRAINT delivery_error_check CHECK ((length(error) <= 64)),
    CONSTRAINT delivery_event_check CHECK ((length(event) <= 64)),
    CONSTRAINT delivery_event_id_check CHECK ((length(event_id) <= 64)),
    CONSTRAINT delivery_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sending'::text, 'delivered'::text, 'failed'::text, 'dropped'::text])))
);

ALTER TABLE tasks.delivery ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasks.delivery_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tasks.hook (
    id text NOT NULL,
    account_id bigint NOT NULL,
    url bytea NOT NULL,
    secret bytea NOT NULL,
    old_secret bytea,
    old_until timestamp with time zone,
    events text[] NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    reason text,
    failing_since timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT hook_id_check CHECK ((id ~ '^[0-9A-Za-z]{16}$'::text)),
    CONSTRAINT hook_status_check CHECK ((status = ANY (ARRAY['active'::text, 'disabled'::text])))
);

CREATE TABLE tasks.task (
    seq bigint NOT NULL,
    account_id bigint NOT NULL,
    id text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    hold text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    request bytea,
    callback bytea,
    hook_id text,
    inputs text[] DEFAULT '{}'::text[] NOT NULL,
    results text[] DEFAULT '{}'::text[] NOT NULL,
    outcome bytea,
    code text,
    client_key text,
    fingerprint bytea,
    turn bigint NOT NULL,
    ready_at timestamp with time zone DEFAULT now() NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    conversion_id uuid,
    holder uuid,
    lease_until timestamp with time zone,
    stage text DEFAULT 'queued'::text NOT NULL,
    progress real DEFAULT 0 NOT NULL,
    credits bigint DEFAULT 0 NOT NULL,
    settled boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT task_callback_check CHECK ((length(callback) <= 8192)),
    CONSTRAINT task_client_key_check CHECK (((length(client_key) >= 1) AND (length(client_key) <= 255))),
    CONSTRAINT task_code_check CHECK ((length(code) <= 64)),
    CONSTRAINT task_fingerprint_check CHECK ((length(fingerprint) = 32)),
    CONSTRAINT task_held_by CHECK (((holder IS NOT NULL) OR ((hold = 'store'::text) AND (state <> 'running'::text)))),
    CONSTRAINT task_hold_check CHECK ((hold = ANY (ARRAY['store'::text, 'memory'::text]))),
    CONSTRAINT task_id_check CHECK ((id ~ '^[0-9a-z-]{32,36}$'::text)),
    CONSTRAINT task_outcome_check CHECK ((length(outcome) <= 1048576)),
    CONSTRAINT task_over_when CHECK (((state = ANY (ARRAY['queued'::text, 'running'::text])) = (ended_at IS NULL))),
    CONSTRAINT task_paid CHECK (((NOT settled) OR (state = 'succeeded'::text))),
    CONSTRAINT task_progress_check CHECK (((progress >= (0)::double precision) AND (progress <= (1)::double precision))),
    CONSTRAINT task_request_check CHECK ((length(request) <= 1048576)),
    CONSTRAINT task_source_check CHECK ((length(source) <= 64)),
    CONSTRAINT task_stage_check CHECK ((length(stage) <= 32)),
    CONSTRAINT task_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text, 'timed_out'::text, 'expired'::text]))),
    CONSTRAINT task_target_check CHECK ((length(target) <= 64))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');

COMMENT ON COLUMN tasks.task.turn IS 'whose turn it is: an account with many tasks gets one turn for one of everybody else';

ALTER TABLE tasks.task ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasks.task_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY accounts.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY accounts.profile
    ADD CONSTRAINT profile_name_key UNIQUE (name);

ALTER TABLE ONLY accounts.profile
    ADD CONSTRAINT profile_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY accounts.token_ended
    ADD CONSTRAINT token_ended_pkey PRIMARY KEY (account_id, jti);

ALTER TABLE ONLY accounts.token_key
    ADD CONSTRAINT token_key_pkey PRIMARY KEY (kid);

ALTER TABLE ONLY audit.access
    ADD CONSTRAINT access_pkey PRIMARY KEY (id);

ALTER TABLE ONLY audit.head
    ADD CONSTRAINT head_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY audit.record
    ADD CONSTRAINT record_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY connections.connection
    ADD CONSTRAINT connection_pkey PRIMARY KEY (id);

ALTER TABLE ONLY credits.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);

ALTER TABLE ONLY credits.entry
    ADD CONSTRAINT entry_pkey PRIMARY KEY (account_id, seq);

ALTER TABLE ONLY credits.gateway
    ADD CONSTRAINT gateway_pkey PRIMARY KEY (id);

ALTER TABLE ONLY credits.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (account_id, key);

ALTER TABLE ONLY credits.open_debit
    ADD CONSTRAINT open_debit_pkey PRIMARY KEY (account_id, conversion_id);

ALTER TABLE ONLY credits.seal
    ADD CONSTRAINT seal_pkey PRIMARY KEY (day);

ALTER TABLE ONLY credits.spending
    ADD CONSTRAINT spending_pkey PRIMARY KEY (account_id, conversion_id);

ALTER TABLE ONLY credits.spent
    ADD CONSTRAINT spent_pkey PRIMARY KEY (spender, day);

ALTER TABLE ONLY credits.tombstone
    ADD CONSTRAINT tombstone_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY ephemera.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);

ALTER TABLE ONLY files.chunk
    ADD CONSTRAINT chunk_pkey PRIMARY KEY (file_id, number);

ALTER TABLE ONLY files.file
    ADD CONSTRAINT file_pkey PRIMARY KEY (id);

ALTER TABLE ONLY files.half
    ADD CONSTRAINT half_pkey PRIMARY KEY (file_id);

ALTER TABLE ONLY limits.inside
    ADD CONSTRAINT inside_pkey PRIMARY KEY (account_id, gateway_id);

ALTER TABLE ONLY limits.moment
    ADD CONSTRAINT moment_pkey PRIMARY KEY (policy, subject);

ALTER TABLE ONLY mail.crossing
    ADD CONSTRAINT crossing_pkey PRIMARY KEY (account_id, seq);

ALTER TABLE ONLY mail.letter
    ADD CONSTRAINT letter_once_key UNIQUE (once);

ALTER TABLE ONLY mail.letter
    ADD CONSTRAINT letter_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mail.low_balance
    ADD CONSTRAINT low_balance_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY people.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY people.device
    ADD CONSTRAINT device_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY people.invitation
    ADD CONSTRAINT invitation_hash_key UNIQUE (hash);

ALTER TABLE ONLY people.invitation
    ADD CONSTRAINT invitation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY people.link
    ADD CONSTRAINT link_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY people.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (account_id, person_id);

ALTER TABLE ONLY people.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (id);

ALTER TABLE ONLY people.recovery_code
    ADD CONSTRAINT recovery_code_pkey PRIMARY KEY (person_id, hash);

ALTER TABLE ONLY people.session
    ADD CONSTRAINT session_hash_key UNIQUE (hash);

ALTER TABLE ONLY people.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);

ALTER TABLE ONLY people.staff
    ADD CONSTRAINT staff_pkey PRIMARY KEY (person_id, role);

ALTER TABLE ONLY privacy.erasure
    ADD CONSTRAINT erasure_pkey PRIMARY KEY (id);

ALTER TABLE ONLY privacy.policy
    ADD CONSTRAINT policy_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY privacy.restriction
    ADD CONSTRAINT restriction_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY privacy.retention_run
    ADD CONSTRAINT retention_run_pkey PRIMARY KEY (id);

ALTER TABLE ONLY requests.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (account_id, day, key_id, operation);

ALTER TABLE ONLY support.incident_note
    ADD CONSTRAINT incident_note_pkey PRIMARY KEY (incident_id, seq);

ALTER TABLE ONLY support.incident
    ADD CONSTRAINT incident_pkey PRIMARY KEY (id);

ALTER TABLE ONLY support.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (ticket_id, seq);

ALTER TABLE ONLY support.proof
    ADD CONSTRAINT proof_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY support.ticket
    ADD CONSTRAINT ticket_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tasks.delivery
    ADD CONSTRAINT delivery_event_id_lane_key UNIQUE (event_id, lane);

ALTER TABLE ONLY tasks.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY tasks.hook
    ADD CONSTRAINT hook_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tasks.task
    ADD CONSTRAINT task_account_id_id_key UNIQUE (account_id, id);

ALTER TABLE ONLY tasks.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (seq);

CREATE INDEX api_key_account ON accounts.api_key USING btree (account_id);

CREATE INDEX suspension_key ON accounts.suspension USING btree (key_id);

CREATE UNIQUE INDEX suspension_one ON accounts.suspension USING btree (account_id, COALESCE(key_id, ''::text));

CREATE INDEX token_ended_expiry ON accounts.token_ended USING btree (expires_at);

CREATE UNIQUE INDEX token_key_one ON accounts.token_key USING btree (state) WHERE (state <> 'retired'::text);

CREATE INDEX access_account ON audit.access USING btree (account_id, granted_at DESC);

CREATE INDEX access_person ON audit.access USING btree (person_id, expires_at);

CREATE UNIQUE INDEX record_intent ON audit.record USING btree (action_id) WHERE (outcome IS NULL);

CREATE UNIQUE INDEX record_outcome ON audit.record USING btree (action_id) WHERE (outcome IS NOT NULL);

CREATE INDEX connection_account ON connections.connection USING btree (account_id, created_at);

CREATE UNIQUE INDEX entry_once ON credits.entry USING btree (account_id, conversion_id, kind) WHERE (conversion_id IS NOT NULL);

CREATE UNIQUE INDEX entry_reference ON credits.entry USING btree (account_id, kind, reference) WHERE (reference IS NOT NULL);

CREATE INDEX entry_time ON credits.entry USING brin (created_at) WITH (pages_per_range='32');

CREATE INDEX idempotency_key_expiry ON credits.idempotency_key USING btree (expires_at);

CREATE INDEX spending_spender ON credits.spending USING btree (spender);

CREATE UNIQUE INDEX file_account ON files.file USING btree (account_id, seq);

CREATE INDEX file_expiry ON files.file USING btree (expires_at);

CREATE INDEX letter_due ON mail.letter USING btree (next_at) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text]));

CREATE INDEX letter_ended ON mail.letter USING btree (ended_at) WHERE (ended_at IS NOT NULL);

CREATE INDEX letter_recipient ON mail.letter USING btree (recipient, created_at);

CREATE INDEX device_person ON people.device USING btree (person_id, used_at);

CREATE INDEX device_used ON people.device USING btree (used_at);

CREATE UNIQUE INDEX invitation_address ON people.invitation USING btree (account_id, lower(address));

CREATE INDEX invitation_by ON people.invitation USING btree (invited_by);

CREATE INDEX invitation_expiry ON people.invitation USING btree (expires_at);

CREATE INDEX link_address ON people.link USING btree (lower(address));

CREATE INDEX link_expiry ON people.link USING btree (expires_at);

CREATE INDEX link_person ON people.link USING btree (person_id);

CREATE INDEX member_person ON people.member USING btree (person_id);

CREATE UNIQUE INDEX person_address ON people.person USING btree (lower(address));

CREATE INDEX session_person ON people.session USING btree (person_id, seen_at);

CREATE INDEX session_seen ON people.session USING btree (seen_at);

CREATE UNIQUE INDEX erasure_account ON privacy.erasure USING btree (account_id) WHERE ((state = ANY (ARRAY['waiting'::text, 'running'::text])) AND (account_id IS NOT NULL));

CREATE INDEX erasure_due ON privacy.erasure USING btree (begins_at) WHERE (state = ANY (ARRAY['waiting'::text, 'running'::text]));

CREATE UNIQUE INDEX erasure_person ON privacy.erasure USING btree (requested_by) WHERE ((state = ANY (ARRAY['waiting'::text, 'running'::text])) AND (account_id IS NULL));

CREATE UNIQUE INDEX objection_account ON privacy.objection USING btree (account_id, purpose) WHERE (account_id IS NOT NULL);

CREATE UNIQUE INDEX objection_person ON privacy.objection USING btree (person_id, purpose) WHERE (person_id IS NOT NULL);

CREATE INDEX retention_run_table ON privacy.retention_run USING btree (table_name, at DESC);

CREATE INDEX record_account ON ONLY requests.record USING btree (account_id, at DESC, request_id DESC);

CREATE INDEX usage_day ON requests.usage USING btree (day);

CREATE INDEX incident_order ON support.incident USING btree (created_at DESC, id);

CREATE INDEX message_person ON support.message USING btree (person_id);

CREATE INDEX proof_expiry ON support.proof USING btree (expires_at);

CREATE INDEX ticket_account ON support.ticket USING btree (account_id, updated_at DESC);

CREATE INDEX ticket_address ON support.ticket USING btree (lower(address));

CREATE INDEX ticket_age ON support.ticket USING btree (updated_at);

CREATE INDEX ticket_person ON support.ticket USING btree (person_id);

CREATE INDEX ticket_state ON support.ticket USING btree (state, updated_at DESC, id);

CREATE INDEX delivery_age ON tasks.delivery USING btree (ended_at) WHERE (ended_at IS NOT NULL);

CREATE INDEX delivery_due ON tasks.delivery USING btree (next_at) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text]));

CREATE INDEX delivery_hook ON tasks.delivery USING btree (hook_id, seq);

CREATE INDEX delivery_lane ON tasks.delivery USING btree (lane, next_at) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text]));

CREATE INDEX hook_account ON tasks.hook USING btree (account_id, created_at);

CREATE INDEX task_account ON tasks.task USING btree (account_id, seq);

CREATE UNIQUE INDEX task_client_key ON tasks.task USING btree (account_id, client_key) WHERE (client_key IS NOT NULL);

CREATE INDEX task_expiry ON tasks.task USING btree (expires_at);

CREATE INDEX task_in_memory ON tasks.task USING btree (seq) WHERE (hold = 'memory'::text);

CREATE INDEX task_live ON tasks.task USING btree (account_id, turn) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));

CREATE INDEX task_queue ON tasks.task USING btree (turn, seq) WHERE (state = 'queued'::text);

CREATE INDEX task_running ON tasks.task USING btree (seq) WHERE (state = 'running'::text);

CREATE TRIGGER api_key_changed AFTER DELETE OR UPDATE OF revoked_at, expires_at, deprecated_at ON accounts.api_key FOR EACH STATEMENT EXECUTE FUNCTION accounts.announce_change();

CREATE TRIGGER suspension_changed AFTER INSERT OR DELETE ON accounts.suspension FOR EACH STATEMENT EXECUTE FUNCTION accounts.announce_change();

CREATE TRIGGER token_denied AFTER INSERT OR UPDATE ON accounts.token_ended FOR EACH ROW WHEN (new.denied) EXECUTE FUNCTION accounts.announce_change();

CREATE TRIGGER token_key_changed AFTER INSERT OR DELETE OR UPDATE OF state ON accounts.token_key FOR EACH STATEMENT EXECUTE FUNCTION accounts.announce_change();

CREATE TRIGGER tokens_not_before_changed AFTER UPDATE OF tokens_not_before ON accounts.profile FOR EACH STATEMENT EXECUTE FUNCTION accounts.announce_change();

CREATE TRIGGER head_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.head FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER record_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.record FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER record_place BEFORE INSERT ON audit.record FOR EACH ROW EXECUTE FUNCTION audit.check_place();

CREATE TRIGGER account_closed AFTER UPDATE OF status ON credits.account FOR EACH ROW WHEN ((new.status = 'closed'::text)) EXECUTE FUNCTION connections.destroy();

CREATE TRIGGER account_held_frozen BEFORE UPDATE OF status ON credits.account FOR EACH ROW WHEN ((new.status = 'active'::text)) EXECUTE FUNCTION privacy.hold_frozen();

CREATE TRIGGER account_kept BEFORE TRUNCATE ON credits.account FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER account_kept_row BEFORE DELETE ON credits.account FOR EACH ROW EXECUTE FUNCTION credits.check_account_retention();

CREATE TRIGGER account_low_balance AFTER UPDATE OF balance ON credits.account FOR EACH ROW WHEN (((new.balance < new.low_balance) AND (old.balance >= new.low_balance))) EXECUTE FUNCTION credits.announce_low_balance();

CREATE TRIGGER account_status_changed AFTER UPDATE OF status ON credits.account FOR EACH STATEMENT EXECUTE FUNCTION accounts.announce_change();

CREATE TRIGGER entry_append_only BEFORE UPDATE OR TRUNCATE ON credits.entry FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER entry_chain AFTER INSERT ON credits.entry REFERENCING NEW TABLE AS new_entry FOR EACH STATEMENT EXECUTE FUNCTION credits.check_chain();

CREATE TRIGGER entry_kept AFTER DELETE ON credits.entry REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION credits.check_retention();

CREATE TRIGGER seal_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON credits.seal FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER tombstone_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON credits.tombstone FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER device_objected BEFORE INSERT ON people.device FOR EACH ROW EXECUTE FUNCTION privacy.respect_objection('devices');

CREATE TRIGGER policy_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON privacy.policy FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER retention_run_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON privacy.retention_run FOR EACH STATEMENT EXECUTE FUNCTION credits.deny_change();

CREATE TRIGGER incident_note_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON support.incident_note FOR EACH STATEMENT EXECUTE FUNCTION support.deny_change();

ALTER TABLE ONLY accounts.api_key
    ADD CONSTRAINT api_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts.profile(account_id);

ALTER TABLE ONLY accounts.suspension
    ADD CONSTRAINT suspension_account_id_fkey FOREIGN KEY (account_id) REFERENCES credits.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY accounts.suspension
    ADD CONSTRAINT suspension_key_id_fkey FOREIGN KEY (key_id) REFERENCES accounts.api_key(id) ON DELETE CASCADE;

ALTER TABLE ONLY connections.connection
    ADD CONSTRAINT connection_account_id_fkey FOREIGN KEY (account_id) REFERENCES credits.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY files.chunk
    ADD CONSTRAINT chunk_file_id_fkey FOREIGN KEY (file_id) REFERENCES files.file(id) ON DELETE CASCADE;

ALTER TABLE ONLY files.half
    ADD CONSTRAINT half_file_id_fkey FOREIGN KEY (file_id) REFERENCES files.file(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.account
    ADD CONSTRAINT account_account_id_fkey FOREIGN KEY (account_id) REFERENCES credits.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.device
    ADD CONSTRAINT device_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.invitation
    ADD CONSTRAINT invitation_account_id_fkey FOREIGN KEY (account_id) REFERENCES credits.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.invitation
    ADD CONSTRAINT invitation_invited_by_fkey FOREIGN KEY (invited_by) REFERENCES people.person(id) ON DELETE SET NULL;

ALTER TABLE ONLY people.link
    ADD CONSTRAINT link_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.member
    ADD CONSTRAINT member_account_id_fkey FOREIGN KEY (account_id) REFERENCES credits.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.member
    ADD CONSTRAINT member_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.recovery_code
    ADD CONSTRAINT recovery_code_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.session
    ADD CONSTRAINT session_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE CASCADE;

ALTER TABLE ONLY people.staff
    ADD CONSTRAINT staff_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE CASCADE;

ALTER TABLE ONLY privacy.objection
    ADD CONSTRAINT objection_account_id_fkey FOREIGN KEY (account_id) REFERENCES credits.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY privacy.objection
    ADD CONSTRAINT objection_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE CASCADE;

ALTER TABLE ONLY privacy.restriction
    ADD CONSTRAINT restriction_account_id_fkey FOREIGN KEY (account_id) REFERENCES credits.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY support.incident_note
    ADD CONSTRAINT incident_note_incident_id_fkey FOREIGN KEY (incident_id) REFERENCES support.incident(id);

ALTER TABLE ONLY support.message
    ADD CONSTRAINT message_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE SET NULL;

ALTER TABLE ONLY support.message
    ADD CONSTRAINT message_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES support.ticket(id) ON DELETE CASCADE;

ALTER TABLE ONLY support.ticket
    ADD CONSTRAINT ticket_person_id_fkey FOREIGN KEY (person_id) REFERENCES people.person(id) ON DELETE SET NULL;

ALTER TABLE ONLY tasks.delivery
    ADD CONSTRAINT delivery_hook_id_fkey FOREIGN KEY (hook_id) REFERENCES tasks.hook(id) ON DELETE CASCADE;
