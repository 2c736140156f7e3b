"""What a request for a task asks for: a conversion, and the words that are a task's own."""

import re
from collections.abc import Mapping

import msgspec
from aiohttp import web

from engine.errors import OptionInvalid
from gateway import idempotency
from gateway.asked import (
    DELIVER_TO,
    FILE,
    LIFETIME,
    SOURCE_FROM,
    STORE,
    URL,
    lifetime_of,
    options_of,
    places_of,
)
from gateway.connections.places import Place, place_of
from gateway.errors import RequestMalformed
from gateway.tasks import signing
from gateway.tasks.settings import TasksConfig
from ledger.files.limits import FileLimits

# Of the query of a task; a test sees to it that no converter has options of these names.
NAME, HOLD, TIMEOUT, WEBHOOK = "name", "hold", "timeout_s", "webhook"
OWN_NAMES = frozenset(
    {FILE, URL, SOURCE_FROM, DELIVER_TO, NAME, HOLD, TIMEOUT, WEBHOOK, STORE, LIFETIME}
)
SECRET_HEADER = "Webhook-Secret"  # noqa: S105 -- a header's name
RESPOND_ASYNC, WAIT = "respond-async", "wait"
NAME_CHARS_MAX = 200
# What servers and proxies take for an address.
URL_CHARS_MAX = 2000
# What a file in storage of the customer's own begins with, in a task's list of files.
PLACE_MARK = "connection:"
_HOOK_ID = re.compile(r"[0-9A-Za-z]{16}")


class TaskAsked(msgspec.Struct, frozen=True, kw_only=True):
    """One task as the address and the headers want it."""

    source: str
    target: str
    options: Mapping[str, str]
    # Handles of stored files; URLs; files in storage of the customer's own. None: the body.
    files: tuple[str, ...]
    urls: tuple[str, ...]
    places: tuple[Place, ...]
    # Where there the result goes, in place of the store.
    deliver_to: Place | None
    name: str | None
    hold: str
    lifetime_s: float
    timeout_s: float
    # The endpoint that hears of it, or an address of its own with its secret.
    hook_id: str | None
    hook_url: str | None
    hook_secret: str | None
    key: str | None

    @property
    def named(self) -> tuple[str, ...]:
        """All files that are elsewhere."""
        return (*self.files, *self.urls, *(f"{PLACE_MARK}{one}" for one in self.places))

    @property
    def parameters(self) -> Mapping[str, str]:
        """What decides what becomes of it, besides formats and files: for its fingerprint."""
        own = {
            HOLD: self.hold,
            NAME: self.name or "",
            LIFETIME: str(self.lifetime_s),
            TIMEOUT: str(self.timeout_s),
            WEBHOOK: self.hook_id or self.hook_url or "",
            **({DELIVER_TO: str(self.deliver_to)} if self.deliver_to else {}),
        }
        own |= {f"{FILE}.{number}": one for number, one in enumerate(self.named)}
        return {**self.options, **own}


def preferences(request: web.Request) -> dict[str, str]:
    """What `Prefer` says (RFC 7240), by names in lower case."""
    found: dict[str, str] = {}
    for one in ",".join(request.headers.getall("Prefer", ())).split(","):
        name, _, value = one.partition(";")[0].strip().partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found


def wants_task(request: web.Request) -> bool:
    """Whether a conversion is to be a task: `Prefer: respond-async`."""
    return "Prefer" in request.headers and RESPOND_ASYNC in preferences(request)


def wait_of(request: web.Request, most_s: float) -> float:
    """For how long the client wants to wait: `Prefer: wait=N`, within the operator's limit."""
    text = preferences(request).get(WAIT, "")
    return min(float(text), most_s) if text.isascii() and text.isdigit() else 0.0


def asked_of(request: web.Request, limits: FileLimits, config: TasksConfig) -> TaskAsked:
    """Read it. Raises RequestMalformed, OptionInvalid."""
    options = options_of(request, apart=(FILE, URL, SOURCE_FROM))
    own = {name: options.pop(name) for name in OWN_NAMES & options.keys()}
    if own.get(STORE, "true") != "true":
        raise OptionInvalid(f"{STORE}: results of a task are stored; for none, {HOLD}=memory")
    hook_id, hook_url = _hook(own.get(WEBHOOK))
    secret = request.headers.get(SECRET_HEADER)
    if secret is not None and hook_url is None:
        raise RequestMalformed(f"{SECRET_HEADER} goes with {WEBHOOK}=URL; endpoints have their own")
    return TaskAsked(
        source=request.match_info["source"],
        target=request.match_info["target"],
        options=options,
        files=tuple(request.query.getall(FILE, ())),
        urls=tuple(request.query.getall(URL, ())),
        places=places_of(request),
        deliver_to=_deliver_to(own),
        name=_name(own.get(NAME)),
        hold=_hold(own.get(HOLD, "store"), own),
        lifetime_s=lifetime_of(own.get(LIFETIME), limits),
        timeout_s=_timeout(own.get(TIMEOUT), config),
        hook_id=hook_id,
        hook_url=hook_url,
        hook_secret=None if secret is None else signing.checked_secret(secret),
        key=idempotency.checked_key(request.headers.get(idempotency.HEADER)),
    )


def _deliver_to(own: Mapping[str, str]) -> Place | None:
    text = own.get(DELIVER_TO)
    if text is None:
        return None
    for other in (STORE, LIFETIME, HOLD):
        if other in own:
            raise OptionInvalid(f"{other}: with {DELIVER_TO} the result is kept nowhere else")
    return place_of(DELIVER_TO, text, folder=True)


def _hold(text: str, own: Mapping[str, str]) -> str:
    if text not in {"store", "memory"}:
        raise OptionInvalid(f"{HOLD}: it is store or memory")
    if text == "memory" and LIFETIME in own:
        raise OptionInvalid(f"{LIFETIME}: it goes with {HOLD}=store")
    return text


def _timeout(text: str | None, config: TasksConfig) -> float:
    if text is None:
        return min(config.timeout_s, config.timeout_s_max)
    whole = text.isascii() and text.isdigit() and len(text) <= len("86400")
    if not whole or not 1 <= int(text) <= config.timeout_s_max:
        raise OptionInvalid(
            f"{TIMEOUT}: a whole number of seconds from 1 to {config.timeout_s_max:.0f}"
        )
    return float(text)


def _name(text: str | None) -> str | None:
    if text is None:
        return None
    if not 1 <= len(text) <= NAME_CHARS_MAX:
        raise OptionInvalid(f"{NAME}: it has 1 to {NAME_CHARS_MAX} characters")
    return text


def _hook(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    if _HOOK_ID.fullmatch(text):
        return text, None
    if "://" not in text or len(text) > URL_CHARS_MAX:
        raise OptionInvalid(
            f"{WEBHOOK}: the id of an endpoint (GET /v1/webhooks), or a URL of at most"
            f" {URL_CHARS_MAX} characters"
        )
    return None, text
