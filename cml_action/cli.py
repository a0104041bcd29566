"""The command line: the inputs of the Action as options, on a laptop or in any runner."""

from __future__ import annotations

import inspect
import os
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.core import TyperCommand

from cml_action import __version__
from cml_action.errors import UsageError
from cml_action.inputs import FIELDS, MODES, USED_BY, parse
from cml_action.log import Log
from cml_action.run import guarded, run
from cml_action.secret import secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: What each command takes without naming it as well: `cml-action stats data/train.csv`.
_ARGUMENTS = {
    "run": "mode",
    "pull": "targets",
    "stats": "data",
    "gate": "model",
    "promote": "model",
    "rollback": "to",
    "comment": "report",
    "check": "report",
    "pr": "files",
}
_HELP = {
    "run": "Run several modes in order, into one report.",
    "setup": "Put cml, cml-action and dvc on the PATH of a job's later steps.",
    "pull": "Fetch the data that DVC tracks.",
    "stats": "Profile data sets and compare them with the base.",
    "gate": "Test a model beside the one in production.",
    "promote": "Let a version take a stage, on evidence.",
    "rollback": "Give a stage back to a version that held it.",
    "comment": "Publish a Markdown file of your own.",
    "check": "Publish a Markdown file as a check run.",
    "pr": "Propose files of the workspace in a pull request.",
}
#: Inputs that are true or false: a bare `--dry-run` is `--dry-run true`.
_TRUTHS = ("true", "false")
_FLAGS = {f"--{field}" for field, info in FIELDS.items() if get_args(info.annotation) == _TRUTHS}
#: Options that the environment may give: a token has no place in a list of processes.
_VARIABLES = {"github-token": "GITHUB_TOKEN"}

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Continuous machine learning: data, metrics and models checked on every change.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback(invoke_without_command=True)
def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version, and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"cml-action {__version__}")
        raise typer.Exit


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_spelled_out(args)))


def _spelled_out(words: Sequence[str]) -> Iterator[str]:
    for word, following in zip_longest(words, words[1:]):
        yield word
        if word in _FLAGS and following not in _TRUTHS:
            yield _TRUTHS[0]


def _command(name: str) -> Callable[..., None]:
    """Make a command whose options are the inputs that its mode reads."""

    def command(*, context: typer.Context, debug: bool, named: Any = None, **options: Any) -> None:
        environ = os.environ
        log = Log(runner=environ.get("GITHUB_ACTIONS") == "true", debug=debug, secrets=secrets_of(environ))
        given = {field: _text(options[field.replace("-", "_")]) for field in _fields(name)}
        given.setdefault("mode", name)

        def work() -> int:
            if named:
                _take(given, _ARGUMENTS[name], _text(named))
            inputs = parse(given)
            _prepare(context, given)
            return run(inputs, environ, log)

        raise typer.Exit(guarded(work, log))

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *(_option(name, field) for field in _fields(name))]
    if name in _ARGUMENTS:
        parameters.append(_argument(_ARGUMENTS[name]))
    parameters.append(
        inspect.Parameter(
            "debug",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option("--debug", help="Show what happens inside.")],
        )
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _prepare(context: typer.Context, given: Mapping[str, str]) -> None:
    """Have whoever called `main` bring what these inputs need."""
    if context.obj:
        context.obj(given)


def _fields(name: str) -> list[str]:
    if name == "run":
        return list(FIELDS)
    return [field for field in FIELDS if field != "mode" and name in USED_BY.get(field, MODES)]


def _option(command: str, field: str) -> inspect.Parameter:
    default = FIELDS[field].default
    meaning = f"The same as {field.upper()}." if _ARGUMENTS.get(command) == field else _meaning(field)
    shown = default if isinstance(default, str) and default else False
    shape = typer.Option(f"--{field}", help=meaning, show_default=shown, envvar=_VARIABLES.get(field))
    return _parameter(field.replace("-", "_"), field, shape)


def _argument(field: str) -> inspect.Parameter:
    shape = typer.Argument(metavar=field.upper(), help=_meaning(field), show_default=False)
    return _parameter("named", field, shape)


def _parameter(name: str, field: str, shape: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[(list[str] if _is_list(field) else str) | None, shape],
    )


def _is_list(field: str) -> bool:
    return isinstance(FIELDS[field].default, tuple) or field == "mode"


def _take(given: dict[str, str], field: str, named: str) -> None:
    """Take an input that stands without its name.

    :raises UsageError: it was named with its option as well.
    """
    if given[field]:
        raise UsageError(
            f"The input `{field}` is given twice: `{named}`, and `--{field} {given[field]}`.", "Name it once."
        )
    given[field] = named


def _meaning(field: str) -> str:
    return (FIELDS[field].description or "").replace("`", "")


def _text(value: list[str] | str | None) -> str:
    return "\n".join(value) if isinstance(value, list) else value or ""


for _name, _summary in _HELP.items():
    app.command(_name, cls=_Command, help=_summary)(_command(_name))


@app.command("history", help="Show who moved a stage, when and why.")
def _history(  # noqa: PLR0913 -- Typer reads a signature
    *,
    context: typer.Context,
    registry: Annotated[str, typer.Option(help=_meaning("registry"))] = "",
    collection: Annotated[str, typer.Option(help=_meaning("collection"))] = "",
    alias: Annotated[str, typer.Option(help="The stage whose record is shown.")] = "production",
    config: Annotated[str, typer.Option(help=_meaning("config"))] = "cml.yaml",
    working_directory: Annotated[str, typer.Option(help=_meaning("working-directory"))] = ".",
    github_token: Annotated[str, typer.Option(envvar="GITHUB_TOKEN", help=_meaning("github-token"))] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show what happens inside.")] = False,
) -> None:
    log = Log(runner=False, debug=debug, secrets=secrets_of(os.environ))
    given = {
        "mode": "rollback",  # whose inputs say where a record is
        "registry": registry,
        "collection": collection,
        "alias": alias,
        "config": config,
        "working-directory": working_directory,
        "github-token": github_token,
    }

    def work() -> int:
        from cml_action.promotion.show import show

        inputs = parse(given)
        _prepare(context, given)
        log.line(show(inputs, os.environ, log, as_json=as_json))
        return 0

    raise typer.Exit(guarded(work, log))


def main(prepare: Callable[[Mapping[str, str]], None] | None = None) -> None:
    """Run the command line.

    :param prepare: is called with the inputs, as they were written, before anything is done with them.
    """
    sys.exit(app(obj=prepare))
