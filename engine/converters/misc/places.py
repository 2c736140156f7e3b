"""misc.places: GPX, GeoJSON, KML and tables of points into each other."""

import csv
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.misc import geojson, geoxml
from engine.converters.misc.catalogue import PlacesOptions
from engine.converters.misc.features import Counter, Feature, Point, checked
from engine.converters.misc.text import decode
from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible
from engine.formats import find
from sandbox.limits import MIB

_EXACT = 2**53
_KMZ_MAX = 128 * MIB
_LATITUDES = ("latitude", "lat", "y", "breite", "breitengrad")
_LONGITUDES = ("longitude", "lon", "lng", "long", "x", "länge", "laenge", "längengrad")
_ELEVATIONS = ("elevation", "ele", "altitude", "alt", "height", "z")
_TIMES = ("time", "timestamp", "datetime", "when")
_DAMAGE = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, csv.Error,
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError,
    NotImplementedError,
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise SourceTooComplex("the file is nested too deeply") from error
    except _DAMAGE as error:
        raise SourceUnreadable(
            f"the {find(source).title} cannot be read: it is damaged, or its coordinates are not on"
            " the globe"
        ) from error


def convert(work: Work) -> Result:
    """Convert one file of places. Raises SourceUnreadable, SourceTooComplex, TargetImpossible."""
    notes: list[str] = []
    with _reading(work.source):
        features = _read(work, notes)
    if not features:
        raise TargetImpossible("the file holds no places, tracks or areas")
    lost: set[str] = set()
    written = _write(features, work, lost)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(written)
    return Result(files=(buffer.take(),), warnings=(*notes, *sorted(lost)))


def _read(work: Work, notes: list[str]) -> list[Feature]:
    counter, content = Counter(), bytes(work.inputs[0])
    if work.source == "gpx":
        return geoxml.read_gpx(content, counter)
    if work.source == "kml":
        return geoxml.read_kml(content, counter)
    if work.source == "kmz":
        return geoxml.read_kml(_unpacked(content), counter)
    text = decode(content, "auto", notes)
    if work.source == "geojson":
        return geojson.read(text, counter)
    return _from_table(text, work.options, counter, notes)


def _unpacked(content: bytes) -> bytes:
    """The KML of a KMZ: its first one, as Google Earth takes it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.lower().endswith(".kml"))
        with archive.open(name) as stream:
            unpacked = stream.read(_KMZ_MAX + 1)
    if len(unpacked) > _KMZ_MAX:
        raise SourceTooComplex(f"the KMZ unpacks to more than {_KMZ_MAX // MIB} MiB, the limit")
    return unpacked


def _from_table(
    text: str, options: PlacesOptions, counter: Counter, notes: list[str]
) -> list[Feature]:
    start = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=start.count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    names = [name.strip() for name in next(rows)]
    columns = {
        "latitude": _column(names, options.latitude, _LATITUDES, "latitude"),
        "longitude": _column(names, options.longitude, _LONGITUDES, "longitude"),
        "elevation": _column(names, "", _ELEVATIONS, ""),
        "time": _column(names, "", _TIMES, ""),
    }
    taken = set(columns.values())
    comma = delimiter == ";"
    features: list[Feature] = []
    tracks: dict[str, list[Point]] = {}
    skipped = 0
    for row in rows:
        if not any(row):
            continue
        point = _row_point(row, columns, counter, comma=comma)
        if point is None:
            skipped += 1
            continue
        # A row may have more or fewer cells than there are names.
        told = {
            name: _typed(word)
            for place, (name, word) in enumerate(zip(names, row, strict=False))
            if place not in taken and word
        }
        track = str(told.pop("track", ""))
        if not track:
            features.append(Feature(kind="point", parts=[point], properties=told))
        elif track in tracks:
            tracks[track].append(point)
        else:
            tracks[track] = [point]
            features.append(Feature(kind="line", parts=[tracks[track]], properties=told))
    if skipped:
        notes.append(f"rows without coordinates, left out: {skipped}")
    return features


def _typed(word: str) -> str | int | float:
    """A number where it would be written the same way again."""
    for kind in (int, float):
        try:
            number: int | float = kind(word)
        except ValueError:
            continue
        if str(number) == word and abs(number) < _EXACT:
            return number
    return word


def _column(names: list[str], given: str, usual: tuple[str, ...], wanted: str) -> int:
    if given:
        if given in names:
            return names.index(given)
        raise TargetImpossible(f"the table has no column of the name given in {wanted}")
    low = [name.lower() for name in names]
    found = next((low.index(name) for name in usual if name in low), -1)
    if found < 0 and wanted:
        raise TargetImpossible(
            f"the table has no column called {wanted}; name it in the option {wanted}"
        )
    return found


def _row_point(
    row: list[str], columns: dict[str, int], counter: Counter, *, comma: bool
) -> Point | None:
    words = {
        name: row[place].strip() if 0 <= place < len(row) else "" for name, place in columns.items()
    }
    if not words["latitude"] or not words["longitude"]:
        return None
    if comma:
        words |= {
            name: words[name].replace(",", ".") for name in ("latitude", "longitude", "elevation")
        }
    counter.take()
    longitude, latitude = checked(words["longitude"], words["latitude"])
    elevation = float(words["elevation"]) if words["elevation"] else None
    return Point(longitude=longitude, latitude=latitude, elevation=elevation, time=words["time"])


def _write(features: list[Feature], work: Work, lost: set[str]) -> bytes:
    digits = work.options.digits
    if work.target == "geojson":
        return geojson.write(features, digits)
    if work.target == "gpx":
        return geoxml.write_gpx(features, digits, lost)
    if work.target == "kml":
        return geoxml.write_kml(features, digits, lost)
    return _table(features, digits, lost)


def _table(features: list[Feature], digits: int, lost: set[str]) -> bytes:
    """One row a point; those of a line have the same number in the column track."""
    names = dict.fromkeys(name for one in features for name in one.properties if name != "route")
    lines = any(one.kind != "point" for one in features)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["latitude", "longitude", "elevation", "time", *(["track"] if lines else [])]
    writer.writerow([*head, *(_harmless(name, lost) for name in names)])
    number = 0
    for one in features:
        told = [_harmless(_word(one.properties.get(name)), lost) for name in names]
        if one.kind == "point":
            for point in one.parts:
                writer.writerow([*_cells(point, digits), *([""] if lines else []), *told])
            continue
        if one.kind == "polygon":
            lost.add("areas became lines along their borders: a table of points has none")
        for line in one.lines:
            number += 1
            for point in line:
                writer.writerow([*_cells(point, digits), number, *told])
    return text.getvalue().encode("utf-8", "replace")


def _word(value: Any) -> str:
    return "" if value is None else str(value)


def _cells(point: Point, digits: int) -> list[object]:
    elevation = "" if point.elevation is None else point.elevation
    return [round(point.latitude, digits), round(point.longitude, digits), elevation, point.time]


def _harmless(word: str, lost: set[str]) -> str:
    """A spreadsheet would run what begins like a formula; numbers may begin with a sign."""
    if not word.startswith(_FORMULA):
        return word
    try:
        float(word)
    except ValueError:
        lost.add("words that a spreadsheet would run as formulas have an apostrophe before them")
        return f"'{word}"
    return word
