"""Puts the mails together: who writes them, who hands them on, who carries them."""

from gateway.mail.backends import Backend, Console, Memory
from gateway.mail.composing import Composer
from gateway.mail.postman import Count, Postman
from gateway.mail.settings import MailConfig
from gateway.mail.smtp import Smtp
from ledger.ledger import Ledger


def backend_of(config: MailConfig, home_url: str) -> Backend | None:
    """Whoever hands mails on, as the operator chose; None: nobody here. Raises ConfigError."""
    match config.backend:
        case "smtp":
            return Smtp(config, home_url)
        case "memory":
            return Memory()
        case "console":
            return Console(always=config.console == "always")
        case "off":
            return None


def postman_of(config: MailConfig, home_url: str, ledger: Ledger, count: Count) -> Postman:
    """The one of this process. Raises ConfigError."""
    return Postman(
        ledger,
        Composer(config, home_url),
        backend_of(config, home_url),
        count,
        at_once=config.at_once,
    )
