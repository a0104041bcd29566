"""A user's own tests of a model, run by the pytest of their Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cml_action.model.faults import ModelFault, ModelSetupFault
from cml_action.model.spec import Limits
from cml_action.model.suite import TestResult, read_junit, run_tests
from tests.services.models import place
from tests.services.user_python import bare_python, user_python

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import os, pytest

def test_sees_the_model():
    assert os.environ["MODEL_PATH"].endswith("net.pt")
    assert os.environ["MODEL_NAME"] == "digits:v7"
    assert "GITHUB_TOKEN" not in os.environ

@pytest.mark.parametrize("size", [1, 2])
def test_is_small(size):
    assert size < 2, "too large"

@pytest.mark.skip(reason="no GPU")
def test_on_a_gpu(): pass

@pytest.fixture
def broken():
    raise OSError("no data")

def test_with_data(broken): pass
"""


def run(
    project: Path, source: str, *, python: Path | None = None, seconds: float = 60
) -> tuple[TestResult, ...]:
    folder = project / "tests" / "performance"
    folder.mkdir(parents=True)
    (folder / "test_model.py").write_text(source)
    where = place(project, python or user_python(), {"GITHUB_TOKEN": "ghs_0123456789abcdef"})
    limits = Limits(total_s=seconds)
    return run_tests("tests/performance", project / "net.pt", "digits:v7", where, limits)


def test_each_test_has_its_outcome_and_what_pytest_says(tmp_path: Path) -> None:
    found = {each.name.rpartition("::")[2]: each for each in run(tmp_path, TESTS)}
    assert {name: each.outcome for name, each in found.items()} == {
        "test_sees_the_model": "pass",
        "test_is_small[1]": "pass",
        "test_is_small[2]": "fail",
        "test_on_a_gpu": "skip",
        "test_with_data": "error",
    }
    assert "too large" in found["test_is_small[2]"].message
    assert "no data" in found["test_with_data"].message
    assert found["test_on_a_gpu"].message == "no GPU"
    assert found["test_sees_the_model"].seconds >= 0


def test_without_pytest_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelSetupFault, match="need pytest, which is not installed") as caught:
        run(tmp_path, TESTS, python=bare_python())
    assert "Install pytest" in caught.value.fix


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("x = 1", "no-tests"),
        ("def test_a(:", "tests-broken"),
        ("import os\ndef test_a(): os._exit(0)", "end"),
        ("import ctypes\ndef test_a(): ctypes.string_at(0)", "crash"),
        (
            "import atexit, os\ndef test_a(): assert False\natexit.register(os._exit, 0)",
            "tests-broken",
        ),
    ],
    ids=["none", "no Python", "an early exit", "a crash", "an exit code of 0 after a failure"],
)
def test_what_is_no_result_is_told(tmp_path: Path, source: str, kind: str) -> None:
    with pytest.raises(ModelFault) as caught:
        run(tmp_path, source)
    assert caught.value.kind == kind
    assert "`tests/performance`" in caught.value.what


def test_tests_that_hang_are_stopped(tmp_path: Path) -> None:
    with pytest.raises(ModelFault) as caught:
        run(tmp_path, "import time\ndef test_a(): time.sleep(600)", seconds=5)
    assert caught.value.kind == "hang"


def test_a_junit_file_with_a_document_type_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        '<testsuites><testsuite><testcase name="&b;"/></testsuite></testsuites>'
    )
    with pytest.raises(ValueError, match="has a document type"):
        read_junit(path)
    path.write_text("<testsuites>" + " " * 17 * 2**20 + "</testsuites>")
    with pytest.raises(ValueError, match="larger than 16 MiB"):
        read_junit(path)
