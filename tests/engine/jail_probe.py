"""What a zygote and its worker do, without the sandbox: `jail_probe.py FAMILY [modules|events]`.

Preloads and warms the family as a zygote does, then converts everything in a forked child as a
worker does. It prints what is loaded after warming, and for `events` what Python opens or imports
in the child; run under strace, the kernel's view follows the line with MARKER.
"""

import os
import sys
from itertools import product
from pathlib import Path

import msgspec

from engine import task
from engine.converter import Converter
from engine.job import TaskRequest
from engine.registry import CONVERTERS, FAMILIES, family_of, parse_options
from tests.engine.pairs import ASKED, NEEDED, OPTIONS, WITHOUT_SAMPLE, sample

MARKER = "/the-worker-begins-here"
FILES = Path(__file__).parent.parent / "files"
_OPTIONS: dict[str, list[dict[str, object]]] = {
    "image.convert": [
        {},
        {"width": 50, "height": 50, "fit": "contain", "metadata": "keep", "icc": "keep"},
        {"width": 400, "enlarge": True, "frames": "first", "quality": 50, "effort": 3},
    ],
    "photo.convert": [{}, {"width": 50, "metadata": "keep", "rotate": 5, "blur": 1}],
    "pdf.protect": [{"user_password": "x", "allow": "print"}],
    "pdf.images": [{}, {"page_size": "a4", "margin_mm": 5, "fit": "shrink"}],
    "pdf.compress": [{"preset": "screen"}, {"level": "light", "linearise": True}],
    "pdf.rotate": [{}, {"password": "open sesame"}],
    "pdf.delete": [{"pages": "1"}],
    "pdf.split": [{}, {"size_mb": 0.002}, {"bookmarks": 1}],
    "pdf.crop": [{"left_mm": 5}, {"mode": "auto", "uniform": True}],
    "pdf.resize": [{}, {"page_size": "scale", "percent": 50}],
    "pdf.nup": [{"per_sheet": 4, "frame": True}],
    "pdf.watermark": [{"angle": 30}, {"position": "tiled", "layer": "under"}],
    "pdf.number": [{"text": "Ω {page}", "font": "serif"}, {"font": "mono"}],
    "pdf.set_metadata": [{"title": "x", "author": ""}],
    "pdf.set_bookmarks": [{"bookmarks": '[{"title": "x", "page": 1}]'}],
    "pdf.fill": [{"values": '{"name": "Ω"}'}, {"values": '{"name": "x"}', "flatten": True}],
    "pdf.redact": [{"words": '["alpha", "filled"]'}],
    "signing.sign": [
        {"key_password": "secret"},
        {"key_password": "secret", "visible": True, "width_mm": 40},
        {"key_password": "wrong"},
    ],
    "pdf.pdfa": [{"level": level, "fallback": "picture"} for level in ("1b", "2b", "3b")],
}
# What a library loads at first use, it loads for any other half of the pair.
_PAIRS_MAX = 60
# What is sent beside the first upload, where an operation needs it: its format, and the sample.
_BESIDE = {
    name: (kind, (FILES / sample).read_bytes())
    for name, kind, sample in (
        ("image.watermark", "png", "alpha.png"),
        ("pdf.attach", "jpeg", "photo.jpg"),
        ("pdf.merge", "pdf", "nine.pdf"),
        ("pdf.overlay", "pdf", "form.pdf"),
        ("pdf.watermark", "png", "alpha.png"),
        ("signing.sign", "p12", "pdf/rsa.p12"),
    )
}


def _uploads(family: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    names = {"jpg": "jpeg"}
    for path in sorted([*FILES.iterdir(), *(FILES / "image").iterdir()]):
        if path.suffix not in {".py", ""}:
            kind = path.suffix[1:]
            content = path.read_bytes()
            found.setdefault(names.get(kind, kind), []).extend(
                [content, content[: len(content) // 2]]
            )
    found["txt"] = [b"words"]
    # LibRaw looks inside: a maker's name on the same file is read alike.
    found |= dict.fromkeys(WITHOUT_SAMPLE, found["dng"])
    wanted = {source for one in CONVERTERS if one.family == family for source in one.sources}
    for name in sorted(wanted - set(found)):
        if (content := sample(name)) is not None:
            found[name] = [content, content[: len(content) // 2]]
    return found


def _options(converter: Converter, source: str, target: str) -> list[dict[str, object]]:
    """What the conversion is asked for: of some converters much, of each what it needs."""
    if converter.name in _OPTIONS:
        return _OPTIONS[converter.name]
    needed = OPTIONS.get(converter.name, {}) | NEEDED.get(source, {}) | ASKED.get(target, {})
    known = {field.name for field in msgspec.structs.fields(converter.options)}
    texts = {name: text for name, text in needed.items() if name in known}
    return [msgspec.to_builtins(parse_options(converter, texts))]


def _pairs(converter: Converter) -> list[tuple[str, str]]:
    """Each source and each target, in every combination where those are few."""
    sources, targets = converter.sources, converter.targets
    if len(sources) * len(targets) <= _PAIRS_MAX:
        return list(product(sources, targets))
    return [(source, targets[0]) for source in sources] + [
        (sources[0], target) for target in targets[1:]
    ]


def _convert_all(converters: list[Converter], uploads: dict[str, list[bytes]]) -> int:
    done = 0
    for converter in converters:
        kind, beside = _BESIDE.get(converter.name, ("", b""))
        more = [beside] if beside else []
        for source, target in _pairs(converter):
            asked = _options(converter, source, target)
            for upload, options in product(uploads.get(source, []), asked):
                sources = (source, kind) if more else (source,)
                request = TaskRequest(
                    converter.name, sources, target, options, family_of(converter).bounds
                )
                header, files = task.handle(msgspec.msgpack.encode(request), [upload, *more])
                done += bool(files)
                assert b"Crashed" not in header, header
    return done


def main(name: str, what: str) -> None:
    """Play zygote, then worker."""
    uploads = _uploads(name)
    family = next(one for one in FAMILIES if one.name == name)
    os.environ.update(family.environment)
    for module in family.preload:
        __import__(module)
    task.warm()
    converters = [one for one in CONVERTERS if one.family == name]
    threads = len(list(Path("/proc/self/task").iterdir()))
    sys.stdout.write(f"threads {threads}\n")
    sys.stdout.write(" ".join(sys.modules) + "\n")
    if what == "modules":
        return
    sys.stdout.flush()
    if os.fork() == 0:
        seen: list[str] = []
        os.access(MARKER, os.F_OK)
        sys.addaudithook(
            lambda event, arguments: (
                seen.append(f"{event} {arguments[0]}")
                if event in {"open", "import", "os.listdir", "subprocess.Popen", "socket.__new__"}
                else None
            )
        )
        task.touch()
        done = _convert_all(converters, uploads)
        os.write(1, f"converted {done}\n{chr(10).join(seen)}".encode())
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
