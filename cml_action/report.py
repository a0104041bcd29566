"""A verdict and what it rests on. A report knows nothing of Markdown, HTML or GitHub: publishing does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Status: TypeAlias = Literal["pass", "warn", "fail", "error", "skip"]
Verdict: TypeAlias = Literal["pass", "warn", "fail"]
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Unit: TypeAlias = Literal["number", "count", "bytes", "seconds", "share", "points", "ratio", "moment"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question with its answer: the only carrier of a verdict.

    :param id: stable name, `data/train.csv/columns/island/values`.
    :param title: what was asked, in words.
    :param value: what was found; `limit`: what is allowed; `baseline`: what the base has.
    :param unit: of these three, where they are numbers.
    :param details: what the value rests on, for programs: sizes of samples, ends of intervals.
    :param message: what it means and what to do, one or two sentences.
    :param path: the file, relative to the repository, that asked or that is at fault, and its line from 1.
    """

    id: str
    status: Status
    title: str
    message: str = ""
    value: Json = None
    limit: Json = None
    baseline: Json = None
    path: str | None = None
    line: int | None = None
    unit: Unit | None = None
    details: Mapping[str, Json] | None = None


@dataclass(frozen=True)
class Code:
    """Text that is not ours: a value from data, a file's or a column's name. It is shown as it is, inert."""

    text: str


@dataclass(frozen=True)
class Quantity:
    """A number with its unit.

    Units: `number`, `count`, `bytes`, `seconds`, `share` (0 to 1, shown in percent), `points` (a difference
    of two shares, 0 to 1, shown in percentage points), `ratio` (shown as × 1.02), `moment` (seconds since
    1970-01-01 UTC).

    :param signed: it is a difference, shown with its sign.
    """

    value: float | None
    unit: Unit = "number"
    signed: bool = False


@dataclass(frozen=True)
class Link:
    """Words of ours that lead somewhere."""

    text: str
    url: str


#: A piece of a sentence, or a cell. A bare string is our own words; anything else that is text is `Code`.
Inline: TypeAlias = "str | Code | Quantity | Link | None"


@dataclass(frozen=True)
class Text:
    """A paragraph: its pieces in order, nothing put between them."""

    parts: tuple[Inline, ...]

    @classmethod
    def of(cls, *parts: Inline) -> Text:
        """Make a paragraph of its pieces."""
        return cls(parts)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under named columns. Columns of quantities are aligned to the right.

    :param rows: n rows of as many cells as there are columns; a cell may be a tuple of pieces.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Inline | tuple[Inline, ...], ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Series:
    """Values of one side, one for each category or bin of its panel, or the points of an estimate.

    :param low, high: ends of the values' intervals, in a panel of estimates.
    """

    name: str
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    :param categories: n names, for bars beside each other; or
    :param edges: n + 1 edges of adjoining bins, for a histogram; `bins`: n names, where that is no scale; or
    :param rows: n names, for estimates with their intervals, one above the other.
    :param limits: with `rows`, the limit of each; NaN where there is none.
    :param series: one or two sides (`base` before `head`), n values each.
    """

    title: str
    series: tuple[Series, ...]
    categories: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    bins: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    limits: tuple[float, ...] = ()
    unit: Unit = "count"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One question answered by a picture: `title` is the answer if there is one, `alt` says it in words."""

    title: str
    alt: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Markdown:
    """A user's own Markdown, published as they wrote it.

    :param folder: where its relative addresses start; the workspace where it is None.
    """

    text: str
    folder: Path | None = None


Block: TypeAlias = "Text | Table | Figure | Markdown"


@dataclass(frozen=True, kw_only=True)
class Section:
    """Blocks under a heading, open or folded."""

    title: Text
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a mode has to say.

    :param summary: what a reader who stops after two lines must know.
    :param facts: what goes into `result.json` beside the checks, by the mode's name.
    :param outputs: what later steps read, by the output's name.
    """

    summary: tuple[Text, ...] = ()
    checks: tuple[Check, ...] = ()
    sections: tuple[Section, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """`fail` where any check failed or could not be made, else `warn` where any warned, else `pass`."""
        found = {check.status for check in self.checks}
        if found & {"fail", "error"}:
            return "fail"
        return "warn" if "warn" in found else "pass"

    def __add__(self, other: Report) -> Report:
        """Both reports in one, in their order."""
        return Report(
            summary=self.summary + other.summary,
            checks=self.checks + other.checks,
            sections=self.sections + other.sections,
            facts={**self.facts, **other.facts},
            outputs={**self.outputs, **other.outputs},
        )
