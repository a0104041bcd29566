"""`cml.yaml`: what a project demands of its data, metrics, training and models.

The models define it. `python -m cml_action.policy > schema/cml.schema.json` writes what editors read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr, ValidationError, field_validator
from pydantic.json_schema import GenerateJsonSchema

from cml_action.errors import UsageError
from cml_action.policy import yamlmap
from cml_action.policy.demands import DataSet, MetricGate, ModelGate, ModelPolicy, Registry, Section, Training
from cml_action.policy.faults import usage_error
from cml_action.policy.fields import rule

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

#: The largest policy file that is read. PyYAML takes about four seconds for as much.
MOST_BYTES = 2**20


class Policy(Section):
    """A whole policy file. One without any key demands nothing."""

    data: tuple[DataSet, ...] = Field(default=(), description="contracts of data sets")
    metrics: tuple[MetricGate, ...] = Field(default=(), description="demands on metrics")
    training: Training | None = Field(default=None, description="demands on the curves of training")
    model: ModelPolicy | None = Field(default=None, description="the model and demands on it")
    registry: Registry | None = Field(default=None, description="where models are promoted")

    _lines: dict[yamlmap.Keys, int] = PrivateAttr(default_factory=dict)

    def line_of(self, *keys: str | int) -> int | None:
        """Return the line, from 1, of a key or list item, spelled as in the file; nothing where it is absent.

        `policy.line_of("data", 0, "drift", "max-psi")`
        """
        return self._lines.get(keys)

    @field_validator("data")
    @classmethod
    def _each_path_once(cls, data: tuple[DataSet, ...]) -> tuple[DataSet, ...]:
        # A check is named by its data set's path: two of the same name could not be told apart.
        seen: dict[str, int] = {}
        for at, one in enumerate(data):
            first = seen.setdefault(one.path, at)
            if first != at:
                raise rule(f"is the path of data[{first}] as well.", "Make one entry of the two.", at, "path")
        return data


class _SchemaWriter(GenerateJsonSchema):
    """JSON Schema in which a key that may be absent may not be empty: the file's rule."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) in (None, (), {}):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the policy file."""
    schema = Policy.model_json_schema(schema_generator=_SchemaWriter)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "cml.yaml"}


def load(path: Path, shown_as: str, *, required: bool) -> Policy:
    """Read and check the whole policy file.

    :param shown_as: the name that messages use, relative to the repository.
    :param required: whether it was asked for by name; else an absent file is a policy without demands.
    :raises UsageError: absent though required, unreadable, not YAML, or not a policy: all faults in one.
    """
    text = _text(path, shown_as, required=required)
    if text is None:
        return Policy()
    return _checked(yamlmap.read(text, shown_as), shown_as)


def read_gates(text: str, shown_as: str) -> tuple[ModelGate, ...]:
    """Read a YAML list of gates on a model, as it stands under `model.gates` in the file.

    :raises UsageError: all faults in one.
    """
    mapped = yamlmap.read(text, shown_as)
    if mapped.value is None:
        return ()

    def at(keys: yamlmap.Keys) -> yamlmap.Keys:
        return ("model", "gates", *keys)

    moved = yamlmap.Mapped(
        value={"model": {"gates": mapped.value}},
        lines={at(keys): line for keys, line in mapped.lines.items()},
        plain={at(keys): plain for keys, plain in mapped.plain.items()},
        faults=[replace(fault, keys=at(fault.keys)) for fault in mapped.faults],
        doubts=[replace(doubt, keys=at(doubt.keys)) for doubt in mapped.doubts],
    )
    policy = _checked(moved, shown_as)
    return (policy.model.gates if policy.model else None) or ()


def _checked(mapped: yamlmap.Mapped, shown_as: str) -> Policy:
    if mapped.value is None:
        return Policy()
    try:
        policy = Policy.model_validate(mapped.value)
    except ValidationError as error:
        raise usage_error(error, mapped, json_schema(), shown_as) from error
    if mapped.faults or mapped.doubts:
        raise usage_error(None, mapped, json_schema(), shown_as)
    policy._lines = mapped.lines  # noqa: SLF001 - of our own class: where it stands is no part of its content
    return policy


def _text(path: Path, shown_as: str, *, required: bool) -> str | None:
    """Return the text of the file, or nothing where it may be and is absent."""
    if not path.exists():
        if not required:
            return None
        raise UsageError(
            f"{shown_as} does not exist.", "Correct the input config, or add the file.", path=shown_as
        )
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no file"
        raise UsageError(f"{shown_as} is {kind}.", "Name a YAML file in the input config.", path=shown_as)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{shown_as} cannot be read: {error.strerror}.", "Make it readable.", path=shown_as
        ) from error
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{shown_as} is larger than 1 MiB.", "A policy is a short text: name another file.", path=shown_as
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{shown_as}, line {line}: the byte 0x{content[error.start]:02x} is not UTF-8.",
            "Save the file as UTF-8.",
            path=shown_as,
            line=line,
        ) from error
