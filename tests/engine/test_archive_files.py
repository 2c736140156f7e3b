"""Files of any kind into archives, and archives' files out: what they are called, and ciphers."""

import ctypes
import ctypes.util
import hashlib
import io
import stat
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import inflate64
import pyppmd
import pytest
import zstandard

from engine import errors, planning
from engine.converters.archive.catalogue import ARCHIVES, FILES_MAX
from engine.engine import Engine, EngineConfig
from tests.engine.calls import Reply, convert

_SECRET = "secret"  # protects nothing
_TEXT = b"It was the best of times, it was the worst of times.\n" * 400


def _noise(size: int) -> bytes:
    return hashlib.shake_256(b"noise").digest(size)


def _names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _made(name: str, packed: bytes, method: int, content: bytes, *, flags: int = 0) -> bytes:
    """A ZIP of one member that is packed already."""
    head = (20, flags, method, 0, 0x21, zlib.crc32(content), len(packed), len(content))
    said = struct.pack("<HHHHHIIIHH", *head, len(name), 0)
    local = b"PK\x03\x04" + said + name.encode() + packed
    central = b"PK\x01\x02\x14\x00" + said + bytes(14) + name.encode()
    return (
        local
        + central
        + struct.pack("<4s4xHHIIH", b"PK\x05\x06", 1, 1, len(central), len(local), 0)
    )


def test_files_of_any_kind_are_packed_under_their_names() -> None:
    files = [b"%PDF-1.7 ...", b"\x89PNG...", b"\0\1\2"]
    reply = convert(files, "any", "zip", called=("a.pdf", "folder\\ü.png", ""))
    archive = zipfile.ZipFile(io.BytesIO(reply.file))
    assert {name: archive.read(name) for name in archive.namelist()} == {
        "a.pdf": files[0], "ü.png": files[1], "file-3.bin": files[2],
    }  # fmt: skip
    assert reply.warnings == ()


def test_files_of_one_name_do_not_collide() -> None:
    reply = convert([b"1", b"2", b"3"], "any", "zip", called=("x.txt", "X.txt", "../x.txt"))
    assert _names(reply.file) == ["x.txt", "X (2).txt", "x (3).txt"]
    assert "numbered: 2" in reply.warnings[0]


@pytest.mark.parametrize("target", ARCHIVES)
def test_what_was_packed_comes_out_again(target: str) -> None:
    packed = convert([_TEXT, b"two"], "any", target, called=("one.txt", "two")).file
    reply = convert(packed, target, "any")
    assert dict(zip(reply.names, reply.files, strict=True)) == {"one.txt": _TEXT, "two": b"two"}


def test_a_level_is_obeyed() -> None:
    sizes = [len(convert([_TEXT], "any", "zip", level=level).file) for level in (0, 1, 9)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > len(_TEXT)
    for target in ("tgz", "7z", "tar"):
        with pytest.raises(errors.OptionInvalid, match="level"):
            planning.check("any", target, {"level": "0"}, several=True)


def test_a_password_is_refused_where_nothing_can_keep_it() -> None:
    with pytest.raises(errors.OptionInvalid, match="only zip and 7z"):
        planning.check("any", "tar", {"password_out": _SECRET}, several=True)


@pytest.mark.parametrize("operation", ["pack", "repack"])
def test_a_zip_is_encrypted_with_aes_and_only_its_password_opens_it(operation: str) -> None:
    noise = _noise(5000)
    if operation == "pack":
        names = ("text.txt", "noise")
        locked = convert([_TEXT, noise], "any", "zip", called=names, password_out=_SECRET).file
    else:
        source = _zip({"text.txt": _TEXT, "noise": noise})
        locked = convert(source, "zip", "zip", password_out=_SECRET).file
    assert _TEXT[:40] not in locked
    for member in zipfile.ZipFile(io.BytesIO(locked)).infolist():
        assert (member.compress_type, member.flag_bits & 1, member.CRC) == (99, 1, 0)
    for options in ({}, {"password": "wrong"}):
        reply = convert(locked, "zip", "any", **options)
        assert (reply.error, "option password" in reply.detail) == ("PasswordRequired", True)
    reply = convert(locked, "zip", "any", password=_SECRET)
    assert dict(zip(reply.names, reply.files, strict=True)) == {"text.txt": _TEXT, "noise": noise}
    assert "not encrypted" in reply.warnings[0]
    damaged = bytearray(locked)
    damaged[len(locked) // 2] ^= 1
    assert convert(bytes(damaged), "zip", "any", password=_SECRET).error == "SourceUnreadable"


class Judge:
    """libarchive, which reads encrypted ZIPs and did not make ours."""

    def __init__(self, place: str) -> None:
        self._calls = ctypes.CDLL(place)
        self._calls.archive_read_new.restype = ctypes.c_void_p
        self._calls.archive_entry_pathname_utf8.restype = ctypes.c_char_p
        self._calls.archive_read_data.restype = ctypes.c_ssize_t

    def files(self, content: bytes, password: str) -> dict[str, bytes]:
        """All members, in memory."""
        archive, entry = ctypes.c_void_p(self._calls.archive_read_new()), ctypes.c_void_p()
        self._calls.archive_read_support_format_zip(archive)
        self._calls.archive_read_add_passphrase(archive, password.encode())
        self._calls.archive_read_open_memory(archive, content, ctypes.c_size_t(len(content)))
        found, room = {}, ctypes.create_string_buffer(1 << 20)
        while not self._calls.archive_read_next_header(archive, ctypes.byref(entry)):
            name = self._calls.archive_entry_pathname_utf8(entry).decode()
            size = self._calls.archive_read_data(archive, room, ctypes.c_size_t(len(room)))
            found[name] = room.raw[:size]
        self._calls.archive_read_free(archive)
        return found


@pytest.fixture
def libarchive() -> Judge:
    place = ctypes.util.find_library("archive")
    if place is None:
        pytest.skip("libarchive, which judges encrypted ZIPs, is not installed")
    return Judge(place)


def test_another_program_opens_what_we_encrypt(libarchive: Judge) -> None:
    locked = convert(
        [_TEXT, b""], "any", "zip", called=("ü.txt", "b"), password_out="pässwort"
    ).file
    assert libarchive.files(locked, "pässwort") == {"ü.txt": _TEXT, "b": b""}


def test_the_old_cipher_of_another_program_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(_TEXT)
    subprocess.run(["zip", "-qP", _SECRET, "a.zip", "a.txt"], cwd=tmp_path, check=True)
    locked = (tmp_path / "a.zip").read_bytes()
    assert convert(locked, "zip", "any", password=_SECRET).file == _TEXT
    for options in ({}, {"password": "wrong"}):
        assert convert(locked, "zip", "any", **options).error == "PasswordRequired"


def test_streamed_archives_and_zip64_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(_TEXT)
    done = subprocess.run(["zip", "-q", "-", "-"], input=_TEXT, capture_output=True, check=True)
    streamed = convert(done.stdout, "zip", "any")
    assert (streamed.names, streamed.files) == (("-",), [_TEXT])
    subprocess.run(["zip", "-q", "-fz", "a.zip", "a.txt"], cwd=tmp_path, check=True)
    assert convert((tmp_path / "a.zip").read_bytes(), "zip", "any").files == [_TEXT]


def _deflate64(content: bytes) -> bytes:
    packer = inflate64.Deflater()
    return bytes(packer.deflate(content) + packer.flush())


def _ppmd(content: bytes) -> bytes:
    packer = pyppmd.Ppmd8Encoder(6, 1 << 20, restore_method=0)
    return struct.pack("<H", 5 | 0 << 4) + bytes(packer.encode(content) + packer.flush())


@pytest.mark.parametrize(
    ("method", "pack"), [(9, _deflate64), (93, zstandard.compress), (98, _ppmd)]
)
def test_rarer_ways_of_packing_are_read(method: int, pack: Callable[[bytes], bytes]) -> None:
    noise = _noise(1000) * 300
    for content in (_TEXT, noise, b""):
        made = _made("a", pack(content), method, content)
        assert convert(made, "zip", "any").file == content
        cut = _made("a", pack(content)[:-9], method, content)
        assert convert(cut, "zip", "any").error == "SourceUnreadable" or not content


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_methods_of_every_program_are_read(method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a", _TEXT)
        archive.writestr("b", b"")
    assert convert(buffer.getvalue(), "zip", "any").files == [_TEXT, b""]


def test_a_method_that_nobody_knows_is_said_and_so_is_strong_encryption() -> None:
    unknown = convert(_made("a", b"x", 77, b"x"), "zip", "any")
    assert (unknown.error, "compressed" in unknown.detail) == ("SourceUnreadable", True)
    strong = convert(_made("a", b"x", 8, b"x", flags=0x41), "zip", "any", password=_SECRET)
    assert (strong.error, "encrypted" in strong.detail) == ("SourceUnreadable", True)


def test_a_name_in_unicode_beside_another_is_taken() -> None:
    plain = _zip({"x.txt": b"x"})
    entry = zipfile.ZipInfo("x.txt")
    told = "ж.txt".encode()
    entry.extra = struct.pack("<HHBI", 0x7075, 5 + len(told), 1, zlib.crc32(b"x.txt")) + told
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, b"x")
    assert convert(buffer.getvalue(), "zip", "any").names == ("ж.txt",)
    assert convert(plain, "zip", "any").names == ("x.txt",)


def test_hostile_names_links_and_empty_folders_do_not_come_out() -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../up", "/etc/passwd", "C:\\x\\y.txt", "a/b", "a/", "lonely/", "win\\dir\\"):
            archive.writestr(zipfile.ZipInfo(name), b"" if name.endswith(("/", "\\")) else b"x")
        archive.writestr(link, "/etc/passwd")
    reply = convert(buffer.getvalue(), "zip", "any")
    assert reply.names == ("etc/passwd", "x/y.txt", "a/b")
    assert len(reply.warnings) == 4
    assert "empty folders, left out: 2" in reply.warnings


def test_members_are_chosen_and_nothing_is_nothing() -> None:
    source = _zip({"a.txt": b"a", "docs/b.md": b"b", "docs/c.txt": b"c"})
    assert convert(source, "zip", "any", include="docs/*", exclude="*.txt").names == ("docs/b.md",)
    assert convert(source, "zip", "any", include="*.exe").error == "TargetImpossible"
    assert convert(_zip({}), "zip", "any").error == "TargetImpossible"


def test_what_a_compressed_file_is_called_comes_from_its_own_name() -> None:
    packed = zstandard.compress(_TEXT)
    assert convert(packed, "zst", "any", called=("notes.md.zst",)).names == ("notes.md",)
    assert convert(packed, "zst", "any").names == ("content",)
    assert convert(packed, "zst", "any", called=("..",)).names == ("content",)


def test_more_files_than_are_given_out_at_once_are_refused() -> None:
    many = _zip({f"{number}": b"" for number in range(FILES_MAX + 1)})
    assert _refused(convert(many, "zip", "any")) == ("TargetTooLarge", True)
    assert len(convert(many, "zip", "any", include="1*").files) == 112
    long = _zip({f"{number:03}/{'x' * 250}/{'y' * 200}": b"" for number in range(600)})
    assert _refused(convert(long, "zip", "any")) == ("TargetTooLarge", True)


def _refused(reply: Reply) -> tuple[str, bool]:
    return reply.error, "include" in reply.detail


def test_a_bomb_is_cut_off_whatever_it_is_packed_with() -> None:
    zeros = bytes(80 << 20)
    for method, packed in ((9, _deflate64(zeros)), (93, zstandard.compress(zeros))):
        reply = convert(_made("b", packed, method, zeros), "zip", "any")
        assert (reply.error, "bomb" in reply.detail) == ("SourceTooComplex", True)


def test_whatever_comes_is_packed_where_its_kind_is_not_known() -> None:
    noise = _noise(64)
    job = planning.plan("auto", "zip", {}, [noise], ["noise"])
    assert (job.converter, job.sources, job.names) == ("archive.pack", ("any",), ("noise",))
    with pytest.raises(errors.SourceUnrecognised):
        planning.plan("auto", "pdf", {}, [noise])
    mixed = planning.plan("auto", "zip", {}, [b"%PDF-1.7\n%%EOF", noise], ["a.pdf", None])
    assert (mixed.converter, mixed.sources) == ("archive.pack", ("pdf", "any"))
    assert mixed.names == ("a.pdf", "")


def test_an_archive_is_still_repacked_where_it_becomes_another() -> None:
    assert planning.plan("zip", "7z", {}, [_zip({"a": b"a"})]).converter == "archive.repack"
    packed = planning.plan("zip", "zip", {"operation": "pack"}, [_zip({"a": b"a"})])
    assert packed.converter == "archive.pack"
    both = planning.plan("zip", "zip", {}, [_zip({"a": b"a"})] * 2)
    assert both.converter == "archive.pack"


def test_only_who_needs_it_learns_what_a_file_is_called() -> None:
    job = planning.plan("auto", "json", {}, [_zip({"a": b"a"})], ["secret plan.zip"])
    assert (job.converter, job.names) == ("archive.list", ())


async def test_names_go_into_a_worker_and_come_out() -> None:
    engine = await Engine.start(EngineConfig(slots=1, started=("archive",), uses=9))
    try:
        names = ["ä" * 200, *(f"{'n' * 200}-{number}" for number in range(399))]
        job = planning.plan("any", "zip", {}, [b"x"] * 400, names)
        packed = await engine.convert(job)
        job = planning.plan("zip", "any", {}, [packed.files[0]])
        output = await engine.convert(job)
        assert output.names == (names[0][:127], *names[1:])
        locked = planning.plan("any", "zip", {"password_out": _SECRET}, [_TEXT])
        packed = await engine.convert(locked)
        opening = planning.plan("zip", "any", {"password": _SECRET}, [packed.files[0]])
        assert (await engine.convert(opening)).files == [_TEXT]
    finally:
        await engine.close()
