"""A report as GitHub's Markdown. Text that is not ours is shown as text: nothing in it is obeyed."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from tabulate import tabulate

from cml_action.publish import mermaid
from cml_action.publish.frame import Frame, checks_table, heading, messages, sorted_checks, took
from cml_action.quantity import NOTHING, counted, quantity
from cml_action.report import Code, Figure, Link, Markdown, Quantity, Section, Table, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cml_action.report import Check, Inline, Report

#: A table shows so many rows; the rest is folded.
OPEN_ROWS = 12
_LONGEST_VALUE = 80
#: What a report that is cut leaves empty at most, as a part of the room: one fourth.
_MOST_EMPTY = 4
#: Folds inside each other that are closed where a report is cut.
_MOST_FOLDS = 20
_MARKUP = re.compile(r"([\\`*_\[\]|~$#]|^[-+=>](?=\s|$)|^\d+(?=[.)]))")
_INLINE_MARKUP = re.compile(r"[\\`*_\[\]|~$#@]")
SPANS = re.compile(r"`([^`\n]*)`")
#: Stops what GitHub does with the text around it, and shows nothing.
ZERO_WIDTH = "\u200b"


def visible(text: str, longest: int = _LONGEST_VALUE) -> str:
    """Return text on one line, of bounded length, with what cannot be seen written out.

    Control characters and those that turn the direction of writing (CVE-2021-42574) are shown as escapes.
    """
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return "".join(
        character
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def plain(text: str) -> str:
    """Return words as Markdown that shows them as they are.

    GitHub turns `@name`, `#1`, `GH-1`, commit hashes and bare addresses into links after the Markdown was
    read, so a backslash does not stop it: a zero-width space does.
    """
    text = html.escape(visible(text, longest=4096), quote=False)
    return _unlinked(_MARKUP.sub(r"\\\1", text))


def plain_html(text: str) -> str:
    """Return words for inside an HTML tag, that show as they are whether Markdown is read there or not."""
    text = html.escape(_unlinked(visible(text, longest=4096)), quote=False)
    return _INLINE_MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", text)


def _unlinked(text: str) -> str:
    text = re.sub(r"(?i)(@|#|\bgh|\bhttps?|\bftp|\bmailto|\bwww)(?=[\w.:-])", rf"\1{ZERO_WIDTH}", text)
    return re.sub(r"\b([0-9a-f]{6})([0-9a-f]+)\b", rf"\1{ZERO_WIDTH}\2", text)


def code(text: str, *, in_table: bool = False, longest: int = _LONGEST_VALUE) -> str:
    """Return text that is not ours as a code span, in which GitHub neither links nor pings.

    The fence is longer than any run of backticks inside (CommonMark 6.1). In a table a bar is escaped even
    there (GFM 4.10), and a backslash before it would take the escape away.
    """
    text = visible(text, longest)
    if not text.strip():
        text = "␣" * len(text) or "(empty)"
    elif text != text.strip():
        text = re.sub(r"^ +| +$", lambda found: "␣" * len(found[0]), text)
    if in_table:
        text = text.replace("\\|", f"\\{ZERO_WIDTH}|").replace("|", "\\|")
        text = f"{text}{ZERO_WIDTH}" if text.endswith("\\") else text
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def words(text: str, *, in_table: bool = False) -> str:
    """Return a sentence of ours, in which `…` marks what is code."""
    pieces = SPANS.split(text)
    return "".join(
        code(piece, in_table=in_table) if at % 2 else plain(piece) for at, piece in enumerate(pieces)
    )


def inline(piece: Inline, *, in_table: bool = False) -> str:
    """Return one piece of a sentence."""
    match piece:
        case None:
            return NOTHING
        case str():
            return words(piece, in_table=in_table)
        case Code(text):
            return code(text, in_table=in_table)
        case Quantity(value, unit, signed):
            return quantity(value, unit, signed=signed)
        case Link(text, url):
            return link(words(text, in_table=in_table), url)


def link(shown: str, url: str) -> str:
    """Return a link; without an address, its words."""
    return f"[{shown}]({quote(url, safe=':/?#@!$&*+,;=%~')})" if url else shown


def sentence(text: Text) -> str:
    """Return a paragraph."""
    return "".join(inline(piece) for piece in text.parts)


def table(found: Table) -> str:
    """Return a table; beyond a dozen rows, the rest of it folded."""
    rows = [[_cell(cell) for cell in row] for row in found.rows]
    names = [plain(name) for name in found.columns]
    align = ["right" if at in found.right else "left" for at in range(len(names))]

    def grid(some: Sequence[Sequence[str]]) -> str:
        return str(tabulate(some, names, "pipe", colalign=align if some else None, disable_numparse=True))

    if len(rows) <= OPEN_ROWS:
        return grid(rows)
    rest = fold(f"{len(rows) - OPEN_ROWS:,} more", grid(rows[OPEN_ROWS:]))
    return f"{grid(rows[:OPEN_ROWS])}\n\n{rest}"


def fold(summary: str, inside: str) -> str:
    """Return Markdown under a line that opens it. `summary` is escaped already, and HTML."""
    return f"<details><summary>{summary}</summary>\n\n{inside}\n\n</details>"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How long a place lets Markdown be, and what it counts."""

    most: int
    bytes: bool = False

    def size(self, text: str) -> int:
        """How long a text is there."""
        return len(text.encode()) if self.bytes else len(text)

    def holds(self, text: str) -> bool:
        """Whether the text may go there."""
        return self.size(text) <= self.most


#: GitHub answers 422 beyond 65,536 characters, and 65,535 bytes in a check run; some of the characters are
#: the comment's marker. It does not show a step's summary that is longer than 1 MiB.
COMMENT = Limit(most=65_536 - 1024)
CHECK = Limit(most=65_535, bytes=True)
SUMMARY = Limit(most=1024 * 1024, bytes=True)


def render(report: Report, frame: Frame, limit: Limit | None = None) -> str:
    """Return the whole report, cut where it is longer than its place allows."""
    pieces, last = list(parts(report, frame)), foot(frame)
    whole = "\n\n".join([*pieces, last] if last else pieces) + "\n"
    return whole if limit is None or limit.holds(whole) else _fit(pieces, last, limit, frame.run_url)


def parts(report: Report, frame: Frame) -> Iterable[str]:
    """Yield the report piece by piece, most important first; each is whole Markdown of its own."""
    if frame.title:
        yield f"### {words(heading(report, frame.title, written=frame.written))}"
    yield from (sentence(line) for line in report.summary)
    checks = sorted_checks(report.checks)
    open_checks = [check for check in checks if check.status != "pass"]
    if open_checks:
        rows = checks_table(open_checks, frame)
        if rows:
            yield table(rows)
        yield _messages(open_checks)
    for section in sorted(report.sections, key=lambda section: section.folded):
        yield from _section(section)
    passed = checks[len(open_checks) :]
    rows = checks_table(passed, frame)
    if rows:
        yield fold(f"{counted(len(passed), 'check')} passed", table(rows))


def foot(frame: Frame) -> str:
    """Return for which commit, against which base, how long it took and where the full report is."""
    pieces = []
    if frame.revision:
        against = f" against {_commit(frame.base, frame.base_name)}" if frame.base else ""
        pieces.append(f"{_commit(frame.revision)}{against}")
    if frame.seconds:
        pieces.append(took(frame))
    if frame.run_url:
        pieces.append(f'<a href="{html.escape(frame.run_url)}">full report</a>')
    return f"<sub>{' · '.join(pieces)}</sub>" if pieces else ""


def _fit(pieces: Sequence[str], last: str, limit: Limit, url: str) -> str:
    """Keep as many whole pieces as the limit holds, and say where the others are.

    The first of those is kept in part where much room would be empty without it.
    """
    where = link("the full report", url) if url else "the report's file"
    note = f"**{{}} of it are in {where}**: too long for here."
    room = limit.most - limit.size("\n\n".join(["", note.format(f"{len(pieces):,} more parts"), last]) + "\n")
    kept = list[str]()
    while limit.size(pieces[len(kept)]) + 2 <= room:  # not all: there would be room for the whole
        room -= limit.size(pieces[len(kept)]) + 2
        kept.append(pieces[len(kept)])
    left = len(pieces) - len(kept)
    if room > limit.most // _MOST_EMPTY:
        kept.append(_cut(pieces[len(kept)], room - 2, limit))
        note = f"**The rest is in {where}**: too long for here."
    return "\n\n".join(filter(None, [*kept, note.format(f"{left:,} more parts"), last])) + "\n"


def _cut(piece: str, most: int, limit: Limit) -> str:
    """Cut a piece at a line's end, and close the code block and the folds that it may end in."""
    most -= len("\n````````\n\n") + _MOST_FOLDS * len("</details>")
    cut = piece.encode()[:most].decode(errors="ignore") if limit.bytes else piece[:most]
    cut = cut[: cut.rfind("\n")] if "\n" in cut else cut
    fences = re.findall(r"(?m)^(`{3,}|~{3,})", cut)
    opened = len(re.findall(r"(?i)<details\b", cut)) - len(re.findall(r"(?i)</details\b", cut))
    fence = f"\n{fences[-1]}" if len(fences) % 2 else ""
    return cut + fence + ("\n\n" + min(opened, _MOST_FOLDS) * "</details>" if opened > 0 else "")


def _section(section: Section) -> Iterable[str]:
    blocks = [_block(block) for block in section.blocks]
    blocks = [block for block in blocks if block]
    if not blocks:  # nothing but figures that only the HTML page has
        return
    title = sentence(section.title)
    if section.folded:
        yield fold(_html_sentence(section.title), "\n\n".join(blocks))
    else:
        yield "\n\n".join([f"**{title}**" if title else "", *blocks]).strip()


def _block(block: Text | Table | Figure | Markdown) -> str:
    match block:
        case Text():
            return sentence(block)
        case Table():
            return table(block)
        case Figure():
            return mermaid.render(block)
        case Markdown(text=text):
            return text


def _messages(checks: Sequence[Check]) -> str:
    said = [f"- {words(message)}" for message in messages(checks)]
    if len(said) == 1:
        return said[0].removeprefix("- ")
    shown = "\n".join(said[:OPEN_ROWS])
    rest = "\n".join(said[OPEN_ROWS:])
    return f"{shown}\n\n{fold(f'{len(said) - OPEN_ROWS:,} more', rest)}" if rest else shown


def _cell(cell: Inline | tuple[Inline, ...]) -> str:
    pieces = cell if isinstance(cell, tuple) else (cell,)
    return "".join(inline(piece, in_table=True) for piece in pieces)


def _html_sentence(text: Text) -> str:
    """Return a sentence for inside `<summary>`, where Markdown is not read."""
    from cml_action.publish.html import sentence as html_sentence

    return html_sentence(text).replace("@", f"@{ZERO_WIDTH}")


def _commit(revision: str, name: str = "") -> str:
    return f"{plain(name)}@{revision[:7]}" if name else revision[:7]
