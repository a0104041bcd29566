"""What is said in several places is the same in all of them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cml_action.cli import app
from cml_action.inputs import FIELDS, MODES, USED_BY
from cml_action.publish.outputs import OUTPUTS

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def metadata(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["action.yml", "docker/action.yml", "README.md", "schema/cml.schema.json"])
def test_what_make_docs_writes_is_up_to_date(generator: ModuleType, name: str) -> None:
    assert generator.rendered()[name] == (ROOT / name).read_text(encoding="utf-8"), "run `make docs`"


@pytest.mark.parametrize("name", ["action.yml", "docker/action.yml"])
def test_the_action_declares_the_inputs_and_outputs_of_the_program(name: str) -> None:
    found = metadata(name)

    assert list(found["inputs"]) == list(FIELDS)
    assert list(found["outputs"]) == list(OUTPUTS)
    assert {each for each, told in found["inputs"].items() if told.get("required")} == {"mode"}
    for each, told in found["inputs"].items():
        default = FIELDS[each].default
        expected = default if isinstance(default, str) and default else None
        if each != "github-token":
            assert told.get("default") == expected, each
    assert found["inputs"]["github-token"]["default"] == "${{ github.token }}"


def test_each_output_of_the_composite_comes_from_its_step() -> None:
    for name, told in metadata("action.yml")["outputs"].items():
        assert told["value"] == f"${{{{ steps.run.outputs.{name} }}}}"


def test_every_mode_is_a_command_with_the_inputs_that_it_reads_as_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]

    for name in ("run", *MODES):
        options = {word for parameter in commands[name].params for word in parameter.opts}
        read = {field for field in FIELDS if name == "run" or name in USED_BY.get(field, MODES)}
        wanted = {f"--{field}" for field in read - ({"mode"} if name != "run" else set())}
        assert options - {"--debug", "--help", "-h", "named"} == wanted, name


def test_what_a_gate_demanded_can_be_said_to_promote_and_rollback_as_well() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]

    for name in ("gate", "promote", "rollback"):
        assert any("--gates" in parameter.opts for parameter in commands[name].params), name


@pytest.mark.parametrize("words", [["stats", "rows.csv"], ["stats", "--data", "rows.csv"]])
def test_a_commands_own_input_may_stand_without_its_name(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, words)

    assert "There is no file, folder or match for rows.csv" in result.stdout
    assert result.exit_code == 2


@pytest.mark.parametrize("words", [["--dry-run"], ["--dry-run", "true"], ["--dry-run", "--registry", "git"]])
def test_an_input_that_is_true_or_false_may_stand_as_a_flag(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["promote", *words, "mnist:v1.0.0"])

    assert "The Git registry is the repository's remote origin" in result.stdout


def test_an_input_given_twice_is_refused() -> None:
    result = CliRunner().invoke(app, ["gate", "one.pt", "--model", "two.pt"])

    assert result.exit_code == 2
    assert "The input `model` is given twice: `one.pt`, and `--model two.pt`." in result.stdout


def test_the_readme_names_every_mode() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    for mode in MODES:
        assert f"\n| `{mode}` |" in readme, mode


def test_what_is_shown_to_users_asks_for_modes_that_exist() -> None:
    modes = r"(?m)(?:^ *|`)mode: ([a-z, ]+)(?:$|`)|\{mode: '([a-z, ]+)'|\{mode: ([a-z]+)"
    for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.yml")):
        shown = re.findall(modes, path.read_text(encoding="utf-8"))
        assert {mode for found in shown for mode in "".join(found).split(", ")} <= set(MODES), path


def test_what_is_read_by_some_modes_is_read_by_modes_that_exist() -> None:
    assert set(USED_BY) <= set(FIELDS)
    assert {mode for modes in USED_BY.values() for mode in modes} <= set(MODES)
