"""Write the workbook of this folder that no library here can write: table.xlsb.

    python tests/files/data/make.py

Records by hand, as [MS-XLSB] 2.4 names them. (table.xls was written once by xlwt 1.3.)
"""

import struct
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="bin" ContentType='
    '"application/vnd.ms-excel.sheet.binary.macroEnabled.main"/>'
    '<Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.bin" '
    'ContentType="application/vnd.ms-excel.worksheet"/>'
    "</Types>"
)
_RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="{target}" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}"/></Relationships>'
)


def record(kind: int, content: bytes = b"") -> bytes:
    """One record: its kind and its size in seven bits a byte."""
    first = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, length = len(content), bytearray()
    while True:
        length.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return first + bytes(length) + content


def wide(text: str) -> bytes:
    """XLWideString."""
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def cell(column: int) -> bytes:
    """Where the value stands; style 0."""
    return struct.pack("<II", column, 0)


def row(number: int, *values: object) -> bytes:
    """A row's header and its cells."""
    written = record(0, struct.pack("<IIHHB", number, 0, 300, 0, 0) + bytes(4))
    for column, value in enumerate(values):
        if isinstance(value, bool):
            written += record(4, cell(column) + bytes([value]))
        elif isinstance(value, int | float):
            written += record(5, cell(column) + struct.pack("<d", value))
        elif isinstance(value, str):
            written += record(6, cell(column) + wide(value))
    return written


def sheet() -> bytes:
    """BrtBeginSheet to BrtEndSheet."""
    rows = row(0, "id", "name", "price", "ok")
    rows += row(1, 1, "Müller", 1.5, True) + row(2, 2, "=1+1", -2.25, False) + row(3, 3)
    extent = record(148, struct.pack("<IIII", 0, 3, 0, 3))
    return record(129) + extent + record(145) + rows + record(146) + record(130)


def main() -> None:
    """Write the file."""
    bundle = record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("Prices"))
    book = record(131) + record(143) + bundle + record(144) + record(132)
    parts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATIONS.format(target="xl/workbook.bin", kind="officeDocument"),
        "xl/_rels/workbook.bin.rels": _RELATIONS.format(
            target="worksheets/sheet1.bin", kind="worksheet"
        ),
        "xl/workbook.bin": book,
        "xl/worksheets/sheet1.bin": sheet(),
    }
    with zipfile.ZipFile(HERE / "table.xlsb", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content)


if __name__ == "__main__":
    main()
