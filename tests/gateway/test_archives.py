"""A request's files in one archive, and an archive's files under their own names, over HTTP."""

import io
import zipfile

import aiohttp
import pytest

from tests.gateway.samples import picture
from tests.gateway.service import Customer, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _form(files: list[tuple[str, bytes]]) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    for name, content in files:
        form.add_field("file", content, filename=name)
    return form


def _unzipped(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_files_of_any_kind_come_back_as_one_archive_and_out_of_it_again(
    service: Service, customer: Customer
) -> None:
    files = [("übersicht.txt", b"text"), ("a.png", picture()), ("a.png", b"\0\1\2\3")]
    packed = await service.convert("any/zip", _form(files), customer)
    assert packed.status == 200
    assert packed.headers["Content-Disposition"].endswith("filename*=UTF-8''%C3%BCbersicht.zip")
    members = {"übersicht.txt": b"text", "a.png": picture(), "a (2).png": b"\0\1\2\3"}
    assert _unzipped(packed.body) == members
    assert "numbered" in packed.headers["X-Conversion-Warnings"]
    out = await service.convert("zip/any", packed.body, customer)
    assert out.headers["Content-Type"] == "application/zip"
    assert _unzipped(out.body) == members


async def test_the_only_file_of_an_archive_comes_as_itself(
    service: Service, customer: Customer
) -> None:
    packed = await service.convert("any/zip", _form([("scan 1.png", picture())]), customer)
    out = await service.convert("zip/any", packed.body, customer)
    assert out.body == picture()
    assert out.headers["Content-Type"] == "application/octet-stream"
    assert out.headers["Content-Disposition"] == 'attachment; filename="scan 1.png"'


async def test_a_large_file_is_packed_under_its_name_while_it_arrives(
    service: Service, customer: Customer
) -> None:
    body = b"line\n" * 200_000
    named = {"Content-Disposition": 'attachment; filename="log.txt"'}
    packed = await service.convert("txt/zip", body, customer, named)
    assert _unzipped(packed.body) == {"log.txt": body}


async def test_a_batch_keeps_the_archives_files_apart(service: Service, customer: Customer) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("docs/a.txt", "a")
        archive.writestr("b.txt", "b")
    form = _form([("one.zip", buffer.getvalue()), ("two.zip", buffer.getvalue())])
    reply = await service.ask("POST", "/v1/batch/zip/any", data=form, headers=customer.headers)
    names = set(_unzipped(reply.body)) - {"manifest.json"}
    assert names == {f"{n}/{name}" for n in ("1-one", "2-two") for name in ("docs/a.txt", "b.txt")}
