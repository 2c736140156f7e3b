-- What the running service may do: look, call, and keep its lease. Nothing else.
-- Applied after every migration, so that what this file does not say is not granted.

revoke all on schema credits, accounts, audit, files, tasks, ephemera from public, ephemera_app;
revoke all on all tables in schema credits, accounts, audit, files, tasks, ephemera
    from public, ephemera_app;
revoke all on all routines in schema credits, accounts, audit, files, tasks
    from public, ephemera_app;

grant usage on schema credits, accounts, audit, files, tasks, ephemera to ephemera_app;
grant select on all tables in schema credits, accounts, audit, files, tasks, ephemera
    to ephemera_app;

-- Credits move through the procedure; the function behind it runs as the owner. LOCK TABLE asks
-- for a right to write, which on a table without columns is worth nothing.
grant execute on procedure credits.apply to ephemera_app;
grant execute on function credits.post to ephemera_app;
grant execute on procedure credits.apply_capped to ephemera_app;
grant execute on function credits.post_capped to ephemera_app;
grant execute on function credits.forget_keys, credits.forget_spent to ephemera_app;
grant update on credits.turn to ephemera_app;

-- Leases.
grant insert, update, delete on credits.gateway to ephemera_app;

-- Accounts are opened empty (only the id can be given), frozen and closed, and say when to warn.
grant insert (id) on credits.account to ephemera_app;
grant update (status, closed_at, low_balance) on credits.account to ephemera_app;
grant insert on accounts.profile to ephemera_app;

-- Keys are made, used, replaced and revoked; what they may do is never rewritten.
grant insert on accounts.api_key to ephemera_app;
grant update (revoked_at, expires_at, deprecated_at, last_used_at, sealed)
    on accounts.api_key to ephemera_app;

-- Keys that sign tokens go through their states; tokens end before their time.
grant insert, delete, update (state, since, sealed) on accounts.token_key to ephemera_app;
grant insert, delete, update (denied, expires_at) on accounts.token_ended to ephemera_app;
grant update (tokens_not_before) on accounts.profile to ephemera_app;

-- The later life of the books; each of these checks its own conditions.
grant execute on function credits.goodwill to ephemera_app;
grant execute on function credits.seal_days to ephemera_app;
grant execute on function credits.broken_seals to ephemera_app;
grant execute on function credits.purge to ephemera_app;
grant execute on function accounts.erase to ephemera_app;

-- Limits come and go. Accounts and keys are shut out, and let in again.
revoke all on schema limits from public, ephemera_app;
revoke all on all tables in schema limits from public, ephemera_app;
revoke all on all routines in schema limits from public, ephemera_app;
grant usage on schema limits to ephemera_app;
grant select, insert, update, delete on all tables in schema limits to ephemera_app;
grant execute on all routines in schema limits to ephemera_app;
grant insert, delete on accounts.suspension to ephemera_app;

-- Requests are recorded and forgotten; days are made and dropped by the functions.
revoke all on schema requests from public, ephemera_app;
revoke all on all tables in schema requests from public, ephemera_app;
revoke all on all routines in schema requests from public, ephemera_app;
grant usage on schema requests to ephemera_app;
grant select, insert, delete on requests.record to ephemera_app;
grant select, insert, update, delete on requests.usage to ephemera_app;
grant execute on all routines in schema requests to ephemera_app;

-- Audit records are added; the trigger and the primary key see to their place.
grant insert on audit.record to ephemera_app;

-- Stored files come and go; a half and a chunk are never changed, and go with their file.
grant execute on function files.make_room to ephemera_app;
grant insert, delete on files.file to ephemera_app;
grant update (bytes, media_type, expires_at) on files.file to ephemera_app;
grant insert on files.half, files.chunk to ephemera_app;

-- Tasks, webhooks and their deliveries come, change their state and go.
grant execute on function tasks.submit, tasks.tell to ephemera_app;
grant execute on procedure tasks.finish to ephemera_app;
grant insert, update, delete on tasks.task, tasks.hook, tasks.delivery to ephemera_app;

-- People come, change, and go; what they are a member of and what they hold goes with them.
revoke all on schema people from public, ephemera_app;
revoke all on all tables in schema people from public, ephemera_app;
grant usage on schema people to ephemera_app;
grant select, insert, update, delete on all tables in schema people to ephemera_app;

-- Mails come, change their state and go; crossings of thresholds are put there by the trigger.
revoke all on schema mail from public, ephemera_app;
revoke all on all tables in schema mail from public, ephemera_app;
grant usage on schema mail to ephemera_app;
grant select, insert, update, delete on mail.letter, mail.low_balance to ephemera_app;
grant select, delete, update (at) on mail.crossing to ephemera_app;

-- Purchases and events are added and change their state; credits move through credits.post.
revoke all on schema billing from public, ephemera_app;
revoke all on all tables in schema billing from public, ephemera_app;
revoke all on all routines in schema billing from public, ephemera_app;
grant usage on schema billing to ephemera_app;
grant select on all tables in schema billing to ephemera_app;
grant insert, update on billing.purchase to ephemera_app;
grant insert, update, delete on billing.customer, billing.event to ephemera_app;
grant insert, delete on billing.reconciliation to ephemera_app;
grant execute on all routines in schema billing to ephemera_app;

-- What people ask for comes and changes; what shows that rules were kept is only added.
revoke all on schema privacy from public, ephemera_app;
revoke all on all tables in schema privacy from public, ephemera_app;
grant usage on schema privacy to ephemera_app;
grant select on all tables in schema privacy to ephemera_app;
grant insert on privacy.retention_run, privacy.policy to ephemera_app;
grant insert, update on privacy.erasure to ephemera_app;
grant insert, delete on privacy.restriction, privacy.objection to ephemera_app;
grant insert on audit.head to ephemera_app;
grant insert, delete, update (ended_at, reads, read_at) on audit.access to ephemera_app;

-- Connections come, are written anew, used and checked, and go; nothing else of theirs changes.
revoke all on schema connections from public, ephemera_app;
revoke all on all tables in schema connections from public, ephemera_app;
revoke all on all routines in schema connections from public, ephemera_app;
grant usage on schema connections to ephemera_app;
grant select, insert, delete on connections.connection to ephemera_app;
grant update (kind, label, host, sealed, changed_at, last_used_at, checked_at, found)
    on connections.connection to ephemera_app;

-- Tickets come and go; incidents and their notes stay.
revoke all on schema support from public, ephemera_app;
revoke all on all tables in schema support from public, ephemera_app;
grant usage on schema support to ephemera_app;
grant select, insert, update, delete on support.ticket, support.message, support.proof
    to ephemera_app;
grant select, insert, update on support.incident to ephemera_app;
grant select, insert on support.incident_note to ephemera_app;
