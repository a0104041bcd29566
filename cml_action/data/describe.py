"""A profile, alone or beside its base, as sections of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cml_action.data.compare import LARGE_PSI, MODERATE_PSI, NOTABLE, Shift, shifts
from cml_action.quantity import counted, quantity
from cml_action.report import Code, Figure, Panel, Quantity, Section, Series, Table, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.data.profile import Column, Profile, Value
    from cml_action.report import Inline, Json, Unit

_MOST_CLASSES, _FEW_CLASSES = 50, 8
#: So many histograms are drawn in one figure at most, and so many of them open where there is no base.
_MOST_PANELS, _FEW_PANELS = 60, 12
_LONGEST_IN_TITLE = 40


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A data set at the head and, where there is one, at the base.

    :param hashes: what DVC knows the data by at the base and at the head, empty where it does not.
    :param unchanged: both sides hold the same bytes, so the base was not read again.
    :param added: the base had no such data set.
    :param why_not: why the base's side could not be read, one sentence.
    """

    head: Profile
    base: Profile | None = None
    hashes: tuple[str, str] = ("", "")
    unchanged: bool = False
    added: bool = False
    why_not: str = ""


def summary(found: Compared) -> Text:
    """Say in one line how large the data is and what moved most."""
    head, base = found.head, found.base
    parts: list[Inline] = [Code(head.name), ": "]
    if base is None:
        parts += [*_sizes(head), _beside(found)]
    else:
        parts += [*_counted(base.rows, head.rows, "count"), " rows, "]
        columns = (len(base.columns), len(head.columns))
        if columns[0] == columns[1]:
            parts += [f"{counted(columns[1], 'column')}, "]
        else:
            parts += [*_counted(*columns, "count"), " columns, "]
        parts += [Quantity(base.size_bytes, "bytes"), " → ", Quantity(head.size_bytes, "bytes")]
    answer = _class_answer(found)
    said = (" ", *answer, ".") if answer else ()
    why_not = (f" Not compared: {found.why_not}",) if found.why_not else ()
    return Text.of(*parts, ".", *said, *why_not)


def _beside(found: Compared) -> str:
    if found.unchanged:
        return "; as it was in the base"
    return "; new, the base has no such data set" if found.added else ""


def sections(found: Compared) -> tuple[Section, ...]:
    """Return what differs, open, and the rest, folded."""
    head, base = found.head, found.base
    moved = shifts(base, head) if base else []
    shown = [_changes(found, moved)] if base else []
    if head.classes:
        shown.append(_classes(found))
    shown.append(_columns(found))
    return (*shown, *_histograms(found, moved))


def facts(found: Compared) -> dict[str, Json]:
    """Return both sides for `result.json`."""
    base, head = found.hashes
    return {
        "name": found.head.name,
        "hash": head or None,
        "base_hash": base or None,
        "unchanged": found.unchanged,
        "head": found.head.model_dump(mode="json"),
        "base": found.base.model_dump(mode="json") if found.base else None,
    }


def _sizes(profile: Profile) -> tuple[Inline, ...]:
    return (
        f"{counted(profile.rows, 'row')}, {counted(len(profile.columns), 'column')}, ",
        Quantity(profile.size_bytes, "bytes"),
    )


def _counted(base: float, head: float, unit: Unit) -> tuple[Inline, ...]:
    return (
        *(Quantity(base, unit), " → ", Quantity(head, unit)),
        *(" (", Quantity(head - base, unit, signed=True), ")"),
    )


def _changes(found: Compared, moved: Sequence[Shift]) -> Section:
    """Return a row for all that differs, the largest shift first, and a count of what does not."""
    head, base = found.head, found.base
    assert base is not None  # noqa: S101 -- called with a base only
    rows: list[tuple[Inline | tuple[Inline, ...], ...]] = []
    if base.duplicates != head.duplicates:
        rows.append(("duplicate rows", *_row(base.duplicates, head.duplicates, "count")))
    notable = [shift for shift in moved if shift.worth_a_row]
    for shift in sorted(notable, key=lambda shift: -(shift.psi or float("inf"))):
        rows += _shift_rows(shift)
    same = len(moved) - len(notable)
    rest = Text.of(
        Quantity(same, "count"),
        f" of {len(moved):,} columns hardly differ (PSI below {MODERATE_PSI}, or no more than chance).",
    )
    table = Table(columns=("", "base", "head", "difference"), rows=tuple(rows), right=frozenset({1, 2, 3}))
    return Section(
        title=Text.of("What changed in ", Code(head.name)),
        blocks=(table, rest) if rows else (rest,),
    )


def _shift_rows(shift: Shift) -> list[tuple[Inline | tuple[Inline, ...], ...]]:
    name, base, head = Code(shift.name), shift.base, shift.head
    if base is None or head is None:
        there = base or head
        assert there is not None  # noqa: S101 -- one side has it
        kind = (there.type,)
        return [(("column ", name), "–" if base is None else kind, "–" if head is None else kind,
                 "added" if base is None else "removed")]  # fmt: skip
    rows: list[tuple[Inline | tuple[Inline, ...], ...]] = []
    if base.type != head.type:
        rows.append((("type of ", name), base.type, head.type, "changed"))
    if abs(shift.nulls[1] - shift.nulls[0]) >= NOTABLE:
        rows.append((("nulls in ", name), *_row(*shift.nulls, "share")))
    if shift.shifted:
        size = "large" if (shift.psi or 0) >= LARGE_PSI else "moderate"
        psi: Inline = f"{size} shift, PSI {quantity(shift.psi)}"
        if base.numbers and head.numbers:
            unit = _unit(head)
            means = Quantity(base.numbers.mean, unit), Quantity(head.numbers.mean, unit)
            rows.append((("mean of ", name), *means, psi))
        else:
            value, *shares = _most_moved(base, head)
            rows.append(
                (("share of ", Code(value), " in ", name), *(Quantity(at, "share") for at in shares), psi)
            )
    return rows


def _most_moved(base: Column, head: Column) -> tuple[str, float, float]:
    """Return the value whose share moved most, and its shares, of two columns with full counts."""
    before, after = ({_exact(each.value): each.count for each in side.top} for side in (base, head))
    of_base, of_head = sum(before.values()), sum(after.values())
    shares = {
        name: (before.get(name, 0) / of_base, after.get(name, 0) / of_head) for name in {**before, **after}
    }
    value = max(shares, key=lambda name: abs(shares[name][1] - shares[name][0]))
    return value, *shares[value]


def _row(base: float, head: float, unit: Unit) -> tuple[Inline, Inline, Inline]:
    between: Unit = "points" if unit == "share" else unit
    return Quantity(base, unit), Quantity(head, unit), Quantity(head - base, between, signed=True)


def _class_answer(found: Compared) -> tuple[Inline, ...]:
    """Say which class moved most, or which is the largest."""
    head, base = found.head, found.base
    if not head.classes or not head.rows:
        return ()
    after = _shares(head)
    if base is None or not base.classes:
        largest = max(after, key=lambda name: after[name])
        return "The largest class is ", Code(largest), f" with {quantity(after[largest], 'share')}"
    before = _shares(base)
    moves = {name: after.get(name, 0) - before.get(name, 0) for name in {**before, **after}}
    most = max(moves, key=lambda name: abs(moves[name]))
    if abs(moves[most]) < NOTABLE:
        return ("The balance of classes is as it was",)
    verb = "rose" if moves[most] > 0 else "fell"
    was, now = quantity(before.get(most, 0), "share"), quantity(after.get(most, 0), "share")
    return Code(most), f" {verb} from {was} to {now} of the rows"


def _title(answer: tuple[Inline, ...]) -> str:
    """Write an answer as the title of a figure, which knows no code, with long names cut."""
    return "".join(_cut(piece.text) if isinstance(piece, Code) else str(piece) for piece in answer)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_IN_TITLE else f"{name[: _LONGEST_IN_TITLE - 1]}…"


def _classes(found: Compared) -> Section:
    head, base = found.head, found.base
    after, counts = _shares(head), dict(_class_counts(head))
    before = _shares(base) if base and base.classes else {}
    old = dict(_class_counts(base)) if base and base.classes else {}
    names = list({**after, **before})
    # A figure may show the first few only: they are those that moved most.
    drawn = sorted(names, key=lambda name: -abs(after.get(name, 0) - before.get(name, 0)))
    drawn = drawn if before and len(names) > _FEW_CLASSES else names
    sides = [Series(name="head", values=tuple(after.get(name, 0) for name in drawn))]
    if before:
        sides.insert(0, Series(name="base", values=tuple(before.get(name, 0) for name in drawn)))
    title = _title(_class_answer(found)) or "Balance of classes"
    alt = "; ".join(f"{name} {quantity(after.get(name, 0), 'share')}" for name in drawn[:_MOST_CLASSES])
    panel = Panel(title="", categories=tuple(drawn), series=tuple(sides), unit="share")
    figure = Figure(title=title, alt=f"Share of rows by class: {alt}", panels=(panel,))
    rows: list[tuple[Inline, ...]]
    if before:
        columns: tuple[str, ...] = ("class", "base", "head", "rows", "share", "difference")
        rows = [
            (
                Code(name),
                Quantity(old.get(name, 0), "count"),
                Quantity(counts.get(name, 0), "count"),
                Quantity(counts.get(name, 0) - old.get(name, 0), "count", signed=True),
                Quantity(after.get(name, 0), "share"),
                Quantity(after.get(name, 0) - before.get(name, 0), "points", signed=True),
            )
            for name in names[:_MOST_CLASSES]
        ]
    else:
        columns = ("class", "rows", "share")
        rows = [
            (Code(name), Quantity(counts[name], "count"), Quantity(after[name], "share"))
            for name in names[:_MOST_CLASSES]
        ]
    table = Table(columns=columns, rows=tuple(rows), right=frozenset(range(1, len(columns))))
    return Section(title=Text.of("Classes in ", Code(head.label or "")), blocks=(figure, table))


def _class_counts(profile: Profile) -> list[tuple[str, int]]:
    return [(_class(each.value), each.count) for each in profile.classes]


def _class(value: Value) -> str:
    """Name a class. Whole numbers become doubles where one row has no label (pandas): they stay the same."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _shares(profile: Profile) -> dict[str, float]:
    return {name: count / profile.rows for name, count in _class_counts(profile)} if profile.rows else {}


def _columns(found: Compared) -> Section:
    profile = found.head
    names = (
        "column",
        "type",
        "nulls",
        "distinct",
        "min",
        "median",
        "max",
        "mean",
        "deviation",
        "most frequent",
    )
    rows = tuple(_column_row(column, profile.rows) for column in profile.columns)
    table = Table(columns=names, rows=rows, right=frozenset(range(2, 9)))
    base, head = found.hashes
    known = (
        [Text.of("DVC hash ", Code(head), *((", base ", Code(base)) if base != head else ()))] if head else []
    )
    return Section(
        title=Text.of(f"All {counted(len(rows), 'column')} of ", Code(profile.name)),
        blocks=(table, *known),
        folded=True,
    )


def _column_row(column: Column, rows: int) -> tuple[Inline | tuple[Inline, ...], ...]:
    numbers, unit, most = column.numbers, _unit(column), column.top[0] if column.top else None
    return (
        Code(column.name),
        column.type,
        Quantity(column.nulls / max(rows, 1), "share"),
        ("" if column.distinct_exact else "≈ ", Quantity(column.distinct, "count")),
        _value(column.min),
        Quantity(numbers.quantile(0.5), unit) if numbers else None,
        _value(column.max),
        Quantity(numbers.mean, unit) if numbers else None,
        Quantity(numbers.deviation, "seconds" if unit == "moment" else unit) if numbers else None,
        (Code(_exact(most.value)), " (", Quantity(most.count, "count"), ")") if most else None,
    )


def _unit(column: Column) -> Unit:
    return "moment" if column.type in {"datetime", "date"} else "number"


def _exact(value: Value) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _value(value: Value | None) -> Inline:
    return Code(value) if isinstance(value, str) else Quantity(value) if value is not None else None


def _histograms(found: Compared, moved: Sequence[Shift]) -> tuple[Section, ...]:
    """Return the distributions that moved, largest first and open, and all others, folded."""
    drawn = [column for column in found.head.columns if column.numbers]
    psi = {shift.name: shift.psi or 0 for shift in moved if shift.shifted}
    far = sorted((column for column in drawn if column.name in psi), key=lambda column: -psi[column.name])
    rest = [column for column in drawn if column not in far]
    shown = []
    if far:
        first, others = far[0], len(far) - 1
        more = f", and {counted(others, 'other column')} moved" if others else ""
        title = f"{_cut(first.name)} moved most (PSI {quantity(psi[first.name])}){more}"
        shown.append(
            _drawn(found, far, title, Text.of(f"{counted(len(far), 'distribution')} moved in "), folded=False)
        )
    if rest:
        few = not moved and len(rest) <= _FEW_PANELS
        title = "Share of rows by value"
        what = "other distribution" if far else "distribution"
        shown.append(_drawn(found, rest, title, Text.of(f"{counted(len(rest), what)} in "), folded=not few))
    return tuple(shown)


def _drawn(found: Compared, columns: Sequence[Column], title: str, lead: Text, *, folded: bool) -> Section:
    panels = [_panel(found, column) for column in columns[:_MOST_PANELS]]
    figure = Figure(
        title=title,
        alt=f"Histograms of {', '.join(panel.title for panel in panels)}",
        panels=tuple(panels),
    )
    left_out = len(columns) - len(panels)
    note = (Text.of(f"{left_out:,} more are not drawn; `result.json` has them all."),) if left_out else ()
    return Section(title=Text.of(*lead.parts, Code(found.head.name)), blocks=(figure, *note), folded=folded)


def _panel(found: Compared, column: Column) -> Panel:
    assert column.numbers is not None  # noqa: S101 -- called with those that have
    histogram = column.numbers.histogram
    sides = [Series(name="head", values=_normed(histogram.folded))]
    old = found.base.column(column.name) if found.base else None
    if old and old.numbers and old.numbers.histogram.edges == histogram.edges:
        sides.insert(0, Series(name="base", values=_normed(old.numbers.histogram.folded)))
    edges, bins = histogram.edges, tuple[str, ...]()
    if len(histogram.counts) == 1:  # less than a constant, the same, and more: that is no scale
        less, more = (any(side.values[at] for side in sides) for at in (0, -1))
        constant = quantity(edges[0] / 2 + edges[1] / 2, _unit(column))
        edges, bins = (0, 1, 2, 3), ("less" if less else "", constant, "more" if more else "")
    return Panel(title=column.name, edges=edges, bins=bins, series=tuple(sides), unit=_unit(column))


def _normed(counts: Sequence[int]) -> tuple[float, ...]:
    return tuple(count / (sum(counts) or 1) for count in counts)
