-- What people ask us, what we answer, and what went wrong here.

create schema support;

create table support.ticket (
    id         text        primary key check (id ~ '^T-[0-9A-HJKMNP-TV-Z]{10}$'),
    -- Of a member who wrote, and of who that was; null for whoever used the contact form.
    account_id bigint,
    person_id  bigint      references people.person on delete set null,
    address    text        not null check (length(address) between 3 and 254),
    name       text        not null default '' check (length(name) <= 100),
    subject    text        not null check (length(subject) between 1 and 150),
    state      text        not null default 'open' check (state in ('open', 'answered', 'closed')),
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index ticket_state on support.ticket (state, updated_at desc, id);
create index ticket_account on support.ticket (account_id, updated_at desc);
create index ticket_address on support.ticket (lower(address));
create index ticket_person on support.ticket (person_id);
create index ticket_age on support.ticket (updated_at);

comment on column support.ticket.updated_at is
    'of the last message or change; 24 months later the ticket is deleted';

create table support.message (
    ticket_id text        not null references support.ticket on delete cascade,
    seq       integer     not null check (seq > 0),
    author    text        not null check (author in ('customer', 'staff')),
    person_id bigint      references people.person on delete set null,
    text      text        not null check (length(text) between 1 and 10000),
    at        timestamptz not null,
    primary key (ticket_id, seq)
);
create index message_person on support.message (person_id);

comment on column support.message.person_id is 'who wrote it, of the account or of staff';

-- What went wrong: of availability, of security, or with personal data. The last kind has a clock:
-- 72 hours after we know of it the authority has to know (GDPR Art. 33), unless nobody is at risk.
create table support.incident (
    id               text        primary key check (id ~ '^I-[0-9A-HJKMNP-TV-Z]{10}$'),
    kind             text        not null
                                 check (kind in ('availability', 'security', 'personal-data')),
    severity         text        not null check (severity in ('low', 'medium', 'high', 'critical')),
    risk             text        not null default 'unknown'
                                 check (risk in ('unknown', 'none', 'some', 'high')),
    state            text        not null default 'open'
                                 check (state in ('open', 'contained', 'resolved', 'closed')),
    title            text        not null check (length(title) between 1 and 150),
    -- When it began, as far as is known, and when we knew of it: the clock runs from there.
    began_at         timestamptz,
    aware_at         timestamptz not null,
    authority_at     timestamptz,
    people_at        timestamptz,
    closed_at        timestamptz,
    created_at       timestamptz not null,
    constraint incident_over_when check ((state = 'closed') = (closed_at is not null))
);
create index incident_order on support.incident (created_at desc, id);

comment on column support.incident.risk is
    'for the people whose data it is: none needs a reason in the notes, high means they are told';
comment on column support.incident.authority_at is 'when the supervisory authority was told';
comment on column support.incident.people_at is 'when the people whose data it is were told';

-- What was found out, decided and done, and by whom. Art. 33 (5) wants it documented: it is only
-- ever added to.
create table support.incident_note (
    incident_id text        not null references support.incident,
    seq         integer     not null check (seq > 0),
    at          timestamptz not null,
    -- `person:7`, as in the audit records.
    actor       text        not null check (length(actor) between 1 and 100),
    text        text        not null check (length(text) between 1 and 10000),
    primary key (incident_id, seq)
);

create function support.deny_change() returns trigger
language plpgsql as $$
begin
    raise exception '% of %.% is denied', tg_op, tg_table_schema, tg_table_name;
end $$;
create trigger incident_note_append_only before update or delete or truncate
    on support.incident_note for each statement execute function support.deny_change();

-- Proofs of work that were shown, until they are over. Forgotten in a crash of the server: each is
-- then good once more, for half an hour.
create unlogged table support.proof (
    hash       bytea       primary key check (length(hash) = 32),
    expires_at timestamptz not null
);
create index proof_expiry on support.proof (expires_at);
