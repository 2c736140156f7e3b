"""Tracks and places become each other, as gpxpy, a JSON reader and another XML parser see them."""

import csv
import io
import json
import zipfile
from functools import cache
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import gpxpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.converters.misc.catalogue import PLACES
from tests.engine.calls import FILES
from tests.engine.own_converter import of_family

convert = of_family("misc")

_FILES = {"gpx": "walk.gpx", "geojson": "places.geojson", "kml": "places.kml", "csv": "places.csv"}
_KML = "{http://www.opengis.net/kml/2.2}"
_ULM = (9.9916, 48.3984, 478.5)


@cache
def upload(source: str) -> bytes:
    """The committed file; a KMZ around the KML."""
    if source == "kmz":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("doc.kml", upload("kml"))
        return buffer.getvalue()
    return (FILES / "misc" / _FILES[source]).read_bytes()


def _points(content: bytes, target: str) -> list[tuple[float, ...]]:
    """Every (longitude, latitude) with its elevation where there is one, sorted."""
    return sorted(_SEEN[target](content))


def _of_gpx(content: bytes) -> list[tuple[float, ...]]:
    track = gpxpy.parse(content.decode())
    lines = [segment.points for one in track.tracks for segment in one.segments]
    found = [*track.waypoints, *(point for one in track.routes for point in one.points)]
    found += [point for line in lines for point in line]
    return [
        (one.longitude, one.latitude, *([] if one.elevation is None else [one.elevation]))
        for one in found
    ]


def _of_geojson(content: bytes) -> list[tuple[float, ...]]:
    found: list[tuple[float, ...]] = []

    def walk(value: Any) -> None:
        if isinstance(value[0], float | int):
            found.append(tuple(value))
        else:
            for one in value:
                walk(one)

    for feature in json.loads(content)["features"]:
        walk(feature["geometry"]["coordinates"])
    return found


def _of_kml(content: bytes) -> list[tuple[float, ...]]:
    root = ET.fromstring(content)  # noqa: S314  # our own
    words = [word for one in root.iter(f"{_KML}coordinates") for word in (one.text or "").split()]
    return [tuple(float(number) for number in word.split(",")) for word in words]


def _of_csv(content: bytes) -> list[tuple[float, ...]]:
    rows = csv.DictReader(io.StringIO(content.decode()))
    return [
        tuple(float(row[name]) for name in ("longitude", "latitude", "elevation") if row[name])
        for row in rows
    ]


_SEEN = {"gpx": _of_gpx, "geojson": _of_geojson, "kml": _of_kml, "csv": _of_csv}


@pytest.mark.parametrize("target", [*PLACES, "csv"])
@pytest.mark.parametrize("source", [*PLACES, "kmz", "csv"])
def test_every_point_gets_from_each_format_into_each(source: str, target: str) -> None:
    if source == target == "csv":
        return
    reply = convert(upload(source), source, target)
    seen = _points(reply.file, target)
    if source == "csv":
        assert seen == [_ULM, (13.405, 52.52, 34.0)]
        assert "rows without coordinates, left out: 1" in reply.warnings
    else:
        inner = upload("kml") if source == "kmz" else upload(source)
        assert seen == _points(inner, source.replace("kmz", "kml"))
    assert _ULM in seen


def test_names_times_and_holes_survive() -> None:
    track = gpxpy.parse(convert(upload("gpx"), "gpx", "gpx").file.decode())
    assert track.waypoints[0].name == "Ulm & Neu-Ulm"
    assert track.tracks[0].segments[0].points[1].time.isoformat() == "2024-05-01T10:00:30+00:00"
    assert track.routes[0].name == "Way"
    kml = ET.fromstring(convert(upload("geojson"), "geojson", "kml").file)  # noqa: S314
    assert len(list(kml.iter(f"{_KML}innerBoundaryIs"))) == 1
    back = json.loads(
        convert(convert(upload("geojson"), "geojson", "kml").file, "kml", "geojson").file
    )
    assert (
        back["features"][2]["geometry"] == json.loads(upload("geojson"))["features"][2]["geometry"]
    )
    lost = convert(upload("geojson"), "geojson", "gpx")
    assert lost.warnings == (
        "areas became tracks along their borders: GPX has none",
        "properties that GPX has no place for were left out",
    )


def test_a_track_in_a_table_is_put_together_again() -> None:
    table = convert(upload("gpx"), "gpx", "csv").file
    track = gpxpy.parse(convert(table, "csv", "gpx").file.decode())
    assert [len(one.segments[0].points) for one in track.tracks] == [2, 2, 2]


def test_columns_of_other_names_are_named() -> None:
    table = b"ort;rechts;hoch\nUlm;9,9916;48,3984\n"
    refused = convert(table, "csv", "geojson")
    assert (refused.error, "option latitude" in refused.detail) == ("TargetImpossible", True)
    told = json.loads(convert(table, "csv", "geojson", latitude="hoch", longitude="rechts").file)
    assert told["features"][0]["geometry"]["coordinates"] == [9.9916, 48.3984]


@pytest.mark.parametrize("source", [*PLACES, "kmz"])
def test_what_is_broken_or_beyond_the_globe_is_unreadable(source: str) -> None:
    whole = upload(source)
    for content in (b"", b"\0", b"<x/>", b"{}", b"[1]", whole[: len(whole) // 2]):
        assert convert(content, source, "csv").error == "SourceUnreadable"
    if source != "kmz":
        far = whole.replace(b"48.3984", b"148.3984")
        assert convert(far, source, "csv").error == "SourceUnreadable"


@pytest.mark.claim("C-BOMB-1")
@pytest.mark.parametrize("source", ["gpx", "kml"])
def test_entities_are_not_read(source: str) -> None:
    entities = "".join(
        f'<!ENTITY e{after} "{f"&e{before};" * 10}">' for before, after in pairwise(range(10))
    )
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "x">{entities}]><{source}>&e9;</{source}>'.encode()
    # libxml2 sees the amplification before we see the entities.
    assert convert(bomb, source, "csv").error in {"SourceTooComplex", "SourceUnreadable"}
    file = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><{source}>&e;</{source}>'
    assert convert(file.encode(), source, "csv").error == "SourceTooComplex"


_PLACES = st.tuples(
    st.floats(-180, 180).map(lambda x: round(x, 7)), st.floats(-90, 90).map(lambda y: round(y, 7))
)
_WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(_PLACES, _WORDS), min_size=1, max_size=6), st.sampled_from(PLACES))
def test_round_trips_keep_places_and_names(places: list[Any], target: str) -> None:
    document = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": list(place)},
                "properties": {"name": name},
            }
            for place, name in places
        ],
    }
    there = convert(json.dumps(document).encode(), "geojson", target).file
    assert json.loads(convert(there, target, "geojson").file) == document
