"""Signatures at fixed places, most telling first.

A row is (format, offset, bytes); a second pair has to fit as well where the first is weak. Sources:
each format's specification, and the lists of the file(1) project and PRONOM for those without one.
"""

from typing import NamedTuple


class Magic(NamedTuple):
    """Bytes that stand at an offset; optionally more at another."""

    name: str
    offset: int
    signature: bytes
    also_at: int = 0
    also: bytes = b""

    def fits(self, head: bytes | bytearray) -> bool:
        """Whether the bytes stand where they should."""
        return head.startswith(self.signature, self.offset) and (
            not self.also or head.startswith(self.also, self.also_at)
        )


MAGICS: tuple[Magic, ...] = (
    Magic("jpeg", 0, b"\xff\xd8\xff"),
    Magic("png", 0, b"\x89PNG\r\n\x1a\n"),
    Magic("gif", 0, b"GIF87a"),
    Magic("gif", 0, b"GIF89a"),
    Magic("webp", 0, b"RIFF", 8, b"WEBP"),
    # A bitmap's header sizes are few: 12 (OS/2), 40, 52, 56, 64, 108, 124.
    *(
        Magic("bmp", 0, b"BM", 14, bytes([size, 0, 0, 0]))
        for size in (12, 40, 52, 56, 64, 108, 124)
    ),
    Magic("pdf", 0, b"%PDF-"),
    Magic("ps", 0, b"%!PS"),
    Magic("ps", 0, b"\xc5\xd0\xd3\xc6"),
    Magic("psd", 0, b"8BPS\x00\x01"),
    Magic("psd", 0, b"8BPS\x00\x02"),
    Magic("jp2", 0, b"\x00\x00\x00\x0cjP  \r\n\x87\n"),
    Magic("jp2", 0, b"\xff\x4f\xff\x51"),
    Magic("jxl", 0, b"\xff\x0a"),
    Magic("jxl", 0, b"\x00\x00\x00\x0cJXL \r\n\x87\n"),
    Magic("jxr", 0, b"II\xbc\x01"),
    Magic("ico", 0, b"\x00\x00\x01\x00", 9, b"\x00"),
    Magic("cur", 0, b"\x00\x00\x02\x00", 9, b"\x00"),
    Magic("icns", 0, b"icns"),
    Magic("qoi", 0, b"qoif"),
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
    Magic("emf", 0, b"\x01\x00\x00\x00", 40, b" EMF"),
    Magic("wmf", 0, b"\xd7\xcd\xc6\x9a"),
    Magic("wmf", 0, b"\x01\x00\x09\x00\x00\x03"),
    Magic("djvu", 0, b"AT&TFORM", 12, b"DJV"),
    *(
        Magic("pnm", 0, f"P{kind}".encode() + blank)
        for kind in range(1, 8)
        for blank in (b"\n", b" ", b"\r", b"\t")
    ),
    Magic("rtf", 0, b"{\\rtf"),
    Magic("mobi", 60, b"BOOKMOBI"),
    Magic("parquet", 0, b"PAR1"),
    Magic("arrow", 0, b"ARROW1\x00\x00"),
    Magic("avro", 0, b"Obj\x01"),
    Magic("orc", 0, b"ORC"),
    Magic("sqlite", 0, b"SQLite format 3\x00"),
    Magic("mp3", 0, b"ID3"),
    Magic("flac", 0, b"fLaC"),
    Magic("aac", 0, b"ADIF"),
    Magic("aac", 0, b"\xff\xf1"),
    Magic("aac", 0, b"\xff\xf9"),
    Magic("aiff", 0, b"FORM", 8, b"AIFF"),
    Magic("aiff", 0, b"FORM", 8, b"AIFC"),
    Magic("amr", 0, b"#!AMR"),
    Magic("midi", 0, b"MThd\x00\x00\x00\x06"),
    Magic("asf", 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    Magic("flv", 0, b"FLV\x01"),
    Magic("mpeg", 0, b"\x00\x00\x01\xba"),
    Magic("mpeg", 0, b"\x00\x00\x01\xb3"),
    Magic("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    Magic("rar", 0, b"Rar!\x1a\x07"),
    Magic("gz", 0, b"\x1f\x8b\x08"),
    Magic("bz2", 0, b"BZh", 4, b"1AY&SY"),
    Magic("xz", 0, b"\xfd7zXZ\x00"),
    Magic("zst", 0, b"\x28\xb5\x2f\xfd"),
    Magic("lz4", 0, b"\x04\x22\x4d\x18"),
    Magic("tar", 257, b"ustar"),
    Magic("cab", 0, b"MSCF\x00\x00\x00\x00"),
    Magic("ar", 0, b"!<arch>\n"),
    Magic("rpm", 0, b"\xed\xab\xee\xdb"),
    Magic("iso", 32769, b"CD001"),
    Magic("ttf", 0, b"\x00\x01\x00\x00\x00"),
    Magic("ttf", 0, b"true\x00"),
    Magic("otf", 0, b"OTTO\x00"),
    Magic("ttc", 0, b"ttcf\x00"),
    Magic("woff", 0, b"wOFF"),
    Magic("woff2", 0, b"wOF2"),
    Magic("glb", 0, b"glTF\x02\x00\x00\x00"),
    Magic("ply", 0, b"ply\nformat "),
    Magic("ply", 0, b"ply\r\nformat "),
    Magic("dwg", 0, b"AC10", 6, b"\x00\x00"),
    Magic("wasm", 0, b"\x00asm\x01\x00\x00\x00"),
    Magic("elf", 0, b"\x7fELF"),
    Magic("exe", 0, b"MZ"),
    Magic("swf", 0, b"FWS"),
    Magic("swf", 0, b"CWS"),
    Magic("class", 0, b"\xca\xfe\xba\xbe\x00\x00\x00"),
)
