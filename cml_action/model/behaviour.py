"""What must hold of any model, whatever it was trained for.

Outputs are compared with a tolerance that belongs to their type: single and double precision by the rules
of `torch.testing.assert_close` (relative 1.3e-6 and 1e-7, absolute 1e-5 and 1e-7), ten times wider, because
another batch size means other kernels, whose sums run in another order. Half precision's (there 1e-3) holds
for single precision on a GPU, too, whose convolutions are computed in TF32 unless PyTorch is told otherwise
(`torch.backends.cudnn.allow_tf32`): its fraction has ten bits as well. That of bfloat16 has three bits less.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cml_action.model.faults import ModelFault
from cml_action.policy.demands import Behaviour
from cml_action.policy.units import Share
from cml_action.report import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cml_action.model.spec import Device
    from cml_action.report import Status

    Arrays: TypeAlias = Mapping[str, NDArray[Any]]
    #: Given inputs and the rows of one call (all at once where None), returns outputs.
    Predict: TypeAlias = Callable[[Arrays, int | None], Arrays]
    #: Says how far two outputs lie apart, where they do.
    Apart: TypeAlias = Callable[[Arrays, Arrays], str]

#: Relative and absolute tolerance by the bytes of a floating point number.
_TOLERANCES = {2: (1e-2, 1e-2), 4: (1.3e-5, 1e-4), 8: (1e-6, 1e-6)}
_BFLOAT16 = (8e-2, 8e-2)
_ROWS, _NOISY_ROWS = 4, 256
#: Rows of one call with noise: a large model may have no memory for all of them.
NOISY_BATCH = 32
_LARGE = 1e4
#: A few flips are no reason to worry: half the predictions of random noise lie near a border.
DEFAULT_FLIPS = Share(0.05)
_TWO_DIMENSIONS = 2
#: Faults that are an answer to one call: others may still be asked.
_ANSWERED = frozenset({"bad-shape", "bad-table", "raised", "bad-output", "gpu-memory"})
_ROWS_MEET = (
    "Batch normalisation may be in training mode, quantization may scale by the whole batch, or `squeeze` may"
    " drop a batch of one."
)


def checks(
    predict: Predict,
    example: Callable[[int], Arrays],
    policy: Behaviour | None,
    rows: Arrays | None,
    *,
    device: Device = "cpu",
) -> tuple[Check, ...]:
    """Return one check for each thing that must hold.

    :param example: makes an input of so many rows.
    :param rows: real rows, where there are some: noise is added to them, or to made ones where it is asked.
    """
    asked = policy or Behaviour()

    def apart(one: Arrays, other: Arrays) -> str:
        return _apart(one, other, device)

    found = []
    for name, severity, check in (
        ("same-output", asked.same_output, partial(_same_output, predict, example, apart)),
        ("finite", asked.finite, partial(_finite, predict, example)),
        ("batch", asked.batch, partial(_batch, predict, example, apart)),
    ):
        if severity != "off":
            found.append(_made(name, severity, check))
    if rows is not None or asked.max_flips is not None:
        severity = "warn" if asked.max_flips is None else "fail"
        limit = DEFAULT_FLIPS if asked.max_flips is None else asked.max_flips
        given = rows if rows is not None else example(_NOISY_ROWS)
        found.append(_made("noise", severity, lambda: _noise(predict, given, asked.noise, limit)))
    return tuple(found)


def _made(name: str, severity: str, check: Callable[[], tuple[bool | None, str, dict[str, Any]]]) -> Check:
    try:
        holds, message, shown = check()
    except ModelFault as fault:
        if fault.kind not in _ANSWERED:  # the process is gone, or what it returns is no answer
            raise
        holds, message, shown = (None if name == "batch" else False), f"{fault.what}", {}
    status: Status = (
        "skip" if holds is None else "pass" if holds else "warn" if severity == "warn" else "fail"
    )
    return Check(id=f"model/behaviour/{name}", status=status, title=_TITLES[name], message=message, **shown)


_TITLES = {
    "same-output": "the same input gives the same output",
    "finite": "no NaN and no infinity on extreme input",
    "batch": "a batch of one gives what a row of a batch gives",
    "noise": "small noise changes few predictions",
}


def _same_output(
    predict: Predict, example: Callable[[int], Arrays], apart: Apart
) -> tuple[bool, str, dict[str, Any]]:
    given = example(1)
    said = apart(predict(given, None), predict(given, None))
    message = f"{said} Dropout or sampling may be on: call `.eval()`, or set a seed." if said else ""
    return not said, message, {}


def _finite(predict: Predict, example: Callable[[int], Arrays]) -> tuple[bool | None, str, dict[str, Any]]:
    """Try zeros, large numbers of either sign and the smallest; whole numbers (indices) stay as they are."""
    given = example(1)
    if not any(each.dtype.kind == "f" for each in given.values()):
        return None, "The model takes no floating point numbers.", {}
    broken = []
    for name, value in (("0", 0.0), ("10,000", _LARGE), ("−10,000", -_LARGE), ("the smallest number", None)):
        extreme = {
            key: np.full_like(each, np.finfo(each.dtype).tiny if value is None else value)
            if each.dtype.kind == "f"
            else each
            for key, each in given.items()
        }
        outputs = predict(extreme, None)
        if any(each.dtype.kind == "f" and not np.isfinite(each).all() for each in outputs.values()):
            broken.append(name)
    where = f"NaN or infinity where all inputs are {', '.join(broken)}."
    said = f"{where} Look for a division, a logarithm or `exp`."
    return not broken, said if broken else "", {}


def _batch(
    predict: Predict, example: Callable[[int], Arrays], apart: Apart
) -> tuple[bool | None, str, dict[str, Any]]:
    given = example(_ROWS)
    if any(each.ndim == 0 or len(each) != _ROWS for each in given.values()):
        return None, "The model's batch has a fixed size.", {}
    whole, singly = predict(given, None), predict(given, 1)
    names = [name for name in whole if name in singly and _in_rows(whole[name], singly[name])]
    if not names:
        return None, "No output has a row for each row of the input.", {}
    said = apart({name: whole[name] for name in names}, {name: singly[name] for name in names})
    return not said, f"{said} {_ROWS_MEET}" if said else "", {}


def _in_rows(whole: NDArray[Any], singly: NDArray[Any]) -> bool:
    """Whether an output has a row for each row of the input: the state of an LSTM has its layers first.

    :param singly: the same output of calls with one row each, joined along the first dimension.
    """
    if whole.shape == singly.shape:
        return True
    four_layers = whole.ndim == singly.ndim and len(singly) == _ROWS * _ROWS
    return whole.ndim > 0 and len(whole) == _ROWS and not four_layers


def _noise(
    predict: Predict, given: Arrays, noise: float, limit: float | Share
) -> tuple[bool | None, str, dict[str, Any]]:
    chance = np.random.default_rng(0)
    rows = min(_NOISY_ROWS, *(len(each) for each in given.values()))
    alike = len({len(each) for each in given.values()}) == 1  # else they are no batch of rows
    clean = {name: each[:rows] for name, each in given.items()} if alike else given
    noisy = {
        name: (each + noise * _spread(each) * chance.standard_normal(each.shape)).astype(each.dtype)
        if each.dtype.kind == "f"
        else each
        for name, each in clean.items()
    }
    if not any(each.dtype.kind == "f" for each in clean.values()):
        return None, "The model takes no floating point numbers.", {}
    before, after = (_classes(predict(each, NOISY_BATCH)) for each in (clean, noisy))
    if before is None or after is None or len(before) != len(after):
        return None, "The model's output is no class.", {}
    rows, flips = len(before), int((before != after).sum())
    most = limit.value * rows if isinstance(limit, Share) else limit
    message = f"{flips} of {rows} predictions changed with noise of {noise:g} standard deviations."
    shown = {"value": flips / rows, "limit": most / rows, "unit": "share"}
    return flips <= most, message, shown


def _spread(values: NDArray[Any]) -> NDArray[Any]:
    """Return the standard deviation over the rows that have a number; 0 where none has."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        spread = np.std(values, axis=0, where=there | ~there.any(axis=0))
    return np.asarray(np.nan_to_num(spread, posinf=0))


def _classes(outputs: Arrays) -> NDArray[Any] | None:
    """Return the class of each row; None where the output is a number or a picture."""
    found = next(iter(outputs.values()))
    if found.ndim == _TWO_DIMENSIONS and found.shape[1] > 1:
        return np.asarray(found.argmax(axis=1))
    return found if found.ndim == 1 and found.dtype.kind in "biuUS" else None


def _apart(one: Arrays, other: Arrays, device: Device) -> str:
    """Say how far outputs lie apart, where they do."""
    if one.keys() != other.keys():
        return "The outputs have other names."
    for name, first in one.items():
        second = other[name]
        if first.shape != second.shape:
            return f"`{name}` has another shape."
        if first.dtype.kind not in "fc":
            if not np.array_equal(first, second):
                return f"`{name}` differs in {int((first != second).sum()):,} of {first.size:,} values."
            continue
        relative, absolute = _tolerance(first, second, device)
        if not np.allclose(first, second, rtol=relative, atol=absolute, equal_nan=True):
            most = float(np.nanmax(np.abs(first.astype(np.float64) - second.astype(np.float64))))
            return f"`{name}` differs by up to {most:.3g}."
    return ""


def _tolerance(one: NDArray[Any], other: NDArray[Any], device: Device) -> tuple[float, float]:
    """Return the relative and the absolute tolerance; NumPy holds bfloat16 as single precision, exactly."""
    if one.dtype == other.dtype == np.float32:
        if not any((each.view(np.uint32) & 0xFFFF).any() for each in (one, other)):
            return _BFLOAT16
        if device == "cuda":
            return _TOLERANCES[2]
    return _TOLERANCES.get(one.dtype.itemsize, _TOLERANCES[8])
