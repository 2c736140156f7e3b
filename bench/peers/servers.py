"""The peers that are servers, and ours among them: how each is started and asked.

Peers that fetch a picture themselves (ipx, thumbor, nginx) read it from the corpus's folder; the
others, ours too, get it over HTTP. That is so much less work for the three.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

import aiohttp

from bench.peers import fetching
from bench.peers.inputs import Corpus
from bench.peers.peer import Ask, Server, form
from bench.peers.rows import DPI, QUALITY, Row
from bench.service import running_service

_PROGRAMS = Path(__file__).parent / "programs"
_UP_S, _STOP_S, _POLL_S = 30.0, 10.0, 0.05
# Every peer may use both cores.
_PROCESSES = "2"


class Ours(Server):
    """The whole service: sandbox, accounts, ledger and HTTP."""

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """Everything; several files as a form."""
        verb = "batch" if row.is_batch else "convert"
        query = f"?{urlencode(row.options)}" if row.options else ""
        path = f"/v1/{verb}/{row.source}/{row.target}{query}"
        if len(row.files) == 1:
            return [Ask(path=path, body=corpus.bytes(row.files[0]))]
        body, media_type = form([(name, corpus.bytes(name)) for name in row.files])
        return [Ask(path=path, body=body, media_type=media_type)]


class OursSingly(Server):
    """The same service, asked for each file of a batch by itself."""

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """Batches only."""
        path = f"/v1/convert/{row.source}/{row.target}?{urlencode(row.options)}"
        return [Ask(path=path, body=corpus.bytes(name)) for name in row.files if row.is_batch]


class Sharp(Server):
    """sharp and pdf-lib behind Node's own server."""

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """Pictures and two things of PDF."""
        if row.name in {"merge", "bind"}:
            return [_as_form(f"/{row.name}", row, corpus)]
        return _pictures("/", row, corpus)


class Pillow(Server):
    """FastAPI, Pillow and the usual libraries."""

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """Most of it."""
        if row.name in {"merge", "bind"}:
            return [_as_form(f"/{row.name}", row, corpus)]
        if row.name == "page":
            return [Ask(path=f"/page?dpi={DPI}", body=corpus.bytes(row.files[0]))]
        if row.name == "xlsx":
            return [Ask(path="/csv", body=corpus.bytes(row.files[0]))]
        return _pictures("/picture", row, corpus)


class Ipx(Server):
    """Modifiers in the path, as its manual has them."""

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """Pictures."""
        del corpus
        said = [f"f_{row.target}", f"q_{QUALITY}"]
        said += [f"w_{row.width}"] if row.width else []
        said += ["animated"] if row.name == "gif" else []
        return _named(row, f"/{','.join(said)}/")


class Thumbor(Server):
    """Filters in the path."""

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """Pictures."""
        del corpus
        size = f"{row.width}x0/" if row.width else ""
        return _named(row, f"/unsafe/{size}filters:format({row.target}):quality({QUALITY})/")


class Nginx(Server):
    """Scales and keeps the format: it has no other."""

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """JPEG to smaller JPEG."""
        del corpus
        return _named(row, f"/{row.width}/") if row.width and row.source == row.target else []


def _pictures(path: str, row: Row, corpus: Corpus) -> list[Ask]:
    if not (row.is_picture or row.is_batch):
        return []
    asked = {"target": row.target, "quality": QUALITY, "width": row.width}
    asked |= {"animated": "true"} if row.name == "gif" else {}
    query = urlencode({name: value for name, value in asked.items() if value})
    return [Ask(path=f"{path}?{query}", body=corpus.bytes(name)) for name in row.files]


def _named(row: Row, prefix: str) -> list[Ask]:
    if not (row.is_picture or row.is_batch):
        return []
    return [Ask(path=prefix + name, method="GET") for name in row.files]


def _as_form(path: str, row: Row, corpus: Corpus) -> Ask:
    body, media_type = form([(name, corpus.bytes(name)) for name in row.files])
    return Ask(path=path, body=body, media_type=media_type)


@asynccontextmanager
async def ours(
    session: aiohttp.ClientSession, settings: Mapping[str, str]
) -> AsyncIterator[list[Ours | OursSingly]]:
    """`ephemera serve` with its private PostgreSQL, as `bench.service` starts it."""
    async with running_service(settings=settings) as service:
        headers = {"Authorization": f"Bearer {service.key}"}
        peers = [
            kind(name, what, url=service.url, pid=service.pid, session=session, headers=headers)
            for kind, name, what in (
                (Ours, "ephemera", "this service, as `ephemera serve` starts it"),
                (OursSingly, "ephemera, one by one", "the same, a request a file"),
            )
        ]
        yield peers


@asynccontextmanager
async def sharp(corpus: Corpus, session: aiohttp.ClientSession) -> AsyncIterator[Server]:
    """Raises Missing."""
    del corpus
    modules = fetching.node("sharp", fetching.SHARP)
    command = ["node", str(_PROGRAMS / "sharp.cjs")]
    async with _running(command, {"NODE_PATH": str(modules)}) as (url, pid):
        yield Sharp(
            "sharp",
            f"Node's http, {' and '.join(fetching.SHARP)}",
            url=url,
            pid=pid,
            session=session,
        )


@asynccontextmanager
async def ipx(corpus: Corpus, session: aiohttp.ClientSession) -> AsyncIterator[Server]:
    """Raises Missing."""
    modules = fetching.node("ipx", fetching.IPX)
    command = ["node", str(_PROGRAMS / "ipx.cjs")]
    settings = {"NODE_PATH": str(modules), "FILES": str(corpus.folder)}
    async with _running(command, settings) as (url, pid):
        yield Ipx("ipx", f"{fetching.IPX[0]}, files from disk", url=url, pid=pid, session=session)


@asynccontextmanager
async def thumbor(corpus: Corpus, session: aiohttp.ClientSession) -> AsyncIterator[Server]:
    """Raises Missing."""
    program = fetching.environment("thumbor", fetching.THUMBOR, "thumbor.server")
    command = [str(program), "--ip", "127.0.0.1", "--port", "@PORT@"]
    command += ["--processes", _PROCESSES, "--conf", str(_PROGRAMS / "thumbor.conf")]
    what = f"{fetching.THUMBOR[0]}, {_PROCESSES} processes, files from disk, nothing stored"
    async with _running(command, {"FILES": str(corpus.folder)}) as (url, pid):
        yield Thumbor("thumbor", what, url=url, pid=pid, session=session)


@asynccontextmanager
async def pillow(corpus: Corpus, session: aiohttp.ClientSession) -> AsyncIterator[Server]:
    """Raises Missing."""
    del corpus
    program = fetching.environment("uvicorn", fetching.PILLOW, "uvicorn")
    command = [str(program), "pillow_service:app", "--app-dir", str(_PROGRAMS)]
    command += ["--port", "@PORT@", "--workers", _PROCESSES, "--no-access-log"]
    what = f"{fetching.PILLOW[0]} and Pillow, {_PROCESSES} workers"
    async with _running(command, {"PYTHONDONTWRITEBYTECODE": "1"}) as (url, pid):
        yield Pillow("pillow", what, url=url, pid=pid, session=session)


@asynccontextmanager
async def nginx(corpus: Corpus, session: aiohttp.ClientSession) -> AsyncIterator[Server]:
    """Raises Missing."""
    root = fetching.debian("nginx", fetching.NGINX)
    program = str(root / "usr" / "sbin" / "nginx")
    settings = {"LD_LIBRARY_PATH": str(next((root / "usr" / "lib").glob("*-linux-gnu"), root))}
    with tempfile.TemporaryDirectory(prefix="peers-nginx-") as home:
        config = await asyncio.to_thread(_nginx_config, Path(home), root, corpus)
        command = [program, "-p", home, "-c", str(config[0])]
        async with _running(command, settings, config) as (url, pid):
            yield Nginx(
                "nginx",
                "nginx of Debian, image_filter, 2 workers",
                url=url,
                pid=pid,
                session=session,
            )


def _nginx_config(home: Path, root: Path, corpus: Corpus) -> tuple[Path, str]:
    home.chmod(0o755)  # its workers are another account's
    text = (_PROGRAMS / "nginx.conf").read_text()
    places = {
        "@HOME@": str(home),
        "@MODULES@": str(root / "usr" / "lib" / "nginx" / "modules"),
        # A private folder's files are not for the account of its workers.
        "@FILES@": str(shutil.copytree(corpus.folder, home / "files")),
    }
    for mark, place in places.items():
        text = text.replace(mark, place)
    return home / "nginx.conf", text


@asynccontextmanager
async def _running(
    command: Sequence[str],
    settings: Mapping[str, str],
    config: tuple[Path, str] | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """The server for the block; it is told its port as `@PORT@` or by the environment."""
    port = _free_port()
    if config is not None:
        config[0].write_text(config[1].replace("@PORT@", str(port)))
    plain = {name: text for name, text in os.environ.items() if not name.startswith("EPHEMERA")}
    with tempfile.TemporaryFile() as log:
        process = _started(
            [word.replace("@PORT@", str(port)) for word in command],
            plain | {"PORT": str(port)} | dict(settings),
            log,
        )
        try:
            await _answers(process, port, log)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            await asyncio.to_thread(_stop, process)


def _started(
    command: Sequence[str], settings: Mapping[str, str], log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command, env=dict(settings), stdout=log, stderr=log, start_new_session=True
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _answers(process: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
    try:
        async with asyncio.timeout(_UP_S):
            while process.poll() is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(_POLL_S)
                else:
                    writer.close()
                    return
    except TimeoutError:
        pass
    log.seek(0)
    said = log.read().decode(errors="replace").strip()[-200:]
    raise fetching.Missing(f"does not start: {said or process.returncode}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        # thumbor's children outlive it. Its group is its own: nobody else is in it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


SERVERS = {"sharp": sharp, "ipx": ipx, "thumbor": thumbor, "pillow": pillow, "nginx": nginx}
