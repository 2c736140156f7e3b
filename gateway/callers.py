"""Who waits at a listening socket: connections that the kernel has completed for us (listen(2)).

libuv takes one of them at each turn of the loop. Turns are long where thousands are served, so the
others are taken by ourselves; otherwise 10,000 callers need 10,000 turns, and most are reset.

Who waits has sent a request, and closing the socket resets all of them. So a socket that is to be
closed first lets nobody new knock, and whoever has knocked is let in.

Nobody new: a filter (socket(7), SO_ATTACH_FILTER) drops the first packet of a handshake and nothing
else. Its sender tries again after a second (RFC 6298), at a socket that is gone or at another
gateway's. Handshakes that are under way come to their end.
"""

import array
import contextlib
import socket
import struct
from collections.abc import Iterator

# Of the kernel's <asm-generic/socket.h>; Python has no name for it.
_SO_ATTACH_FILTER = 26
_FLAGS_AT = 13
_SYN, _ACK = 0x02, 0x10
# Classic BPF, as (operation, jump if true, jump if false, operand); see the kernel's
# Documentation/networking/filter.rst. A stream's filter sees its packets from the TCP header on.
_ONLY_HANDSHAKES_UNDER_WAY = (
    (0x30, 0, 0, _FLAGS_AT),  # load the byte of the flags
    (0x54, 0, 0, _SYN | _ACK),  # and it with
    (0x15, 0, 1, _SYN),  # is it a SYN alone?
    (0x06, 0, 0, 0),  # then keep nothing of the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # otherwise all
)


def let_nobody_new_knock(sock: socket.socket) -> None:
    """Have handshakes that begin from now on ignored; does nothing where that cannot be.

    Then only who knocks between the last look and the closing is reset: microseconds.
    """
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    steps = b"".join(struct.pack("HBBI", *step) for step in _ONLY_HANDSHAKES_UNDER_WAY)
    program = array.array("B", steps)
    where, _ = program.buffer_info()
    with contextlib.suppress(OSError):
        sock.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HP", len(_ONLY_HANDSHAKES_UNDER_WAY), where),
        )


def waiting_at(sock: socket.socket) -> Iterator[socket.socket]:
    """Everybody who waits at a non-blocking socket, each to be closed by whoever takes it."""
    while True:
        try:
            caller, _ = sock.accept()
        except ConnectionError:
            continue  # gone again while it waited
        except OSError:
            return  # nobody is left, or no descriptor: then they are reset, as they would be
        caller.setblocking(False)
        yield caller
