-- An account that wants to hear of its balance before it is empty.

alter table credits.account add column low_balance bigint check (low_balance > 0);

comment on column credits.account.low_balance is
    'announced when the balance comes from here or above to below; null: never';

-- The condition is part of the trigger, so that an update that crosses nothing calls nothing.
-- NOTIFY makes commits wait for each other, which is why only a crossing says anything. The seq
-- makes one event of what several listeners hear.
create function credits.announce_low_balance() returns trigger
language plpgsql as $$
begin
    perform pg_notify('ephemera_balance', json_build_object(
        'account_id', new.id, 'seq', new.seq, 'balance', new.balance,
        'threshold', new.low_balance)::text);
    return null;
end $$;

create trigger account_low_balance after update of balance on credits.account
    for each row when (new.balance < new.low_balance and old.balance >= new.low_balance)
    execute function credits.announce_low_balance();
