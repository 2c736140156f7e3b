"""GPX 1.0 and 1.1 and KML 2.2 in and out. Entities are refused and nothing is fetched."""

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from engine.converters.misc.features import Counter, Feature, Point, checked
from engine.errors import SourceTooComplex

_GPX_FIELDS = ("name", "cmt", "desc", "src", "sym", "type", "number")
_AS_OTHERS_CALL_IT = {"desc": "description", "cmt": "comment"}
_CONTROL = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)]
)


def parse(content: bytes) -> Any:
    """The root element. Raises ValueError where it is no XML, SourceTooComplex for entities."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise SourceTooComplex("the document declares entities of its own, which are not read here")
    return root


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _children(element: Any, name: str) -> Iterator[Any]:
    return (child for child in element if _local(child) == name)


def _word(element: Any, name: str) -> str:
    child = next(_children(element, name), None)
    return "" if child is None else "".join(child.itertext()).strip()


def read_gpx(content: bytes, counter: Counter) -> list[Feature]:
    """Way points, routes and tracks."""
    root = parse(content)
    if _local(root) != "gpx":
        raise ValueError
    features = []
    for item in root:
        kind, told = _local(item), _gpx_properties(item)
        if kind == "wpt":
            features.append(
                Feature(kind="point", parts=[_gpx_point(item, counter)], properties=told)
            )
        elif kind == "rte":
            line = [_gpx_point(point, counter) for point in _children(item, "rtept")]
            if line:
                told["route"] = True
                features.append(Feature(kind="line", parts=[line], properties=told))
        elif kind == "trk":
            lines = [
                [_gpx_point(point, counter) for point in _children(segment, "trkpt")]
                for segment in _children(item, "trkseg")
            ]
            if any(lines):
                parts = [line for line in lines if line]
                features.append(Feature(kind="line", parts=parts, properties=told))
    return features


def _gpx_properties(item: Any) -> dict[str, Any]:
    words = ((_AS_OTHERS_CALL_IT.get(name, name), _word(item, name)) for name in _GPX_FIELDS)
    return {name: word for name, word in words if word}


def _gpx_point(item: Any, counter: Counter) -> Point:
    counter.take()
    longitude, latitude = checked(item.get("lon"), item.get("lat"))
    elevation = _word(item, "ele")
    return Point(
        longitude=longitude,
        latitude=latitude,
        elevation=float(elevation) if elevation else None,
        time=_word(item, "time"),
    )


def write_gpx(features: list[Feature], digits: int, lost: set[str]) -> bytes:
    """GPX 1.1; the schema wants way points, then routes, then tracks."""
    points, routes, tracks = [], [], []
    for one in features:
        known = {"name", "description", "comment", "src", "sym", "type", "number", "route", "id"}
        if set(one.properties) - known:
            lost.add("properties that GPX has no place for were left out")
        if one.kind == "point":
            points += [_gpx_place("wpt", point, digits, one) for point in one.parts]
            continue
        if one.kind == "polygon":
            lost.add("areas became tracks along their borders: GPX has none")
        if one.properties.get("route") and len(one.lines) == 1:
            line = "".join(_gpx_place("rtept", point, digits) for point in one.lines[0])
            routes.append(f"<rte>{_gpx_fields(one)}{line}</rte>\n")
        else:
            segments = "".join(_gpx_segment(line, digits) for line in one.lines)
            tracks.append(f"<trk>{_gpx_fields(one)}\n{segments}</trk>\n")
    body = "".join([*(f"{point}\n" for point in points), *routes, *tracks])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="Ephemera"'
        f' xmlns="http://www.topografix.com/GPX/1/1">\n{body}</gpx>\n'
    ).encode()


def _gpx_segment(line: Any, digits: int) -> str:
    points = "".join(_gpx_place("trkpt", point, digits) for point in line)
    return f"<trkseg>{points}</trkseg>\n"


def _gpx_place(tag: str, point: Point, digits: int, feature: Feature | None = None) -> str:
    inner = "" if point.elevation is None else f"<ele>{point.elevation}</ele>"
    inner += f"<time>{_text(point.time)}</time>" if point.time else ""
    inner += "" if feature is None else _gpx_fields(feature)
    place = f'lat="{_degrees(point.latitude, digits)}" lon="{_degrees(point.longitude, digits)}"'
    return f"<{tag} {place}>{inner}</{tag}>" if inner else f"<{tag} {place}/>"


def _gpx_fields(one: Feature) -> str:
    written = ""
    for name in _GPX_FIELDS:
        value = one.properties.get(_AS_OTHERS_CALL_IT.get(name, name))
        if value not in (None, ""):
            written += f"<{name}>{_text(value)}</{name}>"
    return written


def _degrees(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def _text(value: object) -> str:
    return escape(str(value).translate(_CONTROL))


def read_kml(content: bytes, counter: Counter) -> list[Feature]:
    """The placemarks, in whatever folders."""
    root = parse(content)
    if _local(root) not in {"kml", "Document", "Folder", "Placemark"}:
        raise ValueError
    marks = [root] if _local(root) == "Placemark" else [
        one for one in root.iter() if isinstance(one.tag, str) and _local(one) == "Placemark"
    ]  # fmt: skip
    return [one for mark in marks for one in _placemark(mark, counter)]


def _placemark(mark: Any, counter: Counter) -> list[Feature]:
    told: dict[str, Any] = {
        name: word for name in ("name", "description", "address") if (word := _word(mark, name))
    }
    for data in mark.iter():
        if isinstance(data.tag, str) and _local(data) == "Data" and data.get("name"):
            told[data.get("name")] = _word(data, "value")
        elif isinstance(data.tag, str) and _local(data) == "SimpleData" and data.get("name"):
            told[data.get("name")] = (data.text or "").strip()
    stamp = next(_children(mark, "TimeStamp"), None)
    time = "" if stamp is None else _word(stamp, "when")
    found: dict[str, list[Any]] = {"point": [], "line": [], "polygon": []}
    _geometries(mark, found, counter, time, 0)
    return [
        Feature(kind=kind, parts=parts, properties=told) for kind, parts in found.items() if parts
    ]


_NESTED_MAX = 20


def _geometries(
    element: Any, found: dict[str, list[Any]], counter: Counter, time: str, depth: int
) -> None:
    for child in element:
        kind = _local(child)
        if kind in {"MultiGeometry", "MultiTrack"} and depth < _NESTED_MAX:
            _geometries(child, found, counter, time, depth + 1)
        elif kind == "Point":
            found["point"] += _coordinates(child, counter, time)[:1]
        elif kind in {"LineString", "LinearRing"}:
            found["line"].append(_coordinates(child, counter))
        elif kind == "Track":
            found["line"].append(_track(child, counter))
        elif kind == "Polygon":
            rings = [
                _coordinates(ring, counter)
                for border in ("outerBoundaryIs", "innerBoundaryIs")
                for side in _children(child, border)
                for ring in _children(side, "LinearRing")
            ]
            found["polygon"].append(rings)


def _coordinates(element: Any, counter: Counter, time: str = "") -> list[Point]:
    points = []
    for word in _word(element, "coordinates").split():
        numbers = word.split(",")
        points.append(_kml_point(numbers, counter, time))
    if not points:
        raise ValueError
    return points


def _kml_point(numbers: list[str], counter: Counter, time: str) -> Point:
    counter.take()
    longitude, latitude = checked(numbers[0], numbers[1])
    elevation = float(numbers[2]) if len(numbers) > 2 and numbers[2] else None  # noqa: PLR2004
    return Point(longitude=longitude, latitude=latitude, elevation=elevation, time=time)


def _track(element: Any, counter: Counter) -> list[Point]:
    times = ["".join(one.itertext()).strip() for one in _children(element, "when")]
    places = ["".join(one.itertext()).split() for one in _children(element, "coord")]
    times += [""] * (len(places) - len(times))
    return [
        _kml_point(place, counter, time) for place, time in zip(places, times, strict=False)
    ]  # more times than places: the rest have none


def write_kml(features: list[Feature], digits: int, lost: set[str]) -> bytes:
    """KML 2.2."""
    marks = []
    for one in features:
        if one.kind == "line" and any(point.time for line in one.lines for point in line):
            lost.add("times of single points of lines were left out")
        parts = [_kml_part(one.kind, part, digits) for part in one.parts]
        shape = parts[0] if len(parts) == 1 else f"<MultiGeometry>{''.join(parts)}</MultiGeometry>"
        marks.append(f"<Placemark>{_kml_fields(one)}{shape}</Placemark>\n")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">'
        f"<Document>\n{''.join(marks)}</Document></kml>\n"
    ).encode()


def _kml_fields(one: Feature) -> str:
    told = {name: value for name, value in one.properties.items() if name != "route"}
    written = "".join(
        f"<{name}>{_text(told.pop(name))}</{name}>"
        for name in ("name", "address", "description")
        if told.get(name) not in (None, "")
    )
    if one.kind == "point" and len(one.parts) == 1 and one.parts[0].time:
        written += f"<TimeStamp><when>{_text(one.parts[0].time)}</when></TimeStamp>"
    data = "".join(
        f"<Data name={quoteattr(name.translate(_CONTROL))}><value>{_text(value)}</value></Data>"
        for name, value in told.items()
        if value is not None
    )
    return written + (f"<ExtendedData>{data}</ExtendedData>" if data else "")


def _kml_part(kind: str, part: Any, digits: int) -> str:
    if kind == "point":
        return f"<Point>{_kml_line([part], digits)}</Point>"
    if kind == "line":
        return f"<LineString>{_kml_line(part, digits)}</LineString>"
    rings = []
    for number, ring in enumerate(part):
        border = "innerBoundaryIs" if number else "outerBoundaryIs"
        rings.append(f"<{border}><LinearRing>{_kml_line(ring, digits)}</LinearRing></{border}>")
    return f"<Polygon>{''.join(rings)}</Polygon>"


def _kml_line(points: Any, digits: int) -> str:
    words = (
        f"{_degrees(point.longitude, digits)},{_degrees(point.latitude, digits)}"
        + ("" if point.elevation is None else f",{point.elevation}")
        for point in points
    )
    return f"<coordinates>{' '.join(words)}</coordinates>"
