"""Who an operator is: the user on the other end of a Unix socket, or whoever has the token.

The names made here stand in the audit records: `uid:1000`, as the kernel says (SO_PEERCRED), or
`token:` and eight digits of the token's hash, which tell two tokens apart and give neither away.
"""

import hashlib
import hmac
import os
import socket
import struct

from aiohttp import hdrs, web

# struct ucred: pid, uid, gid.
_CREDENTIALS = struct.Struct("3i")
_TOKEN_ID_BYTES = 4


def operator(request: web.Request, token: str) -> str | None:
    """Name the operator who asks; None for somebody who has not shown to be one.

    A file's mode decides who may connect to the Unix socket. Anywhere else there is only the token,
    and where none is configured nobody has it.
    """
    uid = _peer_uid(request)
    if uid is not None:
        return f"uid:{uid}"
    return f"token:{_token_id(token)}" if shows_token(request, token) else None


def shows_token(request: web.Request, token: str) -> bool:
    """Say whether the request carries the operator's token; compared in constant time."""
    given = bearer(request)
    if not token or given is None:
        return False
    return hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode())


def bearer(request: web.Request) -> str | None:
    """The secret in `Authorization: Bearer`, None where there is none."""
    scheme, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def _token_id(token: str) -> str:
    digest = hashlib.blake2b(token.encode(), digest_size=_TOKEN_ID_BYTES, person=b"operator token")
    return digest.hexdigest()


def _peer_uid(request: web.Request) -> int | None:
    """The user of the process that connected; None where that was not over a Unix socket."""
    found = request.transport.get_extra_info("socket") if request.transport else None
    if found is None or found.family != socket.AF_UNIX:
        return None
    # The loop's own view of the socket does not promise getsockopt.
    with socket.socket(fileno=os.dup(found.fileno())) as sock:
        packed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(packed)[1]
    return uid
