"""Receipts: what is in them, that anybody can check them, and that nobody can change them."""

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import receipts
from gateway.errors import ReceiptInvalid
from gateway.receipt_desk import HEADER, PREFERENCE, ReceiptDesk
from gateway.receipt_keys import FOLDER, ReceiptKeys, now
from gateway.receipts import Isolation, PublicKey, Receipt, digest, inputs_of
from gateway.state import RECEIPTS
from tests.gateway.samples import document, picture
from tests.gateway.service import Customer, Reply, Service, listening

ASKED = {"Prefer": "handling=strict, receipt"}
PASSWORD = "open sesame"
# The head of an Ed25519 public key in DER (RFC 8410).
DER = bytes.fromhex("302a300506032b6570032100")


@pytest_asyncio.fixture(loop_scope="session")
async def desk(shared_service: Service, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a home of its own, for its keys."""
    engine, ledger = shared_service.engine, shared_service.ledger
    async with listening(engine, ledger) as service:
        object.__setattr__(service.app[RECEIPTS], "keys", ReceiptKeys(tmp_path))
        yield service
        await service.quiet()


async def _receipt(desk: Service, path: str, body: Any, **params: str) -> tuple[Reply, str]:
    customer = await desk.customer()
    reply = await desk.convert(path, body, customer, ASKED, **params)
    assert reply.status == 200
    assert reply.headers["Preference-Applied"] == PREFERENCE
    return reply, reply.headers[HEADER]


def _payload(text: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(_raw(text.split(".")[1]))
    return payload


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def _published(desk: Service) -> tuple[PublicKey, ...]:
    page = await desk.ask("GET", "/.well-known/ephemera-receipts.json")
    assert page.status == 200
    return msgspec.json.decode(page.body, type=receipts.KeySet).keys


def example(**changes: Any) -> Receipt:
    one = Receipt(
        issued_at=now(),
        service="1",
        request_id="r",
        source="png",
        target="webp",
        converter="image.convert",
        options={},
        libraries={},
        inputs=inputs_of([digest(b"in")]),
        output=digest(b"out"),
        isolation=Isolation(policy="per-conversion", level="strict", layers=(), worker="1.2"),
        limits={},
        credits=1,
        repeat=False,
        queue_s=0.0,
        convert_s=0.1,
        cpu_s=0.1,
    )
    return msgspec.structs.replace(one, **changes)


def public(key: Ed25519PrivateKey, **changes: Any) -> PublicKey:
    text = receipts.public_text(key.public_key())
    one = PublicKey(kid=receipts.key_id(key.public_key()), x=text, valid_from=now())
    return msgspec.structs.replace(one, **changes)


@pytest.mark.claim("C-RECEIPT-1")
@pytest.mark.asyncio(loop_scope="session")
async def test_openssl_agrees_with_the_signature(desk: Service, tmp_path: Path) -> None:
    _, text = await _receipt(desk, "png/webp", picture())
    (key,) = await _published(desk)
    signed, _, signature = text.rpartition(".")
    (tmp_path / "key").write_bytes(DER + _raw(key.x))
    (tmp_path / "signature").write_bytes(_raw(signature))
    for words, agrees in ((signed, True), (signed.swapcase(), False)):
        (tmp_path / "words").write_text(words)
        verdict = subprocess.run(
            [
                "openssl",
                "pkeyutl",
                "-verify",
                "-pubin",
                "-keyform",
                "DER",
                "-inkey",
                "key",
                "-rawin",
                "-in",
                "words",
                "-sigfile",
                "signature",
            ],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert (verdict.returncode == 0) is agrees, verdict.stderr


@pytest.mark.asyncio(loop_scope="session")
async def test_a_receipt_says_what_was_done_where_and_for_how_much(desk: Service) -> None:
    upload = picture()
    reply, text = await _receipt(desk, "png/webp", upload, width="20")
    said, _ = receipts.checked(text, await _published(desk))
    assert said.request_id == reply.headers["X-Request-Id"]
    assert said.inputs.files == (digest(upload),)
    assert said.output == digest(reply.body)
    assert (said.source, said.target, said.converter) == ("png", "webp", "image.convert")
    assert said.options["width"] == 20
    assert said.libraries["pillow"] == version("pillow")
    assert said.isolation.policy == "per-conversion"
    assert {"filter", "landlock"} <= {layer.partition("-")[0] for layer in said.isolation.layers}
    assert said.limits["cpu_s"] > 0
    assert str(said.credits) == reply.headers["X-Credits-Used"]
    assert said.service == version("ephemera")


@pytest.mark.asyncio(loop_scope="session")
async def test_nobody_gets_a_receipt_who_did_not_ask(desk: Service, customer: Customer) -> None:
    reply = await desk.convert("png/webp", picture(), customer)
    assert HEADER not in reply.headers
    assert "Preference-Applied" not in reply.headers


@pytest.mark.claim("C-RECEIPT-2")
@pytest.mark.asyncio(loop_scope="session")
async def test_a_receipt_holds_no_password_no_file_name_and_no_account(desk: Service) -> None:
    customer = await desk.customer()
    named = {"Content-Disposition": 'attachment; filename="divorce.pdf"'}
    reply = await desk.convert(
        "pdf/pdf", document(2), customer, ASKED | named, operation="protect", user_password=PASSWORD
    )
    assert reply.status == 200
    payload = _payload(reply.headers[HEADER])
    assert payload["options"]["user_password"] is None
    text = json.dumps(payload)
    assert PASSWORD not in text
    assert "divorce" not in text
    assert customer.key not in text
    assert "account" not in text


@pytest.mark.asyncio(loop_scope="session")
async def test_a_service_that_cannot_sign_converts_without_a_receipt(
    desk: Service, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).write_text("not a folder")
    customer = await desk.customer()
    reply = await desk.convert("png/webp", picture(), customer, ASKED)
    assert reply.status == 200
    assert HEADER not in reply.headers


@pytest.mark.claim("C-RECEIPT-1")
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_receipt_is_refused(part: int) -> None:
    key = Ed25519PrivateKey.generate()
    parts = receipts.signed(example(), key).split(".")
    receipts.checked(".".join(parts), [public(key)])
    raw = bytearray(_raw(parts[part]))
    raw[len(raw) // 2] ^= 1
    parts[part] = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(ReceiptInvalid):
        receipts.checked(".".join(parts), [public(key)])


@pytest.mark.parametrize("nonsense", ["", "a", "a.b.c", "{}", "e30.e30.e30", "ä.ö.ü"])
def test_what_is_no_receipt_is_refused(nonsense: str) -> None:
    with pytest.raises(ReceiptInvalid):
        receipts.checked(nonsense, [public(Ed25519PrivateKey.generate())])


def test_a_receipt_cannot_choose_how_it_is_checked() -> None:
    key = Ed25519PrivateKey.generate()
    _, payload, _ = receipts.signed(example(), key).split(".")
    head = json.dumps({"alg": "none", "kid": public(key).kid}).encode()
    forged = f"{base64.urlsafe_b64encode(head).decode().rstrip('=')}.{payload}."
    with pytest.raises(ReceiptInvalid, match="Ed25519"):
        receipts.checked(forged, [public(key)])


def test_a_key_that_is_not_published_signs_nothing() -> None:
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(ReceiptInvalid, match="not among"):
        receipts.checked(
            receipts.signed(example(), stranger), [public(Ed25519PrivateKey.generate())]
        )


def test_a_key_signs_only_while_it_is_valid() -> None:
    key = Ed25519PrivateKey.generate()
    text = receipts.signed(example(issued_at="2030-01-01T00:00:00Z"), key)
    times = {"valid_from": "2029-01-01T00:00:00Z"}
    assert receipts.checked(text, [public(key, **times)])
    for wrong in (
        {"valid_from": "2031-01-01T00:00:00Z"},
        times | {"valid_until": "2029-06-01T00:00:00Z"},
    ):
        with pytest.raises(ReceiptInvalid, match="validity"):
            receipts.checked(text, [public(key, **wrong)])


def test_other_files_are_not_those_of_the_receipt() -> None:
    said = example(inputs=inputs_of([digest(b"1"), digest(b"2")]))
    receipts.check_files(said, [digest(b"1"), digest(b"2")], digest(b"out"))
    for inputs, output in (
        ([digest(b"2"), digest(b"1")], None),
        ([digest(b"1")], None),
        ([], digest(b"other")),
    ):
        with pytest.raises(ReceiptInvalid):
            receipts.check_files(said, inputs, output)


def test_many_inputs_still_fit_into_a_header() -> None:
    files = [digest(bytes([number])) for number in range(200)]
    said = example(inputs=inputs_of(files))
    key = Ed25519PrivateKey.generate()
    assert len(receipts.signed(said, key)) < receipts.BYTES_MAX
    receipts.check_files(said, files, None)
    with pytest.raises(ReceiptInvalid):
        receipts.check_files(said, files[:-1], None)


def test_keys_are_for_their_owner_alone_and_are_made_once(tmp_path: Path) -> None:
    first = ReceiptKeys(tmp_path).signing()
    (path,) = (tmp_path / FOLDER).iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    again = ReceiptKeys(tmp_path).signing()
    assert receipts.key_id(first.public_key()) == receipts.key_id(again.public_key())


def test_a_key_that_was_added_signs_and_the_old_one_still_checks(tmp_path: Path) -> None:
    keys = ReceiptKeys(tmp_path)
    old = keys.signing()
    (path,) = (tmp_path / FOLDER).iterdir()
    path.rename(path.with_name("20200101T000000Z.pem"))
    text = receipts.signed(example(issued_at="2020-01-02T00:00:00Z"), old)
    added = keys.rotate()
    published = keys.published()
    assert [key.kid for key in published][-1] == added.kid
    assert published[0].valid_until == published[1].valid_from
    assert receipts.key_id(keys.signing().public_key()) == added.kid
    assert receipts.checked(text, published)[1] == published[0]


def test_the_command_checks_a_receipt_and_its_files_without_a_service(tmp_path: Path) -> None:
    keys = ReceiptKeys(tmp_path / "home")
    (tmp_path / "home").mkdir()
    (tmp_path / "in").write_bytes(b"in")
    (tmp_path / "out").write_bytes(b"out")
    text = receipts.signed(example(), keys.signing())
    (tmp_path / "receipt").write_text(f"{HEADER}: {text}\r\n")
    (tmp_path / "keys").write_bytes(msgspec.json.encode(receipts.KeySet(keys.published())))
    files = ["--input", "in", "--output", "out"]
    good = _verify(tmp_path, "receipt", "--keys", "keys", *files)
    assert good.returncode == 0, good.stderr
    assert "image.convert" in good.stdout
    assert _verify(tmp_path, "receipt", *files).returncode == 0
    swapped = _verify(tmp_path, "receipt", "--keys", "keys", "--input", "out", "--output", "in")
    assert (swapped.returncode, swapped.stdout) == (65, "")
    assert _verify(tmp_path, "absent", "--keys", "keys").returncode == 66


def _verify(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(Path(sys.executable).with_name("ephemera")), "receipt", "verify", *words],
        cwd=folder,
        env={"EPHEMERA_HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_now_is_said_as_keys_say_it() -> None:
    assert datetime.strptime(now(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert ReceiptDesk(ReceiptKeys(Path("/nonexistent")), "strict").keys.published() == ()
