"""Staff: the roles that people have for the service itself. Given at the command line alone."""

from ledger.database import Database
from ledger.errors import PersonUnknown
from ledger.people.person import Clock
from ledger.people.roles import StaffRole

_GIVE = """
insert into people.staff (person_id, role, since)
select id, $2, $3 from people.person where id = $1
on conflict (person_id, role) do update set since = people.staff.since
returning true
"""
_TAKE = "delete from people.staff where person_id = $1 and role = $2 returning true"
_LIST = "select person_id, role from people.staff order by person_id, role"


class Staff:
    """Who has which role. Raises LedgerUnavailable everywhere."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def give(self, person_id: int, role: StaffRole) -> None:
        """Give a person a role, from the next request on. Raises PersonUnknown."""
        if not await self._database.value(_GIVE, person_id, role, self._clock()):
            raise PersonUnknown(f"there is no person {person_id}")

    async def take(self, person_id: int, role: StaffRole) -> None:
        """Take a role away, from the next request on. Raises PersonUnknown."""
        if not await self._database.value(_TAKE, person_id, role):
            raise PersonUnknown(f"the person {person_id} does not have the role {role}")

    async def list(self) -> dict[int, frozenset[StaffRole]]:
        """Give all staff by their ids."""
        found: dict[int, frozenset[StaffRole]] = {}
        for row in await self._database.rows(_LIST):
            roles = found.get(row["person_id"], frozenset())
            found[row["person_id"]] = roles | {StaffRole(row["role"])}
        return found
