"""YAML with its places: the plain values of a file, the line of each, and what its text leaves in doubt."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Where something stands: `("data", 0, "label")`.
Keys: TypeAlias = "tuple[str | int, ...]"

#: The most values that a file may hold. An alias counts as all that it stands for, so that a few lines of
#: aliases of aliases cannot fill the memory.
MOST_VALUES = 100_000

_PREFIX = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TRUTH = {"true": True, "false": False}
_NAME = re.compile(r"[^\W\d][\w-]*")
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong in the file: where, what it is, and what to do, a sentence each."""

    keys: Keys
    line: int | None
    what: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """A file's content.

    :param value: mappings as `dict` with text as keys, lists as `tuple`, and scalars.
    :param lines: the line, from 1, of each key (of a mapping) and each item (of a list).
    :param plain: the text of each scalar that was written without quotes.
    :param faults: keys that stand twice.
    :param doubts: scalars that YAML does not read as most people do, and keys without a value. A fault of
        the schema at the same place says more.
    """

    value: Any = None
    lines: dict[Keys, int] = field(default_factory=dict)
    plain: dict[Keys, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    doubts: list[Fault] = field(default_factory=list)


def key_path(keys: Keys) -> str:
    """Return the keys as people write them: `data[0].columns.island`, `columns['body mass']`."""
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
        elif _NAME.fullmatch(key):
            path += f".{key}" if path else key
        else:
            path += f"[{quoted(key)}]"
    return path


def quoted(text: str) -> str:
    """Return text in quotes on one line, cut where it is long."""
    return repr(cut(text))


def cut(text: str) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def closest(word: str, allowed: Iterable[str]) -> str:
    """Return the question whether a similar word was meant, or nothing."""
    found = difflib.get_close_matches(word.lower().replace("_", "-"), list(allowed), n=1, cutoff=0.6)
    return f"Did you mean {found[0]}? " if found else ""


def read(text: str, shown_as: str) -> Mapped:
    """Return the content of a YAML file with its places.

    Scalars are read as both YAML 1.1 (PyYAML) and YAML 1.2 (editors, GitHub) read them. Where the two
    disagree it is a doubt, but for `1e3`, which is the number that everybody takes it for.

    :raises UsageError: not YAML, more than one document, nested too deep, or too many values.
    """
    try:
        return _Reader(shown_as).read(yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = f"U+{ord(text[error.position]):04X}"
        raise UsageError(
            f"{shown_as}, line {line}: the character {found} is not allowed in YAML.",
            "Remove it; if the file is not text, name another one.",
            path=shown_as,
            line=line,
        ) from error
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, shown_as) from error
    except RecursionError as error:
        raise _too_much(shown_as, "is nested too deep") from error


class _Reader:
    """Walks the nodes of one file and notes what it meets."""

    def __init__(self, shown_as: str) -> None:
        self._shown_as = shown_as
        self._left = MOST_VALUES
        self._open: set[int] = set()
        self._found = Mapped()

    def read(self, root: yaml.Node | None) -> Mapped:
        found = self._found
        value = None if root is None else self._value(root, ())
        return Mapped(
            value=value, lines=found.lines, plain=found.plain, faults=found.faults, doubts=found.doubts
        )

    def _value(self, node: yaml.Node, keys: Keys) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _too_much(
                self._shown_as,
                f"holds more than {MOST_VALUES:,} values (an alias counts as all it stands for)",
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, keys)
        if id(node) in self._open:
            line = node.start_mark.line + 1
            raise UsageError(
                f"{self._shown_as}, line {line}: what this anchor names holds itself.",
                "Remove the alias (*) inside it.",
                path=self._shown_as,
                line=line,
            )
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return tuple(self._item(item, (*keys, at)) for at, item in enumerate(node.value))
            return self._mapping(node, keys)
        finally:
            self._open.discard(id(node))

    def _item(self, node: yaml.Node, keys: Keys) -> Any:
        self._found.lines[keys] = node.start_mark.line + 1
        return self._value(node, keys)

    def _mapping(self, node: yaml.Node, keys: Keys) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                where = f" in {key_path(keys)}" if keys else ""
                self._fault(keys, line, f"A key{where} is a list or a mapping.", "Write text as the key.")
                continue
            key = key_node.value
            at = (*keys, key)
            if key in values:
                first = self._found.lines[at]
                self._fault(
                    at,
                    line,
                    f"{key_path(at)} stands twice, first in line {first}.",
                    "Keep one of the two.",
                )
                continue
            self._found.lines[at] = line
            if key_node.tag == f"{_PREFIX}merge":
                self._fault(at, line, "Merge keys (<<) are not read.", "Repeat the keys, or use an alias.")
            elif key_node.tag != f"{_PREFIX}str" or _is_number(key_node):
                self._doubt(
                    at,
                    line,
                    f"The key {key} is not text for every reader of YAML.",
                    f"Quote it: {_quote(key)}.",
                )
            values[key] = self._value(value_node, at)
        return values

    def _scalar(self, node: yaml.ScalarNode, keys: Keys) -> Any:
        text, tag = node.value, node.tag.removeprefix(_PREFIX)
        line = self._found.lines.get(keys, node.start_mark.line + 1)
        if node.style is None:
            self._found.plain[keys] = text
        if tag == "null":
            what = f"{key_path(keys)} is empty." if keys else "The file holds no key."
            self._doubt(keys, line, what, "Give it a value, or remove the key.")
            return None
        if tag == "bool":
            if text.lower() not in _TRUTH:
                what = (
                    f"{key_path(keys)} is {text}: {_yes_or_no(text)} to some readers of YAML, text to others."
                )
                self._doubt(keys, line, what, f"If text is meant, quote it: {_quote(text)}.")
            return _TRUTH.get(text.lower(), text)
        if _is_number(node):
            number = float(text)
            return int(text) if _INTEGER.fullmatch(text) and math.isfinite(number) else number
        if found := _INFINITE.fullmatch(text) if tag == "float" else None:
            return math.nan if found[1] is None else float(f"{found[1]}inf")
        if tag in {"int", "float", "timestamp"}:
            kind = "a date" if tag == "timestamp" else "a number"
            what = f"{key_path(keys)} is {text}: {kind} to some readers of YAML, something else to others."
            digits = "" if tag == "timestamp" else " If a number is meant, write plain digits."
            self._doubt(keys, line, what, f"If text is meant, quote it: {_quote(text)}.{digits}")
            return text
        if tag not in {"str", "value", "merge"}:
            self._fault(keys, line, f"{key_path(keys)} has the tag {node.tag}.", "Remove the tag.")
        return text

    def _fault(self, keys: Keys, line: int, what: str, fix: str) -> None:
        self._found.faults.append(Fault(keys=keys, line=line, what=what, fix=fix))

    def _doubt(self, keys: Keys, line: int, what: str, fix: str) -> None:
        self._found.doubts.append(Fault(keys=keys, line=line, what=what, fix=fix))


def _is_number(node: yaml.ScalarNode) -> bool:
    """Whether it is written as a decimal number (YAML 1.1 takes `1e3` for text, YAML 1.2 does not)."""
    return node.style is None and _NUMBER.fullmatch(node.value) is not None


def _yes_or_no(text: str) -> str:
    return "true" if text.lower() in {"yes", "on"} else "false"


def _quote(text: str) -> str:
    """Return text as a YAML scalar in single quotes, in which only the quote itself is special."""
    return "'" + text.replace("'", "''") + "'"


def _too_much(shown_as: str, what: str) -> UsageError:
    return UsageError(f"{shown_as} {what}.", "Make it smaller.", path=shown_as)


def _not_yaml(error: yaml.MarkedYAMLError, shown_as: str) -> UsageError:
    # PyYAML's problem is where it could not go on; an alias is at fault where it begins.
    mark = error.problem_mark or error.context_mark
    problem = str(error.problem or error.context or "it cannot be read")
    fix = "Correct the YAML there, or in the line before."
    in_alias = error.context == "while scanning an alias"
    if in_alias or "undefined alias" in problem:
        mark = error.context_mark if in_alias else mark
        problem, fix = "a value begins with *, which is YAML's sign for an alias", "Quote it: '*.csv'."
    elif "'\\t'" in problem:
        fix = "Indent with spaces: YAML allows no tabs there."
    elif "cannot start any token" in problem:
        fix = "Quote text that begins with this character."
    elif "mapping values are not allowed" in problem:
        problem = "a key stands where none may be"
        fix = "Quote text that holds a colon and a space, or correct the indentation."
    elif "another document" in problem:
        problem, fix = "a second document begins", "Keep one document in the file: remove the line ---."
    elif error.context and error.context_mark and mark and error.context_mark.line != mark.line:
        problem += f", {error.context} that begins in line {error.context_mark.line + 1}"
    line = mark.line + 1 if mark else None
    where = f", line {line}, column {mark.column + 1}" if mark else ""
    return UsageError(f"{shown_as}{where}: {problem}.", fix, path=shown_as, line=line)
