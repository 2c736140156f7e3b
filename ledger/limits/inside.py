"""How many uploads of each account every gateway is busy with: told and heard in one round trip."""

from collections.abc import Mapping

import asyncpg

from ledger.credits.lease import Lease
from ledger.database import Database
from ledger.errors import LedgerFault

# A gateway that has not told for so long is dead, or cut off.
SILENT_S = 10.0
_EXCHANGE = """
with told as (
    insert into limits.inside (gateway_id, account_id, uploads)
    select $1, t.account_id, t.uploads
      from unnest($2::bigint[], $3::int[]) as t (account_id, uploads)
     order by t.account_id
    on conflict (account_id, gateway_id)
       do update set uploads = excluded.uploads, told_at = now()),
over as (
    delete from limits.inside where gateway_id = $1 and account_id <> all ($2::bigint[]))
select account_id, sum(uploads)::bigint as uploads from limits.inside
 where gateway_id <> $1 and told_at >= now() - $4::float8 * interval '1 second'
 group by account_id
"""


class Inside:
    """What this gateway tells, and hears."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease

    async def exchange(self, here: Mapping[int, int]) -> dict[int, int]:
        """Tell what is under way here, by account; gives the same of all others together.

        Raises LedgerUnavailable.
        """
        try:
            rows = await self._database.rows(
                _EXCHANGE, self._lease.id, list(here), list(here.values()), SILENT_S
            )
        except asyncpg.PostgresError as error:
            raise LedgerFault("what is under way elsewhere could not be read") from error
        return {row["account_id"]: row["uploads"] for row in rows}
