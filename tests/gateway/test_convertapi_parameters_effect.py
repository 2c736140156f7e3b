"""What parameters do to real files, judged by qpdf, poppler and Pillow."""

import io
import re
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec
import pikepdf
import pytest
from PIL import Image

from tests.gateway.samples import picture
from tests.gateway.service import Customer, Reply, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

INCH = 72


def book(pages: int) -> bytes:
    """Pages of one by two inches; the words on each say which it is."""
    pdf = pikepdf.new()
    for number in range(1, pages + 1):
        page = pdf.add_blank_page(page_size=(INCH, 2 * INCH))
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
        words = f"BT /F 12 Tf 5 60 Td (page {number}) Tj ET".encode()
        page.Contents = pdf.make_stream(words)
    out = io.BytesIO()
    pdf.save(out)
    return out.getvalue()


async def convert(
    service: Service,
    customer: Customer,
    pair: str,
    *bodies: bytes | tuple[str, bytes],
    **parameters: str,
) -> Reply:
    form = aiohttp.FormData()
    for at, given in enumerate(bodies):
        name, body = given if isinstance(given, tuple) else (f"Files[{at}]", given)
        name = "File" if len(bodies) == 1 or (at == 0 and isinstance(bodies[1], tuple)) else name
        form.add_field(name, body, filename=f"{at}.bin")
    for name, value in parameters.items():
        form.add_field(name, value)
    source, target = pair.split(">")
    return await service.ask(
        "POST", f"/convert/{source}/to/{target}", data=form, headers=customer.headers
    )


def files(reply: Reply) -> list[bytes]:
    assert reply.status == 200, reply.body
    return [
        msgspec.json.decode(msgspec.json.encode(one["FileData"]), type=bytes)
        for one in reply.json["Files"]
    ]


def judged(body: bytes, *command: str) -> str:
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def words(body: bytes) -> list[str]:
    """What is on each page, by poppler."""
    return [page.strip() for page in judged(body, "pdftotext", "-", "-").split("\f")[:-1]]


def sizes(bodies: Sequence[bytes]) -> list[tuple[int, int]]:
    return [Image.open(io.BytesIO(body)).size for body in bodies]


async def test_page_ranges_and_resolution_of_pictures(service: Service, customer: Customer) -> None:
    reply = await convert(
        service, customer, "pdf>jpg", book(4), PageRange="2-3", ImageResolution="100"
    )
    assert sizes(files(reply)) == [(100, 200), (100, 200)]
    assert [one["FileName"] for one in reply.json["Files"]] == ["0_0.jpg", "0_1.jpg"]
    assert reply.json["Files"][0]["FileExt"] == "jpg"


async def test_the_default_range_goes_to_the_end_and_200_dots_are_an_inch(
    service: Service, customer: Customer
) -> None:
    reply = await convert(service, customer, "pdf>png", book(2), PageRange="1-2000")
    assert sizes(files(reply)) == [(200, 400), (200, 400)]


async def test_a_width_keeps_proportions(service: Service, customer: Customer) -> None:
    reply = await convert(
        service, customer, "png>jpg", picture(), ImageWidth="32", ScaleProportions="True"
    )
    assert sizes(files(reply)) == [(32, 24)]
    reply = await convert(
        service,
        customer,
        "png>jpg",
        picture(),
        ImageWidth="32",
        ImageHeight="32",
        ScaleProportions="false",
    )
    assert sizes(files(reply)) == [(32, 32)]
    reply = await convert(
        service, customer, "png>jpg", picture(), ImageWidth="640", ScaleIfLarger="true"
    )
    assert sizes(files(reply)) == [(64, 48)]


async def test_pages_are_only_made_smaller_where_that_is_asked(
    service: Service, customer: Customer
) -> None:
    smaller = {"ScaleIfLarger": "true", "ImageWidth": "50", "ImageHeight": "50"}
    reply = await convert(service, customer, "pdf>jpg", book(2), **smaller, PageRange="2")
    assert sizes(files(reply)) == [(25, 50)]
    reply = await convert(
        service, customer, "pdf>tiff", book(2), ScaleIfLarger="true", ImageWidth="900"
    )
    (tiff,) = [Image.open(io.BytesIO(body)) for body in files(reply)]
    assert (tiff.size, tiff.n_frames) == ((200, 400), 2)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"SplitByRange": "1,3,4-5"}, [["page 1"], ["page 3"], ["page 4", "page 5"]]),
        ({"SplitByPattern": "2"}, [["page 1", "page 2"], ["page 3", "page 4"], ["page 5"]]),
        ({"ExtractPages": "4-5"}, [["page 4"], ["page 5"]]),
        ({"SplitByRange": "5,1", "MergeOutput": "true"}, [["page 5", "page 1"]]),
    ],
)
async def test_documents_are_split_as_asked(
    service: Service, customer: Customer, parameters: dict[str, str], expected: list[list[str]]
) -> None:
    reply = await convert(service, customer, "pdf>split", book(5), **parameters)
    assert [words(body) for body in files(reply)] == expected


async def test_documents_are_merged_in_their_order(service: Service, customer: Customer) -> None:
    reply = await convert(
        service, customer, "pdf>merge", book(2), book(1), RemoveDuplicateFonts="true"
    )
    (merged,) = files(reply)
    assert words(merged) == ["page 1", "page 2", "page 1"]
    # Two conversions, and what two cost.
    assert reply.json["ConversionCost"] == int(reply.headers["X-Credits-Used"]) > 1


async def test_a_protected_document_asks_for_its_password(
    service: Service, customer: Customer, tmp_path: Path
) -> None:
    reply = await convert(
        service,
        customer,
        "pdf>protect",
        book(1),
        UserPassword="open",
        PrintDocument="true",
        EncryptionAlgorithm="Aes256Bit",
    )
    (locked,) = files(reply)
    (file := tmp_path / "locked.pdf").write_bytes(locked)
    assert "invalid password" in judged(b"", "qpdf", "--check", str(file))
    told = judged(b"", "qpdf", "--password=open", "--show-encryption", str(file))
    assert "AESv3" in told
    assert "print high resolution: allowed" in told
    assert "extract for any purpose: not allowed" in told
    reply = await convert(service, customer, "pdf>unprotect", locked, Password="open")
    file.write_bytes(files(reply)[0])
    assert "File is not encrypted" in judged(b"", "qpdf", "--show-encryption", str(file))


async def test_pages_are_turned(service: Service, customer: Customer) -> None:
    reply = await convert(service, customer, "pdf>rotate", book(2), Angle="90", PageRange="2")
    with pikepdf.open(io.BytesIO(files(reply)[0])) as turned:
        assert [int(page.get("/Rotate", 0)) for page in turned.pages] == [0, 90]
    reply = await convert(service, customer, "pdf>rotate", book(2), Angle="0")
    assert words(files(reply)[0]) == ["page 1", "page 2"]


async def test_pages_are_deleted_and_blank_ones_found(service: Service, customer: Customer) -> None:
    with pikepdf.open(io.BytesIO(book(3))) as pdf:
        pdf.add_blank_page(page_size=(INCH, INCH))
        out = io.BytesIO()
        pdf.save(out)
    reply = await convert(
        service,
        customer,
        "pdf>delete-pages",
        out.getvalue(),
        PageRange="2",
        DeleteBlankPages="true",
    )
    assert words(files(reply)[0]) == ["page 1", "page 3"]


async def test_measures_are_read_in_their_unit(service: Service, customer: Customer) -> None:
    reply = await convert(
        service,
        customer,
        "pdf>crop",
        book(1),
        CropMode="margins",
        HorizontalMargin="0.25",
        MeasurementUnit="in",
    )
    box = judged(files(reply)[0], "pdfinfo", "-")
    assert "36 x 144 pts" in box


async def test_words_are_written_over_pages(service: Service, customer: Customer) -> None:
    reply = await convert(
        service, customer, "pdf>text-watermark", book(2), Text="Hi", FontSize="14", PageRange="2"
    )
    first, second = words(files(reply)[0])
    assert first == "page 1"
    assert "Hi" in second


async def test_a_picture_turns_with_its_page(service: Service, customer: Customer) -> None:
    reply = await convert(
        service, customer, "png>pdf", picture(), Rotate="90", MarginHorizontal="25.4"
    )
    # 64 x 48 pixels at 96 dots an inch are 48 x 36 points; turned, with an inch on each side.
    assert "180 x 48" in _seen(files(reply)[0])


def _seen(body: bytes) -> str:
    with pikepdf.open(io.BytesIO(body)) as pdf:
        (page,) = pdf.pages
        width, height = (float(side) for side in page.mediabox[2:])
        turned = int(page.get("/Rotate", 0)) % 180
    return f"{height:g} x {width:g}" if turned else f"{width:g} x {height:g}"


async def test_a_refused_parameter_is_named_and_costs_nothing(
    service: Service, customer: Customer
) -> None:
    reply = await convert(
        service,
        customer,
        "pdf>protect",
        book(1),
        UserPassword="open",
        EncryptionAlgorithm="Standard40Bit",
        Colour="red",
    )
    assert reply.status == 400
    assert reply.json["Code"] == 4000
    (reason,) = reply.json["InvalidParameters"]["EncryptionAlgorithm"]
    assert "AES-256" in reason
    assert await service.kinds(customer) == []


async def test_an_unknown_parameter_is_left_out_and_told(
    service: Service, customer: Customer
) -> None:
    reply = await convert(service, customer, "png>jpg", picture(), Sparkle="yes")
    assert reply.status == 200
    assert reply.headers["X-Ignored-Parameters"] == "Sparkle"


async def test_versions_of_a_document_are_compared(service: Service, customer: Customer) -> None:
    before = await _letter(service, customer, "old words")
    after = await _letter(service, customer, "new words")
    reply = await convert(
        service,
        customer,
        "docx>compare",
        before,
        ("CompareFile", after),
        CompareLevel="Word",
        RevisionAuthor="Ada",
    )
    (compared,) = files(reply)
    assert reply.json["Files"][0]["FileName"] == "0.docx"
    with zipfile.ZipFile(io.BytesIO(compared)) as package:
        told = package.read("word/document.xml").decode()
    assert re.search(r'<w:del [^>]*w:author="Ada".*old', told, re.DOTALL)
    assert re.search(r'<w:ins [^>]*w:author="Ada".*new', told, re.DOTALL)


async def _letter(service: Service, customer: Customer, text: str) -> bytes:
    (letter,) = files(await convert(service, customer, "log>docx", text.encode()))
    return letter
