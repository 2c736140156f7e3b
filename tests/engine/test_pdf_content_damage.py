"""Documents that lie, break or explode: each conversion of their content fails well."""

import io
import random
import zlib

import pikepdf
import pytest

from engine.converters.pdf.content.catalogue import CONVERTERS
from engine.job import Bounds
from tests.engine.calls import convert, sample

_REFUSALS = {
    "",
    "SourceUnreadable",
    "SourceTooComplex",
    "PasswordRequired",
    "TargetImpossible",
    "TargetTooLarge",
}
_SMALL = Bounds(pixels_max=2_000_000)
_OPERATIONS = [(one.operation, one.targets[0]) for one in CONVERTERS]
_BOMB = zlib.compress(bytes(160 * 1024 * 1024), 9)


def _plain(name: str) -> bytes:
    """The document with its streams as text, so that damage reaches what they say."""
    with pikepdf.open(io.BytesIO(sample(name))) as document:
        buffer = io.BytesIO()
        document.save(buffer, compress_streams=False, static_id=True)
    return buffer.getvalue()


@pytest.mark.parametrize(("operation", "target"), _OPERATIONS)
def test_small_damages_fail_well(operation: str, target: str) -> None:
    chance = random.Random(operation)  # noqa: S311  # seeded damage
    options = {"dpi": 30} if operation == "render" else {}
    for name in ("nine.pdf", "form.pdf"):
        whole = _plain(name)
        for _ in range(25):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 20)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            reply = convert(
                bytes(damaged), "pdf", target, operation=operation, bounds=_SMALL, **options
            )
            assert reply.error in _REFUSALS, reply.detail


@pytest.mark.parametrize("place", ["contents", "form", "font"])
@pytest.mark.parametrize("operation", ["render", "text", "editable"])
def test_a_stream_that_unpacks_without_end_is_refused_before_it_is_drawn(
    place: str, operation: str
) -> None:
    target = next(one.targets[0] for one in CONVERTERS if one.operation == operation)
    with pikepdf.new() as document:
        page = document.add_blank_page()
        bomb = pikepdf.Stream(document, _BOMB)
        bomb.Filter = pikepdf.Name.FlateDecode
        if place == "contents":
            page.Contents = bomb
        elif place == "form":
            bomb.Type, bomb.Subtype = pikepdf.Name.XObject, pikepdf.Name.Form
            bomb.BBox = [0, 0, 100, 100]
            page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(F=bomb))
            page.Contents = document.make_stream(b"/F Do")
        else:
            font = pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.TrueType,
                BaseFont=pikepdf.Name.Bomb,
                FontDescriptor=pikepdf.Dictionary(Type=pikepdf.Name.FontDescriptor, FontFile2=bomb),
            )
            page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
            page.Contents = document.make_stream(b"BT /F 12 Tf (x) Tj ET")
        buffer = io.BytesIO()
        document.save(buffer)
    assert (
        convert(buffer.getvalue(), "pdf", target, operation=operation).error == "SourceTooComplex"
    )
