"""data.convert: one reader, one shape, one writer.

A source is a tree (JSON, YAML, TOML, XML) or tables (all others). From tree to tree, structure
stays; everywhere else the rows are found first. Which option speaks of which format is in
`scope.py`.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from engine.converter import Result, Work
from engine.converters.data import (
    arrow,
    avro,
    book,
    database,
    delimited,
    markup,
    ods,
    trees,
    xls,
    xlsx,
    xmltree,
)
from engine.converters.data.catalogue import DataOptions
from engine.converters.data.records import flattened, tables_of, tree_of
from engine.converters.data.scope import check_source
from engine.converters.data.tables import Content, Notes, Row, Table, Tree
from engine.errors import OptionInvalid, TargetImpossible
from engine.job import Buffer

READERS: Mapping[str, Callable[[Work, Notes], Content]] = {
    "csv": delimited.read,
    "tsv": delimited.read,
    "json": trees.read_json,
    "ndjson": trees.read_ndjson,
    "yaml": trees.read_yaml,
    "toml": trees.read_toml,
    "xml": xmltree.read,
    "xlsx": book.read,
    "xls": book.read,
    "xlsb": book.read,
    "ods": book.read,
    "ooxml-encrypted": book.read,
    "parquet": arrow.read,
    "arrow": arrow.read,
    "orc": arrow.read,
    "avro": avro.read,
    "sqlite": database.read_sqlite,
    "sql": database.read_sql,
}
# Targets that keep the structure of a tree.
_TREES: Mapping[str, Callable[[Tree, Work, Notes], Buffer]] = {
    "json": trees.write_json,
    "ndjson": trees.write_ndjson,
    "yaml": trees.write_yaml,
    "toml": trees.write_toml,
    "xml": xmltree.write,
}
# Targets that hold one table a file.
_SINGLE: Mapping[str, Callable[[Table, Work, Notes], Buffer]] = {
    "csv": delimited.write,
    "tsv": delimited.write,
    "ndjson": trees.write_ndjson,
    "parquet": arrow.write,
    "arrow": arrow.write,
    "orc": arrow.write,
    "avro": avro.write,
}
# Targets that hold several.
_SEVERAL: Mapping[str, Callable[[Sequence[Table], Work, Notes], Buffer]] = {
    "xlsx": xlsx.write,
    "xls": xls.write,
    "ods": ods.write,
    "sqlite": database.write_sqlite,
    "sql": database.write_sql,
    "html": markup.write,
    "md": markup.write,
}
_NESTED = frozenset({"ndjson", "parquet", "arrow", "orc", "avro", "json", "yaml", "toml", "xml"})


def convert(work: Work) -> Result:
    """Convert one document. Raises the errors of its reader and writer in engine.errors."""
    options: DataOptions = work.options
    notes = Notes()
    check_source(options, work.source)
    content = READERS[work.source](work, notes)
    if isinstance(content, Tree) and work.target in _TREES and not _wants_tables(options):
        files = [_TREES[work.target](content, work, notes)]
    else:
        flat = work.target not in _NESTED
        if isinstance(content, Tree):
            content = tables_of(content, options.records, notes, flat=flat)
        elif flat:
            content = [flattened(table, notes) for table in content]
        files = _write(_chosen(content, work, notes), work, notes)
    return Result(files=tuple(files), warnings=notes.all())


def _wants_tables(options: DataOptions) -> bool:
    return options.limit is not None or options.orient != "records" or bool(
        options.sheet or options.records or options.columns or options.rename
    )  # fmt: skip


def _write(tables: list[Table], work: Work, notes: Notes) -> list[Buffer]:
    if work.target in _SEVERAL:
        return [_SEVERAL[work.target](tables, work, notes)]
    if work.target in _SINGLE:
        return [_SINGLE[work.target](table, work, notes) for table in tables]
    return [_TREES[work.target](tree_of(tables, work.options.orient), work, notes)]


def _chosen(tables: list[Table], work: Work, notes: Notes) -> list[Table]:
    """The wanted sheets, with the wanted columns and rows. Raises TargetImpossible."""
    options: DataOptions = work.options
    if not tables:
        raise TargetImpossible("the source holds no table")
    chosen = _sheets(tables, options.sheet, work, notes)
    chosen = [_narrowed(table, options) for table in chosen]
    if options.table:
        names = [options.table] + [f"{options.table}_{n}" for n in range(2, len(chosen) + 1)]
        chosen = [_named(table, name) for table, name in zip(chosen, names, strict=True)]
    return chosen


def _sheets(tables: list[Table], wanted: str, work: Work, notes: Notes) -> list[Table]:
    if wanted.lower() == "all" or (not wanted and work.target in _SEVERAL):
        return tables
    if not wanted:
        if sum(bool(table.columns) for table in tables) > 1:
            notes.say(
                f"only the first of {len(tables)} sheets or tables is in the result; the option"
                " sheet takes a name, a number or all"
            )
        return tables[:1]
    named = [table for table in tables if table.name == wanted]
    if not named and wanted.isdecimal() and 1 <= int(wanted) <= len(tables):
        named = [tables[int(wanted) - 1]]
    if not named:
        raise TargetImpossible(
            f"the source has no such sheet or table; it has {len(tables)}, and the option sheet"
            " takes a name, a number from 1, or all"
        )
    return named[:1]


def _narrowed(table: Table, options: DataOptions) -> Table:
    columns = _listed(options.columns, "columns")
    limit = options.limit
    renames = dict(_pair(word) for word in _listed(options.rename, "rename"))
    if not columns and not renames and limit is None:
        return table
    for name in (*columns, *renames):
        if name not in table.columns:
            raise TargetImpossible(
                "the source has no column of a name that the option columns or rename gives;"
                " names are told apart by case"
            )
    places = [table.columns.index(name) for name in columns or table.columns]
    names = tuple(renames.get(table.columns[place], table.columns[place]) for place in places)
    if len(set(names)) < len(names):
        raise OptionInvalid("rename: two columns would have the same name")
    source = table.rows

    def rows() -> Iterator[Row]:
        for number, row in enumerate(source()):
            if limit is not None and number >= limit:
                return
            yield [row[place] for place in places]

    arrow_table = table.arrow
    if arrow_table is not None:
        arrow_table = arrow_table.select(places).rename_columns(list(names))
        arrow_table = arrow_table if limit is None else arrow_table.slice(0, limit)
    return Table(name=table.name, columns=names, rows=rows, arrow=arrow_table, flat=table.flat)


def _named(table: Table, name: str) -> Table:
    return msgspec.structs.replace(table, name=name)


def _listed(text: str, option: str) -> list[str]:
    try:
        return next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise OptionInvalid(f"{option}: a double quote is not closed") from error


def _pair(word: str) -> tuple[str, str]:
    old, sign, new = word.partition("=")
    if not sign or not old or not new:
        raise OptionInvalid("rename: give old=new pairs joined by commas")
    return old, new
