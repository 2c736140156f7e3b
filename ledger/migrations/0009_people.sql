-- People: who signs in, how they show who they are, and whose accounts they are members of.
-- All that names a person is in this schema and can be emptied; accounts and their credits stay.

create schema people;

create table people.person (
    id           bigint      primary key check (id > 0),
    address      text        not null check (length(address) between 3 and 254),
    name         text        not null default '' check (length(name) <= 100),
    created_at   timestamptz not null,
    suspended_at timestamptz,
    password     text        not null check (password like '$argon2id$%'),
    pepper_id    text        not null,
    password_at  timestamptz not null,
    totp         bytea,
    totp_since   timestamptz,
    totp_next    bytea,
    totp_step    bigint      not null default 0,
    constraint person_totp check ((totp is null) = (totp_since is null))
);
-- One person an address, however it is written, and however many sign up with it at once.
create unique index person_address on people.person (lower(address));

comment on column people.person.address is 'confirmed by its owner; nobody is here before that';
comment on column people.person.password is 'argon2id of HMAC-SHA256(pepper, password)';
comment on column people.person.totp is
    'the seed of one-time codes, in the envelope: place people.person.totp|id';
comment on column people.person.totp_next is
    'a seed that no code has confirmed yet, in the envelope: place people.person.totp_next|id';
comment on column people.person.totp_step is
    'the time step of the last code that was taken: neither it nor an earlier one is taken again';

create table people.recovery_code (
    person_id  bigint      not null references people.person on delete cascade,
    hash       bytea       not null check (length(hash) = 32),
    created_at timestamptz not null,
    primary key (person_id, hash)
);
comment on table people.recovery_code is 'deleted when it is used';
comment on column people.recovery_code.hash is 'BLAKE2b-256 of the code, keyed with the pepper';

create table people.staff (
    person_id bigint      not null references people.person on delete cascade,
    role      text        not null check (role in ('support', 'ops', 'finance', 'auditor')),
    since     timestamptz not null,
    primary key (person_id, role)
);

-- What an account is called by its people; the ledger knows its number and a name that says nothing.
create table people.account (
    account_id bigint primary key references credits.account (id) on delete cascade,
    name       text   not null check (length(name) between 1 and 100)
);

create table people.member (
    account_id bigint      not null references credits.account (id) on delete cascade,
    person_id  bigint      not null references people.person on delete cascade,
    role       text        not null
                           check (role in ('owner', 'admin', 'developer', 'billing', 'viewer')),
    since      timestamptz not null,
    primary key (account_id, person_id)
);
create index member_person on people.member (person_id);

create table people.session (
    id            text        primary key check (id ~ '^[0-9A-Za-z]{12}$'),
    hash          bytea       not null unique check (length(hash) = 32),
    person_id     bigint      not null references people.person on delete cascade,
    -- The account it acts for; whether its person is (still) a member is looked up each time.
    account_id    bigint,
    mfa           boolean     not null,
    created_at    timestamptz not null,
    seen_at       timestamptz not null,
    stepped_up_at timestamptz not null,
    network       cidr,
    client        text        not null default '' check (length(client) <= 120)
) with (fillfactor = 70);
create index session_person on people.session (person_id, seen_at);
create index session_seen on people.session (seen_at);

comment on column people.session.hash is 'SHA-256 of the whole secret, which has 190 random bits';
comment on column people.session.network is 'where it began: the /24 or the /64';
comment on column people.session.client is 'the program it began with, as it called itself';

-- Machines from which somebody signed in before: their guesses are counted apart.
create table people.device (
    hash       bytea       primary key check (length(hash) = 32),
    person_id  bigint      not null references people.person on delete cascade,
    created_at timestamptz not null,
    used_at    timestamptz not null
);
create index device_person on people.device (person_id, used_at);
create index device_used on people.device (used_at);

-- What was sent by mail and is good for one thing, once. To use it is to delete it.
create table people.link (
    hash       bytea       primary key check (length(hash) = 32),
    purpose    text        not null check (purpose in ('sign_up', 'reset', 'address')),
    person_id  bigint      references people.person on delete cascade,
    address    text        not null check (length(address) between 3 and 254),
    name       text        not null default '' check (length(name) <= 100),
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index link_person on people.link (person_id);
create index link_address on people.link (lower(address));
create index link_expiry on people.link (expires_at);

create table people.invitation (
    id         text        primary key check (id ~ '^[0-9A-Za-z]{12}$'),
    hash       bytea       not null unique check (length(hash) = 32),
    account_id bigint      not null references credits.account (id) on delete cascade,
    address    text        not null check (length(address) between 3 and 254),
    role       text        not null
                           check (role in ('owner', 'admin', 'developer', 'billing', 'viewer')),
    -- Null: an operator, at the command line.
    invited_by bigint      references people.person on delete set null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create unique index invitation_address on people.invitation (account_id, lower(address));
create index invitation_expiry on people.invitation (expires_at);
create index invitation_by on people.invitation (invited_by);
