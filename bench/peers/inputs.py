"""The files that all peers convert, made once by script and kept in the cache.

Peers that read from a disk are given this folder; all others get the same bytes over HTTP.
"""

import hashlib
import io
import random
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import typst
from PIL import Image, ImageDraw

from bench import catalogue_inputs as made
from bench import corpus
from bench.peers import cache

MERGED = 10
BATCH = 100
_GIF_FRAMES, _GIF_SIZE = 24, (320, 240)
_WORDS_A_PAGE, _PAGES = 420, 10

PHOTO, WEB, HEIC, ANIMATION = "photo.jpg", "web.png", "photo.heic", "animation.gif"
PAGE, REPORT, NOTES, LETTER = "page.pdf", "report.pdf", "notes.md", "letter.docx"
TABLE, SOUND, SMALL, ICON = "table.xlsx", "sound.wav", "small.jpg", "icon.png"
PARTS = tuple(f"part-{n}.pdf" for n in range(MERGED))
PICTURES = tuple(f"picture-{n}.jpg" for n in range(MERGED))
TILES = tuple(f"tile-{n:03}.png" for n in range(BATCH))


class Corpus:
    """The folder of files; a file that could not be made is not in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, bytes] = {}

    def has(self, names: Iterable[str]) -> bool:
        """Whether all of them could be made."""
        return all(self.path(name).is_file() for name in names)

    def path(self, name: str) -> Path:
        """Where a file lies, for peers that want a path."""
        return self.folder / name

    def bytes(self, name: str) -> bytes:
        """What is in it, read once."""
        if name not in self._read:
            self._read[name] = self.path(name).read_bytes()
        return self._read[name]


def prepared() -> Corpus:
    """Make what is missing: half a minute the first time."""
    sources = (__file__, str(corpus.__file__), str(made.__file__))
    digest = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources))
    return Corpus(cache.kept(f"corpus-{digest.hexdigest()[:12]}", _make_all))


def _make_all(folder: Path) -> None:
    makers: dict[str, Callable[[], bytes]] = {
        PHOTO: corpus.jpeg_12mp,
        WEB: lambda: corpus.png(1200, 900),
        HEIC: made.heic,
        ANIMATION: _animation,
        PAGE: made.pdf_page,
        REPORT: made.pdf,
        NOTES: made.markdown,
        LETTER: made.docx,
        TABLE: made.xlsx,
        SOUND: made.wav,
        SMALL: lambda: corpus.jpeg(240, 160),
        ICON: corpus.png_64px,
        **{name: (lambda n=n: _document(n)) for n, name in enumerate(PARTS)},
        **{name: (lambda n=n: corpus.jpeg(1200 + n, 900)) for n, name in enumerate(PICTURES)},
        **{name: (lambda n=n: corpus.png(96 + n % 10, 64)) for n, name in enumerate(TILES)},
    }  # fmt: skip
    for name, make in makers.items():
        try:
            (folder / name).write_bytes(make())
        except made.Absent as missing:
            print(f"left out: {name}; {missing}, which makes it, is not to be had")


def _animation() -> bytes:
    """A disc that moves over a photograph: what a short film looks like as a GIF."""
    ground = corpus.picture(*_GIF_SIZE)
    frames = []
    for number in range(_GIF_FRAMES):
        frame = ground.copy()
        at = 10 + number * 11
        ImageDraw.Draw(frame).ellipse((at, 80, at + 60, 140), fill=(240, 200, 40))
        frames.append(frame.quantize(128, dither=Image.Dither.NONE))
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    return out.getvalue()


def _document(number: int) -> bytes:
    """Ten pages of words that no other document has in this order, and a photograph."""
    chance = random.Random(number)  # noqa: S311  # words, not secrets
    words = made.markdown().decode().split()
    with tempfile.TemporaryDirectory() as name:
        corpus.picture(900, 600).save(Path(name, "picture.jpg"), quality=80)
        body = '#set page(paper: "a4", numbering: "1")\n#image("picture.jpg", width: 60%)\n'
        for page in range(_PAGES):
            plain = [word for word in chance.sample(words, _WORDS_A_PAGE) if word.isalnum()]
            body += f"= Part {number}, chapter {page}\n{' '.join(plain)}\n#pagebreak(weak: true)\n"
        (source := Path(name, "part.typ")).write_text(body)
        return bytes(typst.compile(str(source), root=name))
