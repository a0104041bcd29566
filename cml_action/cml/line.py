"""The command line of `cml`: CML's words and flags, written as yargs reads them, made of `flags.COMMANDS`.

yargs takes `--publish=false`, `--publish false`, `--publishUrl URL` and global options in front of the
command; `as_usual` turns these into what command lines usually hold, and Typer does the rest.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cml_action import __version__, git
from cml_action.cml.asked import read
from cml_action.cml.flags import COMMANDS, GLOBAL, OLD_NAMES, VERSION, Command, Flag
from cml_action.cml.where import NoSecretsError
from cml_action.edge import guarded
from cml_action.log import Log
from cml_action.secret import scrub, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GROUPS = {
    "check": "Manage CI checks.",
    "comment": "Manage comments.",
    "pr": "Manage pull requests.",
    "workflow": "Manage CI workflows.",
    "asset": "Publish pictures and other files.",
    "repo": "Prepare the Git repository.",
    "metrics": "Add metrics to the next report.",
    "image": "Add pictures to the next report.",
    "tensorboard": "Charts of event files; TensorBoard.dev itself was shut down.",
    "runner": "Not here: what launches self-hosted runners now.",
}
_LEVELS = ("debug", "info", "warn", "error")
_BY_WORDS = {command.words: command for command in COMMANDS}


class Leveled(Log):
    """The log of a command: on standard error, since standard output is for the comment's address."""

    def __init__(self, *, level: str, runner: bool, secrets: Sequence[str]) -> None:
        super().__init__(runner=runner, stream=sys.stderr, debug=level == "debug", secrets=secrets)
        self._rank = _LEVELS.index(level)

    def line(self, text: str = "") -> None:
        """Write plain text, where `info` is wanted."""
        if self._rank <= _LEVELS.index("info"):
            super().line(text)

    def _annotate(self, kind: str, text: str, title: str, path: str | None, line: int | None) -> None:
        rank = {"notice": "info", "warning": "warn"}.get(kind, "error")
        if self._rank <= _LEVELS.index(rank):
            super()._annotate(kind, text, title, path, line)


def main() -> None:
    """Run the command line; the program's own name may be an old one (`cml-send-comment`)."""
    name = Path(sys.argv[0]).stem
    words = [name.removeprefix("cml-"), *sys.argv[1:]] if name.startswith("cml-") else sys.argv[1:]
    sys.exit(app(as_usual(words), prog_name="cml"))


def as_usual(words: Sequence[str]) -> list[str]:
    """Return a command line of yargs' kinds as one that is usual: its command's present name first.

    What is no command is left for the command line to complain about.
    """
    first, rest = _split(list(words))
    command = _BY_WORDS.get(tuple(first))
    if command is None:
        return [*words]
    return [*first, *_flags(rest, command)]


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the command's present words and what follows; global options in front go to what follows."""
    taking = {f"--{name}" for flag in GLOBAL for name in (flag.name, *flag.aliases)}
    ahead: list[str] = []
    found: list[str] = []
    while words and len(found) < 2:  # noqa: PLR2004 -- a command is two words
        word = words[0]
        if word in taking and len(words) > 1:
            ahead += words[:2]
            words = words[2:]
        elif word.partition("=")[0] in taking:
            ahead, words = [*ahead, word], words[1:]
        elif word.startswith("-"):
            break
        elif not found and word in OLD_NAMES:
            found, words = list(OLD_NAMES[word]), words[1:]
        # `cml pr GLOB…` and `cml runner` do what `cml pr create` and `cml runner launch` do.
        elif found == ["pr"] and word != "create":
            found = ["pr", "create"]
        else:
            found, words = [*found, word], words[1:]
    if found == ["pr"] and words and "--help" not in words:
        found = ["pr", "create"]
    if found == ["runner"] and "--help" not in words:
        found = ["runner", "launch"]
    return found, ahead + words


def _flags(words: list[str], command: Command) -> list[str]:
    known = {f"--{name}": flag for flag in command.all_flags for name in (flag.name, *flag.aliases)}
    usual: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            return [*usual, word, *words]
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            kebab = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name).lower()
            name = kebab if kebab in known or kebab.replace("--no-", "--", 1) in known else name
        flag = known.get(name)
        if flag is None or flag.kind != "switch":
            usual.append(f"{name}{equals}{value}")
            continue
        if not equals and words and words[0] in {"true", "false"}:
            equals, value = "=", words.pop(0)
        if value not in {"", "true", "false"}:
            usual.append(f"{name}={value}")  # the command line refuses it, by its name
        else:
            usual.append(f"--no-{flag.name}" if value == "false" else f"--{flag.name}")
    return usual


def _function(command: Command) -> Callable[..., None]:
    """Make the function that Typer calls for a command: its parameters are the command's flags."""

    def call(**typed: Any) -> None:
        arguments = typed.pop("arguments", None) or []
        arguments = [arguments] if isinstance(arguments, str) else arguments
        named = {
            flag.name: _text(typed[flag.name.replace("-", "_")])
            for flag in command.all_flags
            if typed[flag.name.replace("-", "_")] is not None
        }
        raise typer.Exit(_run(command, named, tuple(arguments)))

    parameters = [_parameter(flag) for flag in command.all_flags]
    if command.argument:
        meaning = typer.Argument(metavar=command.argument.upper().replace(" ", "_"), show_default=False)
        needed = inspect.Parameter.empty if not command.many and not command.optional else None
        kind: Any = list[str] if command.many else str
        parameters.insert(
            0,
            inspect.Parameter(
                "arguments",
                inspect.Parameter.KEYWORD_ONLY,
                default=needed,
                annotation=Annotated[kind if needed is not None else kind | None, meaning],
            ),
        )
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


def _run(command: Command, typed: dict[str, str], arguments: tuple[str, ...]) -> int:
    environ = os.environ
    level = typed.get("log") or environ.get("CML_LOG") or "info"
    runner = environ.get("GITHUB_ACTIONS") == "true"
    secrets = tuple(
        filter(None, (*secrets_of(environ), environ.get("repo_token"), typed.get("driver-token")))
    )
    log = Leveled(level=level if level in _LEVELS else "info", runner=runner, secrets=secrets)

    def work() -> int:
        git.trust(Path.cwd(), environ, log)
        asked = read(command, typed, arguments, environ)
        module, _, name = command.function.partition(":")
        function = getattr(importlib.import_module(f"cml_action.cml.{module}"), name)
        try:
            printed = function(asked, environ, log)
        except NoSecretsError as error:
            log.notice(str(error), title=f"cml {command.name}")
            return 0
        if printed:
            typer.echo(scrub(printed, log.secrets))
        return 0

    return guarded(work, log)


def _parameter(flag: Flag) -> inspect.Parameter:
    names = [f"-{name}" if len(name) == 1 else f"--{name}" for name in (flag.name, *flag.aliases)]
    switch = flag.kind == "switch"
    if switch:
        names[0] = f"--{flag.name}/--no-{flag.name}"
    shape = typer.Option(
        *names,
        help=f"{flag.help}  [default: {flag.default}]" if flag.default else flag.help,
        hidden=flag.hidden,
        metavar=None if switch else "|".join(flag.choices) or ("INTEGER" if flag.kind == "whole" else "TEXT"),
        show_default=False,
    )
    kind: Any = bool if switch else str
    return inspect.Parameter(
        flag.name.replace("-", "_"),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, shape],
    )


def _text(value: str | bool) -> str:  # noqa: FBT001 -- what Typer hands over
    return str(value).lower() if isinstance(value, bool) else value


def _make() -> typer.Typer:
    made = typer.Typer(
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=f"Continuous machine learning, with the command line of CML {VERSION}.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @made.callback(invoke_without_command=True)
    def _root(
        *,
        version: Annotated[bool, typer.Option("--version", help="Print the version, and exit.")] = False,
    ) -> None:
        if version:
            typer.echo(f"{VERSION} (cml-action {__version__})")
            raise typer.Exit

    groups = {
        name: typer.Typer(no_args_is_help=True, help=text, rich_markup_mode=None)
        for name, text in _GROUPS.items()
    }
    for command in COMMANDS:
        group, name = command.words
        settings = {"ignore_unknown_options": True, "allow_extra_args": True} if command.gone else {}
        groups[group].command(name, help=command.help, context_settings=settings)(_function(command))
    for name, group_app in groups.items():
        made.add_typer(group_app, name=name)
    return made


app = _make()
