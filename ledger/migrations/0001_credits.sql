-- Credits: who owns how many, and every movement there ever was.
--
-- One rule carries everything: credits move only inside credits.post(), which is only reached in a
-- SERIALIZABLE transaction that took its turn (credits.turn) before its snapshot. The constraints
-- and triggers below hold even if that rule is broken.

create schema credits;

create type credits.kind as enum ('purchase', 'consumption', 'refund', 'adjustment');

-- The id is random and means nothing; names live in accounts.profile. Half-empty pages keep the
-- updates of the balance inside their page (HOT), so that the primary key never grows.
create table credits.account (
    id         bigint      primary key check (id > 0),
    -- Up to 2^53 - 1: exact where a client reads JSON numbers as doubles.
    balance    bigint      not null default 0 check (balance between 0 and 9007199254740991),
    seq        bigint      not null default 0 check (seq >= 0),
    status     text        not null default 'active' check (status in ('active', 'frozen', 'closed')),
    created_at timestamptz not null default now(),
    closed_at  timestamptz,
    constraint account_opens_empty check (seq > 0 or balance = 0),
    constraint account_closed_when check ((status = 'closed') = (closed_at is not null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

comment on column credits.account.seq is 'the number of entries, which is the seq of the last one';

-- No foreign key to the account: the chain trigger compares both after every insert, which is
-- stronger and costs less.
create table credits.entry (
    account_id    bigint       not null,
    seq           bigint       not null check (seq > 0),
    amount        bigint       not null,
    balance_after bigint       not null check (balance_after >= 0),
    created_at    timestamptz  not null,
    kind          credits.kind not null,
    conversion_id uuid,
    reference     text         check (length(reference) between 1 and 200),
    reason        text         check (length(reason) between 1 and 500),
    primary key (account_id, seq),
    constraint entry_shape check (case kind
        when 'purchase'    then amount > 0 and conversion_id is null and reference is not null
        when 'consumption' then amount < 0 and conversion_id is not null and reference is null
        when 'refund'      then amount > 0 and conversion_id is not null
        when 'adjustment'  then amount <> 0 and conversion_id is null
                                and reference is not null and reason is not null
        else false end)
);

comment on column credits.entry.amount is 'signed: a positive amount gives to the account';

-- A conversion is debited once and refunded once, whatever arrives late or twice.
create unique index entry_once on credits.entry (account_id, conversion_id, kind)
    where conversion_id is not null;
-- A payment, a grant, a goodwill refund: one reference, one booking, for ever.
create unique index entry_reference on credits.entry (account_id, kind, reference)
    where reference is not null;

-- The debits of conversions that run now. A row exists exactly while its consumption is neither
-- settled nor refunded; whoever deletes the row has decided which.
create table credits.open_debit (
    account_id    bigint      not null,
    conversion_id uuid        not null,
    amount        bigint      not null check (amount > 0),
    gateway_id    bigint      not null,
    deadline      timestamptz not null,
    key           text,
    primary key (account_id, conversion_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_cost_delay = 0);

-- A key is in flight while its debit is open, and paid afterwards: a refund deletes it.
create table credits.idempotency_key (
    account_id    bigint      not null,
    key           text        not null check (length(key) between 1 and 255),
    fingerprint   bytea       not null,
    conversion_id uuid        not null,
    expires_at    timestamptz not null,
    primary key (account_id, key)
) with (fillfactor = 70);
create index idempotency_key_expiry on credits.idempotency_key (expires_at);

-- One row a living gateway process. To delete the row is to revoke the lease.
create table credits.gateway (
    id         bigint      generated always as identity primary key,
    started_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- The queue in front of post(): an empty table, because LOCK TABLE is the only lock that a
-- transaction can wait for before it has a snapshot.
create table credits.turn ();

create function credits.deny_change() returns trigger
language plpgsql as $$
begin
    raise exception '%.% is append-only', tg_table_schema, tg_table_name
        using errcode = 'restrict_violation';
end $$;

create trigger entry_append_only before update or delete or truncate on credits.entry
    for each statement execute function credits.deny_change();
create trigger account_kept before delete or truncate on credits.account
    for each statement execute function credits.deny_change();

-- The induction step of "the entries add up to the balance", for every statement that adds entries.
create function credits.check_chain() returns trigger
language plpgsql
set search_path = credits, pg_temp
set enable_seqscan = off set enable_material = off
set enable_hashjoin = off set enable_mergejoin = off as $$
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

create trigger entry_chain after insert on credits.entry
    referencing new table as new_entry
    for each statement execute function credits.check_chain();

-- Decides and writes one batch of operations; to call it again with the same batch changes nothing.
--
-- p_kind: purchase | adjustment | debit | settle | refund, one array element an operation.
-- Within an account, what gives credits comes first, a refund comes before a settle of the same
-- conversion (so that the refund wins), and the rest goes by arrival. Outcomes:
--   done             it is so now (for a refund or a settle: or was so already)
--   repeat           the key is paid for, or the reference is booked: nothing is written
--   insufficient     the balance is smaller
--   lapsed           a settle of what was refunded or never debited; a refund of what was settled;
--                    a debit that was made by an earlier call and has been refunded since
--   key_in_flight    the key's first request still runs
--   key_mismatch     the key was used for another request
--   reference_used   the reference is booked with another amount
--   account_unknown | account_frozen | account_closed | gateway_unknown
create function credits.post(
    p_gateway bigint, p_lifetime interval,
    p_kind text[], p_account bigint[], p_amount bigint[], p_conversion uuid[],
    p_key text[], p_fingerprint bytea[], p_reference text[], p_reason text[],
    out outcomes text[], out balances bigint[], out seqs bigint[])
language plpgsql security definer
set search_path = credits, pg_temp
set enable_seqscan = off set enable_material = off
set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
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

-- The way in: one CALL is one SERIALIZABLE transaction, one round trip, one flush of the log.
-- The order of the first four statements is the point. LOCK TABLE waits without a snapshot, so two
-- gateways that meet here follow each other instead of failing each other (40001); an expression,
-- an EXECUTE or an advisory lock in its place would take the snapshot first.
create procedure credits.apply(
    p_gateway bigint, p_lifetime interval,
    p_kind text[], p_account bigint[], p_amount bigint[], p_conversion uuid[],
    p_key text[], p_fingerprint bytea[], p_reference text[], p_reason text[],
    inout outcomes text[], inout balances bigint[], inout seqs bigint[])
language plpgsql as $$
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

-- Keys are kept for a day; called now and then, a bounded number at a time.
create function credits.forget_keys(p_limit int) returns bigint
language sql security definer set search_path = credits, pg_temp as $$
    with gone as (
        delete from idempotency_key k
         using (select account_id, key from idempotency_key
                 where expires_at < now() order by expires_at limit p_limit
                   for update skip locked) old
         where k.account_id = old.account_id and k.key = old.key
        returning 1)
    select count(*) from gone
$$;

-- What must never be; empty at every moment, in every snapshot.
create view credits.violations as
    select 'broken chain' as what, account_id, seq
      from (select account_id, seq, amount, balance_after,
                   lag(balance_after, 1, 0::bigint) over chain as previous_balance,
                   lag(seq, 1, 0::bigint) over chain as previous_seq
              from credits.entry window chain as (partition by account_id order by seq)) c
     where balance_after <> previous_balance + amount or seq <> previous_seq + 1
    union all
    select 'balance is not the sum of the entries', a.id, a.seq
      from credits.account a
      left join (select account_id, sum(amount) as total, count(*) as entries
                   from credits.entry group by account_id) e on e.account_id = a.id
     where a.balance <> coalesce(e.total, 0) or a.seq <> coalesce(e.entries, 0)
    union all
    select 'entry without account', e.account_id, min(e.seq)
      from credits.entry e
     where not exists (select from credits.account a where a.id = e.account_id)
     group by e.account_id
    union all
    select 'debited or refunded twice', account_id, max(seq)
      from credits.entry where conversion_id is not null
     group by account_id, conversion_id, kind having count(*) > 1
    union all
    select 'refund without its debit', r.account_id, r.seq
      from credits.entry r
      left join credits.entry d on d.account_id = r.account_id
           and d.conversion_id = r.conversion_id and d.kind = 'consumption'
     where r.kind = 'refund'
       and (d.seq is null or d.seq > r.seq or r.amount > -d.amount
            or r.reference is null and r.amount <> -d.amount)
    union all
    select 'open without its debit', o.account_id, d.seq
      from credits.open_debit o
      left join credits.entry d on d.account_id = o.account_id
           and d.conversion_id = o.conversion_id and d.kind = 'consumption'
     where d.amount is distinct from -o.amount
    union all
    select 'open and refunded', o.account_id, r.seq
      from credits.open_debit o
      join credits.entry r on r.account_id = o.account_id
           and r.conversion_id = o.conversion_id and r.kind = 'refund'
    union all
    select 'key without a paid or open debit', k.account_id, null
      from credits.idempotency_key k
     where not exists (select from credits.entry d
                        where d.account_id = k.account_id
                          and d.conversion_id = k.conversion_id and d.kind = 'consumption')
        or exists (select from credits.entry r
                    where r.account_id = k.account_id and r.reference is null
                      and r.conversion_id = k.conversion_id and r.kind = 'refund');
