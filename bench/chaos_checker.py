"""Compares what gateways asked for and were told with what is in the books: is anything wrong?

It believes neither: not the ledger's own audit, not a gateway. The rules need nothing but the
oracle's lines and the entries, in the order of their accounts and seqs:

- an acknowledged debit is in the books, with the acknowledged amount and balance;
- a conversion whose settle was acknowledged is charged once and not refunded, except for goodwill;
- whatever was not delivered is not charged: no entry, or a refund of the same amount;
- a refusal leaves no entry; "insufficient" names a balance that the account had at that time;
- one idempotency key pays at most once, and "paid for before" is true;
- purchases and goodwill: acknowledged ones are booked, and every one at most once;
- nothing is in the books that nobody asked for;
- entries of an account have gapless seqs, a running balance, and the order of real time: what was
  answered before something else was asked for comes before it;
- purchases + goodwill - what was delivered = balances.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from bench.chaos_log import Event, Line

_NEVER_NS = 2**63
_REFUSALS = (Event.INSUFFICIENT, Event.KEY_IN_FLIGHT, Event.KEY_MISMATCH, Event.REPEATED)
_EXAMPLES = 5


class Booked(NamedTuple):
    """An entry of the books. `id` is of the conversion, or in the reference of a purchase."""

    account: int
    seq: int
    kind: str
    credits: int
    balance: int
    id: bytes
    reason: str | None
    # A refund that a person gave, of something that was delivered.
    goodwill: bool
    created_at: float


class Act:
    """A debit or a purchase, or the goodwill for a debit: as asked for, as told, as booked."""

    __slots__ = ("account", "asked_ns", "balance", "booked", "credits", "gateway", "given", "key")
    __slots__ += ("refunded", "told", "told_ns")

    def __init__(self, line: Line, gateway: str) -> None:
        self.account = line.account
        self.credits = line.credits
        self.key = line.key
        self.gateway = gateway
        self.asked_ns = line.at_ns
        self.told = 1 << line.event
        self.told_ns = _NEVER_NS
        self.balance: int | None = None
        self.booked = 0
        self.refunded = 0
        self.given = 0

    def was(self, event: Event) -> bool:
        """Say whether this is on record."""
        return bool(self.told >> event & 1)

    @property
    def paid(self) -> bool:
        """Charged and not refunded; goodwill does not count."""
        return self.booked > self.refunded


class Insufficient(NamedTuple):
    """A refusal, with the balance that it named."""

    asked_ns: int
    told_ns: int
    balance: int


class Findings(msgspec.Struct, kw_only=True):
    """What came of it. Everything is right where `violations` is empty and both credits are 0."""

    entries: int = 0
    debits: int = 0
    delivered: int = 0
    # Delivered, and refunded because the gateway died or paused before its settle.
    given_away: int = 0
    # Acknowledged movements that are not in the books.
    credits_lost: int = 0
    # Charged with nothing delivered, or charged twice.
    credits_kept: int = 0
    violations: Counter[str] = msgspec.field(default_factory=Counter)
    examples: list[str] = msgspec.field(default_factory=list)
    # From a gateway's death to the refund of each debit that it left open.
    orphan_s: list[float] = msgspec.field(default_factory=list)
    # Refunded by a sweeper while their gateway was alive: it was paused or cut off.
    lapsed: int = 0

    @property
    def right(self) -> bool:
        """Say whether nothing at all is wrong."""
        return not self.violations and not self.credits_lost and not self.credits_kept

    def wrong(self, what: str, example: object = "") -> None:
        """Count a violation."""
        self.violations[what] += 1
        if self.violations[what] <= _EXAMPLES:
            self.examples.append(f"{what}: {example}")


class Checker:
    """Reads the oracle, then the entries, then judges."""

    def __init__(self, deaths: dict[str, float]) -> None:
        """Take the moments (of the epoch) at which gateways were killed."""
        self.findings = Findings()
        self._deaths = deaths
        self._acts: dict[bytes, Act] = {}
        self._goodwills: dict[bytes, Act] = {}
        self._insufficient: dict[int, list[Insufficient]] = defaultdict(list)
        self._total = 0

    def hear(self, gateway: str, lines: Iterable[Line]) -> None:
        """Take in what one gateway has on record."""
        for line in lines:
            if line.event in (Event.DEBIT, Event.PURCHASE):
                self._acts[line.id] = Act(line, gateway)
            elif line.event == Event.GOODWILL:
                self._goodwills[line.id] = Act(line, gateway)
            else:
                self._answer(line)

    def _answer(self, line: Line) -> None:
        goodwill = line.event == Event.GOODWILLED
        act = (self._goodwills if goodwill else self._acts)[line.id]
        act.told |= 1 << line.event
        if line.event in (Event.DEBITED, Event.PURCHASED):
            act.told_ns, act.balance = line.at_ns, line.balance
        elif goodwill:
            act.told_ns = line.at_ns
        elif line.event == Event.INSUFFICIENT:
            self._insufficient[act.account].append(
                Insufficient(act.asked_ns, line.at_ns, line.balance)
            )

    def read(self, account: int, entries: Iterable[Booked], balance: int) -> None:
        """Take in all entries of one account, in order of seq, and the balance it has."""
        history = History()
        seq = running = 0
        for entry in entries:
            seq, running = seq + 1, running + entry.credits
            if (entry.account, entry.seq, entry.balance) != (account, seq, running):
                self.findings.wrong("a chain is broken", entry)
                seq, running = entry.seq, entry.balance
            history.add(entry.balance, *self._book(entry))
        self.findings.entries += seq
        if running != balance:
            self.findings.wrong("a balance is not the sum of its entries", account)
        self._total += balance
        for position in history.out_of_order():
            self.findings.wrong("real time is not respected", f"account {account} seq {position}")
        for refusal in self._insufficient.pop(account, ()):
            if not history.had(refusal):
                self.findings.wrong("insufficient with a balance that never was", refusal)

    def _book(self, entry: Booked) -> tuple[int, int]:
        """Match an entry with who asked for it; gives when that was asked for and answered."""
        act = (self._goodwills if entry.goodwill else self._acts).get(entry.id)
        if act is None or act.account != entry.account:
            self.findings.wrong("nobody asked for this", entry)
            return 0, _NEVER_NS
        if entry.kind == "refund" and not entry.goodwill:
            return self._refund(act, entry)
        asked = Event.PURCHASE if entry.kind == "purchase" else Event.DEBIT
        asked = Event.GOODWILL if entry.goodwill else asked
        act.booked += 1
        signed = -act.credits if entry.kind == "consumption" else act.credits
        if not act.was(asked) or entry.credits != signed:
            self.findings.wrong("another amount than was asked for", entry)
        if act.balance not in (None, entry.balance):
            self.findings.wrong("another balance than was acknowledged", entry)
        return act.asked_ns, act.told_ns

    def _refund(self, act: Act, entry: Booked) -> tuple[int, int]:
        act.refunded += 1
        if entry.credits != act.credits or act.refunded > act.booked:
            self.findings.wrong("a refund is not of its debit", entry)
        if entry.reason == "abandoned":
            died = self._deaths.get(act.gateway)
            if died is not None and entry.created_at >= died:
                self.findings.orphan_s.append(entry.created_at - died)
            else:
                self.findings.lapsed += 1
        return 0, _NEVER_NS

    def judge(self) -> Findings:
        """Look at every act once, and at all of them together."""
        explained = 0
        for refusals in self._insufficient.values():
            self.findings.wrong("insufficient on an account without entries", refusals[0])
        for id_, act in self._acts.items():
            if act.was(Event.PURCHASE):
                explained += self._judge_booking(id_, act, Event.PURCHASED)
            else:
                explained -= self._judge_debit(id_, act)
        for id_, act in self._goodwills.items():
            explained += self._judge_booking(id_, act, Event.GOODWILLED)
            if act.booked and not self._acts[id_].was(Event.SETTLED):
                self.findings.wrong("goodwill for what was not settled", id_.hex())
        self._judge_keys()
        if explained != self._total:
            self.findings.wrong("the total", f"{explained} explained, {self._total} in accounts")
        return self.findings

    def _judge_booking(self, id_: bytes, act: Act, told: Event) -> int:
        """A purchase or goodwill; gives the credits that it must have brought."""
        if act.was(told) and not act.booked:
            self.findings.credits_lost += act.credits
            self.findings.wrong(f"acknowledged and not booked: {told.name.lower()}", id_.hex())
        if act.booked > 1:
            self.findings.wrong("booked twice", id_.hex())
        return act.credits * min(1, act.booked)

    def _judge_debit(self, id_: bytes, act: Act) -> int:
        """A conversion; gives the credits that it must have cost."""
        found = self.findings
        found.debits += bool(act.booked)
        delivered = act.was(Event.DELIVERED) and not act.was(Event.REPEATED)
        found.delivered += delivered
        if act.was(Event.DEBITED) and not act.booked:
            found.credits_lost += act.credits
            found.wrong("an acknowledged debit is missing", id_.hex())
        if act.was(Event.SETTLED) and not act.paid:
            found.credits_lost += act.credits
            found.wrong("settled and not charged", id_.hex())
        if act.paid and not delivered:
            found.credits_kept += act.credits
            found.wrong("charged and not delivered", id_.hex())
        if act.paid and act.was(Event.LAPSED):
            found.wrong("lapsed and charged", id_.hex())
        if act.booked > 1 or act.refunded > 1:
            found.credits_kept += act.credits * (act.booked > 1)
            found.wrong("debited or refunded twice", id_.hex())
        if act.booked and any(act.was(refusal) for refusal in _REFUSALS):
            found.wrong("refused and booked", id_.hex())
        found.given_away += delivered and not act.paid
        return act.credits if act.paid and delivered else 0

    def _judge_keys(self) -> None:
        keyed: dict[tuple[int, int], list[Act]] = defaultdict(list)
        for act in self._acts.values():
            if act.key:
                keyed[act.account, act.key].append(act)
        for (account, key), acts in keyed.items():
            paid = sum(act.paid for act in acts)
            if paid > 1:
                self.findings.credits_kept += sum(act.credits for act in acts if act.paid)
                self.findings.wrong("one key paid twice", f"account {account} key {key}")
            if not paid and any(act.was(Event.REPEATED) for act in acts):
                self.findings.wrong("a repeat of what was not paid", f"account {account} key {key}")


class History:
    """The balances of one account in the order of seq, and when each was asked for and answered."""

    def __init__(self) -> None:
        self._balances = [0]
        self._asked = [0]
        self._told = [0]
        self._ready = False

    def add(self, balance: int, asked_ns: int, told_ns: int) -> None:
        """Add the next entry."""
        self._balances.append(balance)
        self._asked.append(asked_ns)
        self._told.append(told_ns)

    def out_of_order(self) -> Iterable[int]:
        """Give the seqs that were asked for after something that follows them was answered."""
        earliest = _NEVER_NS
        for seq in range(len(self._told) - 1, -1, -1):
            if earliest < self._asked[seq]:
                yield seq
            earliest = min(earliest, self._told[seq])

    def had(self, refusal: Insufficient) -> bool:
        """Say whether the account had the named balance at some time while this was under way."""
        if not self._ready:
            self._make_bounds()
        # The last entry that was certainly there before, the first that was certainly not after.
        first = self._certain_seq[bisect.bisect_left(self._certain_ns, refusal.asked_ns) - 1]
        last = self._possible_seq[bisect.bisect_right(self._possible_ns, refusal.told_ns) - 1]
        return refusal.balance in self._balances[first : last + 1]

    def _make_bounds(self) -> None:
        self._ready = True
        certain = sorted((told, seq) for seq, told in enumerate(self._told) if told < _NEVER_NS)
        self._certain_ns = [told for told, _ in certain]
        self._certain_seq = []
        highest = 0
        for _, seq in certain:
            highest = max(highest, seq)
            self._certain_seq.append(highest)
        # Since when the entry may have been there: not before any that precedes it was asked for.
        self._possible_ns = []
        since = 0
        for asked in self._asked:
            since = max(since, asked)
            self._possible_ns.append(since)
        self._possible_seq = range(len(self._possible_ns))
