"""What LibreOffice and its fonts are told before they start, as files that are nowhere but here.

Settings are a layer of its registry, and not a user's profile: a profile would be written to, by a
thread that must not be there when the zygote forks.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from engine.converters.office import store
from engine.converters.office.catalogue_places import PROGRAM, ROOT

# Path in the registry, name, value. Security first: each of these is refused a second time, by the
# sandbox, but what is not tried costs no time either. All are final: nothing in the process can say
# otherwise later.
_SETTINGS = (
    ("Office.Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Office.Common/Security/Scripting", "MacroSecurityLevel", "3"),
    # Pictures and texts that a document links to, from wherever, stay what they are: links.
    ("Office.Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Office.Writer/Content/Update", "Link", "2"),
    ("Office.Calc/Content/Update", "Link", "2"),
    # At a first start it would draw 4096 x 4096 pixels in twenty ways to try its graphics: 0.7 s.
    ("Setup/Product", "ooSetupLastVersion", "99.9"),
    ("Office.Recovery/AutoSave", "Enabled", "false"),
    # LibreOfficeKit would set en-US, and print on Letter what names no paper. Without one it is
    # the locale of the system (LANG): A4, and everything else as in en-US.
    ("Setup/L10N", "ooSetupSystemLocale", ""),
)
_ITEM = (
    '<item oor:path="/org.openoffice.{}"><prop oor:name="{}" oor:op="fuse" oor:finalized="true">'
    "<value>{}</value></prop></item>"
)
_REGISTRY = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<oor:items xmlns:oor="http://openoffice.org/2001/registry">{}</oor:items>'
)

# Families that documents ask for, and who stands in: of the same widths where there is one (the
# first five), else alike. The machine's own rules know Arial, Times, Courier, Calibri and Cambria;
# they are repeated because not every machine has them.
STAND_INS = {
    "Calibri": "Carlito",
    "Cambria": "Caladea",
    "Arial": "Liberation Sans",
    "Times New Roman": "Liberation Serif",
    "Courier New": "Liberation Mono",
    "Helvetica": "Liberation Sans",
    "Calibri Light": "Carlito",
    "Aptos": "Carlito",
    "Aptos Display": "Carlito",
    "Aptos Narrow": "Carlito",
    "Segoe UI": "Carlito",
    "Cambria Math": "Caladea",
    "Georgia": "Caladea",
    "Times": "Liberation Serif",
    "Courier": "Liberation Mono",
    "Consolas": "Liberation Mono",
    "Verdana": "DejaVu Sans",
    "Tahoma": "DejaVu Sans",
}
# Of these a reader sees no difference in how lines break.
SAME_WIDTHS = frozenset(tuple(STAND_INS)[:6])
_ALIAS = '<alias binding="same"><family>{}</family><accept><family>{}</family></accept></alias>'
_FONTS = (
    '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig>'
    '{}<include ignore_missing="yes">/etc/fonts/fonts.conf</include></fontconfig>'
)


def install() -> None:
    """Lay the files down and point LibreOffice at them, through its environment."""
    _write("registry/data", "ephemera.xcu", _REGISTRY.format("".join(_items())))
    _write("fonts", "fonts.conf", fonts())
    store.folder("profile")
    os.environ |= {
        "CONFIGURATION_LAYERS": " ".join(_layers()),
        "FONTCONFIG_FILE": f"{ROOT}/fonts/fonts.conf",
        # Or it would leave a stamp among its own files.
        "UNO_SHARED_PACKAGES_CACHE": f"file://{ROOT}/profile/packages",
        "SAL_LOK_OPTIONS": "unipoll",  # no thread for the main loop (`kit`)
        "HOME": ROOT,
        "TMPDIR": ROOT,
    }


def fonts() -> str:
    """The settings of fontconfig: the machine's, and who stands in for whom."""
    return _FONTS.format("".join(_aliases()))


def _write(folder: str, name: str, text: str) -> None:
    store.put(f"{store.folder(folder)}/{name}", text.encode())


def _items() -> Iterator[str]:
    return (_ITEM.format(*setting) for setting in _SETTINGS)


def _aliases() -> Iterator[str]:
    return (_ALIAS.format(*pair) for pair in STAND_INS.items())


def _layers() -> list[str]:
    """LibreOffice's own layers, ours over them; none of a user, an extension or the desktop."""
    said = Path(PROGRAM, "fundamentalrc").read_text()
    found = re.search(r"^CONFIGURATION_LAYERS=(.*)$", said, re.MULTILINE)
    base = re.search(r"^BRAND_BASE_DIR=(.*)$", said, re.MULTILINE)
    layers = (found[1] if found else "xcsxcu:${BRAND_BASE_DIR}/share/registry").split()
    folder = base[1] if base else Path(PROGRAM).parent.as_uri()
    own = [
        layer.replace("${BRAND_BASE_DIR}", folder)
        for layer in layers
        if layer.startswith(("xcsxcu:", "res:"))
    ]
    return [own[0], f"xcsxcu:file://{ROOT}/registry", *own[1:]]
