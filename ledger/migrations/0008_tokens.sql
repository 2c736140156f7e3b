-- What an API key may do, for how long and for how many credits; and tokens, which speak for a key
-- for minutes.

alter table accounts.api_key
    add column kind          text        not null default 'live'
                             check (kind in ('live', 'test', 'signing')),
    -- What a key could do before there were scopes.
    add column scopes        text[]      not null
                             default '{convert,files,tasks,hooks,account:read,tokens}',
    -- Empty: all of them.
    add column operations    text[]      not null default '{}' check (cardinality(operations) <= 100),
    add column addresses     cidr[]      not null default '{}' check (cardinality(addresses) <= 100),
    add column day_max       bigint      check (day_max > 0),
    add column month_max     bigint      check (month_max > 0),
    add column expires_at    timestamptz,
    add column deprecated_at timestamptz,
    add column last_used_at  timestamptz,
    -- The first key of a row of rotations: all of them draw on one cap.
    add column spender       text        check (spender ~ '^[0-9A-Za-z]{12}$'),
    add column sealed        bytea,
    add constraint api_key_sealed check ((kind = 'signing') = (sealed is not null));
alter table accounts.api_key alter column kind drop default, alter column scopes drop default;
-- last_used_at changes every few seconds; half-empty pages keep that inside its page (HOT).
alter table accounts.api_key set (fillfactor = 70);

comment on column accounts.api_key.sealed is
    'the secret of a signing key, in the envelope: place accounts.api_key.sealed|id';
comment on column accounts.api_key.deprecated_at is 'when another key took its place';

-- That a key was used is no news to the gateways.
drop trigger api_key_changed on accounts.api_key;
create trigger api_key_changed
    after update of revoked_at, expires_at, deprecated_at or delete on accounts.api_key
    for each statement execute function accounts.announce_change();

-- Tokens that were signed before this moment are refused.
alter table accounts.profile add column tokens_not_before timestamptz;
create trigger tokens_not_before_changed after update of tokens_not_before on accounts.profile
    for each statement execute function accounts.announce_change();

-- Keys that sign tokens: next -> active -> retired -> gone. The private part is in the envelope
-- (place accounts.token_key.sealed|kid) and destroyed when the key retires.
create table accounts.token_key (
    kid        text        primary key check (length(kid) = 43),
    public     bytea       not null check (length(public) = 32),
    sealed     bytea,
    state      text        not null check (state in ('next', 'active', 'retired')),
    created_at timestamptz not null default now(),
    -- When it came into its state.
    since      timestamptz not null default now(),
    constraint token_key_sealed check ((sealed is null) = (state = 'retired'))
);
create unique index token_key_one on accounts.token_key (state) where state <> 'retired';
create trigger token_key_changed after insert or update of state or delete on accounts.token_key
    for each statement execute function accounts.announce_change();

-- Tokens whose end came before their time: denied by their owner, or good for one request and used.
create table accounts.token_ended (
    account_id bigint      not null,
    jti        text        not null check (length(jti) between 1 and 100),
    denied     boolean     not null,
    expires_at timestamptz not null,
    primary key (account_id, jti)
);
create index token_ended_expiry on accounts.token_ended (expires_at);
-- One that is good for one request is not kept in memory, so its use is no news.
create trigger token_denied after insert or update on accounts.token_ended
    for each row when (new.denied) execute function accounts.announce_change();

-- What keys with a cap have spent, by day of UTC. A debit stands in `spending`; what has become of it
-- is looked up when it matters, so that refunds, whoever makes them, have nothing to do here.
create table credits.spent (
    spender text   not null,
    day     date   not null,
    amount  bigint not null check (amount >= 0),
    primary key (spender, day)
) with (fillfactor = 70);
create table credits.spending (
    account_id    bigint not null,
    conversion_id uuid   not null,
    spender       text   not null,
    day           date   not null,
    amount        bigint not null check (amount > 0),
    primary key (account_id, conversion_id)
);
create index spending_spender on credits.spending (spender);

-- Moves the debits of a key that are not open any more to its sum, but for those that were refunded
-- or never made.
create function credits.fold_spending(p_spender text) returns void
language sql security definer set search_path = credits, pg_temp as $$
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

-- credits.post() for a batch with debits of keys that have a cap. Such a debit is looked at first,
-- and what a cap allows goes on to post(). Everything that moves credits takes its turn
-- (credits.turn), so that no two look at the same moment, in whatever gateway. More outcomes:
--   day_cap | month_cap   it would exceed the cap; the balance is what is left below it
--
-- What failed counts as spent until it is folded: before anybody is refused, and now and then.
create function credits.post_capped(
    p_gateway bigint, p_lifetime interval,
    p_kind text[], p_account bigint[], p_amount bigint[], p_conversion uuid[],
    p_key text[], p_fingerprint bytea[], p_reference text[], p_reason text[],
    p_spender text[], p_day_max bigint[], p_month_max bigint[],
    out outcomes text[], out balances bigint[], out seqs bigint[])
language plpgsql security definer
set search_path = credits, pg_temp
set enable_seqscan = off set enable_material = off
set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
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

-- As credits.apply, with the same order of statements for the same reason.
create procedure credits.apply_capped(
    p_gateway bigint, p_lifetime interval,
    p_kind text[], p_account bigint[], p_amount bigint[], p_conversion uuid[],
    p_key text[], p_fingerprint bytea[], p_reference text[], p_reason text[],
    p_spender text[], p_day_max bigint[], p_month_max bigint[],
    inout outcomes text[], inout balances bigint[], inout seqs bigint[])
language plpgsql as $$
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

-- Two months and a little: no cap looks back further. Called now and then, so many at a time.
create function credits.forget_spent(p_limit int) returns bigint
language sql security definer set search_path = credits, pg_temp as $$
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
