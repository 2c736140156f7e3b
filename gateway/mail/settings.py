"""What an operator decides of mails: who hands them on, in whose name, and how they get there."""

import ipaddress
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# What servers listen on by default (RFC 8314, RFC 6409; a relay on this machine: RFC 5321).
PORTS = {"tls": 465, "starttls": 587, "none": 25}


class MailConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How mails leave the service."""

    # `smtp` hands them to a mail server. `console` prints them, which shows their links to whoever
    # reads the terminal: for trying things out. `memory` keeps the last ones: for tests.
    # `off`: this process hands on none, because another one does.
    backend: Literal["console", "smtp", "memory", "off"] = "console"
    # The From line: a name and an address whose domain lets this mail server send for it.
    sender: str = "Ephemera <no-reply@localhost>"
    # Where answers go; empty: to the sender.
    reply_to: str = ""
    # Who hears of what came through the contact form; empty: nobody, it waits for staff to look.
    support: str = ""
    host: str = ""
    # 0: 587 for starttls, 465 for tls.
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    # `starttls` refuses a server that does not encrypt; `tls` is encrypted from the first byte. The
    # certificate is checked in both. `none` is for a relay on this machine alone.
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = ""
    # Certificates of an authority of your own, as PEM, in place of the system's.
    ca_file: str = ""
    # For connecting, and for each answer of the server: RFC 5321 allows minutes, but nobody who
    # waits for a link does.
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 30.0
    # Mails under way at the same time, each over a connection of its own.
    at_once: Annotated[int, Meta(ge=1, le=32)] = 4
    # `terminal`: the console backend prints only to a terminal. A journal or a container's log
    # would keep the links, which open accounts.
    console: Literal["terminal", "always"] = "terminal"

    def __post_init__(self) -> None:
        """Raise ValueError for what no mail could be sent with."""
        for name, text in (("sender", self.sender), ("reply_to", self.reply_to)):
            if text or name == "sender":
                mailbox(name, text)
        if self.support:
            mailbox("support", self.support)
        if self.backend == "smtp" and not self.host:
            raise ValueError("mail.host names the mail server that mail.backend = smtp asks for")
        if self.security == "none" and self.host and not _is_here(self.host):
            raise ValueError(
                "mail.security = none would send links that open accounts in the clear; it is for a"
                " relay on this machine (localhost) alone"
            )
        if self.username and self.security == "none":
            raise ValueError("mail.username would go out in the clear with mail.security = none")


def mailbox(name: str, text: str) -> Address:
    """Read a setting that is an address, with a name before it or without. Raises ValueError."""
    called, spec = parseaddr(text)
    try:
        address = Address(display_name=called, addr_spec=spec)
    except Exception as error:  # its parser raises errors of many kinds
        raise ValueError(f"mail.{name} is no address: Name <name@domain>") from error
    if not address.domain or any(ord(char) < ord(" ") for char in text):
        raise ValueError(f"mail.{name} is no address: Name <name@domain>")
    return address


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
