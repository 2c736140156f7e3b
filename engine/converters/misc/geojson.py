"""GeoJSON in and out (RFC 7946)."""

from typing import Any

import msgspec

from engine.converters.misc.features import Counter, Feature, Point, checked

_KINDS = {
    "Point": ("point", 0), "MultiPoint": ("point", 1), "LineString": ("line", 1),
    "MultiLineString": ("line", 2), "Polygon": ("polygon", 2), "MultiPolygon": ("polygon", 3),
}  # fmt: skip
_DEPTH_MAX = 10


def read(text: str, counter: Counter) -> list[Feature]:
    """The features. Raises ValueError, LookupError and TypeError for what is no GeoJSON."""
    return _features(msgspec.json.decode(text), {}, counter, 0)


def _features(told: Any, properties: Any, counter: Counter, depth: int) -> list[Feature]:
    if depth > _DEPTH_MAX:
        raise ValueError
    kind = told["type"]
    if kind == "FeatureCollection":
        return [one for part in told["features"] for one in _features(part, {}, counter, depth + 1)]
    if kind == "Feature":
        if told.get("geometry") is None:
            return []
        found = dict(told.get("properties") or {})
        if "id" in told:
            found.setdefault("id", told["id"])
        return _features(told["geometry"], found, counter, depth + 1)
    if kind == "GeometryCollection":
        return [
            one
            for part in told["geometries"]
            for one in _features(part, properties, counter, depth + 1)
        ]
    name, nesting = _KINDS[kind]
    times = properties.get("coordTimes") or properties.get("times")
    points = _points(told["coordinates"], nesting, counter)
    if name == "line" and nesting == 1 and isinstance(times, list) and len(times) == len(points):
        points = [
            msgspec.structs.replace(point, time=str(time))
            for point, time in zip(points, times, strict=True)
        ]
        properties = {k: v for k, v in properties.items() if k not in {"coordTimes", "times"}}
    single = nesting == {"point": 0, "line": 1, "polygon": 2}[name]
    return [Feature(kind=name, parts=[points] if single else points, properties=properties)]


def _points(told: Any, nesting: int, counter: Counter) -> Any:
    if nesting:
        return [_points(one, nesting - 1, counter) for one in told]
    counter.take()
    longitude, latitude = checked(told[0], told[1])
    elevation = float(told[2]) if len(told) > 2 and told[2] is not None else None  # noqa: PLR2004
    return Point(longitude=longitude, latitude=latitude, elevation=elevation)


def write(features: list[Feature], digits: int) -> bytes:
    """One FeatureCollection, a feature a line."""
    lines = [
        msgspec.json.encode(
            {"type": "Feature", "geometry": _geometry(one, digits), "properties": _properties(one)}
        )
        for one in features
    ]
    return b'{"type":"FeatureCollection","features":[\n' + b",\n".join(lines) + b"\n]}\n"


_NAMES = {"point": "Point", "line": "LineString", "polygon": "Polygon"}


def _geometry(one: Feature, digits: int) -> dict[str, Any]:
    written = [_written(part, digits) for part in one.parts]
    name = _NAMES[one.kind]
    if len(written) == 1:
        return {"type": name, "coordinates": written[0]}
    return {"type": f"Multi{name}", "coordinates": written}


def _written(part: Any, digits: int) -> Any:
    if not isinstance(part, Point):
        return [_written(one, digits) for one in part]
    place = [round(part.longitude, digits), round(part.latitude, digits)]
    return place if part.elevation is None else [*place, part.elevation]


def _properties(one: Feature) -> dict[str, Any]:
    if one.kind == "point":
        time = one.parts[0].time if len(one.parts) == 1 else ""
        return {**one.properties, "time": time} if time else one.properties
    times = [point.time for line in one.lines for point in line]
    if one.kind == "line" and len(one.parts) == 1 and any(times):
        return {**one.properties, "coordTimes": times}
    return one.properties
