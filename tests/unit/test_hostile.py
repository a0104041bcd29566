from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from cml_action.log import Log
from cml_action.publish.hostile import harmless, introduced
from cml_action.publish.pictures import rewrite
from tests.services.images import png

if TYPE_CHECKING:
    from pathlib import Path

SPY = "https://evil.example/t.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plot.png").write_bytes(png())
    return tmp_path


def commented(text: str, folder: Path) -> str:
    """Return the Markdown that stands in the comment."""
    log = Log(runner=False, stream=io.StringIO())
    return rewrite(harmless(text), folder, folder, lambda _: "https://pictures.example/p.png", log)


def page(markdown: str) -> str:
    """Return the HTML that GitHub shows, with entities as the signs that they stand for."""
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    return re.sub(r"&#(\d+);", lambda entity: chr(int(entity[1])), shown)


@pytest.mark.parametrize(
    ("wrote", "becomes"),
    [
        ("ping @octocat and @org/team", "ping @\u200boctocat and @\u200borg/team"),
        ("fixes #12, GH-3 and o/r#4", "fixes #\u200b12, GH-\u200b3 and o/r#\u200b4"),
        ("/approve", "\u200b/approve"),
        ("see https://github.com/o/r/issues/1", "see https://redirect.github.com/o/r/issues/1"),
        ("![spy](https://evil.example/x.png)", "*spy*"),
        ('<img src="https://evil.example/x.png" alt="spy">', "*spy*"),
        ("\u202etxt\u2066 \x1b[31m", "txt [31m"),
        ("a\u2028/approve", "a/approve"),
        ("[x](https://github\\.com/o/r/issues/1)", "[x](https://redirect.github.com/o/r/issues/1)"),
        ("fixes GH\\-3 and #<!-- -->12", "fixes GH\\-\u200b3 and #\u200b<!-- -->12"),
        ("AT&amp;T &lt;b&gt; &copy; &eacute;", "AT&amp;T &lt;b&gt; &copy; &eacute;"),
        ("&#x202e;txt&lrm;", "\u200btxt\u200b"),
        ("![ours](a@2x.png) 97.6 % of #Adelie", "![ours](a@2x.png) 97.6 % of #Adelie"),
    ],
)
def test_words_of_somebody_elses_code_do_nothing(wrote: str, becomes: str) -> None:
    assert harmless(wrote) == becomes


def test_whose_words_they_are_stands_in_front() -> None:
    assert introduced("text", "mallory/`r`").startswith(
        "> [!NOTE]\n> This report was written by the code of a pull request from `` mallory/`r` ``."
    )


@pytest.mark.parametrize(
    "text",
    [
        "&#64;octocat &commat;octocat &#x40;octocat &#00064;octocat @&#111;ctocat",
        "fixes &#35;12 and &num;12 and #&#49;2",
        "<div>&#64octocat</div>",
        "&&#35;64;octocat &com&#109;at;octocat",
        '<img src="nope.png" alt="@octocat and o/r#12">',
        '<img src="nope.png" alt="&commat;octocat">',
        "![@octocat and o/r#12](nope.png)",
        "![&#64;octocat](nope.png)",
    ],
)
def test_nobody_is_notified_and_nothing_is_linked_in_whatever_way_it_is_written(
    folder: Path, text: str
) -> None:
    assert not re.search(r"@octocat|#12", page(commented(text, folder)))


@pytest.mark.parametrize(
    "text",
    [
        "![a\n/approve\n](plot.png)",
        "![a\n/approve\n](nope.png)",
        '![a](plot.png "b\n/approve\nc")',
        '<img src="plot.png" alt="x\n/approve\n">',
        '<img src="plot.png"\n/approve\n>',
        "![a](<plot.png#&#10;/approve&#10;>)",
    ],
)
def test_the_words_of_a_picture_are_no_order(folder: Path, text: str) -> None:
    assert not re.search(r"(?m)^\s*/approve", commented(text, folder))


@pytest.mark.parametrize(
    "text",
    [
        f"| a | b |\n|---|---|\n| x \\| y ![]({SPY}) | z |\n",
        f"| a | b |\n|---|---|\n| x \\| y <img src='{SPY}'> | z |\n",
        f'<picture><source srcset="{SPY} 1x, {SPY} 2x"><img src="plot.png"></picture>',
        f'<img src="plot.png" srcset="{SPY} 2x">',
        f'<img src="{SPY}" src="plot.png">',
        f'<video src="plot.png" poster="{SPY}"></video>',
        f"![a](<plot.png#) ![]({SPY}>)",
        f'![a <img alt="]({SPY})"> b](plot.png)',
        f'text <img src="nope.png" alt="![]({SPY})">',
        f"![a\\](plot.png) ![b]({SPY})",
        f"![a][r]\n\n[r]: {SPY}",
    ],
)
def test_no_picture_is_loaded_from_elsewhere(folder: Path, text: str) -> None:
    shown = page(commented(text, folder))

    assert not re.search(r"""<(img|source|video)\b[^>]*(src|srcset|poster)=["']?https://evil""", shown)


def test_a_picture_of_the_report_is_shown_with_its_words_and_its_size(folder: Path) -> None:
    text = 'Loss:\n\n![the *loss*](plot.png "by epoch")\n\n<img src="plot.png" width="300" alt="it" id="x">'

    assert commented(text, folder) == (
        'Loss:\n\n![the *loss*](https://pictures.example/p.png "by epoch")\n\n'
        '<img src="https://pictures.example/p.png" width="300" alt="it">'
    )
