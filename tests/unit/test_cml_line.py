"""The command line of `cml` beside that of CML 0.20.6, and beside its table in docs/from-cml.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cml_action.cml.asked import read
from cml_action.cml.flags import COMMANDS, GLOBAL, OLD_NAMES, Command, Flag
from cml_action.cml.line import app, as_usual
from cml_action.errors import UsageError
from cml_action.modes.setup import PROGRAMS

#: What CML 0.20.6 defines, read out of its own modules (`exports.options` of `bin/cml/*/*.js`).
FACTS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("cml-0.20.6.json").read_text(encoding="utf-8")
)
GUIDE = (Path(__file__).parents[2] / "docs" / "from-cml.md").read_text(encoding="utf-8")
KINDS = {"string": "text", "boolean": "switch", "number": "whole", "array": "list", "any": "text"}
BY_NAME = {command.name: command for command in COMMANDS}


def table(heading: str) -> dict[str, tuple[str, str]]:
    """Return a section's table: the names of a flag, its default and what is said of it."""
    section = re.split(r"^#+ ", GUIDE.partition(f"\n### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (`-.*?) \| (.*?) ?\| (.+) \|$", section, re.MULTILINE)
    return {names: (default.strip("` "), said) for names, default, said in rows}


def shown(flag: Flag) -> str:
    names = (flag.name, *flag.aliases)
    return ", ".join(f"`-{name}`" if len(name) == 1 else f"`--{name}`" for name in names)


def flags(command: Command) -> dict[str, Flag]:
    return {name: flag for flag in command.all_flags for name in (flag.name, *flag.aliases)}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_guide_shows_each_flag_with_its_names_and_default_and_no_other(command: Command) -> None:
    told = table("`cml comment create`" if command.words[0] == "comment" else f"`cml {command.name}`")

    assert {names: default for names, (default, _) in told.items()} == {
        shown(flag): flag.default for flag in command.flags
    }


def test_the_guide_shows_the_global_flags_and_every_command_with_its_older_names() -> None:
    assert list(table("All commands")) == [shown(flag) for flag in GLOBAL]
    for command in COMMANDS:
        assert f"`cml {command.name}" in GUIDE
    for old in OLD_NAMES:
        assert f"`cml {old}`" in GUIDE
    for program in PROGRAMS:
        assert f"`{program}`" in GUIDE


@pytest.mark.parametrize("name", FACTS)
def test_every_flag_of_cml_is_known_by_all_its_names_and_in_its_kind(name: str) -> None:
    known = flags(BY_NAME[name])

    for flag, fact in FACTS[name].items():
        alias = fact.get("alias")
        assert flag in known, flag
        assert alias is None or known[alias] is known[flag], flag
        assert known[flag].kind == KINDS[fact["type"]] or BY_NAME[name].gone, flag


@pytest.mark.parametrize("name", [name for name in FACTS if not BY_NAME[name].gone])
def test_what_differs_from_cml_is_never_called_the_same(name: str) -> None:
    told = {**table(f"`cml {name}`"), **table("All commands")}
    known = flags(BY_NAME[name])

    for flag, fact in FACTS[name].items():
        mine, (_, said) = known[flag], told[shown(known[flag])]
        default = fact.get("default", "")
        same = (
            mine.default == (str(default).lower() if isinstance(default, bool) else default)
            and list(mine.choices) == fact.get("choices", list(mine.choices) if flag == "token" else [])
            and not mine.instead
        )
        assert same or not said.startswith("same"), flag
        if mine.instead:
            assert said.startswith("refused"), flag


def test_flags_that_exclude_each_other_do_so_as_in_cml() -> None:
    for name, facts in FACTS.items():
        if BY_NAME[name].gone:
            continue
        for flag, fact in facts.items():
            kebab = {re.sub(r"([A-Z])", r"-\1", each).lower() for each in fact.get("conflicts", ())}
            assert kebab == set(flags(BY_NAME[name])[flag].conflicts), flag


@pytest.mark.parametrize(
    ("typed", "usual"),
    [
        ("comment create r.md", "comment create r.md"),
        ("comment create --publish=false r.md", "comment create --no-publish r.md"),
        ("comment create --publish false r.md", "comment create --no-publish r.md"),
        ("comment create --publish r.md", "comment create --publish r.md"),
        ("comment create --pr=true r.md", "comment create --pr r.md"),
        ("comment create --no-publish r.md", "comment create --no-publish r.md"),
        ("comment create --publishUrl x r.md", "comment create --publish-url x r.md"),
        ("comment create --rmWatermark r.md", "comment create --rm-watermark r.md"),
        ("comment create --native=true r.md", "comment create --publish-native r.md"),
        ("comment create -- --publish=false", "comment create -- --publish=false"),
        ("--token T --log=debug comment create r.md", "comment create --token T --log=debug r.md"),
        ("comment --repo o/r create r.md", "comment create --repo o/r r.md"),
        ("send-comment --update r.md", "comment create --update r.md"),
        ("send-github-check r.md --title x", "check create r.md --title x"),
        ("publish a.png --md", "asset publish a.png --md"),
        ("ci --unshallow", "repo prepare --unshallow"),
        ("rerun-workflow --id 7", "workflow rerun --id 7"),
        ("tensorboard-dev -c x", "tensorboard connect -c x"),
        ("pr a.txt b/* --md", "pr create a.txt b/* --md"),
        ("pr --auto-merge a.txt", "pr create --merge a.txt"),
        ("pr create a.txt", "pr create a.txt"),
        ("runner --cloud aws", "runner launch --cloud aws"),
        ("--help", "--help"),
        ("pr --help", "pr --help"),
        ("coment create", "coment create"),
        ("", ""),
    ],
)
def test_what_yargs_reads_is_read(typed: str, usual: str) -> None:
    assert as_usual(typed.split()) == usual.split()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_each_flag_that_cml_showed_with_its_default(command: Command) -> None:
    done = CliRunner().invoke(app, [*command.words, "--help"], prog_name="cml", env={"COLUMNS": "200"})

    said = " ".join(done.stdout.split())  # lines are wrapped
    assert done.exit_code == 0
    assert f"cml {command.name}" in said
    assert command.help in said
    for flag in command.all_flags:
        assert bool(re.search(rf"--{flag.name}\b", said)) != flag.hidden, flag.name
        if flag.default and not flag.hidden:
            assert f"[default: {flag.default}]" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["coment", "create"], "No such command 'coment'. Did you mean 'comment'?"),
        (["comment", "creat"], "No such command 'creat'. Did you mean 'create'?"),
        (["check", "create"], "Missing argument 'MARKDOWN_FILE'"),
        (["check", "create", "r.md", "--conclusion", "succes"], "Did you mean `success`?"),
        (["repo", "prepare", "--fetch-depth", "all"], "`--fetch-depth` is `all`."),
        (["pr", "create", "--merge", "--squash", "a"], "`--merge` and `--squash` are mutually exclusive"),
        (["asset", "publish", "a.png", "--native"], "`--native` is not available on GitHub."),
        (["asset", "publish", "a.png", "--gitlab-uploads"], "`--gitlab-uploads` is not available on GitHub."),
        (["runner", "--cloud", "aws", "--cloud-gpu=v100", "--single"], "`cml runner launch` is not here"),
        (["runner", "launch", "--labels", "gpu"], "docs/self-hosted-runners.md"),
        (["tensorboard", "connect", "-c", "{}"], "was shut down on 1 January 2024"),
        (["tensorboard-dev", "--logdir", "nowhere"], "`nowhere` (`--logdir`) is no folder."),
    ],
)
def test_what_cannot_be_done_is_said_by_name_with_exit_code_2(words: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, as_usual(words), prog_name="cml", env={"CML_RUNNER_FOO": "1"})

    assert done.exit_code == 2
    assert done.stdout == ""
    assert sentence in " ".join(done.stderr.split())


def test_the_command_line_goes_before_variables_and_those_before_defaults() -> None:
    create = BY_NAME["check create"]
    environ = {"CML_CHECK_TITLE": "from the environment", "CML_CHECK_STATUS": "queued", "CML_LOG": "debug"}

    asked = read(create, {"title": "typed"}, ("r.md",), environ)

    assert asked.text("title") == "typed"
    assert asked.text("status") == "queued"
    assert asked.text("conclusion") == "success"
    assert asked.text("log") == "debug"
    assert asked.given == {"title", "status", "log"}


def test_an_empty_variable_is_one_that_was_not_set() -> None:
    assert read(BY_NAME["check create"], {}, (), {"CML_CHECK_TITLE": ""}).text("title") == "CML Report"


def test_a_variable_of_another_command_is_none_of_this_ones_business() -> None:
    environ = {"CML_PR_TITLE": "x", "CML_COMMENT_NONSENSE": "x", "CML_ACTION_INPUTS": "{}"}

    assert read(BY_NAME["check create"], {}, (), environ).given == frozenset()
    with pytest.raises(UsageError, match="CML_COMMENT_NONSENSE"):
        read(BY_NAME["comment create"], {}, (), environ)
