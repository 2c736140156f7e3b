"""Calendars and contacts as tables of one row an event or person, and back."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from engine.converters.misc.card_json import basic, decoded
from engine.converters.misc.content_lines import Component, Property, escape, split, unescape
from engine.errors import SourceUnreadable

Record = dict[str, str]

# Columns of a calendar and the properties they are.
_EVENT = {
    "uid": "uid", "start": "dtstart", "end": "dtend", "due": "due", "summary": "summary",
    "description": "description", "location": "location", "categories": "categories",
    "status": "status", "url": "url", "organizer": "organizer", "recurrence": "rrule",
}  # fmt: skip
_ITEMS = ("vevent", "vtodo", "vjournal")
_KINDS = {"event": "vevent", "todo": "vtodo", "journal": "vjournal"}
_RAW = frozenset({"rrule", "url", "organizer", "geo"})
_WHEN = frozenset({"dtstart", "dtend", "due"})
_STAMP = "20000101T000000Z"

_NAME_PARTS = ("family_name", "given_name", "additional_names", "prefix", "suffix")
_ADDRESS_PARTS = ("po_box", "extended_address", "street", "city", "region", "postcode", "country")
# Columns of a contact and the properties they are.
_PERSON = {
    "full_name": "fn", "nickname": "nickname", "title": "title", "role": "role",
    "birthday": "bday", "note": "note", "url": "url", "categories": "categories", "uid": "uid",
}  # fmt: skip
_TYPED = {"email": "email", "phone": "tel"}
_COLUMN = re.compile(r"([a-z_]+?)(?: \((\w+)\))?(?: (\d+))?")
# What a type says that is not a place or a kind of telephone.
_DULL_TYPES = frozenset({"pref", "internet", "voice", "x400", "dom", "intl", "postal", "parcel"})


def events(calendar: Component, notes: list[str]) -> list[Record]:
    """Each event, task and journal entry as a record."""
    records = []
    for item in calendar.components:
        if item.name not in _ITEMS:
            if item.name != "vtimezone":
                notes.append("parts that are no event, task or journal entry were left out")
            continue
        if item.components:
            notes.append("reminders were left out: a table has no place for them")
        records.append(_event(item))
    return records


def _event(item: Component) -> Record:
    told = {"kind": item.name[1:]}
    columns = {name: column for column, name in _EVENT.items()}
    for one in item.properties:
        column = columns.get(one.name, one.name.replace("-", "_"))
        raw = one.name in _RAW or one.name in _WHEN
        value = one.value if raw else unescape(one.value)
        if one.name in _WHEN:
            value = _readable(value)
            if zone := next(iter(one.parameters.get("tzid", ())), ""):
                told["zone"] = zone
        if one.name in {"organizer", "attendee"}:
            value = re.sub("^mailto:", "", one.value, flags=re.IGNORECASE)
        told[column] = f"{told[column]}; {value}" if column in told else value
    return told


def _readable(value: str) -> str:
    """20240501T100000Z as 2024-05-01 10:00:00Z."""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", value)
    if found is None:
        return value
    day = "-".join(found.groups()[:3])
    return f"{day} {':'.join(found.groups()[3:6])}{found[7]}" if found[4] else day


def calendar_of(records: Sequence[Mapping[str, str]]) -> Component:
    """A calendar with an item a record. Raises SourceUnreadable."""
    calendar = Component(
        name="vcalendar",
        properties=[
            Property(name="version", value="2.0"),
            Property(name="prodid", value="-//Ephemera//Tables//EN"),
        ],
    )
    calendar.components = [_item(record) for record in records]
    if not any(item.first("dtstart") or item.first("due") for item in calendar.components):
        raise SourceUnreadable(
            "the table has no column start with times; a calendar is made of columns such as"
            f" {', '.join(_EVENT)}"
        )
    return calendar


def _item(record: Mapping[str, str]) -> Component:
    name = _KINDS.get(record.get("kind", "event").lower(), "vevent")
    item = Component(name=name, properties=[])
    # Equal rows are the same event, in whatever file.
    identity = hashlib.sha256(repr(sorted(record.items())).encode()).hexdigest()[:32]
    told = {"uid": identity, **{key: value for key, value in record.items() if value}}
    item.properties.append(Property(name="dtstamp", value=_STAMP))
    for column, value in told.items():
        if column in {"kind", "zone", "dtstamp", "attendee"}:
            continue
        prop = _EVENT.get(column, column.replace("_", "-").lower())
        if re.fullmatch(r"[a-z0-9-]+", prop):
            item.properties.append(_dated(prop, value, record.get("zone", "")))
    for address in filter(None, map(str.strip, record.get("attendee", "").split(";"))):
        item.properties.append(Property(name="attendee", value=_mailto(address)))
    return item


def _dated(name: str, value: str, zone: str) -> Property:
    if name in _WHEN:
        when = basic(value.strip().replace(" ", "T"))
        if re.fullmatch(r"\d{8}", when):
            return Property(name=name, parameters={"value": ("DATE",)}, value=when)
        when += "00" if re.fullmatch(r"\d{8}T\d{4}", when) else ""
        if not re.fullmatch(r"\d{8}T\d{6}Z?", when):
            raise SourceUnreadable(
                "a time in the table is not written as 2024-12-31 or 2024-12-31 10:00"
            )
        zoned = {"tzid": (zone,)} if zone and not when.endswith("Z") else {}
        return Property(name=name, parameters=zoned, value=when)
    if name == "organizer":
        return Property(name=name, value=_mailto(value))
    if name == "categories":
        return Property(name=name, value=",".join(escape(one.strip()) for one in value.split(",")))
    plain = re.sub(r"[\x00-\x1f\x7f]", "", value)
    return Property(name=name, value=plain if name in _RAW else escape(value))


def _mailto(address: str) -> str:
    plain = re.sub(r"[\x00-\x20\x7f]", "", address)
    return plain if ":" in plain else f"mailto:{plain}"


def people(cards: Sequence[Component], notes: list[str]) -> list[Record]:
    """Each contact as a record."""
    return [_person(card, notes) for card in cards]


def _person(card: Component, notes: list[str]) -> Record:
    told: Record = {}
    columns = {name: column for column, name in {**_PERSON, **_TYPED}.items()}
    for raw in card.properties:
        one = decoded(raw)
        if one.name in {"photo", "logo", "sound", "key"}:
            notes.append("pictures, sounds and keys were left out: a table has no place for them")
        elif one.name in {"n", "adr"}:
            names = _NAME_PARTS if one.name == "n" else _ADDRESS_PARTS
            suffix = _suffix(one) if one.name == "adr" else ""
            # Parts beyond the known ones have no column.
            for name, part in zip(names, split(one.value, ";"), strict=False):
                _put(told, name + suffix, unescape(part))
        elif one.name == "org":
            for name, part in zip(
                ("organisation", "department"), split(one.value, ";"), strict=False
            ):
                _put(told, name, unescape(part))
        elif one.name not in {"version", "prodid"}:
            column = columns.get(one.name, one.name.replace("-", "_"))
            value = (
                re.sub("^(tel|mailto):", "", one.value)
                if one.name in _TYPED.values()
                else one.value
            )
            _put(told, column + (_suffix(one) if column in _TYPED else ""), unescape(value))
    return told


def _suffix(one: Property) -> str:
    words = [word.lower() for value in one.parameters.get("type", ()) for word in value.split(",")]
    kind = next((word for word in words if word not in _DULL_TYPES), "")
    return f" ({kind})" if re.fullmatch(r"\w+", kind) else ""


def _put(told: Record, column: str, value: str) -> None:
    found, number = column, 1
    while found in told:
        number += 1
        found = f"{column} {number}"
    if value:
        told[found] = value


def cards_of(records: Sequence[Mapping[str, str]]) -> list[Component]:
    """A card a record. Raises SourceUnreadable."""
    cards = [_card({key: value for key, value in one.items() if value}) for one in records]
    if not any(len(card.properties) > 2 for card in cards):  # noqa: PLR2004  # version and name
        raise SourceUnreadable(
            "the table has no column that a contact has; there are full_name, family_name,"
            " given_name, organisation, email, phone, street, city, postcode, country and others"
        )
    return cards


def _card(record: Mapping[str, str]) -> Component:
    name = [record.get(part, "") for part in _NAME_PARTS]
    full = record.get("full_name") or " ".join(
        filter(None, (name[3], name[1], name[2], name[0], name[4]))
    )
    full = full or record.get("organisation", "") or record.get("email", "")
    card = Component(name="vcard", properties=[Property(name="version", value="3.0")])
    card.properties.append(Property(name="fn", value=escape(full)))
    if any(name):
        card.properties.append(Property(name="n", value=";".join(map(escape, name))))
    organisation = [record.get("organisation", ""), record.get("department", "")]
    if any(organisation):
        value = ";".join(escape(part) for part in organisation).rstrip(";")
        card.properties.append(Property(name="org", value=value))
    addresses: dict[tuple[str, str], list[str]] = {}
    for column, value in record.items():
        found = _COLUMN.fullmatch(column)
        base, kind, number = found.groups("") if found else (column, "", "")
        parameters = {"type": (kind.upper(),)} if kind else {}
        if base in _ADDRESS_PARTS:
            parts = addresses.setdefault((kind, number), [""] * len(_ADDRESS_PARTS))
            parts[_ADDRESS_PARTS.index(base)] = value
        elif base in _TYPED:
            card.properties.append(
                Property(name=_TYPED[base], parameters=parameters, value=escape(value))
            )
        elif base in _PERSON and base != "full_name":
            card.properties.append(Property(name=_PERSON[base], value=escape(value)))
    for (kind, _), parts in addresses.items():
        told = {"type": (kind.upper(),)} if kind else {}
        card.properties.append(
            Property(name="adr", parameters=told, value=";".join(map(escape, parts)))
        )
    return card
