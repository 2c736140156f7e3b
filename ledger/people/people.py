"""The front door of people: everything that the service remembers of who signs in.

ledger.people.sessions.authenticate(secret)   # who speaks
ledger.people.links.ask_sign_up(...)          # what is confirmed by mail
ledger.people.members.list(account_id)        # who belongs to an account
"""

from ledger.database import Database
from ledger.envelope import Envelope
from ledger.people.factors import Factors
from ledger.people.links import Links
from ledger.people.members import Members
from ledger.people.peppers import Peppers
from ledger.people.person import Clock, Mailer
from ledger.people.persons import Persons
from ledger.people.sessions import Sessions
from ledger.people.staff import Staff
from ledger.people.sweeper import PeopleSweeper


class People:
    """Persons, their sessions, links, factors, memberships and staff roles."""

    def __init__(
        self,
        database: Database,
        envelope: Envelope,
        peppers: Peppers,
        mailer: Mailer,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self.peppers = peppers
        self.sessions = Sessions(database, clock)
        self.persons = Persons(database, envelope, self.sessions, mailer, clock)
        self.links = Links(database, self.persons, self.sessions, mailer, clock)
        self.factors = Factors(
            database=database,
            envelope=envelope,
            peppers=peppers,
            sessions=self.sessions,
            mailer=mailer,
            clock=clock,
        )
        self.members = Members(database, self.persons, self.sessions, mailer, clock)
        self.staff = Staff(database, clock)
        self.sweeper = PeopleSweeper(database, clock)
