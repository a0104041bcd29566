"""What was asked: one typed object, from the runner's environment or from the command line.

Every input has its name, type, default and meaning here and nowhere else: the command line is built from
these fields, and a test holds `action.yml` and the README's table against them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, SecretStr, ValidationError

from cml_action.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Mode: TypeAlias = Literal["setup", "pull", "stats", "gate", "promote", "rollback", "comment", "check", "pr"]
MODES: tuple[str, ...] = Mode.__args__  # type: ignore[attr-defined]
_NAMED_MODES = ", ".join(f"`{mode}`" for mode in MODES)

#: The variable in which `action.yml` hands over all inputs, as `${{ toJSON(inputs) }}`.
VARIABLE = "CML_ACTION_INPUTS"
#: What a container Action gets instead: one variable an input, upper case, hyphens kept.
PREFIX = "INPUT_"


def _split(value: object) -> object:
    """Split a list at newlines and commas."""
    if not isinstance(value, str):
        return value
    parts = (part.strip() for line in value.splitlines() for part in line.split(","))
    return tuple(part for part in parts if part)


Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_split)]


#: Which verdicts fail the step, by the input `fail-on`.
FAILING = {"fail": {"fail"}, "warn": {"warn", "fail"}, "never": set[str]()}


class Inputs(BaseModel):
    """The inputs of the Action and the options of the command line."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )

    mode: Annotated[tuple[Mode, ...], BeforeValidator(_split)] = Field(
        min_length=1,
        description=f"What to do: one or several of {_NAMED_MODES}, run in order into one report.",
    )
    config: str = Field("cml.yaml", description="The policy file; absent is fine.")
    working_directory: str = Field(".", description="Where the project lies in the workspace.")
    github_token: SecretStr = Field(
        SecretStr(""), description="The token with which comments are written and the base commit is fetched."
    )
    title: str = Field(
        "",
        description="Heading of the report, and the key by which a later run finds its own comment;"
        " the modes' names where empty.",
    )
    comment: str = Field(
        "auto",
        description="Where the report is commented: `auto` (the pull request, where there is one), `false`,"
        " `pr`, `pr/42`, `commit`, `commit/SHA`, `issue/7`.",
    )
    check: Literal["true", "false"] = Field(
        "false",
        description="Whether a check run with annotations is made as well: `true` or `false`.",
    )
    assets: str = Field(
        "auto",
        description="Where pictures go: `branch`, `branch:NAME`, `s3://…`, `gs://…`, `az://…` or `none`;"
        " `auto` is the branch where the token may write, else Mermaid.",
    )
    assets_keep: str = Field(
        "90 days",
        description="How long the branch keeps a picture that no open pull request shows, or `forever`.",
    )
    assets_signed: str = Field(
        "",
        description="How long addresses in a bucket are signed for, such as `7 days`; empty where it is"
        " public.",
    )
    fail_on: Literal["fail", "warn", "never"] = Field(
        "fail", description="Which verdict fails the step: `fail`, `warn` or `never`."
    )
    targets: Names = Field(
        (),
        description="What `pull` fetches: tracked paths, `.dvc` files, stages or globs; all where empty.",
    )
    remote: str = Field("", description="The DVC remote to fetch from; the default one where empty.")
    jobs: PositiveInt | None = Field(
        None, description="How many files are fetched at once; DVC's own choice where empty."
    )
    data: Names = Field(
        (),
        description="Files, folders or globs to profile, each one data set; what changed since `base`"
        " where empty.",
    )
    label: str = Field("", description="The column that holds the class.")
    base: str = Field(
        "",
        description="The revision to compare with; the pull request's base, else the parent commit,"
        " where empty.",
    )
    model: str = Field(
        "",
        description="The model: a path, or a reference in the registry (`collection:version`,"
        " `collection:alias` or a digest); from the event, else from `cml.yaml`, where empty. `promote` also"
        " asks `registry.lock.yaml`, and the stage before.",
    )
    baseline: str = Field(
        "",
        description="What the candidate is compared with: a path, or a reference in the registry; `none` to"
        " skip; what holds `alias` where empty.",
    )
    model_loader: str = Field(
        "",
        description="`package.module:function` in the workspace, given a path, returning a callable; by file"
        " type where empty.",
    )
    python: str = Field(
        "",
        description="Interpreter in which the model is loaded and run; `python` on the PATH where empty.",
    )
    gates: str = Field("", description="YAML list of gates, added to those of `cml.yaml`.")
    registry: Literal["", "git", "mlflow", "wandb"] = Field(
        "",
        description="Where versions are: `git` (GTO's tags), `mlflow` or `wandb`; from `cml.yaml`, else"
        " `git`, where empty.",
    )
    collection: str = Field(
        "",
        description="Where promotion happens, such as `mnist` or `wandb-registry-model/mnist`; from"
        " `cml.yaml`, else from `model`, where empty.",
    )
    alias: str = Field("production", description="The stage that `promote` and `rollback` move.")
    require_gate: Literal["true", "false"] = Field(
        "true",
        description="Whether `promote` needs a passing verdict for exactly this digest: `true` or `false`.",
    )
    evidence: str = Field(
        "",
        description="The `verdict.json` of a gate in the same job; what the gate kept in the registry where"
        " empty. `rollback` asks for a verdict only where it is named.",
    )
    skip_stages: Literal["true", "false"] = Field(
        "false", description="Whether a version may jump over a stage of `cml.yaml`: `true` or `false`."
    )
    approval: Literal["none", "pull-request"] = Field(
        "none",
        description="`pull-request`: promote what a merged change of `registry.lock.yaml` names, and else"
        " write that change, of which `mode: pr` opens a pull request.",
    )
    to: str = Field(
        "", description="The version that `rollback` goes to; the one before the present one where empty."
    )
    reason: str = Field("", description="Why, for the record; what the gate said where empty.")
    dry_run: Literal["true", "false"] = Field(
        "false", description="Whether everything is checked and nothing moved: `true` or `false`."
    )
    notify: Names = Field(
        (),
        description="Who is told of a move: `owner/name` gets a `repository_dispatch`, a web address a signed"
        " POST.",
    )
    report: str = Field("", description="The Markdown file that `comment`, `check` and `pr` publish.")
    files: Names = Field(
        (), description="What `pr` commits: files, folders or globs; `dvc.lock` where empty."
    )
    merge: Literal["", "merge", "rebase", "squash"] = Field(
        "",
        description="How GitHub merges the pull request of `pr` once its checks have passed: `merge`,"
        " `rebase` or `squash`; empty leaves it to people.",
    )
    from_run: str = Field(
        "",
        description="In a `workflow_run` job: the number of the run whose report `comment` publishes,"
        " `github.event.workflow_run.id`.",
    )


#: The inputs that only some modes read; all others are every mode's.
USED_BY: dict[str, tuple[str, ...]] = {
    "targets": ("pull",),
    "remote": ("pull", "stats", "gate", "promote", "rollback"),
    "jobs": ("pull",),
    "data": ("pull", "stats"),
    "label": ("stats",),
    "base": ("stats",),
    "model": ("gate", "promote"),
    "baseline": ("gate",),
    "model-loader": ("gate",),
    "python": ("gate",),
    "gates": ("gate", "promote", "rollback"),
    "registry": ("gate", "promote", "rollback"),
    "collection": ("gate", "promote", "rollback"),
    "alias": ("gate", "promote", "rollback"),
    "require-gate": ("promote",),
    "evidence": ("promote", "rollback"),
    "skip-stages": ("promote",),
    "approval": ("promote",),
    "to": ("rollback",),
    "reason": ("promote", "rollback"),
    "dry-run": ("promote", "rollback"),
    "notify": ("promote", "rollback"),
    "report": ("comment", "check", "pr"),
    "files": ("pr",),
    "merge": ("pr",),
    "from-run": ("comment",),
}

#: Each input by the name that users type.
FIELDS = {field.alias or name: field for name, field in Inputs.model_fields.items()}


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the runner hands over, name to text; empty texts are inputs that were not set."""
    given = environ.get(VARIABLE)
    if given is None:
        return {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX)
        }
    try:
        found = json.loads(given)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"`{VARIABLE}` is not JSON ({error.msg} at character {error.pos}).",
            "It is set by action.yml; a workflow has no need to touch it.",
        ) from None
    if not isinstance(found, dict):
        raise UsageError(f"`{VARIABLE}` is not a JSON object.", "It is set by action.yml; leave it alone.")
    return {str(name): "" if value is None else str(value) for name, value in found.items()}


def parse(given: Mapping[str, Any]) -> Inputs:
    """Check what was asked.

    :param given: values by the input's name; an empty text stands for the default.
    :raises UsageError: naming the input, what was found and what is allowed.
    """
    for name in given:
        if name not in FIELDS:
            raise UsageError(f"There is no input `{name}`.{suggestion(name, FIELDS)}", _allowed(FIELDS))
    trimmed = {name: _trimmed(name, value) for name, value in given.items()}
    asked = {name: value for name, value in trimmed.items() if value not in ("", None, ())}
    if not _split(asked.get("mode", "")):
        raise UsageError("The input `mode` is missing.", _allowed(MODES, "Name one or several of"))
    try:
        return Inputs.model_validate(asked)
    except ValidationError as error:
        raise _explain(error) from None


def _trimmed(name: str, value: Any) -> Any:
    """Return a text as it was meant: what is typed into a form, or a block of YAML, ends as it likes.

    YAML counts the spaces before its first line, and a column's name may begin with one.
    """
    if not isinstance(value, str) or name == "label":
        return value
    return value.rstrip() if name == "gates" else value.strip()


def _allowed(names: Iterable[str], lead: str = "Known are") -> str:
    return f"{lead} {', '.join(f'`{name}`' for name in names)}."


def _explain(error: ValidationError) -> UsageError:
    fault = error.errors(include_url=False)[0]
    name, found = str(fault["loc"][0]), str(fault["input"])
    if name == "mode":
        return UsageError(f"There is no mode `{found}`.{suggestion(found, MODES)}", _allowed(MODES))
    if fault["type"] == "literal_error":
        allowed = Inputs.model_fields[name.replace("-", "_")].annotation.__args__  # type: ignore[union-attr]
        what = f"The input `{name}` is `{found}`.{suggestion(found, allowed)}"
        return UsageError(what, _allowed(allowed, "Allowed are"))
    return UsageError(f"The input `{name}` is `{found}`.", f"{fault['msg']}.")
