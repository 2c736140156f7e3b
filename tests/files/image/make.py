"""Make the small pictures of further formats: `python tests/files/image/make.py`, deterministic.

HEIC and PSD are written by ImageMagick (Debian's, with x265), because nothing that this project
ships can; cursor, PAM and DNG by hand; the others by the library that is not the one tested here
where there is one. All show the picture of `tests/files/make.py`, 96 x 72.
"""

import io
import struct
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
CONVERT = "/usr/bin/convert-im6.q16"


def picture() -> Image.Image:
    """The photograph that all tests share."""
    with Image.open(HERE.parent / "photo.png") as photo:
        return photo.convert("RGB").resize((96, 72), Image.Resampling.LANCZOS)


def by_imagemagick(photo: Image.Image, name: str, *options: str) -> None:
    """Written by ImageMagick from a PPM."""
    plain = io.BytesIO()
    photo.save(plain, "PPM")
    subprocess.run(  # a script for people
        [CONVERT, "ppm:-", *options, str(HERE / name)], input=plain.getvalue(), check=True
    )


def layered(photo: Image.Image) -> None:
    """A Photoshop document of two layers and their composite."""
    over = Image.new("RGB", (30, 20), (250, 200, 20))
    with_mark = photo.copy()
    with_mark.paste(over, (20, 20))
    for name, image in (("under", photo), ("over", over), ("both", with_mark)):
        image.save(HERE / f"{name}.png")
    subprocess.run(  # a script for people
        [
            CONVERT, str(HERE / "both.png"), str(HERE / "under.png"),
            "(", str(HERE / "over.png"), "-repage", "+20+20", ")",
            "-compress", "RLE", str(HERE / "photo.psd"),
        ],
        check=True,
    )  # fmt: skip
    for name in ("under", "over", "both"):
        (HERE / f"{name}.png").unlink()


def cursor(photo: Image.Image) -> bytes:
    """A Windows cursor of 32 bits a pixel, 32 x 32, hot spot in the middle."""
    small = photo.resize((32, 32), Image.Resampling.LANCZOS).convert("RGBA")
    red, green, blue, alpha = small.transpose(Image.Transpose.FLIP_TOP_BOTTOM).split()
    pixels = Image.merge("RGBA", (blue, green, red, alpha)).tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, 32, 64, 1, 32, 0, len(pixels), 0, 0, 0, 0)
    body = header + pixels + bytes(4 * 32)
    return struct.pack("<HHHBBBBHHII", 0, 2, 1, 32, 32, 0, 0, 16, 16, len(body), 22) + body


def targa(photo: Image.Image) -> bytes:
    """An uncompressed Targa image, first row first, which every reader gets right."""
    red, green, blue = photo.split()
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, *photo.size, 24, 0x20)
    return head + Image.merge("RGB", (blue, green, red)).tobytes()


def apple_icon(photo: Image.Image) -> bytes:
    """An ICNS of 32 and 64 pixels, PNG inside."""
    body = b""
    for side, code in ((32, b"icp5"), (64, b"icp6")):
        png = io.BytesIO()
        photo.resize((side, side), Image.Resampling.LANCZOS).convert("RGBA").save(png, "PNG")
        body += code + struct.pack(">I", png.tell() + 8) + png.getvalue()
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def any_map(photo: Image.Image) -> bytes:
    """PAM, Netpbm's format with transparency: the left half is see-through."""
    small = photo.resize((64, 48), Image.Resampling.LANCZOS).convert("RGBA")
    alpha = Image.new("L", (64, 48), 255)
    alpha.paste(0, (0, 0, 32, 48))
    small.putalpha(alpha)
    header = b"P7\nWIDTH 64\nHEIGHT 48\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    return header + small.tobytes()


def negative(photo: Image.Image, make: str, model: str) -> bytes:
    """A DNG of the picture as a sensor with a Bayer pattern (RGGB) sees it, 16 bits, linear."""
    colours = (np.asarray(photo).astype(np.float64) / 255) ** 2.2
    high, wide = colours.shape[:2]
    sensor = np.zeros((high, wide))
    sensor[0::2, 0::2] = colours[0::2, 0::2, 0]
    sensor[0::2, 1::2] = colours[0::2, 1::2, 1]
    sensor[1::2, 0::2] = colours[1::2, 0::2, 1]
    sensor[1::2, 1::2] = colours[1::2, 1::2, 2]
    pixels = (sensor * 65535).astype("<u2").tobytes()
    # The sensor's colours are sRGB's: XYZ to camera is XYZ to linear sRGB (IEC 61966-2-1).
    matrix = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
    rationals = b"".join(struct.pack("<ii", round(v * 10_000), 10_000) for v in matrix)
    neutral = struct.pack("<IIIIII", 1, 1, 1, 1, 1, 1)
    entries: list[tuple[int, int, int, int | bytes | None]] = [
        (254, 4, 1, 0),
        (256, 4, 1, wide),
        (257, 4, 1, high),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 32803),
        (271, 2, len(make) + 1, make.encode() + b"\0"),
        (272, 2, len(model) + 1, model.encode() + b"\0"),
        (273, 4, 1, None),
        (277, 3, 1, 1),
        (278, 4, 1, high),
        (279, 4, 1, len(pixels)),
        (33421, 3, 2, b"\2\0\2\0"),
        (33422, 1, 4, b"\0\1\1\2"),
        (50706, 1, 4, b"\1\4\0\0"),
        (50708, 2, len(model) + 1, model.encode() + b"\0"),
        (50717, 4, 1, 65535),
        (50721, 10, 9, rationals),
        (50728, 5, 3, neutral),
        (50778, 3, 1, 21),
    ]
    after = 8 + 2 + 12 * len(entries) + 4
    extra = b""
    table = b""
    for tag, kind, count, value in entries:
        if isinstance(value, bytes) and len(value) > 4:
            table += struct.pack("<HHII", tag, kind, count, after + len(extra))
            extra += value + bytes(len(value) % 2)
        else:
            field = value if isinstance(value, bytes) else struct.pack("<I", value or 0)
            table += struct.pack("<HHI", tag, kind, count) + field.ljust(4, b"\0")
    at = table.index(struct.pack("<HHI", 273, 4, 1)) + 8
    table = table[:at] + struct.pack("<I", after + len(extra)) + table[at + 4 :]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4) + extra + pixels


def main() -> None:
    """Write them all."""
    photo = picture()
    by_imagemagick(photo, "photo.heic", "-quality", "90")
    by_imagemagick(photo, "photo.jp2", "-quality", "90")
    by_imagemagick(photo, "photo.dds", "-define", "dds:compression=none")
    by_imagemagick(photo, "photo.sgi", "-compress", "RLE")
    by_imagemagick(photo.quantize(64).convert("RGB"), "photo.pcx", "-type", "palette")
    (HERE / "photo.tga").write_bytes(targa(photo))
    by_imagemagick(photo.resize((64, 48)), "photo.ico", "-define", "icon:auto-resize=48,16")
    by_imagemagick(photo, "photo.ppm")
    by_imagemagick(photo.convert("L"), "photo.pgm")
    by_imagemagick(photo.convert("1"), "photo.pbm")
    layered(photo)
    (HERE / "photo.icns").write_bytes(apple_icon(photo))
    (HERE / "photo.cur").write_bytes(cursor(photo))
    (HERE / "photo.pnm").write_bytes(any_map(photo))
    (HERE / "photo.dng").write_bytes(negative(photo, "Ephemera", "Ephemera One"))
    array = np.asarray(photo)
    (HERE / "photo.jxl").write_bytes(imagecodecs.jpegxl_encode(array, level=90, effort=7))
    (HERE / "photo.qoi").write_bytes(imagecodecs.qoi_encode(array))
    (HERE / "photo.jxr").write_bytes(imagecodecs.jpegxr_encode(array, level=90))


if __name__ == "__main__":
    main()
