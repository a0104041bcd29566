"""A user's own pytest tests of a model: run in their Python, read from the JUnit file that pytest writes.

The tests run in a process of their own, with the environment and the limits of the model's process and with
`MODEL_PATH` and `MODEL_NAME` set. Their file is text of a stranger's: it is read with a bound on its size and
without a document type, so that no entity is ever expanded, and it must agree with pytest's exit code.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias
from xml.parsers import expat

from cml_action.model import faults
from cml_action.model.child import Child
from cml_action.model.spec import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.model.spec import Place

Outcome: TypeAlias = Literal["pass", "fail", "error", "skip"]

_MOST_BYTES = 16 * 2**20
_LONGEST = 500
#: pytest's exit codes (its documentation, "Exit codes").
_PASSED, _FAILED, _NO_TESTS = 0, 1, 5
_OUTCOMES: dict[str, Outcome] = {"failure": "fail", "error": "error", "skipped": "skip"}


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """One test of the user's.

    :param name: `tests.performance.test_speed::test_p95`, as JUnit's class and name give it.
    :param message: what pytest says of a failure; not ours.
    """

    __test__ = False  # pytest takes every class of that name for its own

    name: str
    outcome: Outcome
    seconds: float
    message: str = ""


def run_tests(
    tests: str, model: Path, name: str, place: Place, limits: Limits | None = None
) -> tuple[TestResult, ...]:
    """Run the tests of a file or folder in the user's Python.

    :param tests: relative to the project; `name`: what the model is called, for `MODEL_NAME`.
    :raises ModelFault: no pytest, no tests, or no result that can be believed.
    """
    limits = limits or Limits()
    result = Path(tempfile.mkdtemp(prefix="tests-", dir=place.private)) / "junit.xml"
    known = {
        "path": name,
        "tests": tests,
        "python": str(place.python),
        "loader": "",
        "sample": "",
        "function": "",
    }
    child = Child(
        [
            *(place.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={result}"),
            *("-o", "junit_family=xunit2", "--", tests),
        ],
        folder=place.project,
        environ=place.environ,
        extra={"MODEL_PATH": str(model), "MODEL_NAME": name, "PYTHONDONTWRITEBYTECODE": "1"},
        memory_bytes=limits.memory_bytes,
    )
    doing = f"the tests in `{tests}` ran"
    try:
        code = child.wait(limits.total_s)
    finally:
        child.kill()
    if child.overrun:
        raise faults.memory_fault(child.overrun, child.memory_limit, doing, known, tail=child.tail)
    if code is None:
        raise faults.hang_fault(limits.total_s, doing, known, whole=True, tail=child.tail)
    return _results(result, code, known, child.tail)


def _results(path: Path, code: int, known: Mapping[str, str], tail: str) -> tuple[TestResult, ...]:
    doing = f"the tests in `{known['tests']}` ran"
    if "No module named pytest" in tail:
        raise faults.fault("no-pytest", "", known, tail=tail)
    if code == _NO_TESTS:
        raise faults.fault("no-tests", "", known, tail=tail)
    if not path.is_file() or code not in {_PASSED, _FAILED}:
        if code in {_PASSED, _FAILED} or code < 0:
            raise faults.ended_fault(code, doing, known, tail=tail)
        raise faults.fault("tests-broken", tail.splitlines()[-1] if tail else "", known, tail=tail)
    try:
        found = read_junit(path)
    except (expat.ExpatError, ValueError, OSError) as error:
        raise faults.fault("tests-broken", str(error), known, tail=tail) from None
    failed = any(each.outcome in {"fail", "error"} for each in found)
    if not found or failed != (code == _FAILED):
        raise faults.fault("tests-broken", "its file of results contradicts its exit code", known, tail=tail)
    return found


def read_junit(path: Path) -> tuple[TestResult, ...]:
    """Return the tests of a JUnit file.

    :raises ValueError: larger than 16 MiB, or with a document type (entities could be declared in there).
    """
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("its file of results is larger than 16 MiB")
    reader = _Reader()
    reader.parser.Parse(content, True)
    return tuple(reader.found)


class _Reader:
    """Collects test cases while expat reads."""

    def __init__(self) -> None:
        self.found: list[TestResult] = []
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._case: dict[str, str] | None = None
        self._outcome: Outcome = "pass"
        self._message = ""

    def _refuse(self, *_: object) -> None:
        raise ValueError("its file of results has a document type")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            self._case, self._outcome, self._message = attributes, "pass", ""
        elif self._case is not None and tag in _OUTCOMES and self._outcome in {"pass", "skip"}:
            self._outcome, self._message = _OUTCOMES[tag], attributes.get("message", "")[:_LONGEST]

    def _end(self, tag: str) -> None:
        if tag == "testcase" and self._case is not None:
            where, name = self._case.get("classname", ""), self._case.get("name", "")
            self.found.append(
                TestResult(
                    name=f"{where}::{name}" if where else name,
                    outcome=self._outcome,
                    seconds=_seconds(self._case.get("time", "0")),
                    message=self._message,
                )
            )
            self._case = None


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
