"""JPEG, WebP, AVIF and PNG against sharp (libvips): bytes at equal similarity, and CPU.

npm fetches sharp, and apt the photographs of Debian's mate-backgrounds, into a temporary directory.
We write each picture as somebody does who gives no option. For sharp, with its own defaults and our
chroma, the quality is searched at which its result is as similar to the original as ours, and its
bytes are interpolated between the two qualities around that. Both are fed pixels, both results are
decoded by libvips and judged by `quality_judge`.
"""

import io
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import typst
from PIL import Image

from bench import corpus
from bench.quality_judge import similarity
from engine import task
from tests.engine.calls import convert

_PHOTOGRAPHS = ("nature/Garden", "nature/Storm", "nature/Wood", "nature/YellowFlower")
_WIDTH = 1024
# Encoders of different versions differ by this much and more from picture to picture.
_AS_GOOD = 1.02
_REPEATS = 3

# One request a line: encode raw pixels, or decode a file to them. One thread, as our workers have.
_PEER = """
const sharp = require('sharp'), fs = require('fs'), lines = require('readline');
sharp.concurrency(1); sharp.cache(false);
lines.createInterface({input: process.stdin}).on('line', async line => {
  const ask = JSON.parse(line); let answer = {};
  if (ask.decode) {
    fs.writeFileSync(ask.out, await sharp(ask.decode).removeAlpha().toColourspace('srgb').raw().toBuffer());
  } else if (ask.resize) {
    await sharp(ask.resize).resize({width: ask.width}).png().toFile(ask.out);
  } else {
    const pixels = fs.readFileSync(ask.encode), raw = {width: ask.width, height: ask.height, channels: 3};
    const before = process.cpuUsage();
    const made = await sharp(pixels, {raw})[ask.format](ask.options).toBuffer();
    const used = process.cpuUsage(before);
    answer = {cpu_ms: (used.user + used.system) / 1000};
    fs.writeFileSync(ask.out, made);
  }
  console.log(JSON.stringify(answer));
});
"""  # noqa: E501  # a script


class Made(msgspec.Struct, frozen=True):
    """One encoded picture."""

    size: float
    likeness: float
    cpu_ms: float


class Sharp:
    """A Node process with sharp, and the folder through which pictures go to it."""

    def __init__(self, folder: Path, asked: IO[str], answered: IO[str]) -> None:
        self._folder = folder
        self._asked = asked
        self._answered = answered

    def encode(self, picture: Image.Image, target: str, **options: object) -> tuple[bytes, float]:
        """The file, and the CPU milliseconds that it took."""
        source, out = self._folder / "pixels", self._folder / "encoded"
        source.write_bytes(picture.tobytes())
        said = self._ask(
            encode=str(source),
            out=str(out),
            width=picture.width,
            height=picture.height,
            format=target,
            options=options,
        )
        return out.read_bytes(), float(said["cpu_ms"])

    def decode(self, file: bytes, size: tuple[int, int]) -> Image.Image:
        """The picture of a file."""
        source, out = self._folder / "file", self._folder / "decoded"
        source.write_bytes(file)
        self._ask(decode=str(source), out=str(out))
        return Image.frombytes("RGB", size, out.read_bytes())

    def resize(self, file: bytes, width: int) -> Image.Image:
        """The picture of a file, scaled."""
        source, out = self._folder / "file", self._folder / "scaled.png"
        source.write_bytes(file)
        self._ask(resize=str(source), width=width, out=str(out))
        with Image.open(out) as scaled:
            return scaled.convert("RGB")

    def _ask(self, **request: object) -> dict[str, Any]:
        self._asked.write(json.dumps(request) + "\n")
        self._asked.flush()
        answer: dict[str, Any] = json.loads(self._answered.readline())
        return answer


@contextmanager
def sharp() -> Iterator[Sharp]:
    """Fetch it and start it. Raises OSError, CalledProcessError where npm or node is missing."""
    with tempfile.TemporaryDirectory() as name:
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", name, "sharp"]
        subprocess.run(npm, check=True, capture_output=True)
        with subprocess.Popen(
            ["node", "-e", _PEER],
            cwd=name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as node:
            assert node.stdin is not None
            assert node.stdout is not None
            yield Sharp(Path(name), node.stdin, node.stdout)
            node.stdin.close()


def pictures() -> dict[str, Image.Image]:
    """Photographs where apt has them, one that is computed, a page of print and a drawing."""
    found = _photographs()
    found["computed"] = corpus.picture(_WIDTH, 680)
    text = "#set page(width: 512pt, height: 340pt, margin: 24pt)\n= Bill 4711\n" + "#lorem(150)\n"
    found["print"] = _typeset(text + "#text(red)[#lorem(30)]")
    shapes = "#for n in range(12) [#circle(radius: 30pt, fill: gradient.linear(red, blue)) ]"
    found["drawing"] = _typeset(
        f"#set page(width: 512pt, height: 340pt, fill: rgb(230, 240, 250))\n#columns(4)[{shapes}]"
    )
    return found


def _typeset(text: str) -> Image.Image:
    made = typst.compile(text.encode(), format="png", ppi=144)
    return Image.open(io.BytesIO(made)).convert("RGB")


def _photographs() -> dict[str, Image.Image]:
    """Made half as large or less, so that the traces of their own compression are gone."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        try:
            apt = ["apt-get", "download", "mate-backgrounds"]
            subprocess.run(apt, cwd=name, check=True, capture_output=True)
            package = next(Path(name).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(package), name], check=True)
        except (OSError, subprocess.CalledProcessError, StopIteration):
            print("apt has no mate-backgrounds: no photographs among the pictures")
            return {}
        for photograph in _PHOTOGRAPHS:
            with Image.open(f"{name}/usr/share/backgrounds/mate/{photograph}.jpg") as opened:
                whole = opened.convert("RGB")
            size = (_WIDTH, _WIDTH * whole.height // whole.width // 2 * 2)
            found[Path(photograph).name] = whole.resize(size, Image.Resampling.LANCZOS)
    return found


def table() -> list[str]:
    """Print the tables; the rows that are worse."""
    try:
        with sharp() as peer:
            __import__("engine.converters.image.warm")
            task.warm()
            seen = pictures()
            return [*_lossy(peer, seen), *_lossless(peer, seen), *_scaled(peer)]
    except (OSError, subprocess.CalledProcessError) as failure:
        print(f"left out: sharp cannot be fetched or started ({failure})")
        return []


class Peer(msgspec.Struct, frozen=True):
    """What sharp is told beside the quality, so that both spend their bytes alike."""

    target: str
    said: str
    options: dict[str, object]


# Effort 3 of its AVIF takes the CPU of our speed 6; iq is what our library chooses (same bytes).
_PEERS = (
    Peer("jpeg", "defaults", {"chromaSubsampling": "4:2:0"}),
    Peer("webp", "defaults", {}),
    Peer("avif", "effort 3, tune iq", {"chromaSubsampling": "4:2:0", "effort": 3, "tune": "iq"}),
    Peer("avif", "defaults", {"chromaSubsampling": "4:2:0"}),
)
# By how a row begins: up to which ratio it may be worse, and why; bench/README.md says the same.
# Beyond it a row has no reason, so that a new loss does not hide behind an old one.
_ACCEPTED: dict[str, tuple[float, str]] = {
    "avif, effort 3": (1.08, "single pictures differ either way, the mean by 1 %; cause not found"),
    "avif, defaults": (1.35, "sharp's default takes 2 to 6 times the CPU"),
    "png": (1.15, "lines are always filtered: print is larger, photographs are far smaller"),
}
REASONS = {begin: why for begin, (_, why) in _ACCEPTED.items()}


def _named(row: str, ratio: float) -> str:
    """A row that is worse; out of reach of its reason where that does not cover so much."""
    most = next((most for begin, (most, _) in _ACCEPTED.items() if row.startswith(begin)), 0.0)
    return f"{'' if ratio <= most else 'far worse: '}{row}: {ratio:.3f}"


def _lossy(peer: Sharp, seen: dict[str, Image.Image]) -> list[str]:
    worse = []
    for told in _PEERS:
        print(
            f"\n{told.target}, sharp: {told.said}\n{'picture':14} {'SSIM':>7} {'ours':>8}"
            f" {'sharp':>8} {'ratio':>6} {'CPU ms':>7} {'sharp':>7}  verdict"
        )
        ratios = []
        for name, picture in seen.items():
            ours = _ours(peer, picture, told.target)
            theirs = _as_alike(peer, picture, told, ours.likeness)
            ratio = ours.size / theirs.size
            ratios.append(ratio)
            print(
                f"{name:14} {ours.likeness:7.4f} {ours.size:8.0f} {theirs.size:8.0f}"
                f" {ratio:6.3f} {ours.cpu_ms:7.1f} {theirs.cpu_ms:7.1f}  {verdict(ratio)}",
                flush=True,
            )
            if ratio > _AS_GOOD:
                worse.append(_named(f"{told.target}, {told.said}, {name}", ratio))
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"{'geometric mean':14} {mean:33.3f}")
    return worse


def verdict(ratio: float) -> str:
    """A ratio of bytes in one word."""
    if ratio > _AS_GOOD:
        return "worse"
    return "as good" if ratio > 2 - _AS_GOOD else "better"


def _ours(peer: Sharp, picture: Image.Image, target: str) -> Made:
    file, cpu_ms = _converted(picture, target)
    decoded = peer.decode(file, picture.size)
    return Made(len(file), similarity(decoded, picture), cpu_ms)


def _converted(picture: Image.Image, target: str) -> tuple[bytes, float]:
    """Our file, from pixels, and the least of several CPU times."""
    pixels = io.BytesIO()
    picture.save(pixels, "PPM")
    costs, file = [], b""
    for _ in range(_REPEATS):
        begun = time.process_time()
        file = convert(pixels.getvalue(), "ppm", target).file
        costs.append(time.process_time() - begun)
    return file, 1000 * min(costs)


def _as_alike(peer: Sharp, picture: Image.Image, told: Peer, wanted: float) -> Made:
    """What sharp needs for this likeness, between the two qualities around it."""
    tried: dict[int, Made] = {}

    def at(quality: int) -> Made:
        if quality not in tried:
            file, cpu_ms = peer.encode(picture, told.target, quality=quality, **told.options)
            likeness = similarity(peer.decode(file, picture.size), picture)
            tried[quality] = Made(len(file), likeness, cpu_ms)
        return tried[quality]

    low, high = 20, 98
    while high - low > 1:
        middle = (low + high) // 2
        if at(middle).likeness < wanted:
            low = middle
        else:
            high = middle
    below, above = at(low), at(high)
    span = above.likeness - below.likeness
    share = min(1.0, max(0.0, (wanted - below.likeness) / span)) if span > 0 else 1.0
    size = math.exp(math.log(below.size) * (1 - share) + math.log(above.size) * share)
    return Made(size, wanted, (below.cpu_ms + above.cpu_ms) / 2)


def _lossless(peer: Sharp, seen: dict[str, Image.Image]) -> list[str]:
    print(
        f"\npng, the same pixels\n{'picture':14} {'ours':>8} {'sharp':>8} {'ratio':>6}"
        f" {'CPU ms':>7} {'sharp':>7}  verdict"
    )
    worse = []
    for name, picture in seen.items():
        file, cpu_ms = _converted(picture, "png")
        assert peer.decode(file, picture.size).tobytes() == picture.tobytes()
        theirs, their_ms = peer.encode(picture, "png")
        ratio = len(file) / len(theirs)
        print(
            f"{name:14} {len(file):8} {len(theirs):8} {ratio:6.3f} {cpu_ms:7.1f}"
            f" {their_ms:7.1f}  {verdict(ratio)}"
        )
        if ratio > _AS_GOOD:
            worse.append(_named(f"png of {name}", ratio))
    return worse


def _scaled(peer: Sharp) -> list[str]:
    """Pictures made small, against Lanczos of all their pixels in floating point."""
    print("\nmade small, SSIM with exact Lanczos")
    worse = []
    for name, photograph, width in (
        ("12 MP JPEG to 800 px", corpus.jpeg_12mp(), 800),
        ("1,923 x 1,201 JPEG to 384 px", corpus.jpeg(1923, 1201), 384),
    ):
        file = convert(photograph, "jpeg", "png", width=width).file
        mine = Image.open(io.BytesIO(file)).convert("RGB")
        exact = _exactly(photograph, mine.size)
        ours, theirs = similarity(mine, exact), similarity(peer.resize(photograph, width), exact)
        said = (
            "worse" if ours < theirs - 0.001 else "as good" if ours < theirs + 0.001 else "better"
        )
        print(f"{name:30}  ours {ours:.4f}  sharp {theirs:.4f}  {said}")
        worse += [name] * (said == "worse")
    return worse


def _exactly(photograph: bytes, size: tuple[int, int]) -> Image.Image:
    with Image.open(io.BytesIO(photograph)) as opened:
        bands = opened.convert("RGB").split()
    return Image.merge(
        "RGB",
        [band.convert("F").resize(size, Image.Resampling.LANCZOS).convert("L") for band in bands],
    )
