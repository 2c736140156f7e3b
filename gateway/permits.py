"""What a caller may do: scopes, addresses, sizes and operations are asked about here alone.

`admit` looks at the request's head, before anything of the body is read. `check` comes before every
debit: by then the formats and the sizes are known, wherever the files came from.
"""

from collections.abc import Sequence
from email.utils import format_datetime

import msgspec
from aiohttp import web

from engine.job import Job
from gateway import state
from gateway.addresses import client_address, within
from gateway.endpoint import Endpoint
from gateway.errors import AddressRefused, OperationRefused, ScopeMissing, Suspended, UploadTooLarge
from ledger.accounts.caller import Caller
from ledger.accounts.rights import allows
from ledger.credits.terms import Terms

TEST_HEADER = "X-Ephemera-Test"


def admit(request: web.Request, caller: Caller, endpoint: Endpoint) -> Caller:
    """The caller, as this request knows it. Raises ScopeMissing, AddressRefused, UploadTooLarge.

    Raises Suspended as well. No key has what is for people alone.
    """
    if caller.suspended:
        raise Suspended(
            "this account or this key is suspended; its owner was told why. Write to support"
        )
    scope = endpoint.scope
    if scope is None:
        raise ScopeMissing("this is for people who have signed in, and no API key may do it")
    if scope not in caller.scopes:
        raise ScopeMissing(
            f"this needs the scope {scope}, which the key or the token does not have; use one that"
            " has it"
        )
    if caller.addresses:
        address = client_address(request)
        if address is None or not within(address, caller.addresses):
            raise AddressRefused("the key or the token is not to be used from this address")
    if caller.test:
        caller = _as_test(caller, request.app[state.SETTINGS].upload.test_bytes_max)
    if endpoint.uploads and caller.terms.bytes_max is not None:
        _check_size(caller.terms.bytes_max, request.content_length or 0)
    return caller


def check(terms: Terms, jobs: Sequence[Job]) -> None:
    """Whether somebody with these terms may have these jobs; the first one has the upload.

    Raises OperationRefused, UploadTooLarge.
    """
    for patterns in terms.operations:
        for job in jobs:
            _check_operation(patterns, job)
    if terms.bytes_max is not None and jobs:
        _check_size(terms.bytes_max, jobs[0].input_bytes)


def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Tell in an answer that it is of a test, or that its key was replaced and will end."""
    caller = request.get(state.CALLER)
    if caller is None:
        return
    if caller.test:
        response.headers[TEST_HEADER] = "true"
    if caller.deprecated_at is not None:
        # RFC 9745, and RFC 8594.
        response.headers["Deprecation"] = f"@{int(caller.deprecated_at.timestamp())}"
        if caller.expires_at is not None:
            response.headers["Sunset"] = format_datetime(caller.expires_at, usegmt=True)


def _as_test(caller: Caller, bytes_max: int) -> Caller:
    least = min(bytes_max, caller.terms.bytes_max or bytes_max)
    return msgspec.structs.replace(
        caller, terms=msgspec.structs.replace(caller.terms, bytes_max=least)
    )


def _check_operation(patterns: Sequence[str], job: Job) -> None:
    operation = job.converter.rpartition(".")[2]
    for source in set(job.sources):
        if not allows(patterns, source, job.target, operation):
            raise OperationRefused(
                f"the key or the token does not allow {source}/{job.target}:{operation}"
            )


def _check_size(bytes_max: int, size: int) -> None:
    if size > bytes_max:
        raise UploadTooLarge(
            f"with this key or token one request carries at most {bytes_max} bytes"
        )
