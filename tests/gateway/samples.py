"""Tiny inputs, made here: honest ones by Pillow, hostile ones by hand."""

import io
import struct
import zlib

import pikepdf
from PIL import Image


def picture(format_name: str = "PNG", width: int = 64, height: int = 48) -> bytes:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    out = io.BytesIO()
    image.save(out, format_name)
    return out.getvalue()


def noise(width: int, height: int) -> bytes:
    """A PNG that no codec can make small."""
    image = Image.effect_noise((width, height), 80).convert("RGB")
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=0)
    return out.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def pixel_bomb(side: int = 60_000) -> bytes:
    """A PNG of a few hundred bytes that claims side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(side))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (_chunk(b"IHDR", header), _chunk(b"IDAT", pixels), _chunk(b"IEND", b""))
    )


def document(pages: int = 1, locked_by: str | None = None) -> bytes:
    pdf = pikepdf.new()
    for _ in range(pages):
        pdf.add_blank_page(page_size=(200, 100))
    out = io.BytesIO()
    encryption = pikepdf.Encryption(owner=locked_by, user=locked_by) if locked_by else False
    pdf.save(out, encryption=encryption)
    return out.getvalue()


def opened(body: bytes) -> Image.Image:
    """A result, decoded to its last pixel."""
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def bitmap(width: int = 1000, height: int = 700) -> bytes:
    """A black picture of three bytes a pixel: large, and quick to make."""
    row = (width * 3 + 3) // 4 * 4
    head = struct.pack("<2sIHHI", b"BM", 54 + row * height, 0, 0, 54)
    facts = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, row * height, 0, 0, 0, 0)
    return head + facts + bytes(row * height)
