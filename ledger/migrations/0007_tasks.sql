-- Tasks: conversions that nobody waits for, and the webhooks that tell how they ended.
--
-- A task has no bytes here: its files are in the store, behind a URL, or in one gateway's memory.
-- Its request and its outcome hold handles, which open stored files, so both are sealed
-- (ledger/envelope.py) with a key that is not in the database.
--
-- One rule carries the money: a task ends, its debit is settled or refunded, and its webhooks are
-- queued, in one transaction (tasks.finish). There is no moment between them to die in.

create schema tasks;

create table tasks.task (
    seq           bigint      generated always as identity primary key,
    account_id    bigint      not null,
    id            text        not null check (id ~ '^[0-9a-z-]{32,36}$'),
    state         text        not null default 'queued' check (state in (
        'queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'expired')),
    -- Where its bytes are: in the store (or behind a URL), or in the memory of its holder alone.
    hold          text        not null check (hold in ('store', 'memory')),
    source        text        not null check (length(source) <= 64),
    target        text        not null check (length(target) <= 64),
    -- Sealed; destroyed when the task is over.
    request       bytea       check (length(request) <= 1048576),
    -- Sealed: an address for this task alone that hears of its end.
    callback      bytea       check (length(callback) <= 8192),
    hook_id       text,
    -- Stored files that came with the request, and those that were made of them: they go with it.
    inputs        text[]      not null default '{}',
    results       text[]      not null default '{}',
    -- Sealed: handles of the results, or what went wrong in words.
    outcome       bytea       check (length(outcome) <= 1048576),
    code          text        check (length(code) <= 64),
    client_key    text        check (length(client_key) between 1 and 255),
    fingerprint   bytea       check (length(fingerprint) = 32),
    turn          bigint      not null,
    ready_at      timestamptz not null default now(),
    attempt       integer     not null default 0,
    -- Of the attempt: whoever has another one has lost the task.
    conversion_id uuid,
    holder        uuid,
    lease_until   timestamptz,
    stage         text        not null default 'queued' check (length(stage) <= 32),
    progress      real        not null default 0 check (progress between 0 and 1),
    credits       bigint      not null default 0,
    -- The debit is final.
    settled       boolean     not null default false,
    created_at    timestamptz not null default now(),
    started_at    timestamptz,
    ended_at      timestamptz,
    -- Of one that waits: when it is given up. Of one that is over: when it is forgotten.
    expires_at    timestamptz not null,
    unique (account_id, id),
    constraint task_over_when check (
        (state in ('queued', 'running')) = (ended_at is null)),
    constraint task_held_by check (holder is not null or hold = 'store' and state <> 'running'),
    constraint task_paid check (not settled or state = 'succeeded')
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- None of them names a column that a heart-beat changes.
create index task_queue on tasks.task (turn, seq) where state = 'queued';
create index task_live on tasks.task (account_id, turn) where state in ('queued', 'running');
create index task_running on tasks.task (seq) where state = 'running';
create index task_in_memory on tasks.task (seq) where hold = 'memory';
create index task_account on tasks.task (account_id, seq);
create index task_expiry on tasks.task (expires_at);
create unique index task_client_key on tasks.task (account_id, client_key)
    where client_key is not null;

comment on column tasks.task.turn is
    'whose turn it is: an account with many tasks gets one turn for one of everybody else';

create table tasks.hook (
    id            text        primary key check (id ~ '^[0-9A-Za-z]{16}$'),
    account_id    bigint      not null,
    -- Sealed: addresses carry tokens, and whoever has the secret can speak for us.
    url           bytea       not null,
    secret        bytea       not null,
    old_secret    bytea,
    old_until     timestamptz,
    events        text[]      not null,
    status        text        not null default 'active' check (status in ('active', 'disabled')),
    -- Why it is disabled.
    reason        text,
    failing_since timestamptz,
    created_at    timestamptz not null default now()
);
create index hook_account on tasks.hook (account_id, created_at);

-- One event for one address; the row is its log as well. The body names a task and its state:
-- no handle, no file name.
create table tasks.delivery (
    seq         bigint      generated always as identity primary key,
    account_id  bigint      not null,
    -- `webhook-id`: the same at every attempt.
    event_id    text        not null check (length(event_id) <= 64),
    event       text        not null check (length(event) <= 64),
    task_id     text        not null,
    hook_id     text        references tasks.hook (id) on delete cascade,
    -- The task's callback, where it is not a hook's.
    callback    bytea,
    -- Deliveries of one lane may be in each other's way, and in nobody else's.
    lane        text        not null,
    body        text        not null check (length(body) <= 20000),
    state       text        not null default 'waiting' check (state in (
        'waiting', 'sending', 'delivered', 'failed', 'dropped')),
    attempts    integer     not null default 0,
    next_at     timestamptz not null,
    lease_until timestamptz,
    status      integer,
    error       text        check (length(error) <= 64),
    log         jsonb       not null default '[]',
    created_at  timestamptz not null default now(),
    ended_at    timestamptz,
    unique (event_id, lane)
);
create index delivery_due on tasks.delivery (next_at) where state in ('waiting', 'sending');
create index delivery_lane on tasks.delivery (lane, next_at) where state in ('waiting', 'sending');
create index delivery_hook on tasks.delivery (hook_id, seq);
create index delivery_age on tasks.delivery (ended_at) where ended_at is not null;

-- Takes a task, or says who is in the way. The lock lasts for these few statements; without it two
-- gateways could both take the last place.
create function tasks.submit(
    p_account bigint, p_id text, p_hold text, p_holder uuid, p_source text, p_target text,
    p_request bytea, p_callback bytea, p_hook text, p_inputs text[],
    p_key text, p_fingerprint bytea, p_queue interval, p_lease interval,
    p_account_max bigint, p_max bigint,
    out outcome text, out task_id text, out task_seq bigint)
language plpgsql set search_path = tasks, pg_temp as $$
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

-- Puts one event into the queue of everybody who wants to hear of it.
create function tasks.tell(
    p_account bigint, p_task text, p_hook text, p_callback bytea,
    p_event text, p_event_id text, p_body text)
returns void
language sql set search_path = tasks, pg_temp as $$
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

-- Ends a task: state, money and webhooks in one transaction. To call it again changes nothing.
--
-- p_from: the states it may be in; p_conversion: the attempt that speaks (null: any, for those who
-- do not run it); p_only: 'lapsed' or 'expired' where it must be that as well.
-- p_money: settle | refund | leave (open) | free (there is none). Outcomes: done; lost (somebody else decided, or runs it);
-- lapsed (its debit was refunded, so it must not succeed); gone.
create procedure tasks.finish(
    p_seq bigint, p_conversion uuid, p_from text[], p_only text, p_state text, p_money text,
    p_reason text, p_outcome bytea, p_results text[], p_code text, p_keep interval,
    p_event text, p_event_id text, p_body text, inout result text)
language plpgsql as $$
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
