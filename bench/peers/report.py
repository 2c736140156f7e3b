"""The tables, as Markdown that bench/README.md can hold."""

import os
import platform
from collections.abc import Mapping, Sequence

from bench.peers.measured import OURS, Cell, Entry, Outcome
from bench.peers.peer import Peer

_MIB = 1024 * 1024
_NONE = "-"


def head(peers: Sequence[Peer], absent: Mapping[str, str]) -> str:
    """Who took part, on what, and who could not."""
    machine = (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    )
    lines = [f"Machine: {machine}; load before: {os.getloadavg()[0]:.1f}.", ""]
    lines += ["| peer | what it is |", "|---|---|"]
    lines += [f"| {peer.name} | {peer.what} |" for peer in peers]
    lines += [f"| {name} | absent: {reason} |" for name, reason in absent.items()]
    return "\n".join([*lines, ""])


def row(outcome: Outcome) -> str:
    """One row: everybody in it, the base first."""
    base = outcome.base
    clients = sorted({kind.clients for e in outcome.entries for kind in e.cells if kind.clients})
    lines = [f"**{outcome.row.title}** (`{outcome.row.name}`)", ""]
    columns = ["peer", "CPU ms", "ratio", *(f"/s at {count}" for count in clients)]
    columns += ["ratios", "p50 / p99 ms at 8", "open: p50 / p99 ms", "p99 : p50", "MiB", "bytes"]
    columns += ["alike"]
    lines += [_line(columns), _line(["---"] * len(columns))]
    ordered = sorted(outcome.entries, key=lambda entry: entry is not base)
    lines += [_line(_cells(entry, base, clients)) for entry in ordered]
    for how, limit in outcome.bare.items():
        if limit.each_s is not None:
            said = [f"*{how} in a loop*", _ms(limit.each_s / outcome.row.each)]
            said += [_ratio(limit.each_s / outcome.row.each, _cpu_s(base))]
            said += [_NONE] * (len(columns) - 5) + [f"{limit.output_bytes:,}", _NONE]
            lines.append(_line(said))
        elif limit.error:
            lines.append(_line([f"*{how} in a loop*", limit.error, *[""] * (len(columns) - 2)]))
    lines += [f"\nLeft out: {name}: {reason}" for name, reason in outcome.left_out.items()]
    for entry in outcome.entries:
        if entry.failed:
            lines.append(f"\nRefused or failed: {entry.peer.name}: {dict(entry.failed)}")
    return "\n".join([*lines, ""])


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line a row: ours against the base, the others and the bare work."""
    columns = ["row", "base", "CPU ms", "ours", "ratio", "/s, ratio at 1 / 8 / 64"]
    columns += ["ahead of us in /s at 8", "p99 : p50, open", "libraries ms", "converter ms"]
    columns += ["service : libraries", "service : converter", "MiB, base / ours"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    lines += [_line(_summed(outcome)) for outcome in outcomes if outcome.entry(OURS)]
    return "\n".join([*lines, ""])


def _summed(outcome: Outcome) -> list[str]:
    ours, base = outcome.entry(OURS), outcome.base
    assert ours is not None
    each = outcome.row.each
    bare = {how: limit.each_s for how, limit in outcome.bare.items()}
    shown = {how: None if each_s is None else each_s / each for how, each_s in bare.items()}
    return [
        outcome.row.title,
        base.peer.name if base else _NONE,
        _ms(_cpu_s(base)),
        _ms(ours.cpu_s),
        _ratio(ours.cpu_s, _cpu_s(base)),
        _rates(ours, base, [1] if outcome.row.is_batch else [1, 8, 64]),
        ", ".join(_ahead(outcome, ours)) or "nobody",
        _spread(ours.cell(0)),
        _ms(shown.get("libraries")),
        _ms(shown.get("converter")),
        _ratio(ours.cpu_s, shown.get("libraries")),
        _ratio(ours.cpu_s, shown.get("converter")),
        f"{_mib(base)} / {_mib(ours)}",
    ]


def _ahead(outcome: Outcome, ours: Entry) -> list[str]:
    clients = 1 if outcome.row.is_batch else 8
    mine = ours.cell(clients)
    found = []
    for entry in outcome.entries:
        other = entry.cell(clients)
        if entry is not ours and mine and other and other.rate > mine.rate:
            found.append(f"{entry.peer.name} ({other.rate / mine.rate:.2f})")
    return found


def _cells(entry: Entry, base: Entry | None, clients: Sequence[int]) -> list[str]:
    at_8, at_half = entry.cell(8), entry.cell(0)
    return [
        entry.peer.name,
        _ms(entry.cpu_s),
        _ratio(entry.cpu_s, _cpu_s(base)),
        *(_rate(entry.cell(count), entry.results) for count in clients),
        _rates(entry, base, clients),
        _latencies(at_8),
        _latencies(at_half),
        _spread(at_half),
        _mib(entry),
        f"{entry.output_bytes:,}" if entry.output_bytes else _NONE,
        _NONE if entry.likeness is None else f"{entry.likeness:.4f}",
    ]


def _cpu_s(entry: Entry | None) -> float | None:
    return entry.cpu_s if entry else None


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ms(seconds: float | None) -> str:
    return _NONE if seconds is None else f"{1000 * seconds:.{1 if seconds < 0.1 else 0}f}"


def _ratio(value: float | None, base: float | None) -> str:
    return _NONE if value is None or not base else f"{value / base:.2f}"


def _rate(cell: Cell | None, results: int) -> str:
    return _NONE if cell is None else f"{results * cell.rate:.3g}"


def _rates(entry: Entry, base: Entry | None, clients: Sequence[int]) -> str:
    pairs = [(entry.cell(count), base.cell(count) if base else None) for count in clients]
    return " / ".join(_ratio(a.rate if a else None, b.rate if b else None) for a, b in pairs)


def _latencies(cell: Cell | None) -> str:
    if cell is None or not cell.seconds:
        return _NONE
    return f"{1000 * cell.p50_s:.0f} / {1000 * cell.p99_s:.0f}"


def _spread(cell: Cell | None) -> str:
    # Below some dozens of answers the slowest of a hundred is just the slowest.
    return _NONE if cell is None or not cell.seconds else f"{cell.p99_s / cell.p50_s:.1f}"


def _mib(entry: Entry | None) -> str:
    return f"{entry.memory_bytes / _MIB:.0f}" if entry and entry.memory_bytes else _NONE
