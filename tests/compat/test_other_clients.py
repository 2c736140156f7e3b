"""What ConvertAPI's other clients put on the wire, byte for byte where they differ.

The libraries for Ruby, PHP, Go, Java, .NET and browsers, the command line, and a fax server of a
third party: each sends the same things in its own way, as captures and their sources show.
"""

import base64
import email
import email.policy
import io
import re
import zipfile
from urllib.parse import quote_plus

import msgspec
import pikepdf
import pytest
import pytest_asyncio

from tests.compat.remote import Remote
from tests.gateway.samples import document, opened, picture
from tests.gateway.service import Customer, Reply, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILE_ID = re.compile(r"[a-z0-9]{32}")
BOUNDARY = "ed0b42d6-7f1c-4c3b-9f6e-0a1c"


def chunked(body: bytes, size: int = 700) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def form(*fields: tuple[str, str | bytes]) -> bytes:
    """`multipart/form-data`; each field is the line of its head, and its body."""
    parts = b""
    for head, body in fields:
        content = body if isinstance(body, bytes) else body.encode()
        parts += f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"
    return parts + f"--{BOUNDARY}--\r\n".encode()


def named(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


async def said(service: Service, first: str, *headers: str, body: bytes | None = None) -> Reply:
    """One request as it is written here; its length is added where nothing else says it."""
    lines = [f"{first} HTTP/1.1", f"Host: 127.0.0.1:{service.port}", *headers]
    if body is not None and not any(line.startswith("Transfer-Encoding") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    async with await service.open() as wire:
        await wire.send("\r\n".join([*lines, "", ""]).encode())
        if "Expect: 100-continue" in headers:
            assert (await wire.head())[0] == 100
        await wire.send(body or b"")
        if first.startswith("HEAD"):
            status, told = await wire.head()
            return Reply(status=status, headers=told, body=b"")
        return await wire.answer()


def bearer(customer: Customer) -> str:
    return f"Authorization: Bearer {customer.key}"


def urlencoded(**fields: str) -> bytes:
    return "&".join(
        f"{quote_plus(name)}={quote_plus(text)}" for name, text in fields.items()
    ).encode()


def in_json(value: str, *, name: str = "File") -> bytes:
    store = '{"Name":"StoreFile","Value":true}'
    return f'{{"Parameters":[{{"Name":"{name}",{value}}},{store}]}}'.encode()


FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
OCTETS = "Content-Type: application/octet-stream"
JSON = "Accept: application/json"
DOTNET = "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="
# The first line, the headers, and the name that the service understands. `{key}` is the customer's.
UPLOADS = {
    "python 2.0.1: no Content-Type": (
        "POST /upload",
        (
            "Authorization: Bearer {key}",
            "Accept: */*",
            "Content-Disposition: attachment; filename*=UTF-8''t%C3%A9st%20%281%29.png",
        ),
        "tést (1).png",
    ),
    "python 1.8.0: no credentials either": (
        "POST /upload",
        ("Accept: */*", "Content-Disposition: attachment; filename*=UTF-8''t%C3%A9st.png"),
        "tést.png",
    ),
    "node: calls raw bytes a form": (
        "POST /upload",
        (
            "Accept: application/json",
            "Content-Type: application/x-www-form-urlencoded",
            "Authorization: Bearer {key}",
            "Content-Disposition: attachment; filename*=UTF-8''a%28b%29%27c.png",
            "Transfer-Encoding: chunked",
        ),
        "a(b)'c.png",
    ),
    "php: waits for a word, and calls raw bytes a form": (
        "POST /upload",
        (
            "Accept: application/json",
            "Authorization: Bearer {key}",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Disposition: attachment; filename*=UTF-8''test%20file.png",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
        ),
        "test file.png",
    ),
    "ruby: no credentials, spaces as plus signs": (
        "POST /upload",
        (
            "Accept: application/json",
            "Content-Type: application/octet-stream",
            "Content-Disposition: attachment; filename*=UTF-8''t%C3%A9st+space.png",
            "Transfer-Encoding: chunked",
        ),
        "tést space.png",
    ),
    ".net: a character set in small letters": (
        "POST /upload",
        (
            "Accept: application/json",
            "Authorization: Bearer {key}",
            "Content-Type: application/octet-stream",
            "Content-Disposition: attachment; filename*=utf-8''a%20b+c.png",
        ),
        "a b+c.png",
    ),
    "browsers: in the query, no credentials": (
        "POST /upload?filename=t%C3%A9st%20(1).png",
        ("Accept: */*", "Content-Type: image/png", "Origin: https://example.com"),
        "tést (1).png",
    ),
    "curl of the manual: the query wins": (
        "POST /upload?filename=right.png",
        ("Accept: */*", "Content-Disposition: attachment; filename=wrong.png"),
        "right.png",
    ),
}


@pytest.mark.parametrize(("first", "headers", "name"), UPLOADS.values(), ids=UPLOADS)
async def test_an_upload_gives_back_its_bytes(
    service: Service, customer: Customer, first: str, headers: tuple[str, ...], name: str
) -> None:
    content = picture()
    lines = [line.replace("{key}", customer.key) for line in headers]
    body = chunked(content) if "Transfer-Encoding: chunked" in lines else content
    reply = await said(service, first, *lines, body=body)
    assert reply.status == 200, reply.body
    told = reply.json
    assert FILE_ID.fullmatch(told["FileId"])
    assert (told["FileName"], told["FileExt"], told["FileSize"]) == (name, "png", len(content))
    assert told["FileId"] in told["Url"]
    for address in (f"/d/{told['FileId']}", f"/d/{told['FileId']}/any.png"):
        file = await said(service, f"GET {address}")
        assert (file.status, file.body) == (200, content)
    assert await service.kinds(customer) == []


@pytest.mark.parametrize("accept", [(), ("Accept: text/plain",)], ids=["none", "text"])
async def test_go_and_java_take_the_whole_answer_for_the_id(
    service: Service, customer: Customer, accept: tuple[str, ...]
) -> None:
    headers = (OCTETS, bearer(customer), "User-Agent: Go-http-client/1.1", *accept)
    reply = await said(service, "POST /upload?filename=a+b.png", *headers, body=picture())
    assert reply.status == 200
    assert FILE_ID.fullmatch(reply.body.decode())
    body = urlencoded(file=reply.body.decode(), storefile="true")
    converted = await said(
        service, "POST /convert/png/to/webp", FORM, bearer(customer), JSON, body=body
    )
    assert converted.json["Files"][0]["FileName"] == "a b.webp"


@pytest.mark.parametrize(
    "first", ["POST /upload-from-url?url=", "POST /upload?url="], ids=["java", ".net"]
)
async def test_an_upload_comes_from_an_address(
    service: Service, customer: Customer, remote: Remote, first: str
) -> None:
    address = quote_plus(remote.serve("far away.png", picture()))
    headers = (JSON, bearer(customer))
    reply = await said(service, first + address, *headers, body=b"")
    assert reply.status == 200, reply.body
    assert reply.json["FileName"] == "far away.png"
    assert (await said(service, f"GET /d/{reply.json['FileId']}")).body == picture()
    # To ask the network takes a customer.
    assert (await said(service, first + address, JSON, body=b"")).status == 401


@pytest_asyncio.fixture(loop_scope="session")
async def uploaded(service: Service) -> str:
    reply = await said(service, "POST /upload?filename=photo.png", JSON, body=picture())
    return str(reply.json["FileId"])


# How parameters are sent; `{id}` is the file's.
PARAMETERS = {
    "python": (FORM, b"File={id}&StoreFile=True"),
    "node": (FORM, b"File={id}&StoreFile=true"),
    "go: small letters, an empty list, an empty timeout": (
        FORM,
        b"file={id}&files=&storefile=true&timeout=",
    ),
    "php and java: texts in a form": (
        MULTIPART,
        form((named("File"), "{id}"), (named("StoreFile"), "true"), (named("Timeout"), "900")),
    ),
    ".net: names without quotes, a boundary with them": (
        f'Content-Type: multipart/form-data; boundary="{BOUNDARY}"',
        form((DOTNET + "File", "{id}"), (DOTNET + "StoreFile", "True")),
    ),
    "browsers: an id in JSON": (
        "Content-Type: application/json",
        in_json('"FileValue":{"Id":"{id}"}'),
    ),
    "browsers: a list in JSON": (
        "Content-Type: application/json",
        in_json('"FileValues":[{"Id":"{id}"}]', name="Files"),
    ),
    "browsers: our own address in JSON": (
        "Content-Type: application/json; charset=utf-8",
        in_json('"FileValue":{"Url":"{url}/d/{id}"}'),
    ),
}


@pytest.mark.parametrize(("kind", "body"), PARAMETERS.values(), ids=PARAMETERS)
async def test_parameters_are_understood_however_they_are_sent(
    service: Service, customer: Customer, uploaded: str, kind: str, body: bytes
) -> None:
    sent = body.replace(b"{id}", uploaded.encode()).replace(b"{url}", service.url.encode())
    reply = await said(
        service, "POST /convert/png/to/webp", kind, bearer(customer), JSON, body=sent
    )
    assert reply.status == 200, reply.body
    told = reply.json
    assert [file["FileName"] for file in told["Files"]] == ["photo.webp"]
    assert told["ConversionCost"] == 1
    file = await said(service, f"GET /d/{told['Files'][0]['FileId']}")
    assert opened(file.body).format == "WEBP"


async def test_a_browser_sends_the_file_itself_in_json(
    service: Service, customer: Customer
) -> None:
    data = base64.b64encode(picture()).decode()
    body = msgspec.json.encode(
        {"Parameters": [{"Name": "File", "FileValue": {"Name": "own.png", "Data": data}}]}
    )
    first = f"POST /convert/png/to/webp?secret={customer.key}&storefile=true"
    reply = await said(service, first, "Content-Type: application/json", body=body)
    assert reply.status == 200, reply.body
    assert reply.json["Files"][0]["FileName"] == "own.webp"
    assert FILE_ID.fullmatch(reply.json["Files"][0]["FileId"])


async def test_without_storing_the_result_is_in_the_answer(
    service: Service, customer: Customer
) -> None:
    head = named("File") + '; filename="inline.png"\r\nContent-Type: image/png'
    reply = await said(
        service,
        "POST /convert/png/to/webp",
        MULTIPART,
        bearer(customer),
        body=form((head, picture())),
    )
    (file,) = reply.json["Files"]
    assert "Url" not in file
    body = base64.b64decode(file["FileData"], validate=True)
    assert opened(body).format == "WEBP"
    assert file["FileSize"] == len(body)


async def test_the_command_line_takes_its_results_as_parts(
    service: Service, customer: Customer
) -> None:
    # Nothing is quoted that need not be.
    fields = [
        (
            f'Content-Disposition: form-data; name="files[{index}]"; filename={index}.pdf',
            document(index + 1),
        )
        for index in range(2)
    ]
    merged = await said(
        service,
        "POST /convert/pdf/to/merge",
        MULTIPART,
        bearer(customer),
        "Accept: multipart/mixed",
        body=form(*fields),
    )
    assert merged.status == 200, merged.body
    assert merged.headers["content-type"].startswith("multipart/mixed")
    (part,) = parts_of(merged)
    assert part.get_filename() == "0.pdf"
    assert "size=" in part["Content-Disposition"]
    content = part.get_payload(decode=True)
    with pikepdf.open(io.BytesIO(content)) as document_:
        assert len(document_.pages) == 3


def parts_of(reply: Reply) -> list[email.message.EmailMessage]:
    head = f"Content-Type: {reply.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + reply.body, policy=email.policy.HTTP)
    return list(message.iter_parts())  # type: ignore[attr-defined]


async def test_a_fax_server_sends_all_parameters_in_the_query(
    service: Service, customer: Customer
) -> None:
    head = named("File") + '; filename="fax.pdf"\r\nContent-Type: application/pdf'
    # A pixel of a fax is not square, and ours are: that is refused by name, and not drawn askew.
    for across, status in (("392", 400), ("204", 200)):
        query = (
            f"ImageResolutionH=204&ImageResolutionV={across}&ScaleImage=true"
            "&ScaleProportions=true&ScaleIfLarger=true&ImageHeight=4312&ImageWidth=1728"
            f"&Secret={customer.key}"
        )
        body = form((head, document(1)))
        reply = await said(service, f"POST /convert/pdf/to/tiff?{query}", MULTIPART, body=body)
        assert reply.status == status, reply.body
        if status == 400:
            assert list(reply.json["InvalidParameters"]) == ["ImageResolutionV"]
    page = opened(base64.b64decode(reply.json["Files"][0]["FileData"]))
    assert page.format == "TIFF"
    assert page.width <= 1728
    assert page.height <= 4312


async def test_curl_sends_the_file_as_the_body(service: Service, customer: Customer) -> None:
    for kind in (OCTETS, "Content-Type: image/png"):
        reply = await said(
            service,
            "POST /convert/png/to/webp?ImageWidth=32&ScaleImage=true",
            kind,
            bearer(customer),
            "Accept: application/octet-stream",
            'Content-Disposition: attachment; filename="raw.png"',
            body=picture(),
        )
        assert reply.status == 200, reply.body
        assert 'filename="raw.webp"' in reply.headers["content-disposition"]
        assert opened(reply.body).size == (32, 24)


async def test_a_raw_body_without_a_name_is_refused(service: Service, customer: Customer) -> None:
    reply = await said(
        service, "POST /convert/png/to/webp", OCTETS, bearer(customer), body=picture()
    )
    assert (reply.status, reply.json["Code"]) == (400, 4001)


async def test_an_address_alone_converts(
    service: Service, customer: Customer, uploaded: str
) -> None:
    for download in ("attachment", "inline"):
        query = f"File={uploaded}&download={download}&Secret={customer.key}"
        reply = await said(service, f"GET /convert/png/to/webp?{query}")
        assert reply.status == 200, reply.body
        assert reply.headers["content-disposition"].startswith(download)
        assert opened(reply.body).format == "WEBP"


async def test_repeated_names_are_a_list(
    service: Service, customer: Customer, uploaded: str
) -> None:
    other = await said(service, "POST /upload?filename=b.txt", JSON, body=b"text\n")
    body = f"Files={uploaded}&Files={other.json['FileId']}&StoreFile=true".encode()
    for source in ("any", "*", "file"):
        reply = await said(
            service, f"POST /convert/{source}/to/zip", FORM, bearer(customer), body=body
        )
        assert reply.status == 200, reply.body
        assert reply.json["Files"][0]["FileName"] == "photo.zip"
    file = await said(service, f"GET /d/{reply.json['Files'][0]['FileId']}")
    with zipfile.ZipFile(io.BytesIO(file.body)) as archive:
        assert sorted(archive.namelist()) == ["b.txt", "photo.png"]


async def test_a_deleted_file_opens_nothing(
    service: Service, customer: Customer, uploaded: str
) -> None:
    assert (await said(service, f"HEAD /d/{uploaded}")).status == 200
    assert (await said(service, f"DELETE /d/{uploaded}")).status in {200, 204}
    assert (await said(service, f"GET /d/{uploaded}")).status == 404
    reply = await said(
        service,
        "POST /convert/png/to/webp",
        FORM,
        bearer(customer),
        body=f"File={uploaded}".encode(),
    )
    assert (reply.status, reply.json["Code"]) == (500, 5009)
