"""The front door of support: tickets, incidents, and the proofs of work of its public form."""

from ledger.database import Database
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock
from ledger.support.incidents import Incidents
from ledger.support.proofs import Proofs
from ledger.support.sweeper import SupportSweeper
from ledger.support.tickets import Tickets


class Support:
    """All that people ask us, and all that went wrong."""

    def __init__(self, database: Database, outbox: Outbox, pepper: bytes, clock: Clock) -> None:
        self.tickets = Tickets(database, outbox, clock)
        self.incidents = Incidents(database, outbox, clock)
        self.proofs = Proofs(database, pepper)
        self.sweeper = SupportSweeper(database, self.incidents, clock)
