"""Calendars and contacts as data and back, as the icalendar library reads them."""

import csv
import io
import json
from datetime import date, datetime
from functools import cache
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.converters.misc.catalogue import CONVERTERS, FONT_SOURCES
from engine.errors import EngineError
from tests.engine import test_misc_fonts, test_misc_places, test_misc_subtitles
from tests.engine.calls import FILES
from tests.engine.own_converter import of_family
from tests.engine.real_workers import convert_all

convert = of_family("misc")

_BERLIN = ZoneInfo("Europe/Berlin")
_SUMMARY = (
    "Plans, and a long line that has to be folded since it is much longer than seventy-five bytes"
)


@cache
def _ics() -> bytes:
    return (FILES / "misc" / "meeting.ics").read_bytes()


@cache
def _vcf() -> bytes:
    return (FILES / "misc" / "people.vcf").read_bytes()


def _events(content: bytes) -> list[Any]:
    return list(icalendar.Calendar.from_ical(content).walk("VEVENT"))


@pytest.mark.parametrize("through", ["json", "csv"])
def test_a_calendar_survives_the_way_through_data(through: str) -> None:
    data = convert(_ics(), "ics", through).file
    back = convert(data, through, "ics").file
    assert max(len(line) for line in back.split(b"\r\n")) <= 75
    meeting, holiday = _events(back)
    assert meeting["SUMMARY"] == _SUMMARY
    assert meeting["DESCRIPTION"] == "First\nSecond; third"
    assert meeting["LOCATION"] == "Z\u00fcrich"
    assert meeting.decoded("DTSTART") == datetime(2024, 5, 1, 10, tzinfo=_BERLIN)
    assert meeting.decoded("DTEND") == datetime(2024, 5, 1, 11, 30, tzinfo=_BERLIN)
    assert meeting["RRULE"] == {"FREQ": ["WEEKLY"], "COUNT": [5], "BYDAY": ["MO", "WE"]}
    assert [str(one) for one in meeting["ATTENDEE"]] == [
        "mailto:jane@hand.example", "mailto:max@hand.example",
    ]  # fmt: skip
    assert meeting["CATEGORIES"].cats == ["work", "later"]
    assert meeting["GEO"].to_ical() == "47.37;8.54"
    assert meeting["PRIORITY"] == 3
    assert holiday.decoded("DTSTART") == date(2024, 12, 24)
    alarms = [one for one in meeting.walk() if one.name == "VALARM"]
    assert len(alarms) == (1 if through == "json" else 0)


def test_jcal_is_what_the_standard_says() -> None:
    name, properties, components = json.loads(convert(_ics(), "ics", "json").file)
    assert (name, properties[0]) == ("vcalendar", ["version", {}, "text", "2.0"])
    told = {one[0]: one for one in components[1][1]}
    assert told["dtstart"] == [
        "dtstart", {"tzid": "Europe/Berlin"}, "date-time", "2024-05-01T10:00:00",
    ]  # fmt: skip
    assert told["rrule"][3] == {"freq": "WEEKLY", "count": 5, "byday": ["MO", "WE"]}
    assert told["geo"] == ["geo", {}, "float", [47.37, 8.54]]
    assert told["categories"] == ["categories", {}, "text", "work", "later"]
    guest = next(one for one in components[1][1] if one[0] == "attendee")
    assert guest[1] == {"cn": "Doe, Jane"}
    assert components[1][2][0][1][1] == ["trigger", {}, "duration", "-PT15M"]
    assert components[2][1][2] == ["dtstart", {}, "date", "2024-12-24"]


def test_a_calendar_as_a_table_has_a_row_an_event() -> None:
    reply = convert(_ics(), "ics", "csv")
    rows = list(csv.DictReader(io.StringIO(reply.file.decode())))
    assert [row["start"] for row in rows] == ["2024-05-01 10:00:00", "2024-12-24"]
    assert rows[0]["zone"] == "Europe/Berlin"
    assert reply.warnings == ("reminders were left out: a table has no place for them",)


@pytest.mark.parametrize("through", ["json", "csv"])
def test_contacts_survive_the_way_through_data(through: str) -> None:
    data = convert(_vcf(), "vcf", through)
    back = convert(data.file, through, "vcf").file.decode()
    jane, jim = back.split("END:VCARD")[:2]
    for line in (
        "FN:Jane Doe", "N:Doe;Jane;;Dr.;", "ORG:Example\\, Inc.;Research",
        "TEL;TYPE=CELL:+49 171 1234567", "ADR;TYPE=HOME:;;Main Street 1;Ulm;;89073;Germany",
        "NOTE:likes\\nlines",
    ):  # fmt: skip
        assert line in jane
    assert "FN:Max M\u00fcller" in jim
    assert ("PHOTO;ENCODING=b;TYPE=PNG:iVBORw0KGgo=" in jane) == (through == "json")
    assert bool(data.warnings) == (through == "csv")


def test_contacts_as_a_table_have_a_column_a_kind_of_number() -> None:
    rows = list(csv.DictReader(io.StringIO(convert(_vcf(), "vcf", "csv").file.decode())))
    assert rows[0]["phone (cell)"] == "+49 171 1234567"
    assert rows[1]["phone (home)"] == "0731 1"
    assert rows[0]["city (home)"] == "Ulm"


def test_a_hand_written_table_becomes_contacts_and_events() -> None:
    people = b"Full Name;Email;Phone (work)\nJane Doe;j@hand.example;+49 1\n"
    card = convert(people, "csv", "vcf").file.decode()
    assert "FN:Jane Doe\r\n" in card
    assert "TEL;TYPE=WORK:+49 1\r\n" in card
    plans = b"summary,start,end\nLunch,2024-05-01 12:00,2024-05-01 13:00\nOff,2024-05-02,\n"
    lunch, off = _events(convert(plans, "csv", "ics").file)
    assert lunch.decoded("DTSTART") == datetime(2024, 5, 1, 12)  # noqa: DTZ001  # floating
    assert off.decoded("DTSTART") == date(2024, 5, 2)
    for table, target in (
        (b"a,b\n1,2\n", "vcf"),
        (b"a,b\n1,2\n", "ics"),
        (b"start\nsoon\n", "ics"),
    ):
        assert convert(table, "csv", target).error == "SourceUnreadable"


def test_what_a_spreadsheet_would_run_is_made_harmless_and_comes_back() -> None:
    evil = _vcf().replace(b"NOTE:likes\\nlines", b"NOTE:=HYPERLINK(1)")
    table = convert(evil, "vcf", "csv")
    assert b"'=HYPERLINK(1)" in table.file
    assert any("formulas" in said for said in table.warnings)
    assert b"NOTE:=HYPERLINK(1)" in convert(table.file, "csv", "vcf").file


@pytest.mark.parametrize(("source", "target"), [("ics", "json"), ("vcf", "json"), ("json", "ics")])
def test_what_is_broken_is_unreadable(source: str, target: str) -> None:
    whole = {"ics": _ics(), "vcf": _vcf(), "json": convert(_ics(), "ics", "json").file}[source]
    contents = [b"", b"\0", b"[]", b"{}", b"BEGIN:X\nEND:X\n", b"x" * 100, b'["vcalendar",1]']
    for content in [*contents, whole[: len(whole) // 2], whole.replace(b"END:V", b"END:W")]:
        if content is whole or content == whole:
            continue
        assert convert(content, source, target).error == "SourceUnreadable"


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=60)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(_WORDS, _WORDS, st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_round_trips_keep_words_and_times(summary: str, place: str, start: datetime) -> None:
    start = start.replace(microsecond=0)
    calendar, event = icalendar.Calendar(), icalendar.Event()
    event.add("summary", summary)
    event.add("location", place)
    event.add("dtstart", start)
    calendar.add_component(event)
    back = convert(convert(calendar.to_ical(), "ics", "json").file, "json", "ics").file
    seen = _events(back)[0]
    assert (str(seen["SUMMARY"]), str(seen["LOCATION"])) == (summary, place)
    assert seen.decoded("DTSTART") == start


def _font(source: str) -> bytes:
    """A few glyphs of the font, which are quicker than all."""
    whole = test_misc_fonts.upload(source)
    return whole if source == "ttc" else convert(whole, source, source, text="Rage").file


async def test_every_pair_of_the_family_runs_in_a_worker_that_can_open_nothing() -> None:
    uploads = {
        **{source: [_font(source)] for source in FONT_SOURCES},
        **{
            source: [test_misc_places.upload(source)] for source in ("gpx", "geojson", "kml", "kmz")
        },
        **{
            source: [test_misc_subtitles.upload(source)]
            for source in ("srt", "vtt", "ass", "ssa", "ttml", "sub", "mpl2", "smi")
        },
        "ics": [_ics()],
        "vcf": [_vcf()],
        # What each of several converters makes of the same format; one of them fits.
        "json": [convert(_ics(), "ics", "json").file],
        "csv": [convert(_ics(), "ics", "csv").file],
    }
    subtitles = ("srt", "vtt", "ass", "ssa", "ttml", "sub", "mpl2", "smi")
    done = await convert_all("misc", uploads, options={one: {"fps": "25"} for one in subtitles})
    pairs = [pair for one in CONVERTERS for pair in product([one.name], one.sources, one.targets)]
    assert set(done) == set(pairs)
    # A calendar as JSON or a table is no contact, no subtitle and no place, and that is said.
    refused = {
        pair: str(one) for pair, one in done.items()
        if isinstance(one, EngineError) and pair[1] not in {"json", "csv"}
    }  # fmt: skip
    assert refused == {}
    assert not any("unexpectedly" in str(one) for one in done.values())
