"""Mails by SMTP: encrypted, to a server whose certificate is checked, within a time.

One connection a mail. A connection that is kept is one that a server closes at the wrong moment;
there are a few mails a minute, and a handshake costs milliseconds.
"""

import ssl
from urllib.parse import urlsplit

import aiosmtplib

from gateway.errors import ConfigError
from gateway.mail.backends import Failure
from gateway.mail.composing import Message
from gateway.mail.settings import PORTS, MailConfig, mailbox

# 5yz: the same again will fail again (RFC 5321, 4.2.1).
PERMANENT = range(500, 600)
# The first that fits. What an operator can correct (our account with the server, our name) is tried
# again whatever the code says.
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiosmtplib.SMTPRecipientRefused, "refused"),
    (aiosmtplib.SMTPDataError, "content"),
    (aiosmtplib.SMTPAuthenticationError, "login"),
    (aiosmtplib.SMTPSenderRefused, "sender"),
    (aiosmtplib.SMTPResponseException, "reply"),
    (ssl.SSLError, "tls"),
    (TimeoutError, "timeout"),
    (ValueError, "address"),
    (ConnectionError, "connection"),
    # No STARTTLS, no login, or no such characters in an address.
    (aiosmtplib.SMTPException, "unsupported"),
)
FINAL = frozenset({"refused", "content"})


class Smtp:
    """A mail server, as the settings name it."""

    def __init__(self, config: MailConfig, home_url: str) -> None:
        """Raise ConfigError for an authority's file that cannot be read."""
        self._config = config
        self._sender = mailbox("sender", config.sender).addr_spec
        self._hello = urlsplit(home_url).hostname or "localhost"
        try:
            self._tls = ssl.create_default_context(cafile=config.ca_file or None)
        except OSError as error:
            raise ConfigError(f"mail.ca_file cannot be read: {error}") from error
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    async def send(self, message: Message) -> Failure | None:
        """Hand it to the server."""
        try:
            await self._send(message)
        except Exception as error:  # noqa: BLE001 -- whatever a server does, the mail waits
            return failure_of(error)
        return None

    async def _send(self, message: Message) -> None:
        config = self._config
        client = aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port or PORTS[config.security],
            use_tls=config.security == "tls",
            # True: a server that does not offer it is refused. False: no upgrade is tried.
            start_tls=config.security == "starttls",
            tls_context=None if config.security == "none" else self._tls,
            username=config.username or None,
            password=config.password or None,
            local_hostname=self._hello,
            timeout=config.timeout_s,
        )
        await client.connect()
        try:
            await client.send_message(message.mail, sender=self._sender, recipients=[message.to])
        except BaseException:
            client.close()
            raise
        # The server has the mail: whatever becomes of the farewell, it was sent.
        try:
            await client.quit()
        except (aiosmtplib.SMTPException, OSError):
            client.close()


def failure_of(error: Exception) -> Failure:
    """What went wrong, and whether it will again. Nothing of what the server wrote is kept."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        return failure_of(error.recipients[0])
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    reason = next((said for kind, said in REASONS if isinstance(cause, kind)), "connection")
    status = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    final = reason == "address" or (reason in FINAL and status in PERMANENT)
    return Failure(reason=reason, status=status, final=final)
