"""The inputs that the benches convert, made on the spot: nothing large is committed.

A synthetic photograph must cost a JPEG decoder what a camera's does, so it has structure at every
scale (octaves of noise, enlarged smoothly) and sensor-like grain on top: about 2 to 3 bits a pixel
at quality 90, the entropy of real 12-megapixel pictures.
"""

import functools
import io

from PIL import Image, ImageChops

# Octaves from a few blobs to fine texture; each is half as strong as the one before.
OCTAVES = (6, 12, 24, 48, 96, 192, 384)
GRAIN_SIGMA = 10


def picture(width: int, height: int) -> Image.Image:
    """An RGB picture with the statistics of a photograph."""
    bands = []
    for band in range(3):
        total = Image.new("L", (width, height), 128)
        strength = 110.0
        for octave in OCTAVES:
            if octave * 2 > width:
                break
            rows = max(1, octave * height // width)
            noise = Image.effect_noise((octave + band, rows + band), strength)
            total = ImageChops.add(
                total, noise.resize((width, height), Image.Resampling.BICUBIC), offset=-128
            )
            strength /= 1.6
        grain = Image.effect_noise((width, height), GRAIN_SIGMA)
        bands.append(ImageChops.add(total, grain, offset=-128))
    return Image.merge("RGB", bands)


@functools.cache
def jpeg(width: int, height: int, quality: int = 90) -> bytes:
    """A photograph as JPEG with 4:2:0 chroma, as cameras write it."""
    out = io.BytesIO()
    picture(width, height).save(out, "JPEG", quality=quality)
    return out.getvalue()


@functools.cache
def png(width: int, height: int) -> bytes:
    """The same as PNG."""
    out = io.BytesIO()
    picture(width, height).save(out, "PNG", compress_level=6)
    return out.getvalue()


def jpeg_12mp() -> bytes:
    """4000 x 3000, what a phone makes."""
    return jpeg(4000, 3000)


def jpeg_1mp() -> bytes:
    """1200 x 900, what a web page shows."""
    return jpeg(1200, 900)


def png_64px() -> bytes:
    """An icon: the fixed cost of a conversion and nothing else."""
    return png(64, 64)
