"""What is wrong in a policy file, as sentences: from pydantic's errors to one `UsageError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cml_action.errors import UsageError
from cml_action.policy.fields import is_number
from cml_action.policy.yamlmap import Fault, Keys, Mapped, closest, cut, key_path, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

#: How the models name the kinds of a union; pydantic puts these into a fault's location.
UNION_TAGS = ("<mapping>", "<file>", "<list>")

#: The most faults that one message lists.
MOST_SHOWN = 20

_MAPPINGS = {"model_type", "model_attributes_type", "dict_type"}


def usage_error(
    error: ValidationError | None, mapped: Mapped, schema: dict[str, Any], shown_as: str
) -> UsageError:
    """Return all faults of the file in one error, in the order of their lines. There is at least one.

    :param error: what the models refused.
    :param schema: their JSON Schema, which names the keys that are allowed in a place.
    """
    found = [_fault(details, mapped, schema) for details in _details(error)]
    told = {fault.keys for fault in found}
    faults = [*mapped.faults, *found, *(doubt for doubt in mapped.doubts if doubt.keys not in told)]
    faults.sort(key=lambda fault: fault.line or 0)
    return _one_error(faults, shown_as)


def _one_error(faults: Sequence[Fault], shown_as: str) -> UsageError:
    first = faults[0]
    if len(faults) == 1:
        where = f"{shown_as}, line {first.line}" if first.line else shown_as
        return UsageError(f"{where}: {first.what}", first.fix, path=shown_as, line=first.line)
    lines = [f"{shown_as} has {len(faults)} faults:"]
    for fault in faults[:MOST_SHOWN]:
        where = f"line {fault.line}: " if fault.line else ""
        lines.append(f"- {where}{fault.what} {fault.fix}")
    if len(faults) > MOST_SHOWN:
        lines.append(f"- and {len(faults) - MOST_SHOWN} more.")
    return UsageError("\n".join(lines), path=shown_as, line=first.line)


def _details(error: ValidationError | None) -> list[ErrorDetails]:
    """Return pydantic's errors less those that say again what another one says better."""
    if error is None:
        return []
    return [
        details
        for details in error.errors(include_url=False)
        # An empty key is a doubt of the reader's; a list whose items are at fault is not short of items.
        if not (details["input"] is None and details["type"] != "extra_forbidden")
        and not (details["input"] and details["type"] == "too_short")
    ]


def _fault(details: ErrorDetails, mapped: Mapped, schema: dict[str, Any]) -> Fault:
    context = details.get("ctx", {})
    keys = (*_in_file(details["loc"], mapped), *context.get("at", ()))
    kind, name = details["type"], key_path(keys)
    allowed_keys = _keys_allowed(schema, keys[:-1])
    if kind == "extra_forbidden":
        what = f"{name} is not a known key."
        fix = f"{closest(str(keys[-1]), allowed_keys)}Allowed here: {', '.join(allowed_keys)}."
    elif kind == "missing":
        what = f"{key_path(keys[:-1])} has no {keys[-1]}."
        fix = f"Add {keys[-1]}: {_described(schema, keys)}."
    elif "says" in context:  # a rule of ours that speaks for itself
        what, fix = f"{name} {context['says']}", context["fix"]
    else:
        value = details["input"]
        what = f"{name or 'The file'} is {_shown(value, mapped.plain.get(keys))}."
        told = context.get("allowed")  # by a leaf of ours
        fix = f"Allowed: {told}." if told else _allowed(details, keys, schema, mapped.plain.get(keys))
    return Fault(keys=keys, line=_line(keys, mapped), what=what, fix=fix)


def _in_file(loc: Iterable[str | int], mapped: Mapped) -> Keys:
    """Return pydantic's location without what it adds: which kind of a union it tried, `<mapping>`."""
    keys: Keys = ()
    for key in loc:
        if key not in UNION_TAGS or (*keys, key) in mapped.lines:
            keys = (*keys, key)
    return keys


def _line(keys: Keys, mapped: Mapped) -> int:
    """Return the line of the place, or of the nearest one around it that stands in the file."""
    for end in range(len(keys), 0, -1):
        if line := mapped.lines.get(keys[:end]):
            return line
    return 1  # the file as a whole


def _allowed(details: ErrorDetails, keys: Keys, schema: dict[str, Any], plain: str | None) -> str:
    """Return what is allowed in that place, and how to write it."""
    kind, value = details["type"], details["input"]
    if kind == "literal_error":
        words = _words(schema, keys)
        near = closest(value, words) if isinstance(value, str) else ""
        return f"{near}Allowed: {', '.join(words)}."
    if kind == "string_type":
        scalar = isinstance(value, (bool, int, float))
        return f"If text is meant, quote it: '{cut(plain or str(value))}'." if scalar else "Allowed: text."
    if kind == "tuple_type":
        of_mappings = _keys_allowed(schema, (*keys, 0))
        how = ", each entry after a dash" if of_mappings else f": [{cut(plain or 'a, b')}]"
        return f"Write a list{how}."
    if kind in _MAPPINGS:
        inside = _keys_allowed(schema, keys)
        return f"Allowed: a mapping with {', '.join(inside)}." if inside else "Allowed: a mapping."
    # What is left is empty text and the empty list.
    return "Give it a value, or remove the key."


def _shown(value: Any, plain: str | None) -> str:
    """Say what was found."""
    if isinstance(value, str):
        return quoted(value) if value else "empty text"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list" if value else "an empty list"
    text = cut(plain or str(value))
    return f"the number {text}" if is_number(value) else text


def _variants(schema: dict[str, Any], keys: Keys) -> list[dict[str, Any]]:
    """Return the schemas that may hold in that place."""
    places = _resolved(schema, schema)
    for key in keys:
        inner: list[dict[str, Any]] = []
        for place in places:
            step = place.get("items") if isinstance(key, int) else place.get("properties", {}).get(key)
            if step is None and isinstance(place.get("additionalProperties"), dict):
                step = place["additionalProperties"]
            if isinstance(step, dict):
                inner += _resolved(step, schema)
        places = inner
    return places


def _resolved(place: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in place:
        target = schema["$defs"][place["$ref"].removeprefix("#/$defs/")]
        return _resolved(target, schema)
    either = place.get("anyOf") or place.get("oneOf")
    if either:
        return [found for variant in either for found in _resolved(variant, schema)]
    return [place]


def _keys_allowed(schema: dict[str, Any], keys: Keys) -> list[str]:
    return [key for place in _variants(schema, keys) for key in place.get("properties", {})]


def _words(schema: dict[str, Any], keys: Keys) -> list[str]:
    return [
        word for place in _variants(schema, keys) for word in place.get("enum", [place.get("const")]) if word
    ]


def _described(schema: dict[str, Any], keys: Keys) -> str:
    for place in _variants(schema, keys[:-1]):
        if description := place.get("properties", {}).get(keys[-1], {}).get("description"):
            return str(description)
    return "it is required"
