"""The inventory: every column of the database, why it is there, and what becomes of it.

`inventory.toml` is the only place where this is written; retention, exports, erasures, the privacy
page and the record of processing are made from it. Pure: a file becomes structs, or a sentence that
says what is wrong with it.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

FILE = Path(__file__).with_name("inventory.toml")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class Category(StrEnum):
    """What kind of thing a column holds."""

    IDENTIFIER = "identifier"
    CONTACT = "contact"
    NAME = "name"
    NETWORK = "network"
    WORDS = "words"
    CONTENT = "content"
    MONEY = "money"
    USAGE = "usage"
    PREFERENCE = "preference"
    TIME = "time"
    SECRET = "secret"  # noqa: S105 -- the name of a category
    SEALED = "sealed"
    TECHNICAL = "technical"


# Whatever names somebody: it never stays when its owner goes.
NAMING = frozenset({Category.CONTACT, Category.NAME, Category.NETWORK})
# Of no use to its owner, or not ours to open.
NEVER_EXPORTED = frozenset({Category.SECRET, Category.SEALED, Category.TECHNICAL})


class Basis(StrEnum):
    """Why it may be kept (GDPR, article 6)."""

    CONTRACT = "contract"
    LEGAL_DUTY = "legal-duty"
    LEGITIMATE_INTEREST = "legitimate-interest"
    NONE = "none"


class Source(StrEnum):
    """Where it comes from."""

    CUSTOMER = "customer"
    SERVICE = "service"
    PAYMENT_PROVIDER = "payment-provider"
    OPERATOR = "operator"


class Erase(StrEnum):
    """What becomes of it when its owner goes."""

    DELETE = "delete"
    NULL = "null"
    PSEUDONYMISE = "pseudonymise"
    KEEP = "keep"


class Owner(StrEnum):
    """How an owner's rows are found."""

    ACCOUNT = "account"
    PERSON = "person"
    ADDRESS = "address"
    MAILBOX = "mailbox"
    ROW = "row"


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long. `keeps` is an interval of PostgreSQL; both may name settings in braces."""

    says: str
    keeps: str | None = None
    by: str | None = None


class Belonging(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which rows belong to somebody."""

    owner: Owner
    column: str
    # Of Owner.ROW: the table and the column that `column` points at.
    table: str = ""
    target: str = ""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column, with all that is said of it."""

    table: str
    name: str
    category: Category
    meaning: str
    export: bool
    erase: Erase
    because: str

    @property
    def naming(self) -> bool:
        """Say whether it can name somebody."""
        return self.category in NAMING


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table."""

    name: str
    of: tuple[Belonging, ...]
    purposes: tuple[str, ...]
    basis: Basis
    source: Source
    retention: str
    # The column that `keeps` is counted from.
    age: str | None
    export: bool
    erase: Erase
    erased_by: str | None
    because: str
    columns: tuple[Column, ...]


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """Everything."""

    purposes: Mapping[str, str]
    retention: Mapping[str, Retention]
    tables: Mapping[str, Table]

    def columns(self) -> Iterator[Column]:
        """All columns of all tables."""
        for table in self.tables.values():
            yield from table.columns


class _Differing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    erase: Erase | None = None
    export: bool | None = None
    because: str = ""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    of: tuple[str, ...]
    purposes: tuple[str, ...]
    basis: Basis
    source: Source
    retention: str
    export: bool
    erase: Erase
    columns: dict[str, str]
    age: str | None = None
    erased_by: str | None = None
    because: str = ""
    differing: dict[str, _Differing] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    purposes: dict[str, str]
    retention: dict[str, Retention]
    tables: dict[str, _Table]


@cache
def inventory() -> Inventory:
    """The inventory of this version of the program."""
    return read(FILE.read_text("utf-8"))


def read(text: str) -> Inventory:
    """Read an inventory. Raises ValueError with the place and the reason."""
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"the inventory cannot be read: {error}") from error
    tables = {name: _table(name, row, file) for name, row in file.tables.items()}
    for table in tables.values():
        for one in table.of:
            if one.owner is Owner.ROW and one.table not in tables:
                raise ValueError(f"{table.name} belongs to rows of {one.table}, which is not here")
    return Inventory(purposes=file.purposes, retention=file.retention, tables=tables)


def _table(name: str, row: _Table, file: _File) -> Table:
    schema, _, table = name.partition(".")
    _demand(all(map(_NAME.fullmatch, (schema, table))), name, "is not schema.table")
    for purpose in row.purposes:
        _demand(purpose in file.purposes, name, f"has an unknown purpose, {purpose}")
    _demand(bool(row.purposes), name, "has no purpose")
    _demand(row.retention in file.retention, name, f"has an unknown retention, {row.retention}")
    _demand(row.differing.keys() <= row.columns.keys(), name, "differs in unknown columns")
    _demand(row.age is None or row.age in row.columns, name, f"has no column {row.age}")
    columns = tuple(_column(name, column, row) for column in row.columns)
    return Table(
        name=name,
        of=tuple(_belonging(name, text, row) for text in row.of),
        purposes=row.purposes,
        basis=row.basis,
        source=row.source,
        retention=row.retention,
        age=row.age,
        export=row.export,
        erase=row.erase,
        erased_by=row.erased_by,
        because=row.because,
        columns=columns,
    )


def _column(table: str, name: str, row: _Table) -> Column:
    place = f"{table}.{name}"
    category, _, meaning = row.columns[name].partition(": ")
    _demand(category in set(Category), place, f"has an unknown category, {category}")
    _demand(bool(meaning) and _NAME.fullmatch(name) is not None, place, "says not what it means")
    differing = row.differing.get(name, _Differing())
    export = row.export if differing.export is None else differing.export
    column = Column(
        table=table,
        name=name,
        category=Category(category),
        meaning=meaning,
        export=export and category not in NEVER_EXPORTED,
        erase=differing.erase or row.erase,
        because=differing.because or row.because,
    )
    kept = column.erase is Erase.KEEP
    _demand(not kept or bool(column.because), place, "is kept and does not say because of what")
    _demand(not (kept and row.of and column.naming), place, "names somebody and is kept")
    return column


def _belonging(table: str, text: str, row: _Table) -> Belonging:
    owner, _, rest = text.partition(":")
    column, _, target = rest.partition("=")
    _demand(owner in set(Owner), table, f"belongs to an unknown owner, {owner}")
    _demand(column in row.columns, table, f"belongs by a column it has not, {column}")
    of_table, _, of_column = target.rpartition(".")
    _demand(bool(target) == (owner == Owner.ROW), table, f"belongs by {text}, which is no way to")
    return Belonging(owner=Owner(owner), column=column, table=of_table, target=of_column)


def _demand(right: bool, place: str, wrong: str) -> None:
    if not right:
        raise ValueError(f"the inventory's {place} {wrong}")
