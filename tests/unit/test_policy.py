from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from cml_action import policy
from cml_action.errors import UsageError
from cml_action.policy.units import Share

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

#: The example of the interface's design, as it stands there.
DOCUMENTED = """\
data:
  - path: data/train.csv
    label: species
    key: [id]                       # identity of a row: added, removed, changed, leaked
    compare: data/test.csv          # leakage and drift against this set
    rows: {min: 300}
    duplicates: 0
    columns:
      island: {type: string, values: [Biscoe, Dream, Torgersen], nulls: 0}
      body_mass_g: {type: number, min: 2000, max: 7000, nulls: 2%}
    drift: {max-psi: 0.2, severity: warn}

metrics:
  - {metric: accuracy, min: 0.90, max-drop: 0.01}       # against base
  - {metric: val/loss, direction: lower, max-rise: 5%}
  - {metric: accuracy, folds: accuracy_folds, test: wilcoxon, alpha: 0.05}
training:
  history: history.csv                                   # one row an epoch
  gates: [converged, no-overfit, no-underfit]

model:
  path: models/net.pt
  loader: my_package.model:load
  input: {shape: [1, 3, 224, 224], dtype: float32}        # or a sample file
  evaluate: my_package.evaluate:run                      # model -> dict of metrics
  gates:
    - {measure: latency-p95, max: 100 ms}
    - {measure: latency-p50, max-ratio: 1.10}            # beside production, same job
    - {measure: accuracy, min: 0.9, max-drop: 0.01}
    - {measure: size, max: 50 MB}

registry:
  backend: wandb
  collection: wandb-registry-model/mnist
  stages: [staging, production]
"""

DATA_KEYS = "path, label, key, compare, rows, duplicates, columns, drift"
TOP_KEYS = "data, metrics, training, model, registry"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], policy.Policy]:
    def read(content: str | bytes) -> policy.Policy:
        path = tmp_path / "cml.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return policy.load(path, "cml.yaml", required=True)

    return read


@pytest.fixture
def refusal(read: Callable[[str | bytes], policy.Policy]) -> Callable[[str | bytes], UsageError]:
    def refusal(content: str | bytes) -> UsageError:
        with pytest.raises(UsageError) as caught:
            read(content)
        assert caught.value.path == "cml.yaml"
        assert caught.value.exit_code == 2
        return caught.value

    return refusal


def test_the_documented_example_is_read_whole(read: Callable[[str], policy.Policy]) -> None:
    found = read(DOCUMENTED)
    train = found.data[0]
    assert (train.path, train.label, train.key, train.compare) == (
        "data/train.csv",
        "species",
        ("id",),
        "data/test.csv",
    )
    assert train.rows is not None
    assert (train.rows.min, train.rows.max, train.duplicates) == (300, None, 0)
    assert train.columns["island"].values == ("Biscoe", "Dream", "Torgersen")
    assert train.columns["island"].nulls == 0
    assert train.columns["body_mass_g"].nulls == Share(0.02)
    assert train.drift is not None
    assert (train.drift.max_psi, train.drift.severity) == (0.2, "warn")
    assert [gate.metric for gate in found.metrics] == ["accuracy", "val/loss", "accuracy"]
    assert found.metrics[1].max_rise == Share(0.05)
    assert found.training is not None
    assert found.training.gates == ("converged", "no-overfit", "no-underfit")
    assert found.model is not None
    assert found.model.gates is not None
    assert [gate.max for gate in found.model.gates] == [0.1, None, None, 50_000_000]
    assert found.registry is not None
    assert found.registry.stages == ("staging", "production")


def test_each_item_knows_its_line(read: Callable[[str], policy.Policy]) -> None:
    found = read(DOCUMENTED)
    assert found.line_of("data", 0) == 2
    assert found.line_of("data", 0, "columns", "island", "values") == 9
    assert found.line_of("data", 0, "drift", "max-psi") == 11
    assert found.line_of("metrics", 1, "max-rise") == 15
    assert found.line_of("model", "gates", 1, "max-ratio") == 28
    assert found.line_of("data", 1) is None


def test_an_aliased_column_is_read_as_often_as_it_is_named(read: Callable[[str], policy.Policy]) -> None:
    found = read("data:\n- path: a.csv\n  columns:\n    x: &whole {nulls: 0}\n    y: *whole\n")
    assert found.data[0].columns["y"].nulls == 0
    assert found.line_of("data", 0, "columns", "y") == 5


@pytest.mark.parametrize("content", ["", "\n", "# nothing yet\n", "---\n", "~", b"\xef\xbb\xbf"])
def test_an_empty_file_demands_nothing(
    read: Callable[[str | bytes], policy.Policy], content: str | bytes
) -> None:
    assert read(content) == policy.Policy()


def test_a_byte_order_mark_and_windows_line_ends_are_fine(read: Callable[[bytes], policy.Policy]) -> None:
    found = read(b"\xef\xbb\xbfdata:\r\n  - path: a.csv\r\n    label: kind\r\n")
    assert found.data[0].label == "kind"
    assert found.line_of("data", 0, "label") == 3


def test_an_absent_file_is_an_empty_policy_unless_it_was_asked_for(tmp_path: Path) -> None:
    absent = tmp_path / "cml.yaml"
    assert policy.load(absent, "cml.yaml", required=False) == policy.Policy()
    with pytest.raises(UsageError, match=r"^sub/cml\.yaml does not exist\.\nCorrect the input config"):
        policy.load(absent, "sub/cml.yaml", required=True)


def test_a_folder_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^conf is a folder\.\nName a YAML file in the input config\."):
        policy.load(tmp_path, "conf", required=False)


def test_all_faults_of_a_file_are_told_at_once(refusal: Callable[[str], UsageError]) -> None:
    error = refusal("data:\n  - path: a.csv\n    lable: x\n    rows: {min: few}\ntrainig: {}\n")
    assert error.line == 3
    assert str(error).splitlines() == [
        "cml.yaml has 3 faults:",
        f"- line 3: data[0].lable is not a known key. Did you mean label? Allowed here: {DATA_KEYS}.",
        "- line 4: data[0].rows.min is 'few'. Allowed: a whole number, 0 or more.",
        f"- line 5: trainig is not a known key. Did you mean training? Allowed here: {TOP_KEYS}.",
    ]


def test_a_long_list_of_faults_is_cut(refusal: Callable[[str], UsageError]) -> None:
    lines = str(refusal("".join(f"x{at}: 1\n" for at in range(30)))).splitlines()
    assert lines[0] == "cml.yaml has 30 faults:"
    assert lines[-1] == "- and 10 more."
    assert len(lines) == 22


def test_a_long_value_is_cut(refusal: Callable[[str], UsageError]) -> None:
    assert len(str(refusal("data: " + "x" * 5000))) < 200
    assert len(str(refusal("data: [{path: x, duplicates: " + "9" * 5000 + "}]"))) < 200


COLUMN = "data: [{path: a, columns: {c: {%s}}}]"
C = "data[0].columns.c"
FAULTS = {
    "an unknown key in snake case": (
        "data: [{path: a, drift: {max_psi: 1, max-psi: 1}}]",
        "data[0].drift.max_psi is not a known key.",
        "Did you mean max-psi? Allowed here: max-psi, severity.",
    ),
    "a key that is missing": (
        "data: [{label: x}]",
        "data[0] has no path.",
        "Add path: file, folder or glob, relative to the project.",
    ),
    "a list at the top": ("- a", "The file is a list.", f"Allowed: a mapping with {TOP_KEYS}."),
    "a list where a mapping belongs": (
        "registry: [git]",
        "registry is a list.",
        "Allowed: a mapping with backend, collection, stages.",
    ),
    "a mapping where a list belongs": (
        "data: {path: a}",
        "data is a mapping.",
        "Write a list, each entry after a dash.",
    ),
    "one word where a list belongs": (
        "data: [{path: a, key: id}]",
        "data[0].key is 'id'.",
        "Write a list: [id].",
    ),
    "a key without a value": ("data:", "data is empty.", "Give it a value, or remove the key."),
    "empty text": (
        "data: [{path: a, label: ''}]",
        "data[0].label is empty text.",
        "Give it a value, or remove the key.",
    ),
    "an empty list": (
        COLUMN % "values: []",
        f"{C}.values is an empty list.",
        "Give it a value, or remove the key.",
    ),
    "a word that is not one of a few": (
        "registry: {backend: wandbb}",
        "registry.backend is 'wandbb'.",
        "Did you mean wandb? Allowed: git, mlflow, wandb.",
    ),
    "a number as a name": (
        "data: [{path: a, label: 1e3}]",
        "data[0].label is the number 1e3.",
        "If text is meant, quote it: '1e3'.",
    ),
    "a truth as a name": (
        "data: [{path: a, label: true}]",
        "data[0].label is true.",
        "If text is meant, quote it: 'true'.",
    ),
    "yes or no as a name": (
        "data: [{path: a, label: no}]",
        "data[0].label is no: false to some readers of YAML, text to others.",
        "If text is meant, quote it: 'no'.",
    ),
    "yes or no as a value": (
        COLUMN % "values: ['no', yes]",
        f"{C}.values[1] is yes: true to some readers of YAML, text to others.",
        "If text is meant, quote it: 'yes'.",
    ),
    "a date as a value": (
        COLUMN % "values: [2024-01-31]",
        f"{C}.values[0] is 2024-01-31: a date to some readers of YAML, something else to others.",
        "If text is meant, quote it: '2024-01-31'.",
    ),
    "a number with a leading zero as a value": (
        COLUMN % "values: [007]",
        f"{C}.values[0] is 007: a number to some readers of YAML, something else to others.",
        "If text is meant, quote it: '007'. If a number is meant, write plain digits.",
    ),
    "a column's name that is a truth": (
        "data: [{path: a, columns: {on: {nulls: 0}}}]",
        "The key on is not text for every reader of YAML.",
        "Quote it: 'on'.",
    ),
    "a column's name that is a number": (
        "data: [{path: a, columns: {2024: {nulls: 0}}}]",
        "The key 2024 is not text for every reader of YAML.",
        "Quote it: '2024'.",
    ),
    "a column's name with a space in a path of keys": (
        "data: [{path: a, columns: {body mass: {nulls: -1}}}]",
        "data[0].columns['body mass'].nulls is the number -1.",
        "Allowed: a count (0 or more) or a share up to 100%, such as 2%.",
    ),
    "a share above the whole": (
        COLUMN % "nulls: 120%",
        f"{C}.nulls is '120%'.",
        "Allowed: a count (0 or more) or a share up to 100%, such as 2%.",
    ),
    "a share as a number": (
        COLUMN % "nulls: 0.02",
        f"{C}.nulls is the number 0.02.",
        "Allowed: a count (0 or more) or a share up to 100%, such as 2%.",
    ),
    "a minimum above the maximum": (
        COLUMN % "min: 3, max: 2",
        f"{C}.min is above max.",
        "Swap the two, or correct one.",
    ),
    "a minimum of text": (
        COLUMN % "type: string, min: 3",
        f"{C}.min is for numbers, and the type is string.",
        "Remove it, or write type: number.",
    ),
    "a number among text": (
        COLUMN % "type: string, values: [a, 3]",
        f"{C}.values[1] is 3 and not text, and the type is string.",
        "Quote it: '3'.",
    ),
    "text among numbers": (
        COLUMN % "type: number, values: [3, '4']",
        f"{C}.values[1] is '4' and no number, and the type is number.",
        "Write numbers without quotes, or type: string.",
    ),
    "rows without a limit": (
        "data: [{path: a, rows: {}}]",
        "data[0].rows sets no limit.",
        "Give at least one of min, max.",
    ),
    "one data set twice": (
        "data: [{path: a}, {path: a}]",
        "data[1].path is the path of data[0] as well.",
        "Make one entry of the two.",
    ),
    "a time without its unit": (
        "model: {gates: [{measure: latency-p95, max: 100}]}",
        "model.gates[0].max is the number 100.",
        "Allowed: a time with its unit (ns, us, µs, ms, s, min), such as 100 ms.",
    ),
    "a time limit without its unit": (
        "model: {time-limit: 600}",
        "model.time-limit is the number 600.",
        "Allowed: a time above 0 with its unit (ns, us, µs, ms, s, min), such as 10 min.",
    ),
    "a time limit of nothing": (
        "model: {time-limit: 0 s}",
        "model.time-limit is '0 s'.",
        "Allowed: a time above 0 with its unit (ns, us, µs, ms, s, min), such as 10 min.",
    ),
    "a size in seconds": (
        "model: {gates: [{measure: size, max: 3 s}]}",
        "model.gates[0].max is '3 s'.",
        "Allowed: a size with its unit (B, kB, KB, MB, GB, TB, KiB, MiB, GiB, TiB), such as 50 MB.",
    ),
    "a latency that is not measured": (
        "model: {gates: [{measure: latency-p9, max: 1 s}]}",
        "model.gates[0].measure is 'latency-p9'.",
        "Allowed: latency-p50, latency-p95, size, or a metric's name.",
    ),
    "a number that is none": (
        "model: {gates: [{measure: f1, max: .nan}]}",
        "model.gates[0].max is .nan.",
        "Allowed: a number.",
    ),
    "a percentage of an accuracy": (
        "model: {gates: [{measure: accuracy, min: 95%}]}",
        "model.gates[0].min is '95%'.",
        "Allowed: a number, 0.95 for 95%.",
    ),
    "a percentage of an error": (
        "model: {gates: [{measure: mape, max: 5 %}]}",
        "model.gates[0].max is '5 %'.",
        "Allowed: a number, 0.05 for 5 %.",
    ),
    "a drop of an error": (
        "model: {gates: [{measure: mae, max-drop: 5%}]}",
        "model.gates[0].max-drop allows mae to fall, and it is better when lower.",
        "Use max or max-ratio.",
    ),
    "a ratio of an accuracy": (
        "model: {gates: [{measure: accuracy, max-ratio: 1.1}]}",
        "model.gates[0].max-ratio allows accuracy to rise, and it is better when higher.",
        "Use min or max-drop.",
    ),
    "a metric without a limit": (
        "metrics: [{metric: f1}]",
        "metrics[0] sets no limit.",
        "Give at least one of min, max-drop, max-rise, test.",
    ),
    "a test without folds": (
        "metrics: [{metric: f1, test: wilcoxon}]",
        "metrics[0].test needs the values of the folds.",
        "Add folds.",
    ),
    "a label among what the model is given": (
        "model: {data: a.csv, task: regression, label: y, features: [x, y]}",
        "model.features[1] is the label, which the model may not see.",
        "Remove it.",
    ),
    "a loader that is no function": (
        "model: {loader: load.py}",
        "model.loader is 'load.py'.",
        "Allowed: package.module:function, such as my_package.model:load.",
    ),
    "an input whose shape is wrong": (
        "model: {input: {shape: [1, -1], dtype: float32}}",
        "model.input.shape[1] is the number -1.",
        "Allowed: a whole number, 1 or more.",
    ),
    "a tag": (
        "model: {path: !!binary aGk=}",
        "model.path has the tag tag:yaml.org,2002:binary.",
        "Remove the tag.",
    ),
    "a key that is a list": ("? [a]\n: b", "A key is a list or a mapping.", "Write text as the key."),
    "what holds itself": (
        "data: &a [*a]",
        "what this anchor names holds itself.",
        "Remove the alias (*) inside it.",
    ),
    "a control character": (
        "data: \x00",
        "the character U+0000 is not allowed in YAML.",
        "Remove it; if the file is not text, name another one.",
    ),
    "Latin-1": (b"model: {path: caf\xe9}", "the byte 0xe9 is not UTF-8.", "Save the file as UTF-8."),
}


@pytest.mark.parametrize("content, what, fix", FAULTS.values(), ids=FAULTS.keys())  # noqa: PT006 - three names
def test_a_fault_names_the_place_what_was_found_and_what_is_allowed(
    refusal: Callable[[str | bytes], UsageError], content: str | bytes, what: str, fix: str
) -> None:
    error = refusal(content)
    assert str(error) == f"cml.yaml, line 1: {what}\n{fix}"
    assert error.line == 1


@pytest.mark.parametrize(
    "path", ["../a.csv", "/a.csv", "a/../../b", "~/a", "C:\\a.csv", "\\\\host\\a", "..\\a", "s3://bucket/a"]
)
def test_a_path_that_leaves_the_project_is_refused(refusal: Callable[[str], UsageError], path: str) -> None:
    error = refusal(json.dumps({"data": [{"path": path}]}))
    assert error.fix == "Allowed: a path or glob inside the project, relative to its folder."
    assert error.what == f"cml.yaml, line 1: data[0].path is {path!r}."
    assert not _valid({"data": [{"path": path}]})


@pytest.mark.parametrize(
    "path", ["a.csv", "data/**/*.parquet", "*.csv", "./a", "a..b/..c", ".dvc/x", "a b/ü"]
)
def test_a_path_or_glob_inside_the_project_is_accepted(
    read: Callable[[str], policy.Policy], path: str
) -> None:
    assert read(json.dumps({"data": [{"path": path}]})).data[0].path == path
    assert _valid({"data": [{"path": path}]})


def test_a_key_that_stands_twice_names_both_lines(refusal: Callable[[str], UsageError]) -> None:
    error = refusal("data:\n  - path: a\n    label: x\n    label: y\n")
    assert error.what == "cml.yaml, line 4: data[0].label stands twice, first in line 3."
    assert error.line == 4


SYNTAX = {
    "a tab": ("data:\n\t- a", "line 2, column 1", "Indent with spaces: YAML allows no tabs there."),
    "a glob without quotes": ("data:\n  - path: *.csv", "line 2, column 11", "Quote it: '*.csv'."),
    "a colon in text": (
        "model:\n  path: a: b",
        "line 2, column 10",
        "Quote text that holds a colon and a space",
    ),
    "an at sign": ("model:\n  path: @a", "line 2, column 9", "Quote text that begins with this character."),
    "a second document": ("model: {}\n---\nmodel: {}", "line 2, column 1", "remove the line ---"),
    "an open quote": (
        "model:\n  path: 'a\n",
        "begins in line 2",
        "Correct the YAML there, or in the line before.",
    ),
    "an unknown alias": ("model:\n  path: *csv", "line 2, column 9", "Quote it: '*.csv'."),
}


@pytest.mark.parametrize("content, where, fix", SYNTAX.values(), ids=SYNTAX.keys())  # noqa: PT006 - three names
def test_what_is_not_yaml_names_line_and_column(
    refusal: Callable[[str], UsageError], content: str, where: str, fix: str
) -> None:
    error = refusal(content)
    assert where in error.what
    assert fix in error.fix
    assert error.line is not None


def test_aliases_of_aliases_do_not_fill_the_memory(refusal: Callable[[str], UsageError]) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 30)]
    assert refusal("\n".join(lines)).what == (
        "cml.yaml holds more than 100,000 values (an alias counts as all it stands for)."
    )


@pytest.mark.parametrize("content", ["[" * 100_000, "[" * 400 + "]" * 400], ids=["open", "closed"])
def test_what_is_nested_too_deep_is_refused(refusal: Callable[[str], UsageError], content: str) -> None:
    assert refusal(content).what == "cml.yaml is nested too deep."


def test_a_large_file_is_not_read(refusal: Callable[[bytes], UsageError]) -> None:
    assert refusal(b"#" * (policy.MOST_BYTES + 1)).what == "cml.yaml is larger than 1 MiB."


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("100 ms", 0.1), ("100ms", 0.1), ("250 µs", 0.00025), ("1.5 s", 1.5), ("2 min", 120)],
)
def test_times_are_read_as_seconds(
    read: Callable[[str], policy.Policy], written: str, seconds: float
) -> None:
    model = read(f"model: {{gates: [{{measure: latency-p50, max: {written}}}]}}").model
    assert model is not None
    assert model.gates is not None
    assert model.gates[0].max == seconds


def test_a_policy_stays_as_it_was_read(read: Callable[[str], policy.Policy]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(DOCUMENTED).data[0].path = "other"  # type: ignore[misc]


def test_the_published_schema_is_that_of_the_models() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "cml_action.policy"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (ROOT / "schema" / "cml.schema.json").read_text() == written, (
        "run: python -m cml_action.policy > schema/cml.schema.json"
    )


def _valid(content: object) -> bool:
    schema = policy.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(content))


def test_an_editor_accepts_the_documented_example() -> None:
    assert _valid(yaml.safe_load(DOCUMENTED))


@pytest.mark.parametrize(
    "content", ["data:", "dat: []", COLUMN % "nulls: 0.02", "model: {loader: x}", "data: [{label: x}]"]
)
def test_an_editor_refuses_what_is_refused_here(content: str) -> None:
    assert not _valid(yaml.safe_load(content))


def test_the_reference_names_every_key_in_its_table() -> None:
    reference = (ROOT / "docs" / "cml-yaml.md").read_text()
    tables = dict(re.findall(r"^## `(\S+)`$(.*?)(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL))
    schema = policy.json_schema()
    sections = {
        "data": "DataSet",
        "data[].rows": "Rows",
        "data[].columns": "Column",
        "data[].drift": "Drift",
        "metrics": "MetricGate",
        "training": "Training",
        "model": "ModelPolicy",
        "model.input": "InputShape",
        "model.behaviour": "Behaviour",
        "model.gates": "ModelGate",
        "registry": "Registry",
    }
    assert set(sections.values()) == set(schema["$defs"])
    for heading, name in sections.items():
        rows = re.findall(r"^\| `([^`]+)` \|", tables[heading], re.MULTILINE)
        assert rows == list(schema["$defs"][name]["properties"]), heading


def test_reading_a_policy_needs_nothing_heavy() -> None:
    heavy = ("pandas", "numpy", "matplotlib", "duckdb", "ibis", "dvc", "torch", "github", "rich", "typer")
    code = f"import sys, cml_action.policy; print([n for n in {heavy!r} if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
