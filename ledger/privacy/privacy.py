"""The front door of privacy: what the inventory promises, done.

ledger.privacy.retention.sweep()        # nothing is kept longer than promised
ledger.privacy.exports.opened(whose)    # everything that is somebody's
ledger.privacy.erasures.ask(…)          # an end, in a week, with a proof
ledger.privacy.wishes.restrict(…)       # or only a rest
ledger.privacy.policies.publish(…)      # what was promised when
ledger.privacy.reach.look(…)            # who is affected when something got out
"""

from ledger.audit.actions import Actions
from ledger.database import Database
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock
from ledger.privacy.erasure import Erasures
from ledger.privacy.exports import Exports
from ledger.privacy.inventory import inventory
from ledger.privacy.policies import Policies
from ledger.privacy.reach import Reach
from ledger.privacy.retention import RetentionJob
from ledger.privacy.wishes import Wishes
from ledger.settings import LedgerSettings


class Privacy:
    """Retention, exports, erasures, wishes and versions of the privacy page."""

    def __init__(
        self,
        database: Database,
        settings: LedgerSettings,
        mail: Outbox,
        actions: Actions,
        clock: Clock,
    ) -> None:
        self.inventory = inventory()
        self.retention = RetentionJob(database, self.inventory, settings, clock)
        self.exports = Exports(database, self.inventory, mail)
        self.erasures = Erasures(database, self.inventory, mail, actions, clock)
        self.wishes = Wishes(database, clock)
        self.policies = Policies(database, clock)
        self.reach = Reach(database, self.inventory)
