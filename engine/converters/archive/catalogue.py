"""What the archive family offers: declarations only, no codec."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.errors import OptionInvalid
from engine.formats import ANY, title
from engine.job import Bounds
from sandbox.limits import MIB, Limits

TARS = ("tar", "tgz", "tbz2", "txz", "tzst")
# One file each, without a name or with one nobody should trust.
SINGLES = ("gz", "bz2", "xz", "zst")
SOURCES = ("zip", "jar", "apk", *TARS, "7z", "ar", *SINGLES)
ARCHIVES = ("zip", *TARS, "7z")
TARGETS = (*ARCHIVES, *SINGLES)
# As many as the sandbox passes on to a worker at once; what a request may carry is configured.
FILES_MAX = 1_000

_Globs = Annotated[
    str,
    Meta(
        max_length=1000,
        description="Members to take: patterns joined by commas, * for any characters, ? for one,"
        " compared with the whole path. Absent: all.",
        examples=["docs/*,*.txt"],
    ),
]
_Password = Annotated[
    str,
    Meta(
        max_length=255,
        description="Password that opens the archive, where it is encrypted.",
        examples=["correct horse"],
        extra_json_schema={"format": "password", "writeOnly": True},
    ),
]
_PasswordOut = Annotated[
    str,
    Meta(
        max_length=255,
        description="Password that the result is encrypted with, by AES-256: zip, whose names stay"
        " readable, and 7z, whose names are encrypted too.",
        examples=["battery staple"],
        extra_json_schema={"format": "password", "writeOnly": True},
    ),
]
_Level = Annotated[
    Annotated[int, Meta(ge=0, le=9)] | None,
    Meta(
        description="How hard to compress: 0 not at all (zip only), 1 is fastest, 9 smallest."
        " Absent: each format's own balance.",
        examples=[9],
    ),
]
_Exclude = Annotated[
    str,
    Meta(
        max_length=1000,
        description="Members to leave out: patterns as in include; they win over it.",
        examples=["*.tmp,__MACOSX/*"],
    ),
]
NamesEncoding = Literal[
    "auto", "utf-8", "cp437", "cp850", "cp866", "shift_jis", "gb18030", "big5", "euc-kr"
]
_NamesEncoding = Annotated[
    NamesEncoding,
    Meta(
        description="Encoding of the names in a ZIP that does not say it. auto: UTF-8 where it can"
        " be, else cp437.",
        examples=["shift_jis"],
    ),
]


class ListOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of archive.list: path, size, time and kind of each member, as JSON."""

    password: _Password = ""
    names_encoding: _NamesEncoding = "auto"


class RepackOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of archive.repack."""

    include: _Globs = ""
    exclude: _Exclude = ""
    level: _Level = None
    password: _Password = ""
    password_out: _PasswordOut = ""
    names_encoding: _NamesEncoding = "auto"


class PackOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of archive.pack."""

    level: _Level = None
    password_out: _PasswordOut = ""


class ExtractOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of archive.extract."""

    include: _Globs = ""
    exclude: _Exclude = ""
    password: _Password = ""
    names_encoding: _NamesEncoding = "auto"


def check_packing(options: RepackOptions | PackOptions, target: str) -> None:
    """Refuse what the target cannot do. Raises OptionInvalid."""
    if options.password_out and target not in {"zip", "7z"}:
        raise OptionInvalid(
            f"password_out: only zip and 7z can be encrypted here, not {title(target)}"
        )
    if options.level is not None and target == "tar":
        raise OptionInvalid("level: a tar archive is not compressed; take tgz or tzst")
    if options.level == 0 and target != "zip":
        raise OptionInvalid("level: 0 is for zip; for no compression take zip or tar")


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="archive.repack",
        family="archive",
        title="Pack an archive's members into another archive",
        sources=SOURCES,
        targets=TARGETS,
        options=RepackOptions,
        check=check_packing,
        run="engine.converters.archive.repack:repack",
        default=True,
    ),
    Converter(
        name="archive.pack",
        family="archive",
        title="Pack files of any kind into an archive",
        sources=(ANY,),
        targets=ARCHIVES,
        options=PackOptions,
        check=check_packing,
        run="engine.converters.archive.files:pack_files",
        named=True,
        inputs_max=FILES_MAX,
    ),
    Converter(
        name="archive.extract",
        family="archive",
        title="Take the files out of an archive, under their own names",
        sources=SOURCES,
        targets=(ANY,),
        options=ExtractOptions,
        run="engine.converters.archive.files:extract",
        named=True,
    ),
    Converter(
        name="archive.list",
        family="archive",
        title="List an archive's members",
        sources=SOURCES,
        targets=("json",),
        options=ListOptions,
        run="engine.converters.archive.repack:list_members",
    ),
)

FAMILY = Family(
    name="archive",
    needs=("py7zr", "zstandard", "inflate64", "pyppmd", "Cryptodome"),
    preload=("engine.task", "engine.converters.archive.warm"),
    warm="engine.converters.archive.warm:warm",
    # A 7z is unpacked whole, 512 MiB at most, beside the upload and the result; LZMA's largest
    # usual dictionary is 128 MiB with ten times that for its encoder.
    limits=Limits(address_space_bytes=3072 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
