"""image.convert: one picture, decoded and handed to what the families share."""

from engine.converter import Result, Work
from engine.converters.raster.description import described
from engine.converters.raster.pipeline import bind as bind_pages
from engine.converters.raster.pipeline import produce
from engine.converters.raster.sources import open_source


def convert(work: Work) -> Result:
    """Convert one image. Raises the errors of decoding, bounds and encoding in engine.errors."""
    source = open_source(work.inputs[0], work.source, work.bounds)
    work.let_go()
    return produce(source, work.target, work.options, work.bounds)


def watermark(work: Work) -> Result:
    """The same, with the second picture laid over the result."""
    source = open_source(work.inputs[0], work.source, work.bounds)
    overlay = open_source(work.inputs[1], work.sources[1], work.bounds)
    return produce(source, work.target, work.options, work.bounds, overlay=overlay)


def bind(work: Work) -> Result:
    """The pictures as pages of a PDF, in the order in which they were sent."""
    sources = (
        open_source(upload, name, work.bounds)
        for upload, name in zip(work.inputs, work.sources, strict=True)
    )
    return bind_pages(sources, work.options, work.bounds)


def describe(work: Work) -> Result:
    """What the picture is and says, as JSON."""
    source = open_source(work.inputs[0], work.source, work.bounds)
    return described(source, work.inputs[0])
