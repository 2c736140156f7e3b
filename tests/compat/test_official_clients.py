"""ConvertAPI's own clients, unmodified, against the service: only the base URL is another."""

import asyncio
import io
import re
import subprocess
import zipfile
from pathlib import Path

import pikepdf
import pytest

from engine import registry
from tests.compat.program import ClientError, Program
from tests.compat.remote import Remote
from tests.gateway.samples import document, opened, picture
from tests.gateway.service import PATIENCE_S, Customer, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

BROWSER = any(family.name == "browser" for family in registry.FAMILIES)
FILE_ID = re.compile(r"[a-z0-9]{32}")


def placed(folder: Path, name: str, content: bytes) -> str:
    """A file of the client's, by its path."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return str(folder / name)


async def test_a_file_is_converted_from_its_path_and_saved(
    service: Service, client: Program, customer: Customer, tmp_path: Path
) -> None:
    source = placed(tmp_path, "tést (1) ačiū.png", picture())
    result = await client.convert("webp", File=source)
    assert result["cost"] == 1
    assert [file["name"] for file in result["files"]] == ["tést (1) ačiū.webp"]
    saved = await client.save(result, tmp_path)
    assert saved == [tmp_path / "tést (1) ačiū.webp"]
    body = saved[0].read_bytes()
    assert opened(body).format == "WEBP"
    assert opened(body).size == (64, 48)
    assert len(body) == result["files"][0]["size"]
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"]


async def test_a_file_is_converted_from_a_stream(client: Program, tmp_path: Path) -> None:
    source = placed(tmp_path, "unhelpful", picture())
    result = await client.convert("webp", File={"stream": source, "name": "helpful.png"})
    assert result["files"][0]["name"] == "helpful.webp"
    assert opened((await client.save(result, tmp_path))[0].read_bytes()).format == "WEBP"


async def test_a_file_is_converted_from_an_address(
    client: Program, remote: Remote, tmp_path: Path
) -> None:
    address = remote.serve("holiday.png", picture())
    result = await client.convert("webp", File=address)
    assert result["files"][0]["name"] == "holiday.webp"
    assert opened((await client.save(result, tmp_path))[0].read_bytes()).format == "WEBP"


@pytest.mark.skipif(not BROWSER, reason="the browser formats are not there (deploy/bootstrap)")
async def test_a_web_page_is_converted_from_its_address(
    service: Service, client: Program, customer: Customer, remote: Remote, tmp_path: Path
) -> None:
    address = remote.serve("page.html", b"<p>Greetings from far away</p>")
    result = await client.convert("pdf", Url=address)
    (saved,) = await client.save(result, tmp_path)
    text = subprocess.run(["pdftotext", saved, "-"], capture_output=True, check=True).stdout
    assert b"Greetings from far away" in text
    await service.quiet()
    assert customer.credits - await service.ledger.balance(customer.account_id) == result["cost"]


async def test_several_files_become_one(client: Program, tmp_path: Path) -> None:
    one = placed(tmp_path, "one.pdf", document(1))
    two = placed(tmp_path, "two.pdf", document(2))
    result = await client.convert("merge", Files=[one, two], _from="pdf")
    assert [file["name"] for file in result["files"]] == ["one.pdf"]
    (saved,) = await client.save(result, tmp_path / "one.pdf")
    with pikepdf.open(saved) as merged:
        assert len(merged.pages) == 3


async def test_one_file_becomes_several(client: Program, tmp_path: Path) -> None:
    source = placed(tmp_path, "report.pdf", document(3))
    result = await client.convert("png", File=source, PageRange="1-2")
    assert len({file["name"] for file in result["files"]}) == 2
    saved = await client.save(result, tmp_path)
    assert [opened(path.read_bytes()).format for path in saved] == ["PNG", "PNG"]


async def test_a_result_is_the_input_of_the_next_conversion(
    service: Service, client: Program, customer: Customer, tmp_path: Path
) -> None:
    first = await client.convert("pdf", File=placed(tmp_path, "card.jpg", picture("JPEG")))
    second = await client.convert("png", File={"result": first["number"]})
    third = await client.convert("webp", File={"file": [second["number"], 0]})
    assert [file["name"] for file in third["files"]] == ["card.webp"]
    assert opened((await client.save(third, tmp_path))[0].read_bytes()).format == "WEBP"
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"] * 3


async def test_all_results_of_one_conversion_are_the_inputs_of_the_next(
    client: Program, tmp_path: Path
) -> None:
    source = placed(tmp_path, "report.pdf", document(3))
    pages = await client.convert("split", File=source, _from="pdf")
    assert len(pages["files"]) == 3
    files = [{"file": [pages["number"], index]} for index in range(3)]
    whole = await client.convert("merge", Files=files, _from="pdf")
    (saved,) = await client.save(whole, tmp_path / "whole.pdf")
    with pikepdf.open(saved) as merged:
        assert len(merged.pages) == 3


async def test_files_of_one_name_are_zipped_side_by_side(client: Program, tmp_path: Path) -> None:
    files = [
        placed(tmp_path, "test.png", picture()),
        placed(tmp_path, "other.txt", b"a text\n"),
        placed(tmp_path / "deeper", "test.png", picture(width=80)),
    ]
    result = await client.convert("zip", Files=files)
    assert [file["name"] for file in result["files"]] == ["test.zip"]
    (saved,) = await client.save(result, tmp_path)
    with zipfile.ZipFile(io.BytesIO(saved.read_bytes())) as archive:
        assert archive.testzip() is None
        contents = sorted(archive.read(name) for name in archive.namelist())
        assert len(set(archive.namelist())) == 3
    assert contents == sorted([picture(), b"a text\n", picture(width=80)])


async def test_the_timeout_of_the_client_goes_with_the_conversion(
    client: Program, tmp_path: Path
) -> None:
    source = placed(tmp_path, "a.png", picture())
    result = await client.convert("jpg", File=source, _timeout=60)
    assert result["files"][0]["name"] == "a.jpg"


async def test_the_account_is_shown(client: Program, customer: Customer, tmp_path: Path) -> None:
    before = await client.user()
    await client.convert("webp", File=placed(tmp_path, "a.png", picture()))
    after = await client.user()
    assert after["ConversionsTotal"] - after["ConversionsConsumed"] == customer.credits - 1
    assert after["ConversionsConsumed"] - before["ConversionsConsumed"] == 1
    assert after["Active"] is True


async def test_a_wrong_secret_is_refused_with_its_code(
    service: Service, client: Program, customer: Customer, remote: Remote
) -> None:
    wrong = Customer(account_id=customer.account_id, key=customer.key[:-1] + "~", credits=0)
    await client.configure(service, wrong)
    for attempt in (client.user(), client.convert("webp", File=remote.serve("a.png", picture()))):
        with pytest.raises(ClientError) as refusal:
            await attempt
        assert refusal.value.code == 4010


async def test_a_damaged_file_is_a_failed_conversion_and_costs_nothing(
    service: Service, client: Program, customer: Customer, tmp_path: Path
) -> None:
    whole = document(2)
    source = placed(tmp_path, "broken.pdf", whole[:200] + b"\0" * 100)
    with pytest.raises(ClientError) as failure:
        await client.convert("png", File=source)
    assert failure.value.code in {5001, 5002}
    await service.quiet()
    assert (await service.ledger.balance(customer.account_id)) == customer.credits


async def test_a_locked_document_asks_for_its_password(client: Program, tmp_path: Path) -> None:
    source = placed(tmp_path, "locked.pdf", document(1, locked_by="open sesame"))
    with pytest.raises(ClientError) as failure:
        await client.convert("png", File=source)
    assert failure.value.code == 5003
    result = await client.convert("png", File=source, Password="open sesame")
    assert len(result["files"]) == 1


async def test_a_pair_that_does_not_exist_is_refused(client: Program, tmp_path: Path) -> None:
    source = placed(tmp_path, "a.png", picture())
    with pytest.raises(ClientError) as refusal:
        await client.convert("dwg", File=source)
    assert refusal.value.code is not None


async def test_a_parameter_that_cannot_be_is_named(client: Program, tmp_path: Path) -> None:
    source = placed(tmp_path, "a.pdf", document(1))
    for name, wrong in (
        ("Timeout", {"_timeout": -10}),
        ("PageRange", {"PageRange": "last to first"}),
    ):
        with pytest.raises(ClientError) as refusal:
            await client.convert("png", File=source, **wrong)
        assert refusal.value.code == 4000
        assert list(refusal.value.invalid) == [name]
        assert refusal.value.invalid[name]
        assert name in str(refusal.value)


async def test_a_file_id_that_opens_nothing_is_refused(client: Program, service: Service) -> None:
    for address in (f"{service.url}/d/{'0' * 32}", f"{service.url}/d/{'0' * 32}/a.png"):
        with pytest.raises(ClientError) as refusal:
            await client.convert("webp", File=address, _from="png")
        assert refusal.value.code in {5008, 5009}


async def test_a_result_is_converted_behind_the_clients_back(
    service: Service, client: Program, customer: Customer, tmp_path: Path
) -> None:
    first = await client.convert("pdf", File=placed(tmp_path, "card.jpg", picture("JPEG")))
    await client.configure(service, customer, below="async/")
    job = (await client.convert("png", File={"file": [first["number"], 0]}))["job"]
    assert FILE_ID.fullmatch(job)
    await client.configure(service, customer)
    async with asyncio.timeout(PATIENCE_S):
        # In progress is an answer without files, and no error.
        while "Files" not in (told := await client.get(f"async/job/{job}")):  # noqa: ASYNC110 -- a client polls
            await asyncio.sleep(0.01)
    assert [file["FileName"] for file in told["Files"]] == ["card.png"]
    assert told["ConversionCost"] == 1


async def test_a_short_lived_token_stands_in_for_the_key(
    service: Service, client: Program, customer: Customer, tmp_path: Path
) -> None:
    headers = customer.headers | {"Content-Type": "application/json"}
    reply = await service.ask(
        "POST", "/v1/tokens", data=b'{"lifetime_s": 600, "scopes": ["convert"]}', headers=headers
    )
    token = Customer(account_id=customer.account_id, key=reply.json["token"], credits=0)
    await client.configure(service, token)
    source = placed(tmp_path, "a.png", picture())
    assert (await client.convert("webp", File=source))["files"][0]["name"] == "a.webp"
    changed = Customer(account_id=customer.account_id, key=token.key[:-8] + "AAAAAAAA", credits=0)
    await client.configure(service, changed)
    with pytest.raises(ClientError) as refusal:
        await client.convert("webp", File=f"{service.url}/d/{'0' * 32}", _from="png")
    assert refusal.value.code == 4012


async def test_the_token_of_before_2025_is_a_key_as_well(
    service: Service, client: Program, customer: Customer, tmp_path: Path
) -> None:
    if client.name != "python 1.8.0":
        pytest.skip("this version knows no Token parameter")
    await client.configure(service, customer, token=customer.key, api_key=12345)
    source = placed(tmp_path, "a.png", picture())
    # It names the engine in the address as well as among the parameters.
    with pytest.raises(ClientError) as refusal:
        await client.convert("webp", File=source, Converter="openoffice")
    assert list(refusal.value.invalid) == ["Converter"]
    assert (await client.convert("webp", File=source))["files"][0]["name"] == "a.webp"
