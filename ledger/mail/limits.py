"""How many mails may wait, how long they are tried, how long anything of them is remembered."""

import msgspec


class MailLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    # Longer than one attempt (a minute) by far: only a dead process's lease lapses.
    lease_s: float = 300.0
    # Beyond it, nobody is sent what anybody can ask for: a mail server that is away for days must
    # not fill the database.
    waiting_max: int = 10_000
    # Of what anybody can have sent to somebody else's address, in an hour.
    recipient_hour_max: int = 5
    # That a mail was delivered, and when; what it said is destroyed at once.
    sent_s: float = 7 * 86_400.0
    # How long an operator can look at one that could not be delivered, and have it tried again.
    dead_s: float = 14 * 86_400.0
