"""`registry.lock.yaml`: which version holds which stage, one line each. A change of it is an approval.

    mnist:
      production: v1.2.3

The file belongs to people: comments and order stay, and only the one line changes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "registry.lock.yaml"
_HEAD = "# Which version of each model holds which stage. Merging a change of a line promotes the version.\n"


def read(path: Path) -> dict[str, dict[str, str]]:
    """Return versions by stage, by collection; nothing where there is no such file."""
    return parse(path.read_text(encoding="utf-8") if path.is_file() else "")


def parse(text: str) -> dict[str, dict[str, str]]:
    """Return versions by stage, by collection.

    :raises UsageError: it is not YAML, or of another shape.
    """
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UsageError(
            f"`{FILE}` is not YAML: {' '.join(str(error).split())[:200]}.", "Correct it.", path=FILE
        ) from None
    shaped = isinstance(found, dict) and all(isinstance(each, dict) for each in found.values())
    if not shaped or not all(
        isinstance(name, (str, int)) for each in found.values() for name in each.values()
    ):
        raise UsageError(
            f"`{FILE}` does not hold versions by stage, by collection.",
            "It reads like `mnist: {production: v1.2.3}`, on two lines.",
            path=FILE,
        )
    return {
        str(name): {str(stage): str(version) for stage, version in each.items()}
        for name, each in found.items()
    }


def with_version(text: str, collection: str, stage: str, version: str) -> str:
    """Return the file's text in which a version holds a stage."""
    held = parse(text)
    key, line = _key(collection), f"  {_key(stage)}: {_key(version)}\n"
    if stage in held.get(collection, {}):
        pattern = (
            rf"(?ms)^({re.escape(key)}:\s*?\n(?:[ \t#].*?\n|\n)*?)[ \t]+{re.escape(_key(stage))}:[^\n]*\n?"
        )
        changed, times = re.subn(pattern, lambda found: found[1] + line, text, count=1)
    elif collection in held:
        changed, times = re.subn(
            rf"(?m)^{re.escape(key)}:[ \t]*\n", lambda found: found[0] + line, text, count=1
        )
    else:
        start = text if not text or text.endswith("\n") else f"{text}\n"
        changed, times = f"{start or _HEAD}{key}:\n{line}", 1
    wanted = {**held, collection: {**held.get(collection, {}), stage: version}}
    if not times or parse(changed) != wanted:
        raise UsageError(
            f"`{FILE}` is written in a way in which its line could not be changed.",
            f"Write `{key}:` on a line of its own, and the line `{line.rstrip()}` below it.",
            path=FILE,
        )
    return changed


def _key(text: str) -> str:
    """Write a name so that YAML reads it as text."""
    plain = re.fullmatch(r"[A-Za-z][\w./-]*", text) and text.lower() not in {
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
        "y",
        "n",
    }
    return text if plain else f'"{text}"'
