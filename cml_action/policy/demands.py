"""The sections of `cml.yaml` as models: what may be demanded of data, metrics, training and models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cml_action.policy import units, yamlmap
from cml_action.policy.faults import UNION_TAGS
from cml_action.policy.fields import (
    Alpha,
    Cell,
    Count,
    CountOrShare,
    Dimension,
    Duration,
    Function,
    NotNegative,
    NotNegativeOrShare,
    Number,
    ProjectPath,
    Ratio,
    Text,
    is_number,
    refused,
    rule,
)

if TYPE_CHECKING:
    from typing_extensions import Self

#: Whether a check is made, and the verdict where it does not hold.
Severity: TypeAlias = Literal["off", "warn", "fail"]
#: The element types that numpy and torch both have.
Dtype: TypeAlias = Literal[
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]


class Section(BaseModel):
    """A mapping of the file: its keys in kebab-case, no others, and nothing converted."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.replace("_", "-"), extra="forbid", frozen=True, strict=True
    )

    def _needs_one_of(self, *names: str) -> None:
        if all(getattr(self, name) is None for name in names):
            keys = ", ".join(name.replace("_", "-") for name in names)
            raise rule("sets no limit.", f"Give at least one of {keys}.")

    def _orders_min_and_max(self, low: float | None, high: float | None) -> None:
        if low is not None and high is not None and low > high:
            raise rule("is above max.", "Swap the two, or correct one.", "min")


class Rows(Section):
    """How many rows a data set has, both ends included."""

    min: Count | None = Field(default=None, description="fewest rows")
    max: Count | None = Field(default=None, description="most rows")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        self._needs_one_of("min", "max")
        self._orders_min_and_max(self.min, self.max)
        return self


class Column(Section):
    """What one column holds. With no key inside, it must be there."""

    type: Literal["string", "number"] | None = Field(default=None, description="what its values are")
    values: tuple[Cell, ...] | None = Field(
        default=None, min_length=1, description="the values that are allowed"
    )
    nulls: CountOrShare | None = Field(
        default=None, description="most missing values, a count or a share of the rows (2%)"
    )
    min: Number | None = Field(default=None, description="smallest value")
    max: Number | None = Field(default=None, description="largest value")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.type == "string":
            for key in ("min", "max"):
                if getattr(self, key) is not None:
                    raise rule(
                        "is for numbers, and the type is string.", "Remove it, or write type: number.", key
                    )
        self._orders_min_and_max(self.min, self.max)
        for at, value in enumerate(self.values or ()):
            if self.type == "string" and not isinstance(value, str):
                raise rule(
                    f"is {json.dumps(value)} and not text, and the type is string.",
                    f"Quote it: '{json.dumps(value)}'.",
                    "values",
                    at,
                )
            if self.type == "number" and not is_number(value):
                shown = yamlmap.quoted(value) if isinstance(value, str) else json.dumps(value)
                raise rule(
                    f"is {shown} and no number, and the type is number.",
                    "Write numbers without quotes, or type: string.",
                    "values",
                    at,
                )
        return self


class Drift(Section):
    """How far a column's distribution may move."""

    max_psi: NotNegative = Field(description="largest population stability index of a column")
    severity: Literal["warn", "fail"] = Field(default="fail", description="the verdict where it is exceeded")


class DataSet(Section):
    """The contract of one data set."""

    path: ProjectPath = Field(description="file, folder or glob, relative to the project")
    label: Text | None = Field(default=None, description="column that holds the class")
    key: tuple[Text, ...] | None = Field(
        default=None, min_length=1, description="columns that identify a row"
    )
    compare: ProjectPath | None = Field(default=None, description="data set for leakage and drift")
    rows: Rows | None = Field(default=None, description="how many rows")
    duplicates: Count | None = Field(default=None, description="most duplicate rows")
    columns: dict[Text, Column] = Field(default={}, description="what each column holds, by its name")
    drift: Drift | None = Field(default=None, description="how far distributions may move")


class MetricGate(Section):
    """A demand on one metric of a training run."""

    metric: Text = Field(description="its name in the metrics files, such as val/loss")
    direction: Literal["higher", "lower"] | None = Field(default=None, description="which way is better")
    min: Number | None = Field(default=None, description="smallest value")
    max_drop: NotNegativeOrShare | None = Field(
        default=None, description="how far below the base, a difference or a share (5%)"
    )
    max_rise: NotNegativeOrShare | None = Field(
        default=None, description="how far above the base, a difference or a share (5%)"
    )
    folds: Text | None = Field(default=None, description="metric that holds one value for each fold")
    test: Literal["wilcoxon"] | None = Field(default=None, description="test of the folds against the base's")
    alpha: Alpha | None = Field(default=None, description="level of significance of the test")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        self._needs_one_of("min", "max_drop", "max_rise", "test")
        if self.test is not None and self.folds is None:
            raise rule("needs the values of the folds.", "Add folds.", "test")
        for key in ("folds", "alpha"):
            if getattr(self, key) is not None and self.test is None:
                raise rule("is for a test, and none is named.", "Add test: wilcoxon.", key)
        return self


class Training(Section):
    """What the curves of a training run show."""

    history: ProjectPath = Field(description="file with one row an epoch")
    gates: tuple[Literal["converged", "no-overfit", "no-underfit"], ...] | None = Field(
        default=None, min_length=1, description="what must hold"
    )


class InputShape(Section):
    """A tensor that a model takes."""

    name: Text | None = Field(default=None, description="name of the argument; by position where absent")
    shape: tuple[Dimension, ...] = Field(min_length=1, description="its dimensions, the batch first")
    dtype: Dtype = Field(description="type of its elements")
    range: tuple[Number, ...] | None = Field(
        default=None, min_length=2, max_length=2, description="lowest and highest value, [0, 255]"
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.range is not None and self.range[0] > self.range[1]:
            raise rule("begins above its end.", "Swap the two.", "range")
        return self


class Behaviour(Section):
    """What must hold of any model, whatever it was trained for."""

    same_output: Severity = Field(default="warn", description="the same input gives the same output")
    finite: Severity = Field(default="warn", description="no NaN and no infinity on extreme input")
    batch: Severity = Field(default="warn", description="a batch of one gives what a row of a batch gives")
    noise: NotNegative = Field(
        default=0.01, description="noise that is added, in standard deviations of each input"
    )
    max_flips: CountOrShare | None = Field(
        default=None, description="most predictions that the noise may change, a count or a share (2%)"
    )


class ModelGate(Section):
    """A demand on a candidate model, alone or beside the one in production.

    `max` is in seconds for `latency-*`, in bytes for `size`, and else in the unit of the metric.
    """

    measure: Text = Field(description="latency-p50, latency-p95, size, or a metric of evaluate")
    min: Number | None = Field(default=None, description="smallest value of a metric")
    max: float | None = Field(
        default=None, description="largest value; a time for latency (100 ms), a size for size (50 MB)"
    )
    max_ratio: Ratio | None = Field(
        default=None, description="largest ratio to production, measured in the same job"
    )
    max_drop: NotNegativeOrShare | None = Field(
        default=None, description="how far below production, a difference or a share (5%)"
    )
    severity: Literal["warn", "fail"] = Field(default="fail", description="the verdict where it is exceeded")

    @field_validator("measure")
    @classmethod
    def _known_latency(cls, measure: str) -> str:
        if measure.startswith("latency") and measure not in _LATENCIES:
            raise refused(f"{', '.join(_LATENCIES)}, size, or a metric's name")
        return measure

    @field_validator("min", mode="before")
    @classmethod
    def _no_percentage(cls, value: Any) -> object:
        if isinstance(value, str):
            raise refused(_a_number(value))
        return value

    @field_validator(
        "max", mode="before", json_schema_input_type=float | Annotated[str, Field(pattern=units.PATTERN)]
    )
    @classmethod
    def _in_its_unit(cls, value: Any, info: ValidationInfo) -> object:
        measure = info.data.get("measure", "")
        text = value if isinstance(value, str) else ""
        if measure in _LATENCIES:
            found, allowed = (
                units.seconds(text),
                f"a time with its unit ({', '.join(units.SECONDS)}), such as 100 ms",
            )
        elif measure == "size":
            found, allowed = (
                units.size_bytes(text),
                f"a size with its unit ({', '.join(units.BYTES)}), such as 50 MB",
            )
        else:
            found, allowed = float(value) if is_number(value) else None, _a_number(value)
        if found is None and measure:
            raise refused(allowed)
        return found

    @model_validator(mode="after")
    def _sound(self) -> Self:
        self._needs_one_of("min", "max", "max_ratio", "max_drop")
        for key, value in (("min", self.min), ("max-drop", self.max_drop)):
            if value is not None and self.measure in (*_LATENCIES, "size"):
                raise rule(
                    f"is for metrics, and {self.measure} is better when lower.", "Use max or max-ratio.", key
                )
        if self.max_drop is not None and self.measure in LOWER_IS_BETTER:
            raise rule(
                f"allows {self.measure} to fall, and it is better when lower.",
                "Use max or max-ratio.",
                "max-drop",
            )
        if self.max_ratio is not None and self.measure in HIGHER_IS_BETTER:
            raise rule(
                f"allows {self.measure} to rise, and it is better when higher.",
                "Use min or max-drop.",
                "max-ratio",
            )
        self._orders_min_and_max(self.min, self.max)
        return self


_LATENCIES = ("latency-p50", "latency-p95")
#: The measures of `data`: one that is judged on the wrong side fails what is better, and nothing else.
HIGHER_IS_BETTER = ("accuracy", "balanced-accuracy", "f1", "r2")
LOWER_IS_BETTER = ("mae", "rmse")


def _a_number(value: Any) -> str:
    """Say that a number is allowed, and which one a percentage is."""
    part = units.share(value) if isinstance(value, str) else None
    return f"a number, {part.value:g} for {value.strip()}" if part else "a number"


def _kind_of_input(value: object) -> str:
    """Return which of the three that an input may be is meant."""
    if isinstance(value, (dict, InputShape)):
        return UNION_TAGS[0]
    return UNION_TAGS[2] if isinstance(value, (list, tuple)) else UNION_TAGS[1]


class ModelPolicy(Section):
    """A model, how it is loaded and run, and what it must reach."""

    path: ProjectPath | None = Field(default=None, description="file or folder of the model")
    loader: Function | None = Field(
        default=None, description="function that is given the path and returns a callable"
    )
    input: (
        Annotated[
            Annotated[InputShape, Tag(UNION_TAGS[0])]
            | Annotated[ProjectPath, Tag(UNION_TAGS[1])]
            | Annotated[tuple[InputShape, ...], Field(min_length=1), Tag(UNION_TAGS[2])],
            Discriminator(_kind_of_input),
        ]
        | None
    ) = Field(
        default=None,
        description="shape and dtype of what it takes, a list of them for several, or a file with a sample",
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where it runs")
    threads: Dimension | None = Field(
        default=None, description="threads of one operation; the library's own choice where absent"
    )
    time_limit: Duration | None = Field(
        default=None, description="how long its process may take in all (10 min); 15 min where absent"
    )
    allow_pickle: bool = Field(
        default=False, description="whether a pickle may be loaded after a search; it can run any program"
    )
    trusted: tuple[Text, ...] | None = Field(
        default=None, min_length=1, description="types that a skops file may hold besides skops' own list"
    )
    evaluate: Function | None = Field(
        default=None, description="function that is given the model and returns its metrics"
    )
    data: ProjectPath | None = Field(default=None, description="labelled data set to evaluate on")
    task: Literal["classification", "regression"] | None = Field(
        default=None, description="what the model predicts of each row of data"
    )
    label: Text | None = Field(default=None, description="column of data that holds the truth")
    features: tuple[Text, ...] | None = Field(
        default=None, min_length=1, description="columns that the model takes; all others where absent"
    )
    slices: tuple[Text, ...] | None = Field(
        default=None, min_length=1, description="columns for each value of which results are shown"
    )
    tests: ProjectPath | None = Field(
        default=None, description="file or folder of pytest tests, run with MODEL_PATH and MODEL_NAME"
    )
    behaviour: Behaviour | None = Field(default=None, description="what must hold of any model")
    gates: tuple[ModelGate, ...] | None = Field(default=None, min_length=1, description="what it must reach")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        needed = ("data", "task", "label")
        given = [key for key in needed if getattr(self, key) is not None]
        if given and len(given) < len(needed):
            missing = next(key for key in needed if key not in given)
            raise rule(f"needs {missing} as well.", f"Add {missing}.", given[0])
        for key in ("features", "slices"):
            if getattr(self, key) is not None and self.data is None:
                raise rule("names columns of data, and there is none.", "Add data, task and label.", key)
        for at, name in enumerate(self.features or ()):
            if name == self.label:
                raise rule("is the label, which the model may not see.", "Remove it.", "features", at)
        return self


class Registry(Section):
    """Where models are promoted."""

    backend: Literal["git", "mlflow", "wandb"] | None = Field(default=None, description="which registry")
    collection: Text | None = Field(default=None, description="where promotion happens")
    stages: tuple[Text, ...] | None = Field(
        default=None, min_length=1, description="the stages, in the order of promotion"
    )

    @field_validator("stages")
    @classmethod
    def _each_once(cls, stages: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, stage in enumerate(stages or ()):
            if stage in (stages or ())[:at]:
                raise rule(f"is {yamlmap.quoted(stage)} a second time.", "Name each stage once.", at)
        return stages
