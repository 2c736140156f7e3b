"""Signatures at fixed places.

A row is (format, offset, bytes); a second pair has to fit as well where the first is weak. Where
even that can be the beginning of a text, the row is `binary`: it fits only a file that holds bytes
no text has. Sources: each format's specification, and the lists of the file(1) project and PRONOM
for those without one.
"""

import re
from typing import NamedTuple

# Control characters that text does not hold; tab, line feed, form feed, return and escape may be.
CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\x0c\r\x1b"))
_CONTROL = re.compile(b"[" + re.escape(CONTROLS) + b"]")
# Within these first bytes a binary file shows that it is one.
_BINARY_WITHIN = 512


class Magic(NamedTuple):
    """Bytes that stand at an offset; optionally more at another."""

    name: str
    offset: int
    signature: bytes
    also_at: int = 0
    also: bytes = b""
    binary: bool = False

    def fits(self, head: bytes | bytearray) -> bool:
        """Whether the bytes stand where they should."""
        return (
            head.startswith(self.signature, self.offset)
            and (not self.also or head.startswith(self.also, self.also_at))
            and (not self.binary or _CONTROL.search(head, 0, _BINARY_WITHIN) is not None)
        )


_IMAGES = (
    Magic("jpeg", 0, b"\xff\xd8\xff"),
    Magic("png", 0, b"\x89PNG\r\n\x1a\n"),
    Magic("gif", 0, b"GIF87a"),
    Magic("gif", 0, b"GIF89a"),
    Magic("webp", 0, b"RIFF", 8, b"WEBP"),
    # A bitmap's header sizes are few: 12 (OS/2), 16 and 64 (OS/2 2), 40, 52, 56, 108, 124.
    *(
        Magic("bmp", 0, b"BM", 14, bytes([size, 0, 0, 0]))
        for size in (12, 16, 40, 52, 56, 64, 108, 124)
    ),
    Magic("mng", 0, b"\x8aMNG\r\n\x1a\n"),
    Magic("psd", 0, b"8BPS\x00\x01"),
    Magic("psd", 0, b"8BPS\x00\x02"),
    Magic("jp2", 0, b"\x00\x00\x00\x0cjP  \r\n\x87\n"),
    Magic("jp2", 0, b"\xff\x4f\xff\x51"),
    Magic("jxl", 0, b"\xff\x0a"),
    Magic("jxl", 0, b"\x00\x00\x00\x0cJXL \r\n\x87\n"),
    Magic("jxr", 0, b"II\xbc\x01"),
    Magic("icns", 0, b"icns", binary=True),
    Magic("qoi", 0, b"qoif", binary=True),
    Magic("dds", 0, b"DDS |\x00\x00\x00"),
    Magic("exr", 0, b"\x76\x2f\x31\x01"),
    Magic("hdr", 0, b"#?RADIANCE"),
    Magic("hdr", 0, b"#?RGBE"),
    Magic("fits", 0, b"SIMPLE  =                    T"),
    Magic("raf", 0, b"FUJIFILMCCD-RAW"),
    Magic("rw2", 0, b"IIU\x00"),
    Magic("orf", 0, b"IIRO"),
    Magic("orf", 0, b"IIRS"),
    Magic("orf", 0, b"MMOR"),
    Magic("x3f", 0, b"FOVb", binary=True),
    Magic("mrw", 0, b"\x00MRM"),
    Magic("crw", 0, b"II\x1a\x00\x00\x00HEAPCCDR"),
    Magic("emf", 0, b"\x01\x00\x00\x00", 40, b" EMF"),
    Magic("wmf", 0, b"\xd7\xcd\xc6\x9a"),
    Magic("wmf", 0, b"\x01\x00\x09\x00\x00\x03"),
    Magic("wmf", 0, b"\x02\x00\x09\x00\x00\x03"),
    Magic("djvu", 0, b"AT&TFORM", 12, b"DJV"),
    Magic("xcf", 0, b"gimp xcf "),
    Magic("sgi", 0, b"\x01\xda\x00"),
    Magic("sgi", 0, b"\x01\xda\x01"),
    Magic("dpx", 0, b"SDPX", binary=True),
    Magic("dpx", 0, b"XPDS", binary=True),
    Magic("ras", 0, b"\x59\xa6\x6a\x95"),
    Magic("pcx", 0, b"\x0a", 2, b"\x01", binary=True),
    Magic("dcx", 0, b"\xb1\x68\xde\x3a"),
    Magic("fli", 4, b"\x11\xaf", 12, b"\x08\x00"),
    Magic("fli", 4, b"\x12\xaf", 12, b"\x08\x00"),
    Magic("miff", 0, b"id=ImageMagick"),
    Magic("farbfeld", 0, b"farbfeld", binary=True),
    Magic("xpm", 0, b"/* XPM */"),
    Magic("ktx", 0, b"\xabKTX "),
    Magic("blp", 0, b"BLP1", binary=True),
    Magic("blp", 0, b"BLP2", binary=True),
)

_DOCUMENTS = (
    Magic("pdf", 0, b"%PDF-"),
    Magic("pfb", 0, b"%!PS-AdobeFont"),
    Magic("pfb", 0, b"%!FontType1"),
    Magic("pfb", 0, b"\x80\x01", 6, b"%!"),
    Magic("ps", 0, b"%!PS"),
    Magic("ps", 0, b"\xc5\xd0\xd3\xc6"),
    Magic("ps", 0, b"\x04%!PS"),
    Magic("rtf", 0, b"{\\rtf"),
    Magic("mobi", 60, b"BOOKMOBI"),
    Magic("mobi", 60, b"TEXtREAd"),
    Magic("lit", 0, b"ITOLITLS"),
    Magic("chm", 0, b"ITSF\x03\x00\x00\x00"),
    Magic("wpd", 0, b"\xffWPC"),
    Magic("tnef", 0, b"\x78\x9f\x3e\x22"),
    Magic("pst", 0, b"!BDN"),
    Magic("one", 0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d"),
)

_TABLES = (
    Magic("parquet", 0, b"PAR1", binary=True),
    Magic("parquet", 0, b"PARE", binary=True),
    Magic("arrow", 0, b"ARROW1\x00\x00"),
    Magic("arrow", 0, b"FEA1", binary=True),
    Magic("avro", 0, b"Obj\x01"),
    Magic("orc", 0, b"ORC", binary=True),
    Magic("sqlite", 0, b"SQLite format 3\x00"),
    Magic("mdb", 4, b"Standard Jet DB\x00"),
    Magic("mdb", 4, b"Standard ACE DB\x00"),
    Magic("hdf5", 0, b"\x89HDF\r\n\x1a\n"),
    Magic("netcdf", 0, b"CDF\x01"),
    Magic("netcdf", 0, b"CDF\x02"),
    Magic("npy", 0, b"\x93NUMPY"),
    Magic("shp", 0, b"\x00\x00\x27\x0a" + bytes(20)),
)

_MEDIA = (
    Magic("flac", 0, b"fLaC"),
    Magic("aac", 0, b"ADIF", binary=True),
    Magic("aiff", 0, b"FORM", 8, b"AIFF"),
    Magic("aiff", 0, b"FORM", 8, b"AIFC"),
    Magic("amr", 0, b"#!AMR"),
    Magic("midi", 0, b"MThd\x00\x00\x00\x06"),
    Magic("asf", 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    Magic("flv", 0, b"FLV\x01"),
    Magic("mpeg", 0, b"\x00\x00\x01\xba"),
    Magic("mpeg", 0, b"\x00\x00\x01\xb3"),
    Magic("ac3", 0, b"\x0b\x77", binary=True),
    Magic("dts", 0, b"\x7f\xfe\x80\x01"),
    Magic("caf", 0, b"caff\x00\x01"),
    Magic("au", 0, b".snd", binary=True),
    Magic("wavpack", 0, b"wvpk", binary=True),
    Magic("ape", 0, b"MAC ", binary=True),
    Magic("tta", 0, b"TTA1", binary=True),
    Magic("tak", 0, b"tBaK"),
    Magic("musepack", 0, b"MPCK"),
    Magic("musepack", 0, b"MP+", binary=True),
    Magic("ofr", 0, b"OFR ", binary=True),
    Magic("dsf", 0, b"DSD ", binary=True),
    Magic("dsf", 0, b"FRM8", 12, b"DSD "),
    Magic("w64", 0, b"riff\x2e\x91\xcf\x11"),
    Magic("voc", 0, b"Creative Voice File\x1a"),
    Magic("rm", 0, b".RMF", binary=True),
    Magic("mxf", 0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01"),
    Magic("y4m", 0, b"YUV4MPEG2 "),
    Magic("nut", 0, b"nut/multimedia container\x00"),
)

_ARCHIVES = (
    Magic("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    Magic("rar", 0, b"Rar!\x1a\x07"),
    Magic("bz2", 0, b"BZh", 4, b"1AY&SY"),
    Magic("bz2", 0, b"BZh", 4, b"\x17\x72\x45\x38\x50\x90"),  # an empty one
    Magic("xz", 0, b"\xfd7zXZ\x00"),
    Magic("zst", 0, b"\x28\xb5\x2f\xfd"),
    Magic("lz4", 0, b"\x04\x22\x4d\x18"),
    Magic("lzma", 0, b"\x5d\x00\x00", 5, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    Magic("lzip", 0, b"LZIP\x01"),
    Magic("compress", 0, b"\x1f\x9d"),
    Magic("tar", 257, b"ustar"),
    Magic("cab", 0, b"MSCF\x00\x00\x00\x00"),
    Magic("ar", 0, b"!<arch>\n"),
    Magic("rpm", 0, b"\xed\xab\xee\xdb"),
    Magic("cpio", 0, b"070701"),
    Magic("cpio", 0, b"070702"),
    Magic("cpio", 0, b"070707"),
    Magic("cpio", 0, b"\xc7\x71"),
    Magic("xar", 0, b"xar!\x00\x1c"),
    Magic("lha", 2, b"-lh", 6, b"-"),
    Magic("arj", 0, b"\x60\xea", binary=True),
    Magic("squashfs", 0, b"hsqs", binary=True),
    Magic("iso", 32769, b"CD001"),
)

_OTHERS = (
    Magic("ttf", 0, b"\x00\x01\x00\x00\x00"),
    Magic("ttf", 0, b"true\x00"),
    Magic("otf", 0, b"OTTO\x00"),
    Magic("ttc", 0, b"ttcf\x00"),
    Magic("woff", 0, b"wOFF", binary=True),
    Magic("woff2", 0, b"wOF2", binary=True),
    Magic("eot", 34, b"LP", 8, b"\x01\x00\x02\x00"),
    Magic("eot", 34, b"LP", 8, b"\x02\x00\x02\x00"),
    Magic("pcf", 0, b"\x01fcp"),
    Magic("bdf", 0, b"STARTFONT "),
    Magic("glb", 0, b"glTF\x02\x00\x00\x00"),
    Magic("ply", 0, b"ply\nformat "),
    Magic("ply", 0, b"ply\r\nformat "),
    Magic("ply", 0, b"ply\ncomment "),
    Magic("dwg", 0, b"AC10", 6, b"\x00\x00"),
    Magic("dxf", 0, b"AutoCAD Binary DXF\r\n\x1a\x00"),
    Magic("p12", 4, b"\x02\x01\x03\x30", 0, b"\x30\x82"),
    Magic("p12", 2, b"\x02\x01\x03\x30", 0, b"\x30\x80"),
    Magic("step", 0, b"ISO-10303-21;"),
    Magic("fbx", 0, b"Kaydara FBX Binary  \x00"),
    Magic("blend", 0, b"BLENDER", binary=True),
    Magic("icc", 36, b"acsp", 8, b"\x02"),
    Magic("icc", 36, b"acsp", 8, b"\x04"),
    Magic("wasm", 0, b"\x00asm\x01\x00\x00\x00"),
    Magic("elf", 0, b"\x7fELF"),
    Magic("exe", 0, b"MZ", binary=True),
    Magic("swf", 0, b"FWS", binary=True),
    Magic("swf", 0, b"CWS", binary=True),
    Magic("swf", 0, b"ZWS", binary=True),
    Magic("class", 0, b"\xca\xfe\xba\xbe\x00\x00\x00"),
)

MAGICS: tuple[Magic, ...] = _IMAGES + _DOCUMENTS + _TABLES + _MEDIA + _ARCHIVES + _OTHERS

# A file's first byte leaves a handful of the rows above; those further in come after them.
_BY_FIRST_BYTE = tuple(
    tuple(one for one in MAGICS if not one.offset and one.signature[0] == first)
    for first in range(256)
)
_FURTHER_IN = tuple(one for one in MAGICS if one.offset)


def named_by_front(head: bytes | bytearray) -> str | None:
    """The format whose signature begins the file."""
    for magic in _BY_FIRST_BYTE[head[0]] if head else ():
        if magic.fits(head):
            return magic.name
    return None


def named_further_in(head: bytes | bytearray) -> str | None:
    """The format whose signature stands at an offset of its own."""
    for magic in _FURTHER_IN:
        if magic.fits(head):
            return magic.name
    return None
