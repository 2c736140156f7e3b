"""What the pdf family offers: declarations only, no codec."""

from engine.converter import Converter, Family
from engine.job import Bounds
from sandbox.limits import MIB, Limits

CONVERTERS: tuple[Converter, ...] = ()

FAMILY = Family(
    name="pdf",
    preload=("engine.task", "engine.converters.pdf.warm"),
    warm="engine.converters.pdf.warm:warm",
    touch="engine.converters.pdf.warm:touch",
    limits=Limits(address_space_bytes=1536 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
