"""A report as one self-contained HTML page: it loads nothing, runs nothing, and holds its own pictures."""

from __future__ import annotations

import base64
import itertools
import re
from html import escape
from typing import TYPE_CHECKING

from cml_action.publish.frame import Frame, checks_table, heading, messages, sorted_checks, took
from cml_action.publish.markdown import OPEN_ROWS, SPANS, visible
from cml_action.quantity import NOTHING, quantity
from cml_action.report import Code, Figure, Link, Markdown, Quantity, Section, Table, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cml_action.report import Block, Check, Inline, Report

#: Nothing is loaded and no script runs, whatever a value holds (Content Security Policy 3).
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --code: #818b981f }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --code: #656c7633 }
  body { background: #0d1117 }
}
body { color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem }
body { padding: 1.5rem 1rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem }
h2 { border-top: 1px solid var(--line); font-size: 1.1rem; margin: 2rem 0 .5rem; padding-top: 1rem }
p { margin: .5rem 0 }
code { background: var(--code); border-radius: 6px; font-size: 85%; padding: .15em .35em }
code { overflow-wrap: anywhere }
td code { overflow-wrap: break-word }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; margin: .75rem 0 }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem; text-align: left; vertical-align: top }
th { color: var(--soft); font-weight: 600 }
.right { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap }
.right:has(span) { white-space: normal }
.right span { white-space: nowrap }
figure { margin: 1rem 0 }
figcaption { font-weight: 600; margin-bottom: .25rem }
img { height: auto; max-width: 100% }
details { margin: .75rem 0 }
summary { cursor: pointer }
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem }
footer { margin-top: 2rem; padding-top: .75rem }
"""


def render(report: Report, frame: Frame) -> str:
    """Return the page. Figures are drawn here, which takes most of the time."""
    title = heading(report, frame.title or "Report", written=frame.written)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(visible(title))}</title>",
            f"<style>{_STYLE}</style>",
            f"<h1>{words(title)}</h1>",
            *(f"<p>{sentence(line)}</p>" for line in report.summary),
            *_checks(sorted_checks(report.checks), frame),
            *(
                line
                for section in sorted(report.sections, key=lambda each: each.folded)
                for line in _section(section)
            ),
            _foot(frame),
            "</html>",
            "",
        ]
    )


def words(text: str) -> str:
    """Return a sentence of ours, in which `…` marks what is code."""
    return "".join(
        code(piece) if at % 2 else escape(visible(piece, longest=4096))
        for at, piece in enumerate(SPANS.split(text))
    )


def code(text: str) -> str:
    """Return text that is not ours."""
    return f"<code>{escape(visible(text)) or '(empty)'}</code>"


def inline(piece: Inline) -> str:
    """Return one piece of a sentence."""
    match piece:
        case None:
            return NOTHING
        case str():
            return words(piece)
        case Code(text):
            return code(text)
        case Quantity(value, unit, signed):
            return quantity(value, unit, signed=signed)
        case Link(text, url):
            return _link(words(text), url)


def sentence(text: Text) -> str:
    """Return the inside of a paragraph."""
    return "".join(inline(piece) for piece in text.parts)


def _link(shown: str, url: str) -> str:
    safe = url.startswith(("https://", "http://"))
    return f'<a href="{escape(url)}" rel="noreferrer">{shown}</a>' if safe else shown


def _section(section: Section) -> Iterable[str]:
    inside = "\n".join(_block(block) for block in section.blocks)
    if section.folded:
        yield f"<details><summary>{sentence(section.title)}</summary>\n{inside}\n</details>"
    else:
        if section.title.parts:
            yield f"<h2>{sentence(section.title)}</h2>"
        yield inside


def _block(block: Block) -> str:
    match block:
        case Text():
            return f"<p>{sentence(block)}</p>"
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Markdown(text=text):
            return _markdown(text)


def _figure(figure: Figure) -> str:
    from cml_action.publish.figures import png

    drawn = png(figure)
    image, width = base64.b64encode(drawn).decode(), int.from_bytes(drawn[16:20], "big") // 2  # in its header
    alt = escape(visible(figure.alt, longest=1000))
    caption = f"<figcaption>{words(figure.title)}</figcaption>"
    return f'<figure>{caption}<img alt="{alt}" width="{width}" src="data:image/png;base64,{image}"></figure>'


def _markdown(text: str) -> str:
    """Render a user's own Markdown, with HTML inside it shown as text, but for pictures that it holds."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for rule in ("html_block", "html_inline"):
        parser.add_render_rule(rule, lambda _self, tokens, at, *_: _html(tokens[at].content))
    return str(parser.render(text))


def _html(text: str) -> str:
    """Return HTML that is not ours as text; of a picture inside its own address, the picture."""
    from cml_action.publish.find import tags

    parts, at = [], 0
    for found in tags(text):
        if found.tag == "img" and found.address.startswith("data:image/"):
            image = f'<img alt="{escape(found.alt)}" src="{escape(found.address)}">'
            parts += [escape(text[at : found.start]), image]
            at = found.end
    return "".join([*parts, escape(text[at:])])


def _table(table: Table) -> str:
    def row(tag: str, cells: Iterable[str]) -> str:
        written = (
            f'<{tag} class="right">{cell}</{tag}>' if at in table.right else f"<{tag}>{cell}</{tag}>"
            for at, cell in enumerate(cells)
        )
        return f"<tr>{''.join(written)}</tr>"

    def cell(at: int, content: Inline | tuple[Inline, ...]) -> str:
        if at not in table.right or not isinstance(content, tuple):
            return _cell(content)
        # A number and its interval may stand below each other, and neither breaks.
        return "".join(re.sub(r"(?s)^( ?)(.*)", r"\1<span>\2</span>", inline(each)) for each in content)

    head = row("th", map(escape, table.columns))

    def grid(rows: Iterable[tuple[Inline | tuple[Inline, ...], ...]]) -> str:
        body = "\n".join(row("td", itertools.starmap(cell, enumerate(cells))) for cells in rows)
        return f'<div class="scroll"><table><thead>{head}</thead><tbody>\n{body}\n</tbody></table></div>'

    rest = table.rows[OPEN_ROWS:]
    folded = f"\n<details><summary>{len(rest):,} more</summary>\n{grid(rest)}\n</details>" if rest else ""
    return grid(table.rows[:OPEN_ROWS]) + folded


def _cell(cell: Inline | tuple[Inline, ...]) -> str:
    return "".join(inline(piece) for piece in (cell if isinstance(cell, tuple) else (cell,)))


def _checks(checks: list[Check], frame: Frame) -> Iterable[str]:
    rows = checks_table(checks, frame)
    if rows:
        yield _table(rows)
    said = [f"<li>{words(message)}</li>" for message in messages(checks)]
    if len(said) == 1:
        yield f"<p>{said[0].removeprefix('<li>').removesuffix('</li>')}</p>"
    elif said:
        yield f"<ul>{''.join(said)}</ul>"


def _foot(frame: Frame) -> str:
    pieces = []
    if frame.revision:
        against = f" against {escape(frame.base_name + '@' if frame.base_name else '')}{frame.base[:7]}"
        pieces.append(escape(frame.revision[:7]) + (against if frame.base else ""))
    if frame.seconds:
        pieces.append(took(frame))
    if frame.run_url:
        pieces.append(_link("run", frame.run_url))
    return f"<footer>{' · '.join(pieces)}</footer>" if pieces else ""
