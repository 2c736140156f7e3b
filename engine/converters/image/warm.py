"""Use every image codec once, on a picture small enough to cost nothing.

A worker can open no file: what a library would load at first use has to be used before the fork.
"""

from collections.abc import Callable
from itertools import product

from PIL import Image, ImageCms

from engine.converter import Result, Work
from engine.converters.image import catalogue, codes, optimise, placeholder
from engine.converters.image.convert import bind, convert, describe, watermark
from engine.converters.raster import fonts
from engine.converters.raster.encode import Picture, encode
from engine.converters.raster.metadata import Metadata
from engine.converters.raster.options import ImageOptions, NoOptions, OptimiseOptions
from engine.errors import EngineError
from engine.job import Bounds, Buffer
from engine.rehearsal import Rehearsal

_SIDE = 24
# One picture and every option that calls a library, between them.
_RETOUCHED = ImageOptions(
    rotate=10,
    trim=True,
    blur=1,
    sharpen=1,
    gamma=2,
    saturation=2,
    watermark_text="warm \u05d0",
    colours=16,
)


def warm() -> list[Rehearsal]:
    """Read and write each format, the common options included; fail once where files do."""
    for name in (fonts.REGULAR, fonts.BOLD):
        fonts.content(name)
    samples = {source: _sample(source, frames=2) for source in catalogue.TARGETS}
    # A decoder knows nothing of the encoder: each with PNG is enough, and a tenth of all pairs.
    pairs = dict.fromkeys(
        pair for one in catalogue.RASTER for pair in ((one, "png"), ("png", one), (one, one))
    )
    for (source, target), options in product(
        pairs, (ImageOptions(), ImageOptions(width=9, metadata="keep", icc="keep"))
    ):
        _convert(samples[source], source, target, options)
    for source in catalogue.TARGETS:
        _convert(samples[source], source, "png", _RETOUCHED)
        _convert(samples["png"], "png", source, ImageOptions())
        _fail(samples[source], source)
    _read_only(samples["png"])
    _operations(samples)
    plain = Picture(
        frames=[Image.new("RGB", (_SIDE, _SIDE), (200, 90, 30))],
        durations_ms=[0],
        plays=0,
        metadata=Metadata(),
        icc=None,
    )
    jpeg, png = (encode(plain, name, ImageOptions(), 10_000) for name in ("jpeg", "png"))
    return [
        Rehearsal("image.convert", "jpeg", "jpeg", jpeg, {"width": _SIDE // 2}),
        Rehearsal("image.convert", "png", "jpeg", png),
    ]


def _read_only(picture: Buffer) -> None:
    """Decoders of what is never written, by a broken or tiny file; and options of other targets."""
    _fail(b"8BPS\0\1" + bytes(40), "psd")
    _fail(b"\0\0\2\0\1\0" + bytes(40), "cur")
    _convert(b"P2 1 1 9 5 ", "pnm", "png", ImageOptions())
    _convert(picture, "png", "jpeg", ImageOptions(colour_space="cmyk", bytes_max=50_000))
    _convert(picture, "png", "tiff", ImageOptions(colour_space="bitmap"))
    _convert(picture, "png", "png", ImageOptions(colour_space="grey", crop="1:1"))


def _operations(samples: dict[str, Buffer]) -> None:
    """The other operations, each on a picture that it takes."""
    _call(watermark, (samples["png"], samples["png"]), "png", "png", ImageOptions())
    _call(bind, (samples["tga"],), "tga", "pdf", ImageOptions())
    _call(bind, (samples["tga"],), "tga", "pdf", ImageOptions(lossless=True))
    _call(placeholder.blurhash, (samples["jpeg"],), "jpeg", "txt", catalogue.BlurhashOptions())
    for source in catalogue.RASTER:
        _call(describe, (samples[source],), source, "json", NoOptions())
    for metadata in ("strip", "keep"):
        _call(
            optimise.optimise,
            (samples["jpeg"],),
            "jpeg",
            "jpeg",
            OptimiseOptions(metadata=metadata),
        )
    code = _call(codes.draw, (b"warm",), "txt", "png", catalogue.CodeOptions(caption=True))
    _call(codes.draw, (b"warm",), "txt", "svg", catalogue.CodeOptions(kind="code-128"))
    for target in ("txt", "json"):
        _call(codes.read, (code,), "png", target, catalogue.ReadOptions())


def _sample(target: str, *, frames: int) -> Buffer:
    mode = {"pgm": "L", "pbm": "1", "ico": "RGBA", "icns": "RGBA"}.get(target, "RGB")
    shade = Image.linear_gradient("L").resize((_SIDE, _SIDE))
    pictures = [shade.convert("RGB").convert(mode)]
    pictures += [Image.new("RGB", (_SIDE, _SIDE), (200, 10 * n, 30)) for n in range(1, frames)]
    exif = Image.Exif()
    exif[0x010F] = "warm"
    several = target in {"png", "webp", "avif", "gif", "tiff"}
    picture = Picture(
        frames=pictures if several else pictures[:1],
        durations_ms=[100] * frames,
        plays=0,
        metadata=Metadata(exif=exif.tobytes(), xmp=b"<x/>", dpi=(72.0, 72.0)),
        icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),
    )
    return encode(picture, target, ImageOptions(), Bounds().output_bytes_max)


def _convert(data: Buffer, source: str, target: str, options: ImageOptions) -> None:
    _call(convert, (data,), source, target, options)


def _call(
    run: Callable[[Work], Result],
    inputs: tuple[Buffer, ...],
    source: str,
    target: str,
    options: object,
) -> Buffer:
    work = Work(
        sources=(source,) * len(inputs),
        target=target,
        inputs=inputs,
        options=options,
        bounds=Bounds(),
    )
    return run(work).files[0]


def _fail(data: Buffer, source: str) -> None:
    try:
        _convert(data[: len(data) // 2], source, "png", ImageOptions())
    except EngineError:
        return
