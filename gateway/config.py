"""Settings: one TOML file and the environment into frozen structs, once, at boot.

A later source wins: defaults, then the file, then `EPHEMERA__SECTION__NAME`, then the command
line. A name that does not exist or a value that cannot be stops the boot with a sentence that says
which and where. A secret can be given as a file's path under its name with `_file` appended.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from engine.engine import EngineConfig
from gateway.billing.settings import BillingConfig
from gateway.compat.convertapi.visitors import ConvertApiConfig
from gateway.errors import ConfigError
from gateway.limits.settings import LimitsConfig
from gateway.mail.settings import MailConfig
from gateway.outbound.settings import ConnectionsConfig, FetchConfig, HooksConfig
from gateway.people.settings import AccountsConfig
from gateway.privacy.settings import PrivacyConfig
from gateway.processes.settings import GatewayConfig
from gateway.record_settings import RecordsConfig
from gateway.tasks.settings import TasksConfig
from gateway.tokens.settings import TokensConfig
from ledger.accounts.rights import network
from ledger.files.limits import FileLimits

KIB, MIB = 1024, 1024 * 1024

ENV_PREFIX = "EPHEMERA__"
HOME_VARIABLE = "EPHEMERA_HOME"
CONFIG_VARIABLE = "EPHEMERA_CONFIG"
# Set where nobody's data is at stake: what is only good for tests is refused without it.
TEST_VARIABLE = "EPHEMERA_TEST_MODE"
# May come from a file instead, as `<name>_file`: systemd credentials, mounted secrets.
SECRETS = frozenset(
    {
        *(("ledger", "dsn"), ("ledger", "pepper"), ("ledger", "kek"), ("accounts", "peppers")),
        *(("server", "operator_token"), ("mail", "password")),
        *(("billing", "api_key"), ("billing", "webhook_secrets")),
    }
)

# Of a token that can stop the service from afar: 16 random hexadecimal digits are 64 bits.
TOKEN_CHARS_MIN = 16

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Count = Annotated[int, Meta(ge=1)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ServerConfig(_Section, frozen=True, kw_only=True):
    """The listening socket and its connections."""

    # Loopback: whoever opens the service to a network says so.
    host: str = "127.0.0.1"
    # 0 lets the kernel choose; the banner says what it chose.
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    # What is announced outside, for the curl line of the first start; empty: host and port.
    public_url: str = ""
    # Below the 30 s after which Kubernetes and systemd's default lose patience, with room to stop
    # the database.
    drain_s: Seconds = 20.0
    # An idle connection costs 20 KB; a client that is between two requests comes back within
    # seconds. The same clock guards the headers: a client that dribbles them is cut here.
    keepalive_s: Seconds = 30.0
    # After a refusal the rest of an upload is read and thrown away this long, because a client
    # that still sends does not see the answer when the connection is reset.
    linger_s: Seconds = 5.0
    # One header line; the longest honest ones (cookies, signed URLs) stay below 8 KiB.
    header_bytes_max: Annotated[int, Meta(ge=1024)] = 8 * KIB
    # A browser behind two proxies sends about 30.
    headers_max: Count = 64
    # File descriptors: each connection is one, each conversion three; a usual limit is 1,024 soft
    # and far more hard. Beyond it a new connection is closed at once.
    connections_max: Count = 1024
    # Opens /metrics and /status to other machines, and the operators' own address, as a bearer
    # token. Empty: only this machine, and only the socket in EPHEMERA_HOME.
    operator_token: str = ""
    # The operator's own proxies, whose X-Forwarded-For is believed: addresses and networks. Empty:
    # whoever connects is the client. It decides where a key that is bound to addresses is used.
    trusted_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for what is no network."""
        for text in self.trusted_proxies:
            network(text)


class UploadConfig(_Section, frozen=True, kw_only=True):
    """What one request may send, and how slowly."""

    # The largest family takes 256 MiB; a scanned book of 1,000 pages is about 200.
    bytes_max: Count = 256 * MIB
    # Merging an archive of single pages is the honest case; each part costs a few hundred bytes.
    files_max: Count = 200
    # Each is a debit that stays open until the whole answer is out, and a result in memory.
    batch_files_max: Annotated[int, Meta(ge=1, le=999)] = 100
    # A larger raw body goes into a worker while it arrives. A smaller one is here after one or two
    # reads of the socket, and is better kept until there is a slot than given a worker to wait in.
    stream_over_bytes: Annotated[int, Meta(ge=0)] = 256 * KIB
    # Uploads and results of all requests together, here and in workers: this bounds the memory.
    in_flight_bytes_max: Count = 1024 * MIB
    # With a test key, which converts for nothing: enough to see what becomes of a page or a photo.
    test_bytes_max: Count = 2 * MIB
    # A mobile network changes cells within 10 s; nothing for 20 s is a dead client.
    stall_s: Seconds = 20.0
    # A slower client holds memory for too long. 16 KiB/s is a bad GPRS day.
    rate_min_bytes_s: Count = 16 * KIB
    # TCP slow start and a first pause before the rate counts.
    rate_grace_s: Seconds = 20.0
    # Whatever the rate, one upload does not hold its memory longer: 256 MiB at 300 KiB/s.
    total_s: Seconds = 900.0


class DownloadConfig(_Section, frozen=True, kw_only=True):
    """How slowly a client may read its result before it counts as gone."""

    stall_s: Seconds = 30.0
    rate_min_bytes_s: Count = 16 * KIB
    rate_grace_s: Seconds = 30.0
    # The debit stays open as long, so the ledger's deadline for open debits is made from it.
    total_s: Seconds = 600.0


class LedgerConfig(_Section, frozen=True, kw_only=True):
    """Where everything is written down."""

    # Empty: the private PostgreSQL in EPHEMERA_HOME.
    dsn: str = ""
    # Keys the hashes of API keys. Empty: made once and kept in EPHEMERA_HOME.
    pepper: str = ""
    # Seal secrets that must be read again: 64 hexadecimal digits each (ephemera envelope new-key),
    # the last one seals, all open. Empty: one is made and kept in EPHEMERA_HOME.
    kek: str = ""
    # pgbouncer in transaction mode stands between.
    pooled: bool = False
    # How long after its last heart-beat a dead process's open debits are refunded. Three beats fit,
    # so that one pause of a busy machine does not count as death.
    lease_s: Seconds = 15.0
    # Given to the demo account on the first start: some hundred conversions to try things out.
    demo_credits: Annotated[int, Meta(ge=0)] = 1000


class AdminConfig(_Section, frozen=True, kw_only=True):
    """The operators' own address, beside the Unix socket in EPHEMERA_HOME that is always there."""

    # Empty: none. Whoever asks there needs server.operator_token, from this machine too.
    host: str = ""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8081


class EngineSection(EngineConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`engine.engine.EngineConfig`, with unknown names and impossible numbers refused."""

    def __post_init__(self) -> None:
        """Raise ValueError for a number that would leave the service up and idle."""
        least = {"slots": 0, "spares": 0, "waiting_max": 0, "wait_max_s": 0, "uses": 1}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ValueError(f"engine.{name} is at least {minimum}")


class FilesSection(FileLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ledger.files.limits.FileLimits`: what may be stored where a customer asks for it."""


class FetchSection(FetchConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.outbound.settings.FetchConfig`: what the service may fetch by URL, and from whom."""


class HooksSection(HooksConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.outbound.settings.HooksConfig`: whether customers' webhooks are called."""


class ConnectionsSection(ConnectionsConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.outbound.settings.ConnectionsConfig`: whether customers' storage is used."""


class ConvertApiSection(ConvertApiConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.compat.convertapi.visitors.ConvertApiConfig`: what is stored without a key."""


class TasksSection(TasksConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.tasks.settings.TasksConfig`: tasks that nobody waits for, and their webhooks."""


class TokensSection(TokensConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.tokens.settings.TokensConfig`: tokens that speak for an API key."""


class AccountsSection(AccountsConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.people.settings.AccountsConfig`: who may sign up, and how passwords are hashed."""


class RecordsSection(RecordsConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.record_settings.RecordsConfig`: what is remembered of customers' requests."""


class LimitsSection(LimitsConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.limits.settings.LimitsConfig`: how often an address, a key, an account may ask."""


class MailSection(MailConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gateway.mail.settings.MailConfig`: who hands mails on, in whose name, and how."""


class LogConfig(_Section, frozen=True, kw_only=True):
    """What goes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    # `auto`: sentences on a terminal, JSON lines anywhere else.
    format: Literal["auto", "json", "text"] = "auto"


class Settings(_Section, frozen=True, kw_only=True):
    """All settings of one process."""

    home: Path
    server: ServerConfig = ServerConfig()
    gateway: GatewayConfig = GatewayConfig()
    upload: UploadConfig = UploadConfig()
    download: DownloadConfig = DownloadConfig()
    ledger: LedgerConfig = LedgerConfig()
    engine: EngineSection = EngineSection()
    files: FilesSection = FilesSection()
    fetch: FetchSection = FetchSection()
    hooks: HooksSection = HooksSection()
    connections: ConnectionsSection = ConnectionsSection()
    tasks: TasksSection = TasksSection()
    convertapi: ConvertApiSection = ConvertApiSection()
    tokens: TokensSection = TokensSection()
    accounts: AccountsSection = AccountsSection()
    mail: MailSection = MailSection()
    billing: BillingConfig = BillingConfig()
    limits: LimitsSection = LimitsSection()
    records: RecordsSection = RecordsSection()
    admin: AdminConfig = AdminConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    log: LogConfig = LogConfig()


SECTIONS: dict[str, type[msgspec.Struct]] = {
    field.name: field.type for field in msgspec.structs.fields(Settings) if field.name != "home"
}


class _Given(msgspec.Struct, frozen=True):
    """One value and the place it came from, for the sentence when it is wrong."""

    value: Any
    place: str


def load(
    environ: Mapping[str, str],
    path: Path | None = None,
    overrides: Mapping[tuple[str, str], Any] | None = None,
) -> Settings:
    """Read all sources. `overrides` are the command line's, by (section, name).

    Raises ConfigError naming the setting and the place.
    """
    if path is None and environ.get(CONFIG_VARIABLE):
        path = Path(environ[CONFIG_VARIABLE])
    given = _from_file(path) if path else {}
    given |= _from_environment(environ)
    given |= {
        key: _Given(value, "the command line")
        for key, value in (overrides or {}).items()
        if value is not None
    }
    given = _with_secrets(given)
    sections = {section: _section(section, given) for section in SECTIONS}
    settings = msgspec.convert({"home": home(environ)} | sections, Settings)
    if settings.accounts.hashing == "test" and not environ.get(TEST_VARIABLE):
        raise ConfigError(
            "accounts.hashing = test protects no password, and is for tests alone (EPHEMERA_TEST_"
            "MODE=1); take owasp"
        )
    if settings.admin.host and len(settings.server.operator_token) < TOKEN_CHARS_MIN:
        raise ConfigError(
            f"admin.host opens the operators' address, which takes a server.operator_token of at "
            f"least {TOKEN_CHARS_MIN} characters: openssl rand -hex 32"
        )
    return settings


def home(environ: Mapping[str, str]) -> Path:
    """Where the database and the secrets live: EPHEMERA_HOME, or the user's data directory."""
    if environ.get(HOME_VARIABLE):
        return Path(environ[HOME_VARIABLE]).expanduser().absolute()
    if environ.get("XDG_DATA_HOME"):
        return Path(environ["XDG_DATA_HOME"]).expanduser().absolute() / "ephemera"
    if os.geteuid() == 0:
        # PostgreSQL does not run as root, and no other account can look into /root.
        return Path("/var/lib/ephemera")
    return Path.home() / ".local" / "share" / "ephemera"


def _from_file(path: Path) -> dict[tuple[str, str], _Given]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    given = {}
    for section, values in tree.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise ConfigError(f"unknown section [{section}] in {path}{_guess(section, SECTIONS)}")
        for name, value in values.items():
            given[section, name] = _Given(value, str(path))
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[tuple[str, str], _Given]:
    given = {}
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        section, _, name = variable.removeprefix(ENV_PREFIX).lower().partition("__")
        if section not in SECTIONS or not name:
            raise ConfigError(
                f"unknown section {section!r} in the environment variable {variable}; "
                f"variables are {ENV_PREFIX}SECTION__NAME{_guess(section, SECTIONS)}"
            )
        given[section, name] = _Given(value, f"the environment variable {variable}")
    return given


def _with_secrets(given: dict[tuple[str, str], _Given]) -> dict[tuple[str, str], _Given]:
    """Replace each `<secret>_file` by what the file holds."""
    resolved = dict(given)
    for section, name in SECRETS:
        source = resolved.pop((section, f"{name}_file"), None)
        if source is None:
            continue
        if (section, name) in given:
            raise ConfigError(
                f"{section}.{name} and {section}.{name}_file are both set; leave one out "
                f"({source.place})"
            )
        try:
            text = Path(str(source.value)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{section}.{name}_file ({source.place}) names a file that cannot be read: {error}"
            ) from error
        resolved[section, name] = _Given(text, source.place)
    return resolved


def _section(section: str, given: Mapping[tuple[str, str], _Given]) -> msgspec.Struct:
    kind = SECTIONS[section]
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    values = {}
    for (owner, name), source in given.items():
        if owner != section:
            continue
        if name not in known:
            raise ConfigError(
                f"unknown setting {section}.{name} in {source.place}{_guess(name, known)}"
            )
        try:
            values[name] = _value(source.value, known[name].type)
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"{section}.{name} in {source.place} has a wrong value: "
                f"{error}{_choices(known[name].type)}"
            ) from error
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"a wrong value in the section {section}: {error}") from error


def _value(given: Any, kind: Any) -> Any:
    """One value as its type; a variable holds several with commas or spaces between them."""
    if get_origin(kind) is tuple and isinstance(given, str):
        given = given.replace(",", " ").split()
    return msgspec.convert(given, kind, strict=False)


def _choices(kind: Any) -> str:
    return f"; it is one of {', '.join(get_args(kind))}" if get_origin(kind) is Literal else ""


def _guess(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"
