"""Write what is said in several places from the one place that knows it: `make docs`.

Inputs and outputs stand in `action.yml`, `docker/action.yml` and the README; their names, defaults and
meanings come from `cml_action/inputs.py` and `cml_action/publish/outputs.py`. The schema of `cml.yaml` comes
from its models. A test holds all of them to what this writes.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

from cml_action.inputs import FIELDS
from cml_action.policy import json_schema
from cml_action.publish.outputs import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
_WIDTH = 100
#: Defaults of the Action that only a runner knows.
_EXPRESSIONS = {"github-token": "${{ github.token }}"}


def rendered() -> dict[str, str]:
    """Return each file as it shall be, by its path."""
    found = {}
    for name in ("action.yml", "docker/action.yml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        text = _put(text, "inputs", "\n".join(_inputs()), "# ")
        found[name] = _put(text, "outputs", "\n".join(_outputs(values=name == "action.yml")), "# ")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = _put(readme, "inputs", _table("input", "default", "meaning", rows=_described()), "<!-- ", " -->")
    outputs = [(f"`{name}`", meaning) for name, meaning in OUTPUTS.items()]
    found["README.md"] = _put(readme, "outputs", _table("output", "meaning", rows=outputs), "<!-- ", " -->")
    found["schema/cml.schema.json"] = json.dumps(json_schema(), indent=2) + "\n"
    return found


def _inputs() -> Iterator[str]:
    yield "inputs:"
    for name, field in FIELDS.items():
        yield f"  {name}:"
        yield from _description(field.description or "")
        default = _EXPRESSIONS.get(name, field.default)
        if field.is_required():
            yield "    required: true"
        elif isinstance(default, str) and default:
            yield f"    default: {_scalar(default)}"


def _outputs(*, values: bool) -> Iterator[str]:
    yield "outputs:"
    for name, meaning in OUTPUTS.items():
        yield f"  {name}:"
        yield from _description(meaning)
        if values:  # a container Action has none: the runner reads them from its process
            yield f"    value: ${{{{ steps.run.outputs.{name} }}}}"


def _description(text: str) -> Iterator[str]:
    text = f"{text[0].upper()}{text[1:]}".rstrip(".") + "." if text[:1] != "`" else text.rstrip(".") + "."
    if len(text) <= _WIDTH:
        yield f"    description: {json.dumps(text, ensure_ascii=False)}"
        return
    yield "    description: >-"
    yield from textwrap.wrap(text, _WIDTH, initial_indent="      ", subsequent_indent="      ",
                             break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _scalar(text: str) -> str:
    """Return a YAML scalar that every reader takes for this text."""
    return (
        text
        if re.fullmatch(r"(?!(?:true|false|yes|no|on|off|null)$)[a-z.][\w.-]*|\$\{\{.*\}\}", text)
        else f'"{text}"'
    )


def _described() -> list[tuple[str, str, str]]:
    rows = []
    for name, field in FIELDS.items():
        default = _EXPRESSIONS.get(name, field.default)
        shown = (
            "required"
            if field.is_required()
            else f"`{default}`"
            if isinstance(default, str) and default
            else ""
        )
        rows.append((f"`{name}`", shown, (field.description or "").rstrip(".")))
    return rows


def _table(*names: str, rows: list[tuple[str, ...]]) -> str:
    return "\n" + tabulate(rows, names, "pipe", disable_numparse=True, colglobalalign="left") + "\n"


def _put(text: str, region: str, inside: str, start: str, end: str = "") -> str:
    """Replace what stands between the two marks of a region."""
    first, last = f"{start}{region}{end}\n", f"{start}/{region}{end}\n"
    before, _, rest = text.partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise SystemExit(f"The marks {first.strip()} and {last.strip()} are not there.")
    return f"{before}{first}{inside}\n{last}{after}"


def main() -> int:
    """Write every file that differs, and name it."""
    for name, text in rendered().items():
        path = ROOT / name
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"Wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
