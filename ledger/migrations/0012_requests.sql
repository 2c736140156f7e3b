-- What was asked of the service by whom, for 90 days: paths as patterns, sizes and times; no names
-- of files, no contents, no queries. And the sums of it by day.

create schema requests;

-- One partition a day, so that the end of a day's records is a table that goes.
create table requests.record (
    at           timestamptz not null,
    request_id   uuid        not null,
    account_id   bigint      not null,
    -- Null: somebody who had signed in.
    key_id       text        check (length(key_id) <= 40),
    method       text        not null check (length(method) <= 10),
    path         text        not null check (length(path) <= 200),
    -- As keys name operations, source/target:operation; empty where nothing was converted.
    operation    text        not null check (length(operation) <= 120),
    status       smallint    not null,
    bytes_in     bigint      not null check (bytes_in >= 0),
    milliseconds integer     not null check (milliseconds >= 0),
    credits      bigint      not null check (credits >= 0),
    address      cidr
) partition by range (at);
create index record_account on requests.record (account_id, at desc, request_id desc);

comment on column requests.record.address is
    'where from; cut to /24 or /48 unless the operator keeps whole ones, or none';

-- The same added up, without addresses and ids of requests.
create table requests.usage (
    account_id   bigint not null,
    day          date   not null,
    key_id       text   not null,
    operation    text   not null,
    requests     bigint not null,
    failed       bigint not null,
    bytes_in     bigint not null,
    milliseconds bigint not null,
    credits      bigint not null,
    primary key (account_id, day, key_id, operation)
) with (fillfactor = 70);
create index usage_day on requests.usage (day);

-- The service has no right to make or drop tables; these two do it for it.
create function requests.make_days(p_first date, p_last date) returns integer
language plpgsql security definer set search_path = requests, pg_temp as $$
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

-- Days before this one go, whole. Gives the days that went.
create function requests.drop_days(p_before date) returns setof date
language plpgsql security definer set search_path = requests, pg_temp as $$
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
end $$;
