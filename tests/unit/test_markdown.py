from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from cml_action.publish import markdown
from cml_action.publish.checkrun import Annotation
from cml_action.publish.frame import Frame
from cml_action.report import Check, Code, Markdown, Quantity, Report, Section, Table, Text

FRAME = Frame(
    title="Data checks",
    repository_url="https://github.com/o/r",
    revision="a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0",
    base="9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
    base_name="main",
    run_url="https://github.com/o/r/actions/runs/1",
    seconds={"stats": 4.1},
)

HOSTILE = [
    "@everyone",
    "a|b",
    "a\\|b",
    "<img src=x onerror=alert(1)>",
    "[x](http://evil.example)",
    "![x](http://evil.example/p.png)",
    "`whoami`",
    "``two``",
    "</details>",
    "<!-- -->",
    "*bold* _it_ ~~no~~ $x^2$",
    "http://evil.example",
    "www.evil.example",
    "#12",
    "GH-12",
    "-- \n# heading\n- list",
    "\u202edrawkcab",
    "\x1b[31mred",
    "ends in \\",
    "  spaces  ",
    "",
]


def shown(text: str) -> str:
    """Return what a reader sees of Markdown, with tags that the text itself made turned up as tags."""
    return str(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))


def tags(html: str) -> set[str]:
    return set(re.findall(r"<(\w+)", html))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_from_data_is_shown_as_text_in_a_sentence(value: str) -> None:
    html = shown(f"before {markdown.code(value)} after")
    assert tags(html) == {"p", "code"}


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_from_data_stays_in_its_cell(value: str) -> None:
    table = Table(columns=("class", "rows"), rows=((Code(value), Quantity(3, "count")),))
    html = shown(markdown.table(table))
    assert tags(html) == {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert html.count("<td") == 2


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_inside_a_message_makes_no_markup_and_pings_nobody(value: str) -> None:
    html = shown(markdown.words(f"the value `{value}` of {value} is odd"))
    assert tags(html) <= {"p", "code"}
    outside = re.sub(r"<code>.*?</code>", "", html, flags=re.DOTALL)
    assert not re.search(r"[@#]\w", re.sub(r"&#?\w+;", "", outside))
    assert not re.search(r"https?://|www\.", outside)


def test_a_value_keeps_its_text() -> None:
    assert "a|b" in shown(markdown.table(Table(columns=("c",), rows=((Code("a|b"),),))))
    assert "&lt;b&gt;" in shown(markdown.code("<b>"))


def test_the_first_line_says_the_verdict_in_words() -> None:
    checks = (
        Check(
            id="a",
            status="fail",
            title="`island` values",
            value=["Atlantis"],
            limit=3,
            path="cml.yaml",
            line=9,
        ),
        Check(id="b", status="pass", title="rows"),
    )
    text = markdown.render(Report(checks=checks), FRAME)
    assert text.splitlines()[0] == "### ❌ Data checks: 1 of 2 checks failed"
    assert f"(https://github.com/o/r/blob/{FRAME.revision}/cml.yaml#L9)" in text
    assert "<summary>1 checks passed</summary>" not in text


def test_the_foot_names_the_commit_the_base_the_time_and_the_full_report() -> None:
    last = markdown.render(Report(), FRAME).splitlines()[-1]
    assert last == (
        "<sub>a1b2c3d against main@9f8e7d6 · 4.10\u202fs · "
        '<a href="https://github.com/o/r/actions/runs/1">full report</a></sub>'
    )


def test_a_long_table_shows_twelve_rows_and_folds_the_rest() -> None:
    table = Table(columns=("n",), rows=tuple((Quantity(at, "count"),) for at in range(40)))
    text = markdown.table(table)
    opened, folded = text.split("<details>")
    assert opened.count("\n|") == 13
    assert "<summary>28 more</summary>" in folded


def test_a_report_that_is_too_long_is_cut_at_a_sections_end_and_says_where_the_rest_is() -> None:
    sections = tuple(
        Section(title=Text.of(f"Part {at}"), blocks=(Text.of("x" * 1000),), folded=True) for at in range(100)
    )
    text = markdown.render(Report(sections=sections), FRAME, markdown.COMMENT)
    assert len(text) <= 65_536
    assert text.count("<details>") == text.count("</details>") > 50
    assert "more parts of it are in [the full report](https://github.com/o/r/actions/runs/1)" in text
    assert text.rstrip().endswith("</sub>")


def test_a_users_own_report_of_megabytes_is_cut_at_a_lines_end_with_its_code_block_closed() -> None:
    frame = Frame(title="", run_url=FRAME.run_url, seconds={})
    block = "```\n" + "a line of output\n" * 100_000 + "```\n"
    report = Report(sections=(Section(title=Text(()), blocks=(Markdown(block),)),))
    text = markdown.render(report, frame, markdown.COMMENT)
    assert len(text) <= 65_536
    assert text.count("```") == 2
    assert "**The rest is in [the full report]" in text


def test_a_long_report_below_a_heading_is_kept_as_far_as_there_is_room() -> None:
    report = Report(sections=(Section(title=Text(()), blocks=(Markdown("a line of it\n" * 10_000),)),))
    text = markdown.render(report, FRAME, markdown.COMMENT)
    assert text.startswith("### ✅ Data checks")
    assert 64_000 < len(text) <= 65_536
    assert "**The rest is in [the full report]" in text


def test_a_fold_that_is_cut_is_closed_before_the_sentence_that_says_so() -> None:
    block = "<details><summary>All</summary>\n\n" * 2 + "a line of it\n" * 10_000 + "</details></details>\n"
    report = Report(sections=(Section(title=Text(()), blocks=(Markdown(block),)),))
    text = markdown.render(report, FRAME, markdown.COMMENT)
    assert text.count("</details>") == 2
    assert text.rindex("</details>") < text.index("**The rest is in")


def test_a_check_run_is_limited_in_bytes() -> None:
    sections = (Section(title=Text(()), blocks=(Markdown("日本語のレポート\n" * 100),)),) * 60
    text = markdown.render(Report(sections=sections), FRAME, markdown.CHECK)
    assert 60_000 < len(text.encode()) <= 65_535
    remark = Annotation(path="cml.yaml", line=1, level="failure", message="語" * 60_000)
    assert len(remark.sent()["message"].encode()) <= 64 * 1024


def test_the_job_summary_is_limited_in_bytes() -> None:
    frame = Frame(title="", seconds={})
    report = Report(sections=(Section(title=Text(()), blocks=(Markdown("日本語のレポート\n" * 100_000),)),))
    assert len(markdown.render(report, frame, markdown.SUMMARY).encode()) <= 1024 * 1024


def test_a_users_own_markdown_is_left_as_it_is() -> None:
    text = "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![](plot.png)\n"
    report = Report(sections=(Section(title=Text(()), blocks=(Markdown(text),)),))
    assert text.strip() in markdown.render(report, Frame(title="", seconds={}))
