-- Mails on their way. A row is written in the transaction of what it tells of, so that a mail is
-- sent if and only if that happened; a gateway delivers it, and tries again while it can not.
--
-- Whom it goes to and what it says are sealed (ledger/envelope.py) and destroyed with delivery.

create schema mail;

create table mail.letter (
    id         uuid        primary key,
    kind       text        not null check (kind ~ '^[a-z][a-z_]{0,39}$'),
    content    bytea       check (length(content) <= 65536),
    recipient  bytea       not null check (length(recipient) = 32),
    once       text        unique check (length(once) between 1 and 200),
    state      text        not null default 'waiting'
                           check (state in ('waiting', 'sending', 'sent', 'dead')),
    attempts   integer     not null default 0,
    next_at    timestamptz not null,
    expires_at timestamptz,
    error      text        check (error ~ '^[a-z-]{1,40}$'),
    status     integer,
    created_at timestamptz not null,
    ended_at   timestamptz,
    constraint letter_over_when check ((state in ('sent', 'dead')) = (ended_at is not null)),
    constraint letter_content_until_sent check ((content is null) = (state = 'sent'))
) with (fillfactor = 70);
create index letter_due on mail.letter (next_at) where state in ('waiting', 'sending');
create index letter_ended on mail.letter (ended_at) where ended_at is not null;
create index letter_recipient on mail.letter (recipient, created_at);

comment on column mail.letter.content is
    'address and fields as JSON, in the envelope: place mail.letter.content|id';
comment on column mail.letter.recipient is
    'BLAKE2b-256 of the address in lower case, keyed with the pepper: to count and to erase by';
comment on column mail.letter.once is 'of this name there is one mail, however often it is queued';
comment on column mail.letter.next_at is
    'the next attempt; of one that is being sent: when its sender counts as dead';
comment on column mail.letter.error is 'why the last attempt failed, in a word of ours';
comment on column mail.letter.status is 'the SMTP reply code of the last attempt';

-- Accounts that fell below the balance they wanted to hear of, until their members are written to.
-- Rows come and go and are never changed, and point at no account: an update, or the lock of a
-- reference, would be in the way of transactions that move credits.
create table mail.crossing (
    account_id bigint      not null,
    seq        bigint      not null,
    balance    bigint      not null,
    threshold  bigint      not null,
    at         timestamptz not null default now(),
    primary key (account_id, seq)
);

-- The last crossing that was told. A refund can lift a balance above its threshold again; what
-- follows is no news until credits were bought or given, or the threshold is another one.
create table mail.low_balance (
    account_id bigint primary key,
    seq        bigint not null,
    threshold  bigint not null
);

create or replace function credits.announce_low_balance() returns trigger
language plpgsql security definer set search_path = credits, pg_temp as $$
begin
    perform pg_notify('ephemera_balance', json_build_object(
        'account_id', new.id, 'seq', new.seq, 'balance', new.balance,
        'threshold', new.low_balance)::text);
    insert into mail.crossing (account_id, seq, balance, threshold)
    values (new.id, new.seq, new.balance, new.low_balance)
    on conflict do nothing;
    return null;
end $$;
