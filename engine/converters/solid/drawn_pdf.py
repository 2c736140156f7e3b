"""A recorded drawing as a PDF page of vectors.

ezdxf's own PDF output needs a library under the AGPL. Its SVG output turns everything into paths of
five commands first; here the same paths go onto reportlab's canvas instead.
"""

import io
import re
from typing import Any

from ezdxf.addons.drawing import layout, svg
from reportlab.lib.colors import Color
from reportlab.pdfgen.canvas import FILL_EVEN_ODD, Canvas

_POINTS_A_MM = 72 / 25.4
_TOKEN = re.compile(r"[A-Za-z]|-?\d+")
# Numbers that follow each command, and whether they count from the pen.
_COMMANDS = {"M": (2, False), "m": (2, True), "l": (2, True), "q": (4, True), "c": (6, True)}


class PdfPage:
    """Draws a recording once."""

    def __init__(self, recorder: svg.SVGBackend, page: Any, settings: layout.Settings) -> None:
        self._buffer = io.BytesIO()
        canvases: list[_PdfBackend] = []

        def make(final: Any, how: layout.Settings) -> _PdfBackend:
            canvases.append(_PdfBackend(final, how, self._buffer))
            return canvases[-1]

        # What the recorder calls to get the backend that it replays to.
        vars(recorder)["make_backend"] = make
        recorder.get_xml_root_element(page, settings=settings)
        for one in canvases:
            one.close()

    def written(self) -> bytes:
        """The document."""
        return self._buffer.getvalue()


class _PdfBackend(svg.SVGRenderBackend):
    """Takes the paths that would become SVG elements."""

    def __init__(self, page: Any, settings: layout.Settings, buffer: io.BytesIO) -> None:
        size = (page.width_in_mm * _POINTS_A_MM, page.height_in_mm * _POINTS_A_MM)
        self._canvas = Canvas(buffer, pagesize=size, invariant=1, pageCompression=1)
        super().__init__(page, settings)
        self._width, self._height = svg.make_view_box(page, settings.output_coordinate_space)
        self._canvas.setProducer("Ephemera")
        # The view box counts from the upper left corner downwards.
        scale = size[0] / max(self._width, 1)
        self._canvas.transform(scale, 0, 0, -scale, 0, size[1])
        self._canvas.setLineCap(1)
        self._canvas.setLineJoin(1)

    def set_background(self, color: str) -> None:
        """Fill the page."""
        self._canvas.setFillColor(self._colour(color))
        self._canvas.rect(0, 0, self._width, self._height, stroke=0, fill=1)

    def add_strokes(self, d: str, properties: Any) -> None:
        """Draw a path's line."""
        if d:
            self._canvas.setStrokeColor(self._colour(properties.color))
            self._canvas.setLineWidth(self.resolve_stroke_width(properties.lineweight))
            self._canvas.drawPath(self._path(d), stroke=1, fill=0)

    def add_filling(self, d: str, properties: Any) -> None:
        """Fill a path."""
        if d:
            self._canvas.setFillColor(self._colour(properties.color))
            self._canvas.drawPath(self._path(d), stroke=0, fill=1, fillMode=FILL_EVEN_ODD)

    def _colour(self, color: str) -> Color:
        word, opacity = self.resolve_color(color)
        red, green, blue = (int(word[at : at + 2], 16) / 255 for at in (1, 3, 5))
        return Color(red, green, blue, alpha=opacity)

    def _path(self, d: str) -> Any:
        path = self._canvas.beginPath()
        x = y = 0.0
        command = "M"
        numbers: list[float] = []
        for token in _TOKEN.findall(d):
            if token == "Z":  # noqa: S105  # closes a path
                path.close()
                continue
            if token.isalpha():
                command = token
                continue
            numbers.append(float(token))
            count, relative = _COMMANDS[command]
            if len(numbers) < count:
                continue
            if relative:
                numbers = [one + (x, y)[place % 2] for place, one in enumerate(numbers)]
            _add(path, command, (x, y), numbers)
            x, y = numbers[-2:]
            numbers = []
        return path

    def close(self) -> None:
        """End the page and the document."""
        self._canvas.showPage()
        self._canvas.save()


def _add(path: Any, command: str, pen: tuple[float, float], to: list[float]) -> None:
    if command in {"M", "m"}:
        path.moveTo(*to)
    elif command == "l":
        path.lineTo(*to)
    elif command == "c":
        path.curveTo(*to)
    else:
        # A quadratic curve as a cubic one: its control point counts two thirds to each side.
        (x0, y0), (cx, cy, x1, y1) = pen, to
        path.curveTo(
            x0 + (cx - x0) * 2 / 3, y0 + (cy - y0) * 2 / 3,
            x1 + (cx - x1) * 2 / 3, y1 + (cy - y1) * 2 / 3, x1, y1,
        )  # fmt: skip
