"""`cml metrics add` and `cml image add`: what the next `cml comment create` publishes below its report."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cml_action import git
from cml_action.errors import OutsideError, UsageError
from cml_action.publish.markdown import code, plain, table
from cml_action.report import Code, Quantity, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cml_action.cml.asked import Asked
    from cml_action.log import Log

_NAME = "cml-report.jsonl"
MOST_BYTES = 1024 * 1024
MOST_METRICS = 500
_KINDS = "JSON, YAML, TOML, CSV or TSV, by the ending of its name"


def add_metrics(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Add a file of metrics as a table."""
    path = _existing(asked, MOST_BYTES)
    shown = f"**{code(path.as_posix())}**\n\n{table(_table(path))}"
    _add({"markdown": shown}, environ, log)
    return ""


def add_image(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Add a picture; whether it can be shown is said when it is published."""
    path = _existing(asked)
    _add({"image": str(path.resolve()), "title": asked.text("title") or path.name}, environ, log)
    return ""


def file(environ: Mapping[str, str], folder: Path) -> Path:
    """Return where is kept what was added: this job's own folder, or the clone's on a laptop."""
    temporary = environ.get("RUNNER_TEMP")
    if temporary:
        return Path(temporary) / _NAME
    top = git.toplevel(folder)
    return (top / ".git" if top and (top / ".git").is_dir() else folder) / _NAME


def read(path: Path, folder: Path) -> str:
    """Return what was added, as Markdown of a report in a folder; empty for nothing."""
    if not path.exists():
        return ""
    pieces = []
    for line in path.read_text(encoding="utf-8").splitlines():
        each = json.loads(line)
        if "image" in each:
            # Pictures are looked for from the report's own folder.
            address = Path(os.path.relpath(each["image"], folder)).as_posix()
            pieces.append(f"![{plain(each['title'])}]({quote(address)})")
        else:
            pieces.append(each["markdown"])
    return "\n\n".join(pieces)


def _existing(asked: Asked, most_bytes: int | None = None) -> Path:
    path = Path(asked.arguments[0])
    if not path.is_file():
        raise UsageError(f"`{path}` is not there, or no file.", "Name a file that an earlier step wrote.")
    if most_bytes and path.stat().st_size > most_bytes:
        raise UsageError(f"`{path}` has more than {most_bytes:,} bytes.", "Name a file of metrics.")
    return path


def _add(what: Mapping[str, str], environ: Mapping[str, str], log: Log) -> None:
    path = file(environ, Path.cwd())
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(what) + "\n")
    except OSError as error:
        raise OutsideError(
            f"`{path}` could not be written: {error.strerror}.", "Free some disk space."
        ) from None
    log.line("Added to the report of the next `cml comment create`.")


def _table(path: Path) -> Table:
    if path.suffix.lower() in {".csv", ".tsv"}:
        rows = list(csv.reader(_text(path).splitlines(), "excel-tab" if path.suffix == ".tsv" else "excel"))
        width = len(rows[0]) if rows else 0
        if not width or any(len(row) != width for row in rows[: MOST_METRICS + 1]):
            raise UsageError(
                f"`{path}` is no table: its rows differ in length.", "Write a header, then rows."
            )
        return Table(
            columns=tuple(rows[0]),
            rows=tuple(tuple(_cell(cell) for cell in row) for row in rows[1 : MOST_METRICS + 1]),
            right=frozenset(range(1, width)),
        )
    found = list(_flat(_parsed(path)))[:MOST_METRICS]
    if not found:
        raise UsageError(f"`{path}` holds no metrics.", "Write names with numbers.")
    return Table(
        columns=("metric", "value"),
        rows=tuple((Code(name), _cell(value)) for name, value in found),
        right=frozenset({1}),
    )


def _parsed(path: Path) -> Any:
    suffix, text = path.suffix.lower(), _text(path)
    try:
        if suffix == ".json":
            return json.loads(text)
        if suffix in {".yaml", ".yml"}:
            import yaml

            return yaml.safe_load(text)
        if suffix == ".toml":
            import tomllib

            return tomllib.loads(text)
    except ModuleNotFoundError:
        raise UsageError(
            f"`{path}` is TOML, which takes Python 3.11 or later.", "Write JSON or YAML."
        ) from None
    except Exception as error:  # noqa: BLE001 -- each parser has its own
        said = str(error).splitlines()[0]
        raise UsageError(f"`{path}` could not be read: {said}.", "Correct the file.") from None
    raise UsageError(f"`{path}` is no file of metrics by its name.", f"It is {_KINDS}.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` could not be read: {error}.", "Save it as UTF-8.") from None


def _flat(found: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield metrics with the keys that lead to them, joined by dots as DVC does."""
    pairs = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in pairs:
        path = f"{name}.{key}" if name else str(key)
        if isinstance(value, dict | list):
            yield from _flat(value, path)
        else:
            yield path, value


def _cell(value: Any) -> Code | Quantity:
    if isinstance(value, str):
        try:
            return Quantity(float(value)) if value.strip() else Code(value)
        except ValueError:
            return Code(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Quantity(float(value))
    return Code(str(value))
