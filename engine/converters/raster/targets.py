"""What each target format can hold: the table that decides what is kept, flattened or warned of."""

import msgspec

from engine.formats import find


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The capabilities of one target. `modes` are Pillow's names of pixel layouts."""

    name: str
    modes: frozenset[str]
    alpha: bool = False
    icc: bool = True
    exif: bool = True
    # Pillow's TIFF writer fails on the Exif and GPS directories when it compresses.
    exif_directories: bool = True
    xmp: bool = True
    animated: bool = False
    pages: bool = False
    side_max: int = 65_535

    @property
    def title(self) -> str:
        """As customers read it."""
        return find(self.name).title.removesuffix(" image")

    @property
    def described(self) -> bool:
        """Whether it holds any metadata."""
        return self.exif or self.xmp


def _plain(name: str, modes: str, *, alpha: bool = False, side_max: int = 65_535) -> Target:
    """A format of pixels only: no profile, no metadata, one frame."""
    return Target(
        name=name,
        modes=frozenset(modes.split()),
        alpha=alpha,
        icc=False,
        exif=False,
        xmp=False,
        side_max=side_max,
    )


TARGETS: dict[str, Target] = {
    row.name: row
    for row in (
        Target(name="jpeg", modes=frozenset({"L", "RGB", "CMYK"}), side_max=65_500),
        Target(
            name="png",
            modes=frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}),
            alpha=True,
            animated=True,
        ),
        Target(
            name="webp",
            modes=frozenset({"RGB", "RGBA"}),
            alpha=True,
            animated=True,
            side_max=16_383,
        ),
        Target(name="avif", modes=frozenset({"L", "RGB", "RGBA"}), alpha=True, animated=True),
        Target(
            name="gif",
            modes=frozenset({"1", "L", "P", "RGB", "RGBA"}),  # made a palette when written
            alpha=True,
            animated=True,
            icc=False,
            exif=False,
            xmp=False,
        ),
        Target(
            name="tiff",
            modes=frozenset({"1", "L", "LA", "RGB", "RGBA", "CMYK", "I;16"}),
            # No "P": the writer's 16-bit colour map makes 254 of 255.
            alpha=True,
            exif_directories=False,
            pages=True,
        ),
        _plain("bmp", "1 L P RGB"),
        # Pictures of an icon are made from one of these; larger sources are reduced.
        _plain("ico", "RGBA", alpha=True),
        _plain("icns", "RGBA", alpha=True),
        # Pillow's writer has no place for a profile.
        _plain("jp2", "L LA RGB RGBA I;16", alpha=True),
        _plain("tga", "L LA P RGB RGBA", alpha=True),
        _plain("ppm", "RGB"),
        _plain("pgm", "L I;16"),
        _plain("pbm", "1"),
        _plain("dds", "L LA RGB RGBA", alpha=True, side_max=16_384),
        _plain("pcx", "1 L P RGB"),
        _plain("sgi", "L RGB RGBA", alpha=True),
        _plain("qoi", "RGB RGBA", alpha=True),
        Target(
            name="jxl",
            modes=frozenset({"L", "LA", "RGB", "RGBA", "I;16"}),
            alpha=True,
            animated=True,
        ),
        # As pictures on pages: alpha becomes a mask.
        Target(
            name="pdf",
            modes=frozenset({"1", "L", "LA", "RGB", "RGBA", "CMYK"}),
            alpha=True,
            icc=False,
            pages=True,
        ),
    )
}
