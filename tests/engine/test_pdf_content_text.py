"""Text, tables, pictures and facts out of documents, judged by poppler and by what went in."""

import csv
import io
import json
import zipfile
from functools import cache

import pikepdf
import pytest
from lxml import etree
from PIL import Image

from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, psnr, words

_KEY = {"password": "open sesame"}
_HEAD, *_ROWS = [
    ["Quay", "Cranes", "Depth", "Moves"],
    ["North", "4", "12.5", "118,204"],
    ["South", "6", "14.0", "201,877"],
    ["East", "2", "-9.5", "=1+1"],
    ["West", "3", "11.0", "77,350"],
]
_TABLE = [_HEAD, *_ROWS]
_AT = [40, 120, 180, 250, 330]
CHINESE = [["中文", "数字"]] * 3


def _text(x: float, y: float, text: str, size: int = 10) -> str:
    return f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET "


@cache
def _page(*parts: str, turn: int = 0, pages: int = 1) -> bytes:
    """Pages of 400 x 300 points with these drawing operators."""
    with pikepdf.new() as document:
        for _ in range(pages):
            page = document.add_blank_page(page_size=(400, 300))
            font = pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.Type1,
                BaseFont=pikepdf.Name.Helvetica,
                Encoding=pikepdf.Name.WinAnsiEncoding,
            )
            page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
            page.Contents = document.make_stream("".join(parts).encode())
            if turn:
                page.rotate(turn, relative=False)
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def _cells() -> str:
    return "".join(
        _text(x + 4, 250 - 20 * row, cell)
        for row, cells in enumerate(_TABLE)
        for x, cell in zip(_AT, cells, strict=False)
    )


def _rules() -> str:
    across = "".join(f"40 {264 - 20 * n} m 330 {264 - 20 * n} l S " for n in range(6))
    return across + "".join(f"{x} 264 m {x} 164 l S " for x in _AT)


def _rows(file: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.decode(), newline=""), delimiter=delimiter))


_DEFUSED = [[cell.replace("=1+1", "'=1+1") for cell in row] for row in _TABLE]


@pytest.mark.parametrize("borders", ["auto", "ruled"])
def test_a_table_with_lines_becomes_csv_cell_by_cell(borders: str) -> None:
    made = convert(_page(_cells(), _rules()), "pdf", "csv", borders=borders).file
    assert _rows(made) == _DEFUSED


@pytest.mark.parametrize("borders", ["auto", "borderless"])
def test_a_table_without_lines_is_found_by_its_columns(borders: str) -> None:
    prose = _text(40, 280, "This line is no part of the table below it.")
    made = convert(_page(prose, _cells()), "pdf", "csv", borders=borders, delimiter="semicolon")
    assert _rows(made.file, ";") == _DEFUSED


def test_where_only_lines_count_none_means_none() -> None:
    reply = convert(_page(_cells()), "pdf", "csv", borders="ruled")
    assert (reply.error, "borders=auto" in reply.detail) == ("TargetImpossible", True)


def test_text_is_no_table_and_a_scan_is_told_apart() -> None:
    assert convert(sample("nine.pdf"), "pdf", "csv").error == "TargetImpossible"
    scan = convert(sample("photo.png"), "png", "pdf").file
    reply = convert(scan, "pdf", "csv")
    assert (reply.error, "searchable" in reply.detail) == ("TargetImpossible", True)


def chinese() -> bytes:
    """A table whose font is not in the document, and whose coding is only named."""
    below = pikepdf.Dictionary(
        Type=pikepdf.Name.Font,
        Subtype=pikepdf.Name.CIDFontType0,
        BaseFont=pikepdf.Name("/STSong-Light"),
        CIDSystemInfo=pikepdf.Dictionary(Registry="Adobe", Ordering="GB1", Supplement=2),
        DW=1000,
    )
    font = pikepdf.Dictionary(
        Type=pikepdf.Name.Font,
        Subtype=pikepdf.Name.Type0,
        BaseFont=pikepdf.Name("/STSong-Light"),
        Encoding=pikepdf.Name("/UniGB-UCS2-H"),
        DescendantFonts=[below],
    )
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(400, 300))
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        page.Contents = document.make_stream(
            "".join(
                f"BT /F1 12 Tf {x} {250 - 20 * at} Td <{cell.encode('utf-16-be').hex()}> Tj ET "
                for at, row in enumerate(CHINESE)
                for x, cell in zip(_AT, row, strict=False)
            ).encode()
        )
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def test_chinese_that_relies_on_its_reader_is_read_as_characters() -> None:
    assert _rows(convert(chinese(), "pdf", "csv").file) == CHINESE


def test_every_table_is_a_file_or_a_sheet_and_json_says_where_it_is() -> None:
    pages = _page(_cells(), _rules(), pages=3)
    assert len(convert(pages, "pdf", "csv").files) == 3
    assert len(convert(pages, "pdf", "csv", pages="2-").files) == 2
    told = json.loads(convert(pages, "pdf", "json", operation="tables", pages="3").file)["tables"]
    assert [one["page"] for one in told] == [3]
    assert told[0]["rows"] == _TABLE
    assert told[0]["box"] == pytest.approx([40, 36, 330, 136], abs=2)


def test_a_workbook_holds_numbers_as_numbers_and_formulas_as_text() -> None:
    made = convert(_page(_cells(), _rules()), "pdf", "xlsx").file
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        sheet = etree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    space = {"s": sheet.nsmap[None]}
    cells = {cell.get("r"): cell for cell in sheet.iterfind(".//s:c", space)}
    values = {at: cells[at].findtext("s:v", namespaces=space) for at in ("B2", "C4", "D2")}
    assert values == {"B2": "4", "C4": "-9.5", "D2": "118204"}
    assert (cells["D4"].get("t"), sheet.findall(".//s:f", space)) == ("s", [])
    comma = convert(_page(_cells(), _rules()), "pdf", "xlsx", decimal="comma").file
    with zipfile.ZipFile(io.BytesIO(comma)) as archive:
        assert b"118,204" not in archive.read("xl/worksheets/sheet1.xml")


def test_layout_keeps_columns_in_their_places() -> None:
    made = convert(_page(_cells()), "pdf", "txt", order="layout").file.decode()
    lines = [line for line in made.splitlines() if line.strip()]
    assert [line.split() for line in lines] == _TABLE
    assert len({line.index(row[2]) for line, row in zip(lines, _TABLE, strict=True)}) <= 2
    theirs = words(_page(_cells()), "-layout").splitlines()
    assert [line.split() for line in theirs if line.strip("\f ")] == _TABLE


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_is_set_out_as_it_is_seen(turn: int) -> None:
    # The content is turned one way and the page back, so that it reads upright.
    matrix = {90: "0 1 -1 0 300 0", 180: "-1 0 0 -1 400 300", 270: "0 -1 1 0 0 400"}[turn]
    upright = f"q {matrix} cm {_text(60, 250, 'first')}{_text(200, 250, 'second')} Q"
    made = convert(_page(upright, turn=turn), "pdf", "txt", order="layout").file.decode()
    assert made.split("\n")[0].split() == ["first", "second"]


def test_reading_order_goes_down_one_column_before_the_next() -> None:
    left = "".join(_text(40, 260 - 12 * n, f"left column line {n}") for n in range(8))
    right = "".join(_text(220, 260 - 12 * n, f"right column line {n}") for n in range(8))
    # Drawn line by line across both.
    mixed = "".join(
        _text(40, 260 - 12 * n, f"left column line {n}")
        + _text(220, 260 - 12 * n, f"right column line {n}")
        for n in range(8)
    )
    for page in (_page(left, right), _page(mixed)):
        made = convert(page, "pdf", "txt", order="reading").file.decode()
        assert made.index("left column line 7") < made.index("right column line 0")


@pytest.mark.parametrize("order", ["drawn", "layout"])
def test_a_hyphen_at_the_end_of_a_line_stays_one(order: str) -> None:
    page = _page(_text(40, 260, "the quay is self-"), _text(40, 248, "made and lasting"))
    made = convert(page, "pdf", "txt", order=order).file.decode()
    assert made.split("\n")[:2] == ["the quay is self-", "made and lasting"]


def test_pages_without_text_are_counted_and_recognition_is_named() -> None:
    reply = convert(_page(""), "pdf", "txt")
    assert reply.file == b""
    assert [w for w in reply.warnings if "recognise" in w]


def _with_pictures() -> bytes:
    made = [
        convert(sample(name), kind, "pdf").file
        for name, kind in (("orientation-1.jpg", "jpeg"), ("photo.png", "png"))
    ]
    return convert([*made, made[0]], "pdf", "pdf", operation="merge").file


def test_pictures_come_out_as_they_were_stored_or_as_png() -> None:
    with zipfile.ZipFile(
        io.BytesIO(convert(_with_pictures(), "pdf", "zip", operation="extract_images").file)
    ) as archive:
        names = archive.namelist()
        contents = [archive.read(name) for name in names]
    assert [name.rpartition(".")[2] for name in names] == ["jpg", "png", "jpg"]
    assert (
        psnr(Seen(contents[0], "jpeg").rgb(), Seen(sample("orientation-1.jpg"), "jpeg").rgb()) == 99
    )
    assert psnr(Seen(contents[1], "png").rgb(), Seen(sample("photo.png"), "png").rgb()) == 99


@pytest.mark.parametrize("target", ["png", "jpeg"])
def test_pictures_come_out_all_of_one_kind_where_one_is_named(target: str) -> None:
    files = convert(_with_pictures(), "pdf", target, operation="extract_images", pages="1-2").files
    assert [Seen(file, target).kind for file in files] == [target.upper()] * 2


def test_a_picture_that_can_be_seen_through_keeps_that() -> None:
    with pikepdf.new() as document:
        page = document.add_blank_page()
        mask = document.make_stream(
            bytes([0, 255]) * 8,
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Image,
            Width=4,
            Height=4,
            ColorSpace=pikepdf.Name.DeviceGray,
            BitsPerComponent=8,
        )
        picture = document.make_stream(
            bytes([200, 10, 10]) * 16,
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Image,
            Width=4,
            Height=4,
            ColorSpace=pikepdf.Name.DeviceRGB,
            BitsPerComponent=8,
            SMask=mask,
        )
        page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=picture))
        page.Contents = document.make_stream(b"/I Do")
        buffer = io.BytesIO()
        document.save(buffer)
    made = Image.open(
        io.BytesIO(convert(buffer.getvalue(), "pdf", "png", operation="extract_images").file)
    )
    assert (made.mode, made.getpixel((0, 0)), made.getpixel((1, 0))) == (
        "RGBA",
        (200, 10, 10, 0),
        (200, 10, 10, 255),
    )


def test_small_pictures_can_be_left_out_and_none_is_an_error() -> None:
    pages = _with_pictures()
    assert len(convert(pages, "pdf", "png", operation="extract_images", min_side=200).files) == 1
    assert convert(pages, "pdf", "png", operation="extract_images", min_side=900).error
    reply = convert(sample("nine.pdf"), "pdf", "png", operation="extract_images")
    assert (reply.error, "render" in reply.detail) == ("TargetImpossible", True)


def test_inspect_tells_boxes_fonts_pictures_and_protection() -> None:
    told = json.loads(convert(sample("nine.pdf"), "pdf", "json", operation="inspect").file)
    assert (told["page_count"], told["encryption"], told["active_content"]) == (9, None, [])
    assert told["fonts"] == [
        {"name": "Helvetica", "kind": "Type1", "embedded": False, "subset": False}
    ]
    turned = convert(sample("nine.pdf"), "pdf", "pdf", operation="rotate", angle=90, pages="1").file
    first = json.loads(convert(turned, "pdf", "json", operation="inspect", pages="1").file)["pages"]
    assert [(one["width"], one["height"], one["rotation"]) for one in first] == [(300, 200, 90)]
    locked = convert(sample("encrypted.pdf"), "pdf", "json", operation="inspect", **_KEY).file
    assert json.loads(locked)["encryption"]["bits"] == 256
    assert json.loads(convert(_with_pictures(), "pdf", "json", operation="inspect").file)[
        "pictures"
    ] == {"count": 3, "coded": {"DCT": 2, "Flate": 1}}


def test_inspect_names_what_could_run_and_runs_nothing() -> None:
    with pikepdf.open(io.BytesIO(sample("nine.pdf"))) as document:
        document.Root.OpenAction = pikepdf.Dictionary(
            S=pikepdf.Name.JavaScript, JS=pikepdf.String("app.alert(1)")
        )
        buffer = io.BytesIO()
        document.save(buffer)
    told = json.loads(convert(buffer.getvalue(), "pdf", "json", operation="inspect").file)
    assert told["active_content"] == ["JavaScript"]
