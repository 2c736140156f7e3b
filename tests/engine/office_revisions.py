"""What LibreOffice makes of tracked changes: a program, because it needs a process of its own.

    python office_revisions.py accept|reject IN.docx OUT.txt

By LibreOfficeKit as it is installed, with a profile of its own beside the result. Tables of
functions are those of LibreOfficeKit.h, by their place.
"""

import ctypes
import json
import os
import sys
import time
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_void_p, cast
from pathlib import Path
from typing import Any

PROGRAM = Path("/usr/lib/libreoffice/program")
_COMMANDS = {"accept": b".uno:AcceptAllTrackedChanges", "reject": b".uno:RejectAllTrackedChanges"}
_LOAD, _SAVE, _INITIALISE, _POST, _VALUES = 2, 2, 13, 17, 23
_REVISIONS = b".uno:AcceptTrackedChanges"
_TRIES, _TRY_S = 600, 0.1


def _function(owner: int, place: int, result: Any, *arguments: Any) -> Any:
    table = cast(cast(owner, POINTER(c_void_p))[0] or 0, POINTER(c_void_p))
    return CFUNCTYPE(result, c_void_p, *arguments)(table[place] or 0)


def _resolve(document: int, command: bytes) -> None:
    """Run a command until no revision is left: it is another thread's, and may come too early."""
    post = _function(document, _POST, None, c_char_p, c_char_p, c_bool)
    ask = _function(document, _VALUES, c_void_p, c_char_p)
    _function(document, _INITIALISE, None, c_char_p)(document, b"{}")
    for _ in range(_TRIES):
        post(document, command, None, False)
        if not json.loads(ctypes.string_at(ask(document, _REVISIONS)))["redlines"]:
            return
        time.sleep(_TRY_S)
    raise TimeoutError


def _main(command: str, source: Path, target: Path) -> None:
    os.environ["SAL_USE_VCLPLUGIN"] = "svp"
    library = ctypes.CDLL(str(PROGRAM / "libmergedlo.so"))
    library.libreofficekit_hook_2.restype = c_void_p
    library.libreofficekit_hook_2.argtypes = (c_char_p, c_char_p)
    profile = (target.parent / f"profile-{command}").as_uri()
    office = library.libreofficekit_hook_2(bytes(PROGRAM), profile.encode())
    load = _function(office, _LOAD, c_void_p, c_char_p)
    document = load(office, source.as_uri().encode())
    _resolve(document, _COMMANDS[command])
    save = _function(document, _SAVE, c_int, c_char_p, c_char_p, c_char_p)
    if not save(document, target.as_uri().encode(), b"txt", b"UTF8"):
        raise OSError(target)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    # Its threads do not end by themselves.
    os._exit(0)
