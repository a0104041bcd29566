"""`stats` beside its base, through the program as a step runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.forked import forked_step
from tests.services.projects import Project, copy_project, new_project, run, write

if TYPE_CHECKING:
    from tests.services.runner import Step


def table(*classes: tuple[str, int], start: int = 0) -> str:
    rows = [name for name, count in classes for _ in range(count)]
    return "id,species\n" + "".join(f"{at},{name}\n" for at, name in enumerate(rows, start))


FIRST = table(("Adelie", 60), ("Gentoo", 40))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two commits: one table changed, one did not, one went, one came."""
    project = new_project(tmp_path_factory.mktemp("stats"))
    write(project.path, {"in-git.csv": FIRST})
    first = {"train.csv": FIRST, "same.csv": FIRST, "gone.csv": FIRST}
    project.commit({**first, "parts/1.csv": FIRST, "parts/2.csv": FIRST}, "First data")
    (project.path / "gone.csv.dvc").unlink()
    (project.path / "gone.csv").unlink()
    write(project.path, {"in-git.csv": FIRST + "1000,Gentoo\n"})
    changed = {"train.csv": table(("Adelie", 50), ("@everyone", 50)), "new.csv": FIRST}
    project.commit({**changed, "parts/2.csv": FIRST + "2000,Adelie\n"}, "Second data")
    return project


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    return copy_project(template, tmp_path)


def stats(project: Project, **inputs: str) -> Step:
    return forked_step(project.path, {"mode": "stats", "base": "HEAD~2", **inputs})


def test_what_changed_since_the_base_is_profiled_and_the_rest_is_not_read(project: Project) -> None:
    step = stats(project, label="species")
    assert (step.code, step.errors) == (0, ""), step.log
    found = {each["name"]: each for each in step.result["stats"]}
    assert set(found) == {"train.csv", "new.csv", "parts"}
    assert "`train.csv`: 100 → 100 (0) rows, 2 columns" in step.report
    assert "`@everyone` rose from 0\u202f% to 50\u202f% of the rows." in step.report
    assert "`new.csv`: 100 rows, 2 columns, " in step.report
    assert "; new, the base has no such data set." in step.report
    assert "`parts`: 200 → 201 (+1) rows" in step.report
    assert "`gone.csv` was removed." in step.report
    assert (found["parts"]["head"]["files"], found["parts"]["base"]["rows"]) == (2, 200)
    assert None not in (found["train.csv"]["base_hash"], found["train.csv"]["hash"])
    assert found["train.csv"]["base_hash"] != found["train.csv"]["hash"]
    assert "same.csv" not in step.report


def test_data_that_is_named_is_profiled_though_it_did_not_change(project: Project) -> None:
    step = stats(project, data="same.csv, in-git.csv, parts/1.csv, *.csv")
    assert step.code == 0, step.log
    found = {each["name"]: each for each in step.result["stats"]}
    assert (found["same.csv"]["unchanged"], found["same.csv"]["base"]) == (True, None)
    assert "`same.csv`: 100 rows, 2 columns, " in step.report
    assert "; as it was in the base" in step.report
    assert "`in-git.csv`: 100 → 101 (+1) rows" in step.report  # from Git, where DVC has nothing
    assert (found["*.csv"]["head"]["rows"], found["*.csv"]["base"]["rows"]) == (401, 400)
    assert "removed" not in step.report


def test_the_event_gives_the_base_and_cml_yaml_the_data_and_their_label(project: Project) -> None:
    write(project.path, {"cml.yaml": "data:\n- {path: train.csv, label: species}\n- {path: in-git.csv}\n"})
    base = project.git("rev-parse", "HEAD~2").strip()
    pull = {"number": 1, "head": {"sha": project.head}, "base": {"sha": base, "ref": "main"}}
    step = forked_step(project.path, {"mode": "stats"}, event=("pull_request", {"pull_request": pull}))
    assert step.code == 0, step.log
    assert step.result["subject"]["base"] == base
    assert [each["name"] for each in step.result["stats"]] == ["train.csv", "in-git.csv"]
    assert len(step.result["stats"][0]["head"]["classes"]) == 2


def test_nothing_changed_is_one_line(project: Project) -> None:
    step = forked_step(project.path, {"mode": "stats", "base": "HEAD"})
    assert step.code == 0
    assert "No data changed since the base" in step.report
    assert "4 data sets, they are as they were." in step.report
    assert step.result["stats"] == []


def test_data_that_was_edited_and_not_given_to_dvc_is_profiled_as_it_is(project: Project) -> None:
    for name in ("same.csv", "parts/1.csv"):
        path = project.path / name
        text = path.read_text()
        path.unlink()  # as an editor does: the cache may hold the same file
        path.write_text(text + "3000,Gentoo\n")
    step = forked_step(project.path, {"mode": "stats", "base": "HEAD"})
    assert (step.code, step.errors) == (0, ""), step.log
    found = {each["name"]: each for each in step.result["stats"]}
    assert set(found) == {"same.csv", "parts"}
    assert (found["same.csv"]["base"]["rows"], found["same.csv"]["head"]["rows"]) == (100, 101)
    assert (found["parts"]["hash"], found["parts"]["unchanged"]) == (None, False)
    assert "`same.csv` was edited since DVC recorded it" in step.log
    assert "`dvc commit` records it" in step.log
    assert (project.path / "same.csv").read_text().endswith("3000,Gentoo\n")


def test_a_folder_of_both_git_and_dvc_is_judged_and_read_as_a_whole(project: Project) -> None:
    write(project.path, {"data/git.csv": FIRST, "data/dvc.csv": FIRST, ".gitignore": "/data/dvc.csv\n"})
    project.dvc("add", "--quiet", "data/dvc.csv")
    project.git("add", "--all")
    project.git("commit", "--quiet", "-m", "Add data")
    policy = "data: [{path: data/git.csv}, {path: data}, {path: '*/*.csv'}, {path: 'data/**'}]\n"
    write(project.path, {"data/git.csv": FIRST + "1000,Gentoo\n", "cml.yaml": policy})
    step = forked_step(project.path, {"mode": "stats", "base": "HEAD"})
    assert step.code == 0, step.log
    assert "`data/git.csv`: 100 → 101 (+1) rows" in step.report
    assert "`data`: 200 → 201 (+1) rows" in step.report
    assert "`*/*.csv`: 401 → 402 (+1) rows" in step.report
    assert "`data/**`: 200 → 201 (+1) rows" in step.report


def test_a_text_column_that_moved_names_the_value_that_moved_most(project: Project) -> None:
    step = stats(project, data="train.csv")  # without a label, the classes are a column like any other
    row = next(line for line in step.report.splitlines() if "shift, PSI" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "share of `@everyone` in `species`"
    assert cells[1:3] == ["0\u202f%", "50\u202f%"]


def test_a_base_that_cannot_be_had_is_said_and_fails_nothing(project: Project) -> None:
    for place in (project.remote, project.path / ".dvc" / "cache"):
        for path in place.rglob("*"):
            if path.is_file() and path.read_bytes() == FIRST.encode():
                path.unlink()
    step = stats(project, data="train.csv")
    assert step.code == 0, step.log
    assert "neither in the cache nor on the remote" in step.log
    assert "Not compared: `train.csv` as it was at" in step.report.replace("\u200b", "")


def test_what_no_release_holds_is_compared_all_the_same(tmp_path: Path) -> None:
    project = Project(tmp_path / "plain", tmp_path)
    project.path.mkdir()
    project.git("init", "--quiet")
    write(project.path, {"data/a.csv": "x\n1\n", ".gitattributes": "data export-ignore\n"})
    project.git("add", "--all")
    project.git("commit", "--quiet", "-m", "One")
    write(project.path, {"data/a.csv": "x\n1\n2\n"})
    step = forked_step(project.path, {"mode": "stats", "data": "data", "base": "HEAD"})
    assert (step.code, step.errors) == (0, ""), step.log
    assert "`data`: 1 → 2 (+1) rows" in step.report


def test_the_change_that_repairs_the_files_of_dvc_is_not_stopped_by_its_base(project: Project) -> None:
    pointer = project.path / "train.csv.dvc"
    good = pointer.read_text()
    for text in (f"<<<<<<< HEAD\n{good}=======\n{good}>>>>>>> other\n", good):
        pointer.write_text(text)
        project.git("commit", "--quiet", "--all", "-m", "Merge, and repair")
    step = forked_step(project.path, {"mode": "stats", "base": "HEAD~1", "data": "train.csv, in-git.csv"})
    assert step.code == 0, step.log
    assert "`train.csv` is compared with nothing: the base's side cannot be read." in step.log
    assert "Not compared: A DVC file cannot be read" in step.report
    assert "`in-git.csv`: 101 rows, 2 columns, " in step.report
    assert "; as it was in the base" in step.report


def test_a_base_that_cannot_be_read_and_a_label_that_is_new_are_no_faults_of_the_head(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    project = Project(folder, folder)
    folder.mkdir()
    project.git("init", "--quiet")
    write(folder, {"ragged.csv": "a,b\n1,2\n3\n", "grown.csv": "a\n1\n2\n"})
    project.git("add", "--all")
    project.git("commit", "--quiet", "-m", "One")
    write(folder, {"ragged.csv": "a,b\n1,2\n", "grown.csv": "a,kind\n1,x\n2,y\n"})
    step = forked_step(folder, {"mode": "stats", "data": "ragged.csv", "base": "HEAD"})
    assert step.code == 0, step.log
    assert "is compared with nothing: the base's side cannot be read." in step.log
    step = forked_step(folder, {"mode": "stats", "data": "grown.csv", "base": "HEAD", "label": "kind"})
    assert step.code == 0, step.log
    assert "| column `kind` |" in " ".join(step.report.split())
    assert "2 → 2 (0) rows, 1 → 2 (+1) columns" in step.report


HOSTILE = ["@everyone", "a|b", "<img src=x onerror=alert(1)>", "[x](http://evil.example)", "\u202eabc",
    "x" * 300, "`y`", "two\nlines",
]  # fmt: skip


def test_hostile_values_names_and_files_are_text(tmp_path: Path) -> None:
    folder = tmp_path / "work|space"
    folder.mkdir()
    run(["git", "init", "--quiet"], folder)
    name = "<img src=x onerror=alert(1)>@everyone.csv".replace("/", "")
    quoted = [f'"{value}"' for value in HOSTILE]
    rows = [f"{at},{value},1,2" for at, value in enumerate(quoted)]
    text = "\n".join([f"n,{quoted[0]},{quoted[2]},{quoted[4]}", *rows])
    write(folder, {name: text + "\n"})
    step = forked_step(folder, {"mode": "stats", "data": name, "label": "@everyone"})
    assert step.code == 0, step.log
    page = Path(step.outputs["report-html"]).read_text(encoding="utf-8")
    for shown in (step.report, page, step.log):
        assert "\u202e" not in shown
    assert "<img src=x" not in page
    assert page.count("href") == 1  # the run's page, in the foot
    outside = [line for line in step.report.splitlines() if "@everyone" in line]
    for line in outside:
        assert line.count("`") or line.lstrip().startswith(("title", "x-axis")), line
