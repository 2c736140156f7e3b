"""Files fetched from servers that are honest, slow, broken or after our network."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.errors import (
    ConfigError,
    FetchCrowded,
    FetchError,
    FetchFailed,
    FetchOff,
    FetchRefused,
    FetchTooLarge,
    FetchTooSlow,
    FetchUnusable,
)
from gateway.outbound.answer import HEAD_BYTES_MAX
from gateway.outbound.guard import AddrInfo
from tests.gateway.origins import (
    HERE,
    Authority,
    Origin,
    Tallied,
    file,
    redirect,
    serving,
    silent,
)
from tests.gateway.service import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024


def info(host: str, port: int) -> AddrInfo:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, 0, "", (host, port)


class Names:
    """A resolver whose answer to each question is the next of these."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def __call__(self, _host: str, port: int) -> list[AddrInfo]:
        return [info(address, port) for address in self._answers.pop(0)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[Origin]:
    """An honest server."""
    pages = {
        "/a.png": file(b"pixels", "Content-Type: image/png"),
        "/named": file(b"text", 'Content-Disposition: attachment; filename="b.txt"'),
        "/chunked": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
        b"\r\n\r\n3\r\npix\r\n3;a=b\r\nels\r\n0\r\nX-Trailer: a\r\n\r\n",
        "/closed": b"HTTP/1.0 200 OK\r\n\r\npixels",
        "/empty": file(b""),
        "/moved": redirect("named?from=here", 308),
        "/404": file(b"no", status="404 Not Found"),
        "/204": b"HTTP/1.1 204 No Content\r\n\r\n",
        "/206": file(b"pix", status="206 Partial Content"),
        "/503": file(b"no", status="503 Busy"),
        "/304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    }

    async def answers(
        path: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(pages[path.partition("?")[0]])

    async with serving(answers) as origin:
        yield origin


async def refusal(client: Tallied, url: str, **headers: str) -> FetchError:
    client.ends.clear()
    with pytest.raises(FetchError) as caught:
        await client.whole(url, **headers)
    assert client.ends == [caught.value.reason]
    assert not client._open
    assert client._crowd._inside == 0
    return caught.value


@pytest.mark.parametrize("path", ["/a.png", "/chunked", "/closed"])
async def test_a_file_comes_however_its_server_frames_it(origin: Origin, path: str) -> None:
    client = Tallied()
    assert await client.whole(origin.url(path)) == b"pixels"
    assert client.ends == ["done"]
    assert await client.whole(origin.url("/empty")) == b""


async def test_a_file_comes_with_what_its_server_says_of_it(origin: Origin) -> None:
    client = Tallied()
    async with client.fetch(origin.url("/a.png")) as fetched:
        assert (fetched.name, fetched.media_type, fetched.announced) == ("a.png", "image/png", 6)
    assert client.ends == ["abandoned"]
    async with client.fetch(origin.url("/moved")) as fetched:
        assert (fetched.name, fetched.media_type, fetched.announced) == ("b.txt", None, 4)
    async with client.fetch(origin.url("/closed")) as fetched:
        assert fetched.announced is None


async def test_a_piece_is_wiped_when_the_next_one_is_asked_for() -> None:
    body = bytes(range(1, 256)) * 8192
    async with serving(file(body)) as origin, Tallied().fetch(origin.url()) as fetched:
        seen, whole = [], b""
        async for piece in fetched.pieces:
            assert not any(any(before) for before in seen)
            seen.append(piece)
            whole += bytes(piece)
        assert whole == body
        assert not any(any(piece) for piece in seen)


async def test_nothing_of_the_environment_or_of_an_earlier_fetch_goes_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(file(b"a", "Set-Cookie: a=b; Path=/")) as origin:
        client = Tallied()
        await client.whole(origin.url())
        await client.whole(origin.url())
        assert origin.connections == 2
        assert origin.heads[0] == origin.heads[1]
        assert "ookie" not in origin.heads[1]
        assert "Accept-Encoding: identity\r\n" in origin.heads[1]


async def test_a_callers_header_goes_to_the_urls_own_server_only() -> None:
    async with serving(file(b"a")) as other:
        pages = {"/1": redirect("/2"), "/2": redirect(other.url("/3"))}

        async def answers(path: str, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(pages[path])

        async with serving(answers) as first:
            await Tallied().whole(first.url("/1"), **{"X-Token": "word"})
            assert ["X-Token: word" in head for head in first.heads] == [True, True]
            assert "word" not in other.heads[0]
            error = await refusal(Tallied(), first.url("/1"), **{"X-Token": "a\r\nX: b"})
            assert error.reason == "header"


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        *(("inside.example", ["127.0.0.2"]), ("inside.example", ["::1"])),
        *(("inside.example", ["::ffff:127.0.0.2"]), ("inside.example", ["10.0.0.1", "fe80::1"])),
        *(("127.0.0.2", []), ("0x7f.0.0.2", []), ("[::1]", [])),
    ],
)
async def test_no_connection_is_made_to_what_is_inside(host: str, answer: list[str]) -> None:
    async with serving(file(b"secret"), host="127.0.0.2") as inside:
        error = await refusal(Tallied(resolve=Names(answer)), inside.url("/", host))
        assert isinstance(error, FetchRefused)
        assert error.reason == "address"
        assert inside.connections == 0


async def test_a_name_that_is_not_there_is_answered_as_one_that_is_not_public() -> None:
    async def nowhere(_host: str, _port: int) -> list[AddrInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    url = "http://inside.example/"
    answers = [
        await refusal(Tallied(resolve=resolve), url)
        for resolve in (nowhere, Names([]), Names(["10.0.0.1"]))
    ]
    assert [answer.reason for answer in answers] == ["unresolved", "unresolved", "address"]
    assert len({(type(answer), str(answer)) for answer in answers}) == 1


@pytest.mark.claim("C-FETCH-1")
async def test_a_name_that_changes_its_answer_reaches_nothing_inside() -> None:
    """The first answer is a server that redirects back to the same name."""
    async with serving(redirect("/again")) as outside:
        heard = []
        # The same port inside, where a rebinding name would lead.
        inside = await asyncio.start_server(
            lambda _, writer: heard.append(writer), "127.0.0.2", outside.port
        )
        client = Tallied(resolve=Names(["127.0.0.1"], ["127.0.0.2"]))
        error = await refusal(client, outside.url("/", "rebinding.example"))
        assert (error.reason, outside.connections) == ("address", 1)
        inside.close()
        assert heard == []


async def test_of_several_addresses_a_permitted_one_is_taken(origin: Origin) -> None:
    client = Tallied(resolve=Names(["127.0.0.2", "127.0.0.1"]))
    assert await client.whole(origin.url("/a.png", "both.example")) == b"pixels"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.2:{port}/", "address"),
        ("http://[::ffff:7f00:2]:{port}/", "address"),
        ("http://2130706434:{port}/", "address"),
        ("//169.254.169.254/latest/meta-data/", "address"),
        ("file:///etc/passwd", "scheme"),
        ("http://a:b@127.0.0.1:{port}/", "credentials"),
        ("http://127.0.0.1:{port}/", "redirects"),
    ],
)
@pytest.mark.claim("C-FETCH-1")
async def test_a_redirect_leads_nowhere_that_a_url_does_not(location: str, reason: str) -> None:
    async def answers(_: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(redirect(location.format(port=origin.port)))

    async with serving(answers) as origin:
        error = await refusal(Tallied(), origin.url())
        assert isinstance(error, FetchRefused)
        assert error.reason == reason
        assert origin.connections == (4 if reason == "redirects" else 1)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *(("/404", FetchUnusable), ("/204", FetchUnusable), ("/206", FetchUnusable)),
        *(("/304", FetchUnusable), ("/503", FetchFailed)),
    ],
)
async def test_only_a_whole_file_is_taken(
    origin: Origin, path: str, kind: type[FetchError]
) -> None:
    error = await refusal(Tallied(), origin.url(path))
    assert isinstance(error, kind)
    assert path[1:] in str(error)


@pytest.mark.claim("C-FETCH-4")
async def test_a_body_that_never_ends_is_cut_where_the_limit_is() -> None:
    async def endless(
        _path: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(64 * 1024))
            await writer.drain()

    async with serving(endless) as origin:
        error = await refusal(Tallied(bytes_max=MIB), origin.url())
        assert isinstance(error, FetchTooLarge)
        async with asyncio.timeout(PATIENCE_S):
            await origin.left.wait()


async def test_a_file_that_announces_too_much_is_not_read() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n") as origin:
        error = await refusal(Tallied(bytes_max=MIB), origin.url())
        assert isinstance(error, FetchTooLarge)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "identity, gzip"])
@pytest.mark.claim("C-FETCH-4")
async def test_a_packed_body_is_refused_and_not_unpacked(encoding: str) -> None:
    bomb = b"\x1f\x8b\x08\x00" + bytes(16)
    async with serving(file(bomb, f"Content-Encoding: {encoding}")) as origin:
        error = await refusal(Tallied(), origin.url())
        assert isinstance(error, FetchUnusable)
        assert error.reason == "encoding"


async def test_bytes_that_are_packed_as_a_file_stay_as_they_are() -> None:
    packed = b"\x1f\x8b\x08\x00" + bytes(16)
    async with serving(file(packed, "Content-Type: application/gzip")) as origin:
        assert await Tallied().whole(origin.url("/a.gz")) == packed


BROKEN = {
    "nothing": b"",
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X-Filler: aaaaaaaa\r\n" * 2000,
    "too many fields": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    "a long field": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
    "only interim heads": b"HTTP/1.1 102 Processing\r\n\r\n" * 50,
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
    "less than announced": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n0\r\n\r\n",
    "a strange coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "broken chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnine\r\nhalf",
    "chunks without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=list(BROKEN))
async def test_a_server_that_is_out_of_order_is_told_from_a_file(answer: bytes) -> None:
    assert len(BROKEN["a head without end"]) > HEAD_BYTES_MAX
    async with serving(answer) as origin:
        error = await refusal(Tallied(), origin.url())
        assert isinstance(error, FetchFailed)
        assert error.reason == "broken"


async def test_a_server_that_resets_breaks_off() -> None:
    async def reset(_: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with serving(reset) as origin:
        assert (await refusal(Tallied(), origin.url())).reason == "broken"


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await refusal(Tallied(), f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert isinstance(error, FetchFailed)
    assert error.reason == "unreachable"


async def begun(_path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    await silent(_path, reader, writer)


@pytest.mark.parametrize("answers", [silent, begun])
@pytest.mark.parametrize("limit", ["stall_s", "rate_grace_s", "total_s"])
async def test_a_server_that_stops_is_left(answers: object, limit: str) -> None:
    async with serving(answers) as origin:  # type: ignore[arg-type]
        error = await refusal(Tallied(rate_min_bytes_s=MIB, **{limit: 0.1}), origin.url())
        assert isinstance(error, FetchTooSlow)
        async with asyncio.timeout(PATIENCE_S):
            await origin.left.wait()


async def test_a_name_that_takes_too_long_is_given_up() -> None:
    async def never(_host: str, _port: int) -> list[AddrInfo]:
        await asyncio.Event().wait()
        return []

    error = await refusal(Tallied(resolve=never, connect_s=0.05), "http://slow.example/")
    assert isinstance(error, FetchTooSlow)


async def test_tls_is_checked_by_the_urls_own_name(tmp_path: Path) -> None:
    ours, stranger = Authority(tmp_path), Authority(tmp_path / "..")
    trusted = str(ours.path)
    names = ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]
    async with serving(file(b"pixels"), tls=ours.server("files.example")) as origin:
        client = Tallied(authorities=trusted, resolve=Names(*names))
        assert await client.whole(origin.url("/", "files.example")) == b"pixels"
        for url, authorities in (
            (origin.url("/", "other.example"), trusted),
            (origin.url("/"), trusted),
            (origin.url("/", "files.example"), str(stranger.path)),
            (origin.url("/", "files.example"), ""),
        ):
            client = Tallied(authorities=authorities, resolve=Names(*names))
            error = await refusal(client, url)
            assert isinstance(error, FetchFailed)
            assert error.reason == "tls"
        assert origin.heads == origin.heads[:1]
    async with serving(file(b"pixels"), tls=ours.server("127.0.0.1")) as origin:
        assert await Tallied(authorities=trusted).whole(origin.url()) == b"pixels"


async def test_a_redirect_does_not_leave_tls(tmp_path: Path, origin: Origin) -> None:
    ours = Authority(tmp_path)
    answer = redirect(origin.url("/a.png"))
    async with serving(answer, tls=ours.server("127.0.0.1")) as secure:
        error = await refusal(Tallied(authorities=str(ours.path)), secure.url())
        assert error.reason == "scheme"


async def test_a_server_that_does_not_speak_tls_is_left() -> None:
    plain = await asyncio.start_server(
        lambda _, writer: writer.write(b"220 mail.example ESMTP\r\n"), "127.0.0.1", 0
    )
    error = await refusal(Tallied(), f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}/")
    assert isinstance(error, FetchFailed)
    assert error.reason == "tls"
    plain.close()
    async with serving(silent) as mute:
        mute.scheme = "https"
        error = await refusal(Tallied(connect_s=0.05), mute.url())
        assert isinstance(error, FetchTooSlow)


async def test_authorities_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("none.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=r"fetch\.authorities"):
            Tallied(authorities=str(tmp_path / name))


async def test_so_many_fetches_at_once_and_no_more(origin: Origin) -> None:
    client = Tallied(at_once_max=2, account_at_once_max=1)
    url = origin.url("/a.png")
    async with client.fetch(url, account_id=1) as first:
        with pytest.raises(FetchCrowded):
            async with client.fetch(url, account_id=1):
                pass
        async with client.fetch(url, account_id=2):
            with pytest.raises(FetchCrowded):
                async with client.fetch(url, account_id=3):
                    pass
        # The whole file is here: another one may come, whatever is done with this one.
        assert [bytes(piece) async for piece in first.pieces] == [b"pixels"]
        async with client.fetch(url, account_id=1):
            pass
    assert client._crowd._inside == 0
    assert not client._crowd._of


async def test_a_fetch_that_is_open_when_the_service_closes_is_cut() -> None:
    async with serving(begun) as origin:
        client = Tallied()
        async with client.fetch(origin.url()) as fetched:
            assert bytes(await anext(fetched.pieces)) == b"half"
            client.close()
            with pytest.raises(FetchFailed):
                await anext(fetched.pieces)
        error = await refusal(client, "http://files.example/")
        assert error.reason == "abandoned"


@pytest.mark.claim("C-FETCH-2")
async def test_nothing_is_fetched_unless_the_operator_says_so(origin: Origin) -> None:
    before = origin.connections
    client = Tallied(enabled=False)
    for asking in (client.demand, lambda: client.check(origin.url())):
        with pytest.raises(FetchOff):
            asking()
    with pytest.raises(FetchOff):
        await client.whole(origin.url("/a.png"))
    assert (client.ends, origin.connections) == ([], before)
    # This machine is not public, so allowed by nobody but an operator.
    assert (await refusal(Tallied(allow=()), origin.url())).reason == "address"
    assert (await refusal(Tallied(deny=HERE), origin.url())).reason == "address"
    assert (await refusal(Tallied(ports=(443,)), origin.url())).reason == "port"
