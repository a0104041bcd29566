from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser

import pytest

from cml_action.publish import html, result
from cml_action.publish.frame import Frame
from cml_action.report import (
    Check,
    Code,
    Figure,
    Link,
    Markdown,
    Panel,
    Quantity,
    Report,
    Section,
    Series,
    Table,
    Text,
)

FRAME = Frame(
    title="Data", seconds={"stats": 0.8}, revision="a" * 40, run_url="https://github.com/o/r/actions/runs/1"
)
HOSTILE = "<img src=x onerror=alert(1)>"


class _Reader(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def a_report(value: str) -> Report:
    bars = Panel(
        title="", categories=("Adelie", value), series=(Series(name="head", values=(0.6, 0.4)),), unit="share"
    )
    bins = Panel(title=value, edges=(0.0, 1.0, 2.0), series=(Series(name="head", values=(3, 4)),))
    return Report(
        summary=(Text.of("One of ", Code(value)),),
        checks=(Check(id="x", status="fail", title=f"`{value}` is odd", message=value, value=value),),
        sections=(
            Section(
                title=Text.of(Code(value)),
                blocks=(
                    Table(columns=(value,), rows=((Code(value),), (Link(value, f"javascript:{value}"),))),
                    Figure(title=value, alt=value, panels=(bars,)),
                    Figure(title=value, alt=value, panels=(bins,)),
                    Markdown(f"{value}\n\n[x](javascript:alert(1))"),
                ),
            ),
        ),
    )


def test_a_hostile_value_is_text_wherever_it_stands() -> None:
    reader = read(html.render(a_report(HOSTILE), FRAME))
    assert {tag for tag, _ in reader.found}.isdisjoint({"script", "iframe", "object", "form"})
    for tag, attributes in reader.found:
        assert not [name for name in attributes if name.startswith("on")]
        assert not (attributes.get("href") or "").startswith("javascript:")
        if tag == "img":
            assert (attributes["src"] or "").startswith("data:image/png;base64,")
    assert reader.text.count(HOSTILE) >= 7


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = html.render(a_report("x"), FRAME)
    assert "default-src 'none'" in page
    assert not re.search(r'(src|@import|url\()\s*=?\s*"?https?:', page)


@pytest.mark.parametrize("name", ["$x^2$", "数据", "a\nb", "", "x" * 500, "\\frac{"])
def test_any_name_can_stand_in_a_figure(name: str) -> None:
    page = html.render(a_report(name), FRAME)
    assert page.count("data:image/png;base64,iVBOR") == 2


def test_result_json_holds_every_check_and_the_promised_names() -> None:
    text = result.render(
        a_report("x"),
        modes=("stats",),
        subject={"repository": "o/r", "revision": "abc"},
        seconds={"stats": 0.81234},
    )
    found = json.loads(text)
    assert list(found)[:7] == ["schema", "verdict", "modes", "subject", "checks", "model", "timings"]
    assert (found["schema"], found["verdict"], found["timings"]) == (1, "fail", {"stats": 0.812})
    assert list(found["checks"][0]) == [
        "id", "status", "title", "message", "value", "limit", "baseline", "path", "line", "unit", "details"
    ]  # fmt: skip


def test_result_json_has_null_for_what_is_no_number() -> None:
    check = Check(id="x", status="fail", title="rmse", value=math.inf, details={"low": math.nan})
    text = result.render(Report(checks=(check,)), modes=("gate",), subject={}, seconds={})
    (found,) = json.loads(text, parse_constant=pytest.fail)["checks"]
    assert (found["value"], found["details"]) == (None, {"low": None})


def test_a_quantity_that_is_none_is_a_dash() -> None:
    assert html.inline(Quantity(None, "count")) == "–"


def test_a_picture_that_a_user_put_in_as_html_is_shown_and_other_html_is_text() -> None:
    text = '<p onclick="x()"><img src="data:image/png;base64,AAAA" alt="loss" onerror="x()"></p>\n'
    report = Report(sections=(Section(title=Text(()), blocks=(Markdown(text),)),))

    found = read(html.render(report, FRAME)).found

    assert ("img", {"alt": "loss", "src": "data:image/png;base64,AAAA"}) in found
    assert not [attributes for _, attributes in found if "onclick" in attributes or "onerror" in attributes]


def test_a_number_and_its_interval_may_stand_below_each_other_and_neither_breaks() -> None:
    rows = ((Code("accuracy"), (Quantity(0.871, "share"), " (84.2 to 89.6)"), Quantity(1, "count")),)
    table = Table(columns=("measure", "candidate", "limit"), rows=rows, right=frozenset({1, 2}))
    page = html.render(Report(sections=(Section(title=Text.of("Measured"), blocks=(table,)),)), FRAME)
    assert '<td class="right"><span>87.1\u202f%</span> <span>(84.2 to 89.6)</span></td>' in page
    assert '<td class="right">1</td>' in page
