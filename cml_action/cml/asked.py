"""What was asked, in one typed object: the command line, else the variables, else the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cml_action.cml.flags import GLOBAL, Command, Flag
from cml_action.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Prefixes of variables that older versions of CML read, and the present ones.
_OLD_PREFIXES = {
    "CML_CI": "CML_REPO",
    "CML_PUBLISH": "CML_ASSET",
    "CML_RERUN_WORKFLOW": "CML_WORKFLOW",
    "CML_SEND_COMMENT": "CML_COMMENT",
    "CML_SEND_GITHUB_CHECK": "CML_CHECK",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One command with everything that was said to it.

    :param values: by the flag's name: text as it was given, `true` or `false` for a switch; what nobody gave
        and has no default is missing.
    :param given: the flags that the command line or a variable gave.
    :param arguments: files or globs, in their order.
    """

    command: Command
    values: Mapping[str, str]
    given: frozenset[str]
    arguments: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """Return a flag's text; empty where it was not given and has no default."""
        return self.values.get(name, "")

    def on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.values.get(name) == "true"

    def whole(self, name: str) -> int | None:
        """Return a flag's whole number; None where it was not given."""
        found = self.values.get(name)
        return int(found) if found else None


def read(
    command: Command, typed: Mapping[str, str], arguments: tuple[str, ...], environ: Mapping[str, str]
) -> Asked:
    """Put together what was typed and what variables say, and check it as CML does.

    :param typed: by the flag's name; only what was typed.
    :raises UsageError: naming the flag or the variable, what was found and what is allowed.
    """
    if command.gone:  # whatever it is asked, it says the same
        return Asked(command=command, values={}, given=frozenset(), arguments=arguments)
    flags = {flag.name: flag for flag in command.all_flags}
    given = {**_from_variables(command, environ), **typed}
    for name, value in given.items():
        _check(flags[name], value, f"--{name}" if name in typed else _variable(command, name))
    for name in given:
        for other in flags[name].conflicts:
            if other in given:
                raise UsageError(
                    f"`--{name}` and `--{other}` are mutually exclusive in `cml {command.name}`.",
                    "Give one of them.",
                )
    defaults = {name: flag.default for name, flag in flags.items() if flag.default}
    return Asked(command=command, values={**defaults, **given}, given=frozenset(given), arguments=arguments)


def _from_variables(command: Command, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what `CML_COMMENT_TARGET` and the like say, by the flag's name."""
    names = {_variable(command, each): name for each, name in _names(command)}
    found = {}
    for variable, value in _renamed(command, environ).items():
        if variable.startswith(f"{command.prefix}_"):
            if variable not in names:
                raise UsageError(
                    f"The variable `{variable}` stands for no flag of `cml {command.name}`."
                    f"{suggestion(variable, names)}",
                    "Remove it, or correct its name: CML refuses it too.",
                )
            found[names[variable]] = value
    return {name: value for name, value in found.items() if value}


def _renamed(command: Command, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by their present names; the global ones (`CML_TOKEN`) as the command's own."""
    renamed = dict(environ)
    for old, new in _OLD_PREFIXES.items():
        for name in environ:
            if name.startswith(f"{old}_"):
                renamed[new + name.removeprefix(old)] = environ[name]
    for flag in GLOBAL:
        for each in (flag.name, *flag.aliases):
            if (name := f"CML_{_upper(each)}") in environ:
                renamed[_variable(command, each)] = environ[name]
    return renamed


def _names(command: Command) -> Iterator[tuple[str, str]]:
    """Yield each name of each flag, with the flag's first one."""
    for flag in command.all_flags:
        for each in (flag.name, *flag.aliases):
            yield each, flag.name


def _check(flag: Flag, value: str, said: str) -> None:
    if flag.choices and value not in flag.choices:
        allowed = ", ".join(f"`{choice}`" for choice in flag.choices)
        what = f"`{said}` is `{value}`.{suggestion(value, flag.choices)}"
        raise UsageError(what, f"Allowed are {allowed}.")
    if flag.kind == "switch" and value not in {"true", "false"}:
        raise UsageError(f"`{said}` is `{value}`.", "It is a switch: `true` or `false`.")
    if flag.kind == "whole" and not (value.isascii() and value.isdigit()):
        raise UsageError(f"`{said}` is `{value}`.", "It is a whole number, 0 or more.")
    if flag.instead and value != "false":
        raise UsageError(f"`{said}` is not available on GitHub.", flag.instead)


def _variable(command: Command, name: str) -> str:
    return f"{command.prefix}_{_upper(name)}"


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
