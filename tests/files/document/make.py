"""Make the fixtures that are not written by hand: `python tests/files/document/make.py`.

`suite.docx` and `suite.odt` are LibreOffice 7.4's, of a page of our own. `letter.msg` is written
here, by [MS-CFB] and [MS-OXMSG]: no library for Python writes one.
"""

import base64
import io
import json
import struct
from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_SECTOR, _MINI = 512, 64

# Names of properties and their types ([MS-OXPROPS], [MS-OXMSG] 2.2).
_TEXT, _BINARY, _LONG = 0x001F, 0x0102, 0x0003


def picture() -> bytes:
    """A red picture with a blue corner."""
    image = Image.new("RGB", (120, 60), (200, 60, 60))
    ImageDraw.Draw(image).rectangle((10, 10, 60, 40), fill=(30, 30, 200))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


class Storage(dict):
    """A storage: streams (bytes) and storages by name."""


def _properties(values: dict[int, tuple[int, object]], header: int) -> Storage:
    """The streams of a set of properties; `header` bytes stand before the list."""
    made, rows = Storage(), b""
    for name, (kind, value) in values.items():
        if kind == _LONG:
            rows += struct.pack("<HHIii", kind, name, 6, value, 0)
            continue
        content = value.encode("utf-16-le") if kind == _TEXT else value
        made[f"__substg1.0_{name:04X}{kind:04X}"] = content
        rows += struct.pack("<HHIii", kind, name, 6, len(content) + 2 * (kind == _TEXT), 0)
    made["__properties_version1.0"] = bytes(header) + rows
    return made


def compound(root: Storage) -> bytes:
    """A compound file of small streams, [MS-CFB]: everything lies in the mini stream."""
    entries: list[list] = [["Root Entry", 5, _FREE, _FREE, _FREE, _END, 0]]
    mini, mini_fat = b"", []

    def add(storage: Storage, parent: int) -> None:
        nonlocal mini
        previous = None
        for name in sorted(storage, key=lambda one: (len(one), one.upper())):
            content = storage[name]
            at = len(entries)
            if isinstance(content, Storage):
                entries.append([name, 1, _FREE, _FREE, _FREE, 0, 0])
                add(content, at)
            else:
                assert len(content) < 4096, name
                count = -(-len(content) // _MINI)
                start = len(mini_fat) if count else _END
                mini_fat.extend([*range(start + 1, start + count), _END] if count else [])
                mini += content.ljust(count * _MINI, b"\0")
                entries.append([name, 2, _FREE, _FREE, _FREE, start, len(content)])
            if previous is None:
                entries[parent][4] = at
            else:
                entries[previous][3] = at
            previous = at

    add(root, 0)
    mini_sectors = -(-len(mini) // _SECTOR)
    directory_sectors = -(-len(entries) // 4)
    mini_fat_sectors = -(-len(mini_fat) // 128)
    fat, starts = [_FAT], []
    for count in (directory_sectors, mini_fat_sectors, mini_sectors):
        starts.append(len(fat))
        fat += [*range(len(fat) + 1, len(fat) + count), _END]
    assert len(fat) <= 128
    entries[0][5], entries[0][6] = starts[2], len(mini)
    directory = b""
    for name, kind, left, right, child, start, size in entries:
        words = name.encode("utf-16-le")
        directory += words.ljust(64, b"\0") + struct.pack("<HBB", len(words) + 2, kind, 1)
        directory += struct.pack("<III", left, right, child) + bytes(36)
        directory += struct.pack("<IQ", start, size)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<IIIIIII", 1, starts[0], 0, 4096, starts[1], mini_fat_sectors, _END)
    header += struct.pack("<I", 0) + struct.pack("<109I", 0, *[_FREE] * 108)
    return (
        header
        + struct.pack(f"<{len(fat)}I", *fat).ljust(_SECTOR, b"\xff")
        + directory.ljust(directory_sectors * _SECTOR, b"\0")
        + struct.pack(f"<{len(mini_fat)}I", *mini_fat).ljust(mini_fat_sectors * _SECTOR, b"\xff")
        + mini.ljust(mini_sectors * _SECTOR, b"\0")
    )


def letter() -> bytes:
    """A message of Outlook's: text, a picture in it, a file beside it."""
    html = '<p>Dear <b>Ada</b>, see <img src="cid:chart@example"> and the file.</p>'
    root = _properties(
        {
            0x001A: (_TEXT, "IPM.Note"),
            0x0037: (_TEXT, "Figures for Nōvember"),
            0x0C1A: (_TEXT, "Charles Babbage"),
            0x0C1F: (_TEXT, "charles@example.org"),
            0x5D01: (_TEXT, "charles@example.org"),
            0x1000: (_TEXT, "Dear Ada, see the file."),
            0x1013: (_BINARY, html.encode()),
            0x3FDE: (_LONG, 65001),
        },
        32,
    )
    root["__properties_version1.0"] = (
        struct.pack("<8xIIII8x", 1, 2, 1, 2) + root["__properties_version1.0"][32:]
    )
    root["__recip_version1.0_#00000000"] = _properties(
        {0x3001: (_TEXT, "Ada Lovelace"), 0x39FE: (_TEXT, "ada@example.org"), 0x0C15: (_LONG, 1)}, 8
    )
    for index, (name, kind, content, named) in enumerate(
        [
            ("chart.png", "image/png", picture(), "chart@example"),
            ("n.csv", "text/csv", b"a,b\n", ""),
        ]
    ):
        root[f"__attach_version1.0_#{index:08X}"] = _properties(
            {
                0x3701: (_BINARY, content),
                0x3705: (_LONG, 1),
                0x3707: (_TEXT, name),
                0x370E: (_TEXT, kind),
                **({0x3712: (_TEXT, named)} if named else {}),
            },
            8,
        )
    return compound(root)


def notebook() -> bytes:
    """A notebook with a picture attached, one drawn, text and markup as results."""
    drawn = base64.b64encode(picture()).decode()
    cells = [
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": ["# Measured\n", "![attached](attachment:a.png)"],
            "attachments": {"a.png": {"image/png": drawn}},
        },
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "source": ["40 + 2"],
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["42\n"]},
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {"image/png": drawn, "text/plain": ["<Figure>"]},
                },
            ],
        },
    ]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    made = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, indent=1).encode()


def markdown() -> bytes:
    """A bit of everything."""
    drawn = base64.b64encode(picture()).decode()
    return f"""---
title: The *Analytical* Engine
author: [Ada Lovelace, Charles Babbage]
---

# Origins {{#origins}}

The **engine** weaves *algebraic* patterns, see [the table](#numbers) and
[a page](https://example.org/). Ünïcödé: ελληνικά, русский.[^1]

[^1]: A note below.

## Numbers {{#numbers}}

| Card     | Count |
|:---------|------:|
| variable |    12 |
| number   |   345 |

```python
def mill(column: int) -> int:
    return column + 1
```

Inline $e^{{i\\pi}} + 1 = 0$ and

$$\\int_0^1 x\\,dx = \\frac{{1}}{{2}}$$

- first point
- second point

> Quoted words.

![A drawing](data:image/png;base64,{drawn})
""".encode()


def main() -> None:
    """Write them all."""
    drawn = picture()
    rtf = (
        r"{\rtf1\ansi\ansicpg1252 A \b bold\b0  word, \'fc. {\pict\pngblip\picw120\pich60"
        rf"\picwgoal1800\pichgoal900 {drawn.hex()}}}\par}}"
    )
    (HERE / "letter.msg").write_bytes(letter())
    (HERE / "notebook.ipynb").write_bytes(notebook())
    (HERE / "engine.md").write_bytes(markdown())
    (HERE / "picture.rtf").write_bytes(rtf.encode())


if __name__ == "__main__":
    main()
