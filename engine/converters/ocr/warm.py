"""Make the recognisers and use them once, on a word, before the fork."""

import io

from PIL import Image, ImageDraw

from engine.converter import Work
from engine.converters import typefaces
from engine.converters.ocr import catalogue, reader
from engine.converters.ocr.recognise import recognise
from engine.converters.opening import PLUGINS
from engine.errors import EngineError
from engine.job import Bounds, Buffer

# What a spare is touched with.
_touchstone: list[Image.Image] = []
_TARGETS = tuple(target for one in catalogue.CONVERTERS for target in one.targets)
_TOUCH = catalogue.RecogniseOptions(layout="word")


def warm() -> None:
    """Recognise one word in every language, from each format and to each."""
    typefaces.install()
    reader.load()
    word = Image.new("L", (60, 24), 255)
    ImageDraw.Draw(word).text((6, 6), "one", fill=0)
    _touchstone.append(word)
    for languages in reader.combinations():
        reader.read(word, 96, 96, catalogue.RecogniseOptions(language=languages, layout="line"))
    for source in catalogue.IMAGES:
        buffer = io.BytesIO()
        word.save(buffer, PLUGINS[source][0])
        for target in _TARGETS:
            _attempt(buffer.getvalue(), source, target)
        _attempt(buffer.getvalue()[:40], source, "txt")
        if source == "png":
            document = _attempt(buffer.getvalue(), source, "pdf")
            for target in _TARGETS:
                _attempt(document, "pdf", target)
                _attempt(document[: len(document) // 2], "pdf", target)


def touch() -> None:
    """One word, the smallest thing there is to recognise."""
    reader.read(_touchstone[0], 96, 96, _TOUCH)


def _attempt(upload: Buffer, source: str, target: str) -> Buffer:
    work = Work(
        sources=(source,),
        target=target,
        inputs=(upload,),
        options=catalogue.RecogniseOptions(),
        bounds=Bounds(),
    )
    try:
        return recognise(work).files[0]
    except EngineError:
        return b""
