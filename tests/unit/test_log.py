from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from cml_action.log import Log
from cml_action.quantity import quantity
from cml_action.secret import scrub, secrets_of

if TYPE_CHECKING:
    from pathlib import Path


def written(*, runner: bool = True, secrets: tuple[str, ...] = ()) -> tuple[Log, io.StringIO]:
    stream = io.StringIO()
    return Log(runner=runner, stream=stream, secrets=secrets), stream


@pytest.mark.parametrize(
    "name", ["::error::gone", "  ::set-output name=x::1", "##[add-path]/tmp", "a\n::debug::x"]
)
def test_a_file_name_cannot_give_the_runner_a_command(name: str) -> None:
    log, stream = written()
    log.line(name)
    for line in stream.getvalue().splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


def test_an_annotation_stands_on_its_file_and_line() -> None:
    log, stream = written()
    log.error("3 rows\nare odd, 100%", title="values: odd", path="cml.yaml", line=9)
    assert stream.getvalue() == "::error title=values%3A odd,file=cml.yaml,line=9::3 rows%0Aare odd, 100%25\n"


def test_a_group_is_folded_in_a_runner_and_headed_on_a_laptop() -> None:
    for runner, expected in ((True, "::group::pull\nx\n::endgroup::\n"), (False, "▸ pull\nx\n")):
        log, stream = written(runner=runner)
        with log.group("pull"):
            log.line("x")
        assert stream.getvalue() == expected


def test_progress_in_a_runner_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Log, "EVERY_S", 0.0)
    log, stream = written()
    with log.progress("Fetching", total=2000, unit="bytes") as bar:
        bar.advance(1000)
    assert stream.getvalue() == "Fetching: 1\u202fkB of 2\u202fkB\n"


def test_a_secret_never_reaches_the_log() -> None:
    log, stream = written(secrets=("hunter2hunter2",))
    log.line("the key is hunter2hunter2")
    log.mask("another-secret")
    log.error("failed with another-secret")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().endswith("::error::failed with ***\n")


def test_secrets_are_found_by_the_names_of_their_variables(tmp_path: Path) -> None:
    environ = {
        "AWS_SECRET_ACCESS_KEY": "abcd/efgh+ijkl",
        "GITHUB_TOKEN": "ghs_0123456789",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path),
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/run/secrets/token",
        "MONKEY": "not-a-secret-at-all",
        "SHORT_TOKEN": "1234",
    }
    assert set(secrets_of(environ)) == {"abcd/efgh+ijkl", "ghs_0123456789"}


def test_a_secret_is_found_in_json_too() -> None:
    assert scrub('{"a": "pass\\"word1"}', ['pass"word1']) == '{"a": "***"}'


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234567, "count", "1,234,567"),
        (0.1234, "share", "12.3\u202f%"),
        (28_400, "bytes", "28.4\u202fkB"),
        (999.7, "bytes", "1.00\u202fkB"),
        (1000, "bytes", "1\u202fkB"),
        (0.42957, "share", "43.0\u202f%"),
        (0.5, "share", "50\u202f%"),
        (12, "bytes", "12\u202fB"),
        (0.00342, "seconds", "3.42\u202fms"),
        (75, "seconds", "1\u202fmin 15\u202fs"),
        (-0.05, "points", "−5 points"),
        (4207.057, "number", "4,207"),
        (3.5e12, "number", "3.5e12"),
        (float("nan"), "number", "–"),
        (None, "count", "–"),
    ],
)
def test_a_number_has_its_unit_and_three_significant_digits(
    value: float | None, unit: str, text: str
) -> None:
    assert quantity(value, unit) == text  # type: ignore[arg-type]


def test_a_difference_shows_its_sign() -> None:
    assert (quantity(17, "count", signed=True), quantity(-17, "count", signed=True)) == ("+17", "−17")
