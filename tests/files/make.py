"""Make the small inputs that tests convert: `python tests/files/make.py`, deterministic.

They are committed so that a test never depends on the encoder it judges; run this again only to add
a file. The picture is asymmetric in every direction, so that a wrong turn cannot hide.
"""

import math
import random
import struct
from pathlib import Path

import pikepdf
from PIL import Image, ImageDraw, ImageFilter, PngImagePlugin

HERE = Path(__file__).parent
SIZE = (320, 240)
WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india".split()  # noqa: SIM905  # reads best as words


def photograph() -> Image.Image:
    """Sky, sun top right, hills, a tower left, grain: many colours, sharp and soft edges."""
    width, height = SIZE
    grain = random.Random(20)  # noqa: S311  # grain, not secrets
    image = Image.new("RGB", SIZE)
    image.putdata(
        [
            (int(90 + 60 * y / height), int(140 + 70 * y / height), 235 - int(40 * x / width))
            for y in range(height)
            for x in range(width)
        ]
    )
    draw = ImageDraw.Draw(image)
    draw.ellipse((250, 20, 295, 65), fill=(255, 240, 170))
    for depth, colour in enumerate([(70, 120, 90), (50, 100, 60), (40, 75, 35)]):
        ridge = [
            (x, 130 + 32 * depth + 14 * math.sin(x / (23 + 9 * depth) + depth))
            for x in range(0, width + 1, 4)
        ]
        draw.polygon([*ridge, (width, height), (0, height)], fill=colour)
    draw.rectangle((40, 70, 62, 190), fill=(150, 60, 50))
    draw.polygon([(34, 72), (51, 44), (68, 72)], fill=(110, 30, 30))
    image = image.filter(ImageFilter.GaussianBlur(0.7))
    return Image.frombytes(
        "RGB", SIZE, bytes(min(255, max(0, v + grain.randint(-3, 3))) for v in image.tobytes())
    )


def swapped_primaries() -> bytes:
    """A valid ICC v2 matrix profile whose red and green are exchanged, gamma 2.2: easy to see."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))

    text = b"swapped primaries"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(79),
        b"cprt": b"text\0\0\0\0public domain\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.3851, 0.7169, 0.0971),
        b"gXYZ": xyz(0.4361, 0.2225, 0.0139),
        b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
        **{
            name: b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x0233)
            for name in (b"rTRC", b"gTRC", b"bTRC")
        },
    }
    table, body = struct.pack(">I", len(tags)), b""
    begin = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", begin + len(body), len(content))
        body += padded
    size = begin + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return header + table + body


def exif(orientation: int) -> Image.Exif:
    """Camera, place and orientation: what must not leak, and what must be applied."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "Ephemera Camera Works"
    tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (11.0, 34.0, 0.0)})
    return tags


STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stills(photo: Image.Image) -> None:
    """One still of each kind of pixel."""
    photo.save(HERE / "photo.png", compress_level=9)
    for orientation, how in STORED_AS.items():
        stored = photo if how is None else photo.transpose(how)
        stored.resize((stored.width // 2, stored.height // 2), Image.Resampling.LANCZOS).save(
            HERE / f"orientation-{orientation}.jpg", quality=88, exif=exif(orientation)
        )
    red, green, blue = photo.split()
    Image.merge("RGB", (green, red, blue)).transpose(Image.Transpose.ROTATE_90).save(
        HERE / "photo.jpg",
        quality=90,
        subsampling="4:4:4",
        exif=exif(6),
        icc_profile=swapped_primaries(),
        comment=b"a comment that must not leak",
        dpi=(300, 300),
    )
    for name in ("webp", "avif", "tiff", "bmp", "gif"):
        how = {
            "webp": {"lossless": True},
            "avif": {"quality": 90},
            "tiff": {"compression": "tiff_lzw"},
        }
        small = photo.resize((160, 120), Image.Resampling.LANCZOS)
        small.save(HERE / f"photo.{name}", **how.get(name, {}))
    photo.convert("CMYK").resize((160, 120)).save(HERE / "cmyk.jpg", quality=90)
    photo.convert("L").resize((160, 120)).save(HERE / "grey.jpg", quality=90)
    photo.convert("1").save(HERE / "bitmap.png")
    photo.resize((160, 120)).quantize(64).save(HERE / "palette.png")
    shade = Image.linear_gradient("L").resize(SIZE)
    see_through = photo.copy()
    see_through.putalpha(shade)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a comment that must not leak")
    see_through.resize((160, 120)).save(HERE / "alpha.png", pnginfo=text)
    cut = photo.resize((160, 120)).quantize(200)
    cut.save(HERE / "palette-alpha.png", transparency=bytes(range(0, 200, 1)))
    deep = Image.new("I;16", (64, 48))
    deep.frombytes(
        struct.pack(
            "<3072H", *(x * 1024 + (x * y * 37) % 1024 for y in range(48) for x in range(64))
        )
    )
    deep.save(HERE / "grey16.png")
    floats = Image.new("F", (32, 24))
    floats.putdata([x / 31 for _ in range(24) for x in range(32)])
    floats.save(HERE / "float.tiff")


def animations(photo: Image.Image) -> None:
    """Five frames that differ, with their own durations, three plays, see-through corners."""
    frames = []
    for index in range(5):
        frame = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
        frame.paste(photo.resize((48, 36)), (2 * index, 3 * index))
        ImageDraw.Draw(frame).rectangle(
            (50, 2, 62, 10), fill=(50 * index, 255 - 50 * index, 90, 255)
        )
        frames.append(frame)
    durations = [100, 200, 300, 400, 500]
    timing = {"save_all": True, "append_images": frames[1:], "duration": durations}
    frames[0].save(HERE / "animation.gif", loop=2, disposal=2, **timing)
    frames[0].save(HERE / "animation.webp", loop=3, lossless=True, **timing)
    frames[0].save(HERE / "animation.png", loop=3, **timing)
    frames[0].save(HERE / "animation.avif", quality=90, **timing)
    pages = [
        photo.resize((100 + 20 * n, 80)).convert(mode) for n, mode in enumerate(["RGB", "L", "1"])
    ]
    pages[0].save(
        HERE / "pages.tiff", save_all=True, append_images=pages[1:], compression="tiff_deflate"
    )


def document(pages: int, title: str) -> pikepdf.Pdf:
    """Pages with one word each in Helvetica, 200 x 300 points, with a title and bookmarks."""
    made = pikepdf.new()
    font = made.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
    )
    for number in range(pages):
        page = made.add_blank_page(page_size=(200, 300))
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        word = f"{WORDS[number % len(WORDS)]} {title}"
        page.Contents = made.make_stream(f"BT /F1 14 Tf 20 250 Td ({word}) Tj ET".encode())
    made.docinfo["/Title"] = title
    return made


def documents() -> None:
    """PDFs: nine pages; three with bookmarks and a form field; encrypted with AES-256 and RC4."""
    document(9, "nine").save(HERE / "nine.pdf", static_id=True, compress_streams=False)
    with document(3, "three") as three:
        with three.open_outline() as outline:
            outline.root.append(pikepdf.OutlineItem("second", 1))
        field = three.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T=pikepdf.String("name"),
                V=pikepdf.String("filled in"),
                Rect=[20, 20, 120, 40],
                DA=pikepdf.String("/F1 10 Tf 0 g"),
            )
        )
        three.pages[0].Annots = pikepdf.Array([field])
        three.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([field]))
        three.save(HERE / "form.pdf", static_id=True)
    with document(2, "locked") as locked:
        lock = pikepdf.Encryption(user="open sesame", owner="owner", R=6)
        locked.save(HERE / "encrypted.pdf", encryption=lock)
        old = pikepdf.Encryption(user="", owner="owner", R=3, aes=False, metadata=False)
        locked.save(HERE / "restricted.pdf", encryption=old)


def sizes() -> str:
    """What was made, for the eye."""
    files = sorted(path for path in HERE.iterdir() if path.suffix != ".py" and path.is_file())
    return "\n".join(f"{path.stat().st_size:8d} {path.name}" for path in files)


if __name__ == "__main__":
    picture = photograph()
    stills(picture)
    animations(picture)
    documents()
    print(sizes())  # noqa: T201  # a script for people
