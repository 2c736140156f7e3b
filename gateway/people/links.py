"""The links that mails carry: made here, and handed over as a hash and a finished text."""

from gateway.config import Settings
from ledger.people.person import Link
from ledger.people.secret import new_link

# Where the portal shows what a link is for, and a button. Looking at it uses nothing up: those who
# look through mails for their users follow every link in them.
LINK_PATH = "/link/"


def base_of(settings: Settings) -> str:
    """How the service is reached from outside, as far as it was told."""
    server = settings.server
    return server.public_url.rstrip("/") or f"http://{server.host}:{server.port}"


def made(settings: Settings) -> Link:
    """A new link."""
    shown = new_link()
    return Link(shown=shown, url=f"{base_of(settings)}{LINK_PATH}{shown.text}")
