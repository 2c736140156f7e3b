"""Archives become each other, judged by tar, unzip and the compressors; and what is refused."""

import bz2
import gzip
import io
import json
import lzma
import struct
import subprocess
import tarfile
import zipfile
import zlib
from functools import cache
from itertools import product
from pathlib import Path

import py7zr
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.converters.archive.catalogue import ARCHIVES, SINGLES, SOURCES, TARGETS, TARS
from engine.errors import EngineError
from tests.engine.own_converter import of_family
from tests.engine.real_workers import convert_all

convert = of_family("archive")

_FILES = {"readme.txt": b"hello\n" * 20, "docs/\u00fcber.txt": bytes(range(256)) * 40, "empty": b""}
_SECRET = "secret"  # protects nothing
_TIME = 1_700_000_000


def _zip(files: dict[str, bytes] | None = None, *, folders: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in folders:
            archive.writestr(zipfile.ZipInfo(folder, (2023, 11, 14, 22, 13, 20)), b"")
        for name, content in (_FILES if files is None else files).items():
            archive.writestr(zipfile.ZipInfo(name, (2023, 11, 14, 22, 13, 20)), content)
    return buffer.getvalue()


def _tar(files: dict[str, bytes] | None = None, mode: str = "w:") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in (_FILES if files is None else files).items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), _TIME
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _seven(files: dict[str, bytes] | None = None, password: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", password=password) as archive:
        for name, content in (_FILES if files is None else files).items():
            archive.writestr(content, name)
    return buffer.getvalue()


def _ar(files: dict[str, bytes]) -> bytes:
    written = b"!<arch>\n"
    for name, content in files.items():
        head = f"{name + '/':<16}{_TIME:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        written += head.encode() + content + b"\n" * (len(content) % 2)
    return written


_ONE = b"one file's content\n" * 50


@cache
def upload(source: str) -> bytes:
    """An archive, or a compressed file, that another tool than ours wrote."""
    makers = {
        "zip": _zip, "jar": _zip, "apk": _zip, "tar": _tar, "7z": _seven,
        "tgz": lambda: _tar(mode="w:gz"),
        "tbz2": lambda: _tar(mode="w:bz2"),
        "txz": lambda: _tar(mode="w:xz"),
        "tzst": lambda: zstandard.compress(_tar()),
        "ar": lambda: _ar({"readme.txt": _ONE}),
        "gz": lambda: gzip.compress(_ONE),
        "bz2": lambda: bz2.compress(_ONE),
        "xz": lambda: lzma.compress(_ONE),
        "zst": lambda: zstandard.compress(_ONE),
    }  # fmt: skip
    return makers[source]()


def _seen(content: bytes, target: str, tmp_path: Path) -> dict[str, bytes]:
    """What another program unpacks."""
    file, place = tmp_path / "archive", tmp_path / "unpacked"
    file.write_bytes(content)
    place.mkdir()
    if target == "zip":
        subprocess.run(["unzip", "-q", str(file), "-d", str(place)], check=True)
    elif target in TARS:
        flag = {"tgz": "-z", "tbz2": "-j", "txz": "-J", "tzst": "--zstd", "tar": "--format=pax"}
        if target == "tzst":
            file.write_bytes(zstandard.ZstdDecompressor().stream_reader(content).read())
            target = "tar"
        subprocess.run(["tar", flag[target], "-xf", str(file), "-C", str(place)], check=True)
    elif target == "7z":
        with py7zr.SevenZipFile(file) as archive:
            assert archive.test() in {True, None}
            archive.reset()
            archive.extractall(place)  # noqa: S202  # our own archive
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("source", "target"), [*product([one for one in SOURCES if one not in SINGLES], ARCHIVES)]
)
def test_every_archive_becomes_every_other_with_its_members(
    source: str, target: str, tmp_path: Path
) -> None:
    reply = convert(upload(source), source, target)
    expected = {"readme.txt": _ONE} if source == "ar" else _FILES
    assert _seen(reply.file, target, tmp_path) == expected
    assert reply.warnings == ()


_PROGRAMS = {"gz": "gzip", "bz2": "bzip2", "xz": "xz"}


@pytest.mark.parametrize(("source", "target"), [*product((*SINGLES, "ar"), SINGLES)])
def test_a_compressed_file_is_packed_anew(source: str, target: str) -> None:
    packed = convert(upload(source), source, target).file
    if target == "zst":
        assert zstandard.ZstdDecompressor().stream_reader(packed).read() == _ONE
    else:
        command = [_PROGRAMS[target], "-dc"]
        done = subprocess.run(command, input=packed, capture_output=True, check=True)
        assert done.stdout == _ONE


@pytest.mark.parametrize(("source", "target"), [*product(SINGLES, ARCHIVES)])
def test_a_compressed_file_becomes_an_archive_of_one(
    source: str, target: str, tmp_path: Path
) -> None:
    packed = convert(upload(source), source, target).file
    assert _seen(packed, target, tmp_path) == {"content": _ONE}


@pytest.mark.parametrize("source", ["gz", "bz2", "xz", "zst"])
def test_a_compressed_tar_sent_as_a_compressed_file_is_an_archive(
    source: str, tmp_path: Path
) -> None:
    tar = upload({"gz": "tgz", "bz2": "tbz2", "xz": "txz", "zst": "tzst"}[source])
    assert _seen(convert(tar, source, "zip").file, "zip", tmp_path) == _FILES


def test_several_files_are_no_single_file() -> None:
    reply = convert(upload("zip"), "zip", "gz")
    assert reply.error == "TargetImpossible"
    assert "tgz" in reply.detail
    one = convert(upload("zip"), "zip", "gz", include="readme.*")
    assert gzip.decompress(one.file) == _FILES["readme.txt"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_list_says_paths_sizes_and_times(source: str) -> None:
    rows = json.loads(convert(upload(source), source, "json").file)
    if source in SINGLES:
        assert [(row["path"], row["size"]) for row in rows] == [("content", len(_ONE))]
        return
    expected = {"readme.txt": _ONE} if source == "ar" else _FILES
    assert {row["path"]: row["size"] for row in rows} == {
        name: len(content) for name, content in expected.items()
    }
    if source != "7z":  # py7zr stamps what it packs with the present
        assert {row["modified"] for row in rows} == {"2023-11-14T22:13:20+00:00"}


def test_times_and_folders_survive() -> None:
    source = _zip(folders=("docs/", "lonely/"))
    tar = convert(source, "zip", "tar").file
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        kinds = {entry.name: (entry.isdir(), entry.mtime) for entry in archive}
    assert kinds["lonely"] == (True, _TIME)
    assert kinds["readme.txt"] == (False, _TIME)
    back = convert(tar, "tar", "zip").file
    with zipfile.ZipFile(io.BytesIO(back)) as archive:
        assert archive.getinfo("lonely/").date_time == (2023, 11, 14, 22, 13, 20)
    seven = convert(source, "zip", "7z")
    assert "folders" in seven.warnings[0]


def test_equal_archives_give_equal_bytes() -> None:
    for target in TARGETS:
        if target not in {"7z", *SINGLES}:
            first = convert(upload("zip"), "zip", target).file
            assert first == convert(upload("tar"), "tar", target).file, target


def test_patterns_choose_members() -> None:
    rows = convert(upload("zip"), "zip", "tar", include="*.txt", exclude="docs/*").file
    with tarfile.open(fileobj=io.BytesIO(rows)) as archive:
        assert archive.getnames() == ["readme.txt"]
    nothing = convert(upload("zip"), "zip", "tar", include="*.exe")
    assert nothing.error == "TargetImpossible"


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("../../etc/passwd", None),
        ("a/../../b", None),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Windows\\x.dll", "Windows/x.dll"),
        ("a//./b", "a/b"),
        ("a\nb\x1b[2J", "a_b_[2J"),
        ("x" * 300, None),
    ],
)
@pytest.mark.parametrize("source", ["zip", "tar"])
def test_hostile_names_are_made_harmless_or_left_out(
    source: str, name: str, becomes: str | None
) -> None:
    made = (_zip if source == "zip" else _tar)({name: b"x", "good": b"y"})
    reply = convert(made, source, "json")
    names = [row["path"] for row in json.loads(reply.file)]
    assert names == ([becomes] if becomes else []) + ["good"]
    assert bool(reply.warnings) == (name != "a//./b")


def test_links_and_devices_are_left_out_and_said() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"special-{kind!r}")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("good")
        archive.addfile(entry)
    reply = convert(buffer.getvalue(), "tar", "zip")
    assert zipfile.ZipFile(io.BytesIO(reply.file)).namelist() == ["good"]
    assert reply.warnings == ("links and devices, left out: 4",)
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good", "x")
    assert convert(buffer.getvalue(), "zip", "tar").warnings == ("links and devices, left out: 1",)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_numbered() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for content in ("1", "2", "3"):
            archive.writestr("a.txt", content)
        archive.writestr("A.TXT", "4")
    reply = convert(buffer.getvalue(), "zip", "tar")
    with tarfile.open(fileobj=io.BytesIO(reply.file)) as archive:
        assert archive.getnames() == ["a.txt", "a (2).txt", "a (3).txt", "A (4).TXT"]
    assert "numbered: 3" in reply.warnings[0]


def test_names_in_another_encoding_are_read_in_it() -> None:
    raw = "\u30c6\u30b9\u30c8".encode("shift_jis")
    made = _zip({"x" * len(raw): b"x"}).replace(b"x" * len(raw), raw)
    reply = convert(made, "zip", "json", names_encoding="shift_jis")
    assert json.loads(reply.file)[0]["path"] == "\u30c6\u30b9\u30c8"
    utf8 = "\u00e4\u00f6".encode()
    unsaid = _zip({"x" * len(utf8): b"x"}).replace(b"x" * len(utf8), utf8)
    assert json.loads(convert(unsaid, "zip", "json").file)[0]["path"] == "\u00e4\u00f6"


def _encrypt_zip(content: bytes, password: bytes) -> bytes:
    """PKWARE's old cipher (APPNOTE 6.1), since neither zipfile nor our code writes it."""
    table = [0] * 256
    for n in range(256):
        value = n
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table[n] = value
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = keys[0] >> 8 ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = keys[2] >> 8 ^ table[(keys[2] ^ keys[1] >> 24) & 0xFF]

    for byte in password:
        update(byte)
    checksum = zlib.crc32(content)
    sealed = bytearray()
    for byte in bytes(11) + bytes([checksum >> 24]) + content:
        mix = keys[2] & 0xFFFF | 2
        sealed.append(byte ^ (mix * (mix ^ 1) >> 8 & 0xFF))
        update(byte)
    head = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 0x21, checksum, len(sealed), len(content), 1, 0)
    local = b"PK\x03\x04" + head + b"s" + bytes(sealed)
    central = b"PK\x01\x02\x14\x00" + head + bytes(14) + b"s"
    tail = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + tail


@pytest.mark.parametrize("kind", ["zip", "7z"])
def test_an_encrypted_archive_says_so_and_opens_with_its_password(kind: str) -> None:
    locked = _encrypt_zip(_ONE, b"secret") if kind == "zip" else _seven({"s": _ONE}, "secret")
    for password in ("", "wrong"):
        options = {"password": password} if password else {}
        reply = convert(locked, kind, "tar", **options)
        assert (reply.error, "option password" in reply.detail) == ("PasswordRequired", True)
    reply = convert(locked, kind, "tar", password=_SECRET)
    with tarfile.open(fileobj=io.BytesIO(reply.file)) as archive:
        assert archive.extractfile("s").read() == _ONE  # type: ignore[union-attr]
    assert reply.warnings == ("the result is not encrypted",)


def test_a_7z_is_encrypted_on_demand_names_included() -> None:
    locked = convert(upload("zip"), "zip", "7z", password_out=_SECRET).file
    assert "readme".encode("utf-16-le") not in locked
    with py7zr.SevenZipFile(io.BytesIO(locked), password=_SECRET) as archive:
        assert set(archive.getnames()) == set(_FILES)
    assert convert(locked, "7z", "zip").error == "PasswordRequired"
    assert _unzipped(convert(locked, "7z", "zip", password=_SECRET).file) == _FILES


def _unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zeros(mib: int) -> bytes:
    """A gzip file of so many zero bytes, of equal blocks put together in no time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    blocks = [packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    body = blocks[0] + blocks[1] * (mib - 1) + b"\x03\x00"
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + struct.pack("<II", 0, mib << 20 & 0xFFFFFFFF)


@pytest.mark.claim("C-BOMB-1")
def test_bombs_are_cut_off_while_they_unpack() -> None:
    gz = convert(_zeros(300), "gz", "zst")
    assert (gz.error, "bomb" in gz.detail) == ("SourceTooComplex", True)
    deflated = _zeros(300)[10:-8]
    head = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, 0, len(deflated), 10, 1, 0)
    central = b"PK\x01\x02\x14\x00" + head + bytes(14) + b"b"
    local = b"PK\x03\x04" + head + b"b" + deflated
    tail = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    lying = local + central + b"PK\x05\x06" + tail
    assert convert(lying, "zip", "tar").error in {"SourceTooComplex", "SourceUnreadable"}
    seven = _seven({"bomb": bytes(80 << 20)})
    assert convert(seven, "7z", "tar").error == "SourceTooComplex"


def test_too_many_members_are_refused() -> None:
    header = _tar({"same": b""})[:512]
    assert convert(header * 20_001, "tar", "json").error == "SourceTooComplex"


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_broken_or_no_archive_is_unreadable(source: str) -> None:
    whole = upload(source)
    for content in (b"", b"\0" * 2000, b"no archive at all" * 100, whole[: len(whole) // 2]):
        reply = convert(content, source, "json")
        assert reply.error in {"SourceUnreadable", "TargetImpossible"} or (
            source == "tar" and not content.strip(b"\0")
        ), (reply, len(content))
    damaged = bytearray(whole)
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        damaged[at] ^= 0xFF
        reply = convert(bytes(damaged), source, "json")
        assert reply.error in {
            "", "SourceUnreadable", "SourceTooComplex", "TargetImpossible", "PasswordRequired",
        }, reply.error  # fmt: skip


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0:"), min_size=1, max_size=20)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.dictionaries(_NAMES, st.binary(max_size=200), min_size=1, max_size=5), st.data())
def test_round_trips_keep_every_byte(files: dict[str, bytes], data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(ARCHIVES))
    there = convert(_zip(files), "zip", target)
    first = _unzipped(convert(_zip(files), "zip", "zip").file) if not there.error else {}
    if there.error == "TargetImpossible":  # nothing but names such as ".."
        return
    assert _unzipped(convert(there.file, target, "zip").file) == first
    assert sorted(first.values()) == sorted(
        content for name, content in files.items() if name not in {".", ".."}
    )


async def test_every_pair_runs_in_a_worker_that_can_open_nothing() -> None:
    done = await convert_all(
        "archive",
        {
            source: [convert(upload(source), source, "zip", include="readme.txt,content").file]
            if source in {"zip", "jar", "apk"}
            else [_one_member(source)]
            for source in SOURCES
        }
        | {"any": [_ONE]},
    )
    refused = {pair: str(one) for pair, one in done.items() if isinstance(one, EngineError)}
    assert refused == {}
    assert len(done) == len(SOURCES) * (len(TARGETS) + 2) + len(ARCHIVES)


def _one_member(source: str) -> bytes:
    if source in SINGLES or source == "ar":
        return upload(source)
    return convert(upload(source), source, source, include="readme.txt").file
