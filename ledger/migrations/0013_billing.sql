-- Billing: what was bought from whoever takes the money for us, and what became of the credits.
--
-- A webhook becomes one row of billing.event in the transaction that moves the credits it tells of,
-- so that both are there or neither. Nothing here is a card, a name or an address.

create schema billing;

-- One row an order. `credits` = those that it gave; of them `withdrawn` were taken back after
-- refunds, `debt` should have been and were spent already, and `waived` somebody let go.
create table billing.purchase (
    provider   text        not null check (provider ~ '^[a-z][a-z0-9_]{0,39}$'),
    order_id   text        not null check (length(order_id) between 1 and 100),
    account_id bigint      not null references credits.account (id) on delete cascade,
    reference  text        not null unique check (length(reference) between 1 and 150),
    pack       text        not null check (length(pack) between 1 and 60),
    credits    bigint      not null check (credits > 0),
    currency   text        not null check (currency ~ '^[A-Z]{3}$'),
    total      bigint      not null check (total >= 0),
    refunded   bigint      not null default 0 check (refunded >= 0),
    withdrawn  bigint      not null default 0 check (withdrawn >= 0),
    debt       bigint      not null default 0 check (debt >= 0),
    waived     bigint      not null default 0 check (waived >= 0),
    test       boolean     not null,
    ordered_at timestamptz not null,
    booked_at  timestamptz not null,
    -- When the mails that tell of it were queued.
    told_at    timestamptz,
    primary key (provider, order_id),
    constraint purchase_refunded check (refunded <= total),
    constraint purchase_taken check (withdrawn + debt + waived <= credits)
) with (fillfactor = 80);
create index purchase_account on billing.purchase (account_id, booked_at);
create index purchase_untold on billing.purchase (booked_at) where told_at is null;
create index purchase_debt on billing.purchase (account_id) where debt > 0;
create index purchase_time on billing.purchase (provider, ordered_at);

comment on column billing.purchase.reference is 'of its entry in the books: ls:order:1234';
comment on column billing.purchase.total is 'what was paid, in minor units of the currency';

-- How an account pays, as far as its provider says so: for people to recognise, not to pay with.
create table billing.customer (
    account_id bigint      not null references credits.account (id) on delete cascade,
    provider   text        not null,
    reference  text        check (length(reference) between 1 and 100),
    brand      text        check (length(brand) between 1 and 40),
    last_four  text        check (last_four ~ '^[0-9]{4}$'),
    country    text        check (country ~ '^[A-Z]{2}$'),
    updated_at timestamptz not null,
    primary key (account_id, provider)
);
comment on column billing.customer.reference is 'what the provider calls the account''s buyer';

-- Every webhook that was genuine, once. What is `parked` waits for its purchase; what is `held`
-- waits for a person.
create table billing.event (
    id          bigint      generated always as identity primary key,
    provider    text        not null,
    digest      bytea       not null check (length(digest) = 32),
    kind        text        not null check (kind ~ '^[a-z][a-z_]{0,59}$'),
    state       text        not null check (state in ('applied', 'parked', 'held', 'ignored')),
    reason      text        check (reason ~ '^[a-z][a-z-]{0,39}$'),
    order_id    text        check (length(order_id) between 1 and 100),
    account_id  bigint,
    pack        text,
    credits     bigint,
    currency    text,
    total       bigint,
    refunded    bigint,
    received_at timestamptz not null,
    ended_at    timestamptz,
    unique (provider, digest),
    constraint event_ended check ((state in ('parked', 'held')) = (ended_at is null))
);
create index event_order on billing.event (provider, order_id) where order_id is not null;
create index event_open on billing.event (received_at) where ended_at is null;
create index event_ended_at on billing.event (ended_at) where ended_at is not null;
comment on column billing.event.digest is 'SHA-256 of the body as it came: the same again is the same';

-- How the provider's list of orders compared with ours, each time somebody looked.
create table billing.reconciliation (
    id       bigint      generated always as identity primary key,
    provider text        not null,
    since    timestamptz not null,
    ran_at   timestamptz not null,
    orders   bigint      not null,
    drifts   text        not null check (length(drifts) <= 100000)
);
create index reconciliation_last on billing.reconciliation (provider, ran_at);
comment on column billing.reconciliation.drifts is 'a JSON list of order ids and of what differs';

-- One movement of credits. Reached with the turn taken.
create function billing.book(
    p_kind text, p_account bigint, p_amount bigint, p_reference text, p_reason text)
returns text language sql as $$
    select p.outcomes[1] from credits.post(
        0, interval '0', array[p_kind], array[p_account], array[p_amount], array[null]::uuid[],
        array[null]::text[], array[null]::bytea[], array[p_reference], array[p_reason]) p
$$;

-- Take back what was refunded until now: of the credits the same part as of the money, less what
-- was taken before. The balance stays at or above zero; what is missing becomes a debt.
create function billing.withdraw(p_provider text, p_order text, p_refunded bigint)
returns void language plpgsql as $$
declare
    p       billing.purchase;
    due     bigint;
    taken   bigint;
begin
    select * into p from billing.purchase b where b.provider = p_provider and b.order_id = p_order;
    if p_refunded <= p.refunded and not (p.total = 0 and p_refunded = 0) then
        return;   -- late, or the same again: refunds only grow
    end if;
    due := case when p_refunded >= p.total then p.credits
                else trunc(p.credits::numeric * p_refunded / p.total)::bigint end
           - p.withdrawn - p.debt - p.waived;
    select least(due, a.balance) into taken from credits.account a
     where a.id = p.account_id and a.status <> 'closed';
    taken := coalesce(taken, 0);
    if taken > 0 and billing.book('adjustment', p.account_id, -taken,
            p.reference || ':refund:' || p_refunded, 'refund of ' || p.reference) <> 'done' then
        taken := 0;
    end if;
    update billing.purchase b
       set refunded = p_refunded, withdrawn = b.withdrawn + taken, debt = b.debt + due - taken
     where b.provider = p_provider and b.order_id = p_order;
end $$;

-- Debts of an account are paid with what it buys.
create function billing.collect(p_account bigint)
returns void language plpgsql as $$
declare
    p     billing.purchase;
    taken bigint;
begin
    for p in select * from billing.purchase b where b.account_id = p_account and b.debt > 0
              order by b.booked_at, b.order_id loop
        select least(p.debt, a.balance) into taken from credits.account a where a.id = p_account;
        continue when taken < 1;
        if billing.book('adjustment', p_account, -taken,
                p.reference || ':debt:' || p.withdrawn + taken,
                'owed since the refund of ' || p.reference) = 'done' then
            update billing.purchase b set withdrawn = b.withdrawn + taken, debt = b.debt - taken
             where b.provider = p.provider and b.order_id = p.order_id;
        end if;
    end loop;
end $$;

-- What is wrong with a purchase that is about to be booked; null: nothing, and it is booked.
create function billing.buy(
    p_provider text, p_order text, p_reference text, p_account bigint, p_pack text,
    p_credits bigint, p_currency text, p_total bigint, p_test boolean,
    p_ordered_at timestamptz, p_now timestamptz)
returns text language plpgsql as $$
declare
    p    billing.purchase;
    said text;
begin
    select * into p from billing.purchase b where b.provider = p_provider and b.order_id = p_order;
    if p.order_id is not null then
        return case when (p.account_id, p.pack, p.credits, p.currency, p.total)
                         = (p_account, p_pack, p_credits, p_currency, p_total)
                    then null else 'changed' end;
    end if;
    said := billing.book('purchase', p_account, p_credits, p_reference, null);
    if said not in ('done', 'repeat') then
        return replace(said, '_', '-');
    end if;
    insert into billing.purchase (provider, order_id, account_id, reference, pack, credits,
                                  currency, total, test, ordered_at, booked_at)
    values (p_provider, p_order, p_account, p_reference, p_pack, p_credits,
            p_currency, p_total, p_test, p_ordered_at, p_now);
    perform billing.collect(p_account);
    return null;
end $$;

-- The way in. One CALL is one transaction: the event and what it moves are written together, or
-- not at all. As in credits.apply, the turn is taken before the snapshot, so two gateways that got
-- the same webhook follow each other, and the second finds the first one's row.
--
-- p_action: `buy`, `refund`, or null for what moves nothing; then p_state and p_reason say why.
-- Results: `repeat` (the same body came before) or the state of the event.
create procedure billing.apply(
    p_provider text, p_digest bytea, p_kind text, p_action text, p_state text, p_reason text,
    p_order text, p_reference text, p_account bigint, p_pack text, p_credits bigint,
    p_currency text, p_total bigint, p_refunded bigint, p_test boolean, p_ordered_at timestamptz,
    p_customer text, p_brand text, p_last_four text, p_country text, p_now timestamptz,
    inout result text, inout why text)
language plpgsql as $$
declare
    p      billing.purchase;
    refund bigint;
begin
    commit;
    set transaction isolation level serializable;
    set local lock_timeout = '5s';
    set local enable_seqscan = off;
    lock table credits.turn in share row exclusive mode;
    if exists (select from billing.event e
                where e.provider = p_provider and e.digest = p_digest) then
        result := 'repeat';
        commit;
        return;
    end if;
    result := p_state;
    why := p_reason;
    if p_action = 'buy' then
        why := billing.buy(p_provider, p_order, p_reference, p_account, p_pack, p_credits,
                           p_currency, p_total, p_test, p_ordered_at, p_now);
        result := case when why is null then 'applied' else 'held' end;
    elsif p_action = 'refund' then
        select * into p from billing.purchase b
         where b.provider = p_provider and b.order_id = p_order;
        if p.order_id is null then
            result := 'parked';
            why := 'purchase-unknown';
        elsif (p.currency, p.total) <> (p_currency, p_total) then
            result := 'held';
            why := 'changed';
        else
            result := 'applied';
        end if;
    end if;
    if result = 'applied' then
        -- A refund that came before its purchase has waited for this.
        select max(e.refunded) into refund from billing.event e
         where e.provider = p_provider and e.order_id = p_order and e.state = 'parked'
           and e.currency = p_currency and e.total = p_total;
        refund := greatest(refund, p_refunded);
        if p_action = 'refund' or refund > 0 then
            perform billing.withdraw(p_provider, p_order, refund);
        end if;
        update billing.event e
           set state = case when e.currency = p_currency and e.total = p_total
                            then 'applied' else 'held' end,
               reason = case when e.currency = p_currency and e.total = p_total
                             then null else 'changed' end,
               ended_at = case when e.currency = p_currency and e.total = p_total
                               then p_now end
         where e.provider = p_provider and e.order_id = p_order and e.state = 'parked';
    end if;
    if result = 'applied' and p_account is not null
       and coalesce(p_customer, p_brand, p_last_four, p_country) is not null then
        insert into billing.customer (account_id, provider, reference, brand, last_four, country,
                                      updated_at)
        values (p_account, p_provider, p_customer, p_brand, p_last_four, p_country, p_now)
        on conflict (account_id, provider) do update
           set reference = coalesce(excluded.reference, customer.reference),
               brand = coalesce(excluded.brand, customer.brand),
               last_four = coalesce(excluded.last_four, customer.last_four),
               country = coalesce(excluded.country, customer.country),
               updated_at = excluded.updated_at;
    end if;
    insert into billing.event (provider, digest, kind, state, reason, order_id, account_id, pack,
                               credits, currency, total, refunded, received_at, ended_at)
    values (p_provider, p_digest, p_kind, result, why, p_order, p_account, p_pack,
            p_credits, p_currency, p_total, p_refunded, p_now,
            case when result in ('applied', 'ignored') then p_now end);
    commit;
end $$;

-- Debts that nobody will ask for any more. Gives the credits.
create function billing.waive(p_provider text, p_order text) returns bigint
language sql as $$
    with old as (select debt from billing.purchase
                  where provider = p_provider and order_id = p_order for update),
         gone as (update billing.purchase b set waived = b.waived + b.debt, debt = 0
                   where b.provider = p_provider and b.order_id = p_order)
    select debt from old
$$;

-- Where purchases and the books say different things; empty at every moment.
create view billing.violations as
    select 'purchase without its entry' as what, p.account_id, p.reference
      from billing.purchase p
      left join credits.entry e on e.account_id = p.account_id and e.kind = 'purchase'
           and e.reference = p.reference
     where e.amount is distinct from p.credits
    union all
    select 'withdrawn otherwise than booked', p.account_id, p.reference
      from billing.purchase p
     where p.withdrawn <> coalesce((
            select -sum(e.amount) from credits.entry e
             where e.account_id = p.account_id and e.kind = 'adjustment'
               and (starts_with(e.reference, p.reference || ':refund:')
                    or starts_with(e.reference, p.reference || ':debt:'))), 0);
