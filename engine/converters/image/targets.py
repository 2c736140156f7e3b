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
    lossy: bool = False
    side_max: int = 65_535

    @property
    def title(self) -> str:
        """As customers read it."""
        return find(self.name).title.removesuffix(" image")


TARGETS: dict[str, Target] = {
    row.name: row
    for row in (
        Target(name="jpeg", modes=frozenset({"L", "RGB", "CMYK"}), lossy=True, side_max=65_500),
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
            lossy=True,
            side_max=16_383,
        ),
        Target(
            name="avif",
            modes=frozenset({"L", "RGB", "RGBA"}),
            alpha=True,
            animated=True,
            lossy=True,
        ),
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
        Target(
            name="bmp", modes=frozenset({"1", "L", "P", "RGB"}), icc=False, exif=False, xmp=False
        ),
    )
}
