from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import pytest

from cml_action.errors import UsageError
from cml_action.log import Log
from cml_action.publish.find import find
from cml_action.publish.pictures import MOST_PICTURES, Picture, read, rewrite
from cml_action.publish.svg import fault_of_svg
from tests.services.images import GIF, JPEG, MP4, SVG, WEBP, png

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """\
# Head ![h](h.png) #

para ![a *b*](./a.png "Title") and [![l](l.png)](http://example.com)
  continued ![c](<c d.png>) `![no](no.png)` \\![no](no.png)

> quote ![q](q.png)
> more ![q2](q2.png)

- item ![i](i.png)
  - nested ![n](n%20n.png)

| a | b |
|---|---|
| ![t](t.png) | ![t](t.png) |

![ref][r] ![web](https://example.com/y.png) ![rel](//example.com/y.png) ![place](#here)

<p align="center"><img src="w.png" width="300"
 alt='x "y"'></p>

text <img src=in.png> <!-- <img src="no.png"> -->

```
![no](no.png)
```

    ![no](no.png)

<details>

![d](d.png)

</details>

[r]: r.png "R"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plot.png").write_bytes(png())
    return tmp_path


def shown(text: str, folder: Path, *, stored: bool = True) -> tuple[str, str]:
    """Return the Markdown of a comment and what the log says."""
    said = io.StringIO()

    def address(picture: Picture) -> str:
        return f"https://pictures.example/{picture.kind}" if stored else ""

    return rewrite(text, folder, folder, address, Log(runner=False, stream=said)), said.getvalue()


def refusal(address: str, folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read(address, folder, folder)
    return str(caught.value)


def test_pictures_are_found_where_github_shows_them_and_nowhere_else() -> None:
    assert [each.address for each in find(REPORT)] == [
        *("h.png", "./a.png", "l.png", "c d.png", "q.png", "q2.png", "i.png", "n%20n.png", "t.png", "t.png"),
        *("r.png", "w.png", "in.png", "d.png"),
    ]


def test_each_found_picture_is_where_it_says() -> None:
    assert [REPORT[each.start : each.end] for each in find(REPORT)][:4] == [
        "![h](h.png)",
        '![a *b*](./a.png "Title")',
        "![l](l.png)",
        "![c](<c d.png>)",
    ]
    assert len({each.start for each in find(REPORT)}) == 14


def test_only_the_addresses_change_and_all_else_stays_as_it_was(folder: Path) -> None:
    for name in ("h", "a", "l", "c d", "q", "q2", "i", "n n", "t", "r", "w", "in", "d"):
        (folder / f"{name}.png").write_bytes(png())

    text, _ = shown(REPORT, folder)

    assert '![a *b*](https://pictures.example/png "Title")' in text
    assert "[![l](https://pictures.example/png)](http://example.com)" in text
    assert '![ref](https://pictures.example/png "R")' in text
    assert '<img src="https://pictures.example/png" width="300" alt="x &quot;y&quot;">' in text
    assert text.count("no.png") == REPORT.count("no.png")
    assert text.count("https://pictures.example/png") == 14


@pytest.mark.parametrize(
    ("content", "kind"),
    [(png(), "png"), (JPEG, "jpg"), (GIF, "gif"), (WEBP, "webp"), (SVG, "svg")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_is_what_its_content_is_whatever_its_name_says(
    folder: Path, content: bytes, kind: str
) -> None:
    (folder / "plot.dat").write_bytes(content)

    assert read("plot.dat", folder, folder).kind == kind
    assert shown("![x](plot.dat)", folder)[0] == f"![x](https://pictures.example/{kind})"


@pytest.mark.parametrize("kind", ["png", "svg+xml"])
def test_a_data_url_as_dvclive_writes_it_is_a_picture(folder: Path, kind: str) -> None:
    content = SVG if "svg" in kind else png()
    url = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

    markdown, html = shown(f"![x]({url})", folder)[0], shown(f'<img src="{url}">', folder)[0]

    assert markdown == f"![x](https://pictures.example/{kind[:3]})"
    assert html == f'<img src="https://pictures.example/{kind[:3]}">'


def test_a_video_is_a_link(folder: Path) -> None:
    (folder / "run.mp4").write_bytes(MP4)

    assert shown("![the run](run.mp4)", folder)[0] == "[▶ the run](https://pictures.example/mp4)"
    assert "▶ run.mp4</a>" in shown('<video src="run.mp4"></video>', folder)[0]


def test_a_picture_for_dark_mode_keeps_its_fragment(folder: Path) -> None:
    text, _ = shown("![x](plot.png#gh-dark-mode-only)", folder)

    assert text == "![x](https://pictures.example/png#gh-dark-mode-only)"


def test_windows_line_ends_are_read(folder: Path) -> None:
    text, _ = shown("# Report\r\n\r\n> a\r\n> ![x](plot.png)\r\n", folder)

    assert text == "# Report\n\n> a\n> ![x](https://pictures.example/png)\n"


def test_where_nothing_is_stored_words_stand_for_a_picture(folder: Path) -> None:
    assert shown("![loss over epochs](plot.png)", folder, stored=False)[0] == "*loss over epochs*"
    assert shown("![](plot.png)", folder, stored=False)[0] == "*plot.png*"
    assert shown('<img src="plot.png">', folder, stored=False)[0] == "<em>plot.png</em>"


def test_a_path_may_begin_at_the_workspace_or_at_the_root_of_the_repository(folder: Path) -> None:
    assert read(f"{folder}/plot.png", folder, folder).kind == "png"
    (folder / "sub").mkdir()
    assert read("/plot.png", folder / "sub", folder).kind == "png"
    assert read("../plot.png", folder / "sub", folder).kind == "png"


def test_a_missing_picture_is_a_sentence_and_the_report_goes_on(folder: Path) -> None:
    text, said = shown("![the loss](nope.png)\n\n![x](plot.png)", folder)

    assert text == "*the loss*\n\n![x](https://pictures.example/png)"
    assert "warning: Picture: The picture `nope.png` is not there.\nPaths start at the report's" in said


def test_a_picture_of_30_mb_is_named_with_its_size(folder: Path) -> None:
    with (folder / "large.png").open("wb") as stream:
        stream.truncate(30_000_000)

    assert "`large.png` has 30\u202fMB; at most 10\u202fMB are shown." in refusal("large.png", folder)


def test_a_folder_is_no_picture(folder: Path) -> None:
    (folder / "plots").mkdir()

    assert refusal("plots", folder).startswith("The picture `plots` is not a file.")


@pytest.mark.parametrize(
    "way", ["link.png", "../secret.png", "%2e%2e/secret.png", "/etc/passwd", "sub/link.png"]
)
def test_a_picture_out_of_the_workspace_is_refused(tmp_path: Path, way: str) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    folder = tmp_path / "workspace"
    (folder / "sub").mkdir(parents=True)
    for link in (folder / "link.png", folder / "sub" / "link.png"):
        link.symlink_to(tmp_path / "secret.png")

    assert "leaves the workspace" in refusal(way, folder)


@pytest.mark.parametrize("address", ["a" * 5000, "nul\0.png", "loop.png"])
def test_an_address_that_can_be_no_file_is_a_sentence(folder: Path, address: str) -> None:
    (folder / "loop.png").symlink_to(folder / "loop.png")

    assert "is not there" in refusal(address, folder)


def test_a_text_file_named_as_a_picture_is_refused(folder: Path) -> None:
    (folder / "fake.png").write_text("<html>hello</html>")

    assert refusal("fake.png", folder) == (
        "The picture `fake.png` is none that GitHub shows.\n"
        "Write it as PNG, JPEG, GIF, WebP or SVG (MP4 and WebM become links)."
    )


@pytest.mark.parametrize("url", ["data:image/png;base64,!!!", "data:image/png", "data:;base64,AAA"])
def test_a_broken_data_url_is_a_sentence(folder: Path, url: str) -> None:
    assert refusal(url, folder).startswith("A `data:` URL in the report is")


@pytest.mark.parametrize(
    ("inside", "fault"),
    [
        ("<script>alert(1)</script>", "has a `script`"),
        ('<rect onclick="alert(1)"/>', "runs something (`onclick`)"),
        ('<a href="java\nscript:alert(1)"><text>x</text></a>', "runs something (`href`)"),
        ("<foreignObject><iframe/></foreignObject>", "has a"),
        ('<image href="other.png"/>', "loads another file"),
        ("<rect", "is no whole XML"),
    ],
)
def test_a_drawing_that_does_more_than_draw_is_refused(folder: Path, inside: str, fault: str) -> None:
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
    (folder / "plot.svg").write_text(drawing)

    assert f"is an SVG that {fault}" in refusal("plot.svg", folder)


def test_a_drawing_with_entities_is_refused_before_they_grow() -> None:
    laughs = "".join(f'<!ENTITY l{at + 1} "{f"&l{at};" * 10}">' for at in range(9))
    bomb = f'<!DOCTYPE svg [<!ENTITY l0 "ha">{laughs}]><svg>&l9;</svg>'

    assert "defines an entity" in fault_of_svg(bomb.encode())


def test_a_drawing_of_matplotlib_is_taken() -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure, written = Figure(), io.BytesIO()
    figure.add_subplot().plot([1, 2], [3, 4])
    FigureCanvasSVG(figure).print_svg(written)

    assert fault_of_svg(written.getvalue()) == ""


def test_five_hundred_pictures_are_shown_up_to_the_limit_and_the_rest_named(folder: Path) -> None:
    text, said = shown("![x](plot.png)\n\n" * 500, folder)

    assert text.count("https://pictures.example") == MOST_PICTURES
    assert text.count("*x*") == 500 - MOST_PICTURES
    assert f"A report shows at most {MOST_PICTURES} pictures" in said
    assert said.count("warning:") == 6
    assert "195 more pictures are not shown." in said


def test_a_report_of_10_mb_with_a_picture_is_read_in_one_go(folder: Path) -> None:
    text = ("All is well, and so on. " * 40 + "\n\n") * 10_000 + "![x](plot.png)"

    assert shown(text, folder)[0].endswith("![x](https://pictures.example/png)")


def test_all_pictures_together_have_a_limit(folder: Path) -> None:
    names = [f"{number}.png" for number in range(12)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(png(number) + bytes(9_500_000))

    text, said = shown(" ".join(f"![x]({name})" for name in names), folder)

    assert text.count("https://pictures.example") == 10
    assert "The pictures of a report have at most 100\u202fMB together; `10.png` is too much." in said


def test_html_that_no_parser_understands_is_left_as_it_is(folder: Path) -> None:
    text = "![x](plot.png)\n\n<div>\n<![ 3 < 4 ]]>\n</div>\n"

    assert shown(text, folder)[0] == text.replace("plot.png", "https://pictures.example/png")
