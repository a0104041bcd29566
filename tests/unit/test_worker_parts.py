"""Parts of the model's process that need no process: what may pass, what is warm, what a GPU says."""

from __future__ import annotations

import math
import os
import pickle
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from cml_action.model import pickles
from cml_action.model.child import memory_to_use
from cml_action.model.environment import for_model
from cml_action.model.exchange import read_arrays, write_arrays
from cml_action.model.faults import UnloadedError, ended_fault, fault, quoted
from cml_action.model.spec import TensorSpec, from_policy, limits
from cml_action.model.worker import arrays, clock, load, system
from cml_action.model.worker.refusal import Refusal, words
from cml_action.model.worker.system import parsed_gpu
from cml_action.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = {"path": "net.pt", "loader": "", "python": "", "sample": "", "function": "", "tests": ""}


def test_only_what_a_model_needs_passes_to_it() -> None:
    passing = {
        "PATH": "/usr/bin",
        "HOME": "/home/ada",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "2",
        "CUDA_VISIBLE_DEVICES": "0",
        "LD_LIBRARY_PATH": "/opt/cuda",
        "PYTHONPATH": "src",
        "RUNNER_TRACKING_ID": "github_1",
        "MODEL_SIZE": "small",
    }
    staying = {
        "GITHUB_TOKEN": "ghs_0123456789",
        "GITHUB_OUTPUT": "/output",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "eyJ0",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "DATABASE_URL": "postgres://ada:word@host/db",
        "HF_TOKEN": "hf_01234567",
        "TORCH_HUB": "https://ada:word@example.com",
        "MODEL_NOTE": "it is ghs_0123456789",
    }
    assert for_model({**passing, **staying}) == passing


@pytest.mark.parametrize(
    ("code", "kind"), [(None, "pipe"), (-9, "killed"), (-11, "crash"), (0, "end"), (3, "end")]
)
def test_how_a_process_ended_says_what_happened(code: int | None, kind: str) -> None:
    assert ended_fault(code, "it was loaded", KNOWN).kind == kind


def test_a_code_that_is_not_ours_is_not_believed() -> None:
    assert fault("all-is-well", "", KNOWN).kind == "pipe"


def test_words_of_the_models_stay_one_short_span() -> None:
    said = quoted("a `code`\n\n### heading " + "x" * 1000)
    assert said.startswith("`a 'code' ### heading xxx")
    assert said.endswith("x…`")
    assert len(said) < 310


def test_a_model_is_warm_when_its_calls_stop_becoming_faster() -> None:
    asked: list[int] = []

    def block(calls: int) -> list[int]:
        asked.append(calls)
        return [max(10_000_000, 80_000_000 // len(asked))] * calls  # 80 ms, 40, 27, … 10

    found = clock.warm_up(block, most_s=60.0)
    assert found["stable"]
    assert found["median_s"] == 0.01
    assert len(asked) == 8 + clock.QUIET_WINDOWS


def test_noise_does_not_keep_a_model_from_being_warm() -> None:
    windows = iter([10, 10, 14, 11, 19, 12, 30, 11])
    found = clock.warm_up(lambda calls: [next(windows) * 1_000_000] * calls, most_s=60.0)
    assert found["stable"]


def test_times_of_a_block_add_up_to_the_whole() -> None:
    began = clock.now()
    times = clock.on_cpu(lambda: None, (), {}, 1000)
    assert len(times) == 1000
    assert sum(times) <= clock.now() - began


class _Event:
    """One of CUDA's events, on a clock of the test's."""

    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def record(self) -> None:
        self._heard.append("record")

    def synchronize(self) -> None:
        self._heard.append("wait")

    def elapsed_time(self, _: _Event) -> float:
        return 1.5  # milliseconds


def test_on_cuda_each_call_stands_between_two_events_and_is_waited_for() -> None:
    heard: list[str] = []
    cuda = SimpleNamespace(Event=lambda enable_timing: _Event(heard) if enable_timing else None)
    times = clock.on_cuda(SimpleNamespace(cuda=cuda))(lambda: heard.append("call"), (), {}, 2)
    assert times == [1_500_000, 1_500_000]
    assert heard == 2 * ["record", "call", "record", "wait"]


def test_processors_are_drawn_of_those_that_are_near_to_the_models_memory(tmp_path: Path) -> None:
    for node, members in {"node0": "0-3,8-11\n", "node1": "4-7,12-15\n", "node2": "\n"}.items():
        (tmp_path / node).mkdir()
        (tmp_path / node / "cpulist").write_text(members)

    assert system.near(frozenset(range(16)), str(tmp_path)) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert system.near(frozenset({5, 9, 12}), str(tmp_path)) == [5, 12]
    assert system.near(frozenset({5, 9}), str(tmp_path / "none")) == [5, 9]


#: Stands in for the driver's program: it takes a while, as that does, and notes what it was asked.
_NVIDIA_SMI = """#!/bin/sh
echo "$@" > "{folder}/asked"
sleep 0.3
echo "{said}"
exit {code}
"""


def _put_nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int = 0) -> None:
    program = folder / "nvidia-smi"
    program.write_text(_NVIDIA_SMI.format(folder=folder, said=said, code=code))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_the_clocks_of_a_gpu_are_read_while_the_model_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "NVIDIA H100 80GB HBM3, 580.159.04, 1980 MHz, 1980 MHz, 2619 MHz, 0x0000000000000000"
    _put_nvidia_smi(tmp_path, monkeypatch, said)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    calls: list[int] = []
    found = system.environment("cuda", lambda: calls.append(0))
    assert len(calls) > 100
    assert "--id=3 " in (tmp_path / "asked").read_text()
    assert {name: found[name] for name in ("gpu", "driver", "gpu clocks", "gpu throttled")} == {
        "gpu": "NVIDIA H100 80GB HBM3",
        "driver": "580.159.04",
        "gpu clocks": "1980 MHz of at most 1980 MHz, memory 2619 MHz",
        "gpu throttled": "no",
    }
    idle = system.environment("cuda")
    assert idle["gpu"] == "NVIDIA H100 80GB HBM3"
    assert "gpu clocks" not in idle


def test_a_gpu_of_which_the_driver_says_nothing_leaves_the_rest_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_nvidia_smi(tmp_path, monkeypatch, "No devices were found", code=6)
    found = system.environment("cuda", lambda: None)
    assert "gpu" not in found
    assert found["python"]


def test_what_slows_a_gpu_is_told_in_words() -> None:
    said = "NVIDIA L4, 550.54.15, 300 MHz, 2040 MHz, 405 MHz, {}"
    for reasons, told in {
        "0x0000000000000000": "no",
        "0x0000000000000001": "no",  # it has nothing to do
        "0x0000000000000024": "by its power limit, by heat",
        "[N/A]": "[N/A]",
    }.items():
        assert parsed_gpu(said.format(reasons))["gpu throttled"] == told
    assert parsed_gpu("No devices were found") == {}


def test_of_a_cuda_error_the_first_line_is_told_and_not_how_to_debug_it() -> None:
    error = RuntimeError(
        "CUDA error: device-side assert triggered\nSearch for it.\nFor debugging set a variable."
    )
    assert words(error) == "RuntimeError: CUDA error: device-side assert triggered"


@pytest.mark.parametrize(
    "value", [[[1.0, 2.0], [3.0, 4.5]], [[1, 2, 3]], [True, False], ["setosa", "virginica"], 2.5]
)
def test_arrays_are_written_without_numpy_as_numpy_reads_them(tmp_path: Path, value: Any) -> None:
    arrays.write_plain(str(tmp_path / "0.npy"), value)
    found = np.load(tmp_path / "0.npy", allow_pickle=False)
    assert found.tolist() == value
    if found.dtype.kind in "if":
        assert arrays.read_plain(str(tmp_path / "0.npy"), "list") == value


def test_what_is_missing_in_a_table_is_missing_in_what_the_model_is_given(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("mass,sex,ringed\n1.5,m,True\n,,\n2.5,f,False\n")
    table = pd.read_csv(tmp_path / "test.csv")
    table["rings"] = pd.Series([1, None, 3], dtype="Int64")
    table["note"] = pd.Series(["a", None, math.nan], dtype=object)

    names = write_arrays(tmp_path, {name: table[name].to_numpy() for name in table.columns})
    sent = [arrays.read_sent(str(tmp_path), at, "numpy") for at in range(len(names))]

    found = arrays.columns(names, sent, frame=True)
    pd.testing.assert_frame_equal(found[["mass", "sex", "ringed"]], table[["mass", "sex", "ringed"]])
    assert found["rings"].tolist() == [1, pytest.approx(math.nan, nan_ok=True), 3]
    assert sent[-1] == ["a", None, pytest.approx(math.nan, nan_ok=True)]


def test_a_matrix_of_objects_keeps_its_shape(tmp_path: Path) -> None:
    rows = np.array([["m", 1.5], ["f", 2.5]], dtype=object)
    arrays.write_all(str(tmp_path), [("input", rows)])
    assert read_arrays(tmp_path)["input"].tolist() == [["m", "1.5"], ["f", "2.5"]]


def test_rows_go_on_at_the_beginning_where_a_sample_is_short() -> None:
    assert arrays.take([[1], [2], [3]], 0, 5) == [[1], [2], [3], [1], [2]]
    assert arrays.take(np.arange(3), 2, 3).tolist() == [2, 0, 1]


def test_outputs_have_names() -> None:
    assert [name for name, _ in arrays.outputs({"a": [1], "b": [2], "c": None})] == ["a", "b"]
    assert [name for name, _ in arrays.outputs((np.ones(2), np.ones(2)))] == ["output_0", "output_1"]
    assert [name for name, _ in arrays.outputs([1.0, 2.0])] == ["output"]
    rows = [{"a": 0.25, "b": 0.75}, {"a": 0.5, "b": 0.5}]
    (_, labels), (_, scores) = arrays.outputs([np.array(["b", "a"]), rows])
    assert labels.tolist() == ["b", "a"]
    assert scores.tolist() == [[0.25, 0.75], [0.5, 0.5]]


def test_outputs_within_others_have_names_and_what_is_no_array_is_left_out() -> None:
    state = (np.ones((1, 4, 8)), np.ones((1, 4, 3)))
    found = arrays.outputs({"logits": np.ones(4), "state": state, "cache": object(), "more": {"at": 1}})
    assert [name for name, _ in found] == ["logits", "state.0", "state.1", "more.at"]
    boxes = [{"boxes": np.ones((at, 4)), "labels": np.ones(at)} for at in (2, 3)]
    assert [name for name, _ in arrays.outputs(boxes)][:3] == [
        *("output_0.boxes", "output_0.labels", "output_1.boxes")
    ]
    said = arrays.outputs([{"label": "good", "score": 0.75}, {"label": "bad", "score": 0.5}])
    assert [(name, values.tolist()) for name, values in said] == [
        ("label", ["good", "bad"]),
        ("score", [0.75, 0.5]),
    ]


@pytest.mark.parametrize("value", [{}, {"loss": None}, object(), (object(), np.ones(2)), [[1], [1, 2]]])
def test_a_model_that_returns_no_array_first_is_told_so(value: Any) -> None:
    with pytest.raises(Refusal) as caught:
        arrays.outputs(value)
    assert caught.value.code == "bad-output"


async def later() -> None:
    """Do nothing."""


@pytest.mark.parametrize("value", [None, iter([1]), (each for each in [1]), map(str, [1]), later()])
def test_a_model_that_leaves_its_work_for_later_gives_no_answer(value: Any) -> None:
    with pytest.raises(Refusal) as caught:
        arrays.outputs(value)
    assert (caught.value.code, caught.value.said) == ("no-answer", type(value).__name__)
    if hasattr(value, "close"):
        value.close()


def test_outputs_of_several_calls_are_joined_where_they_fit() -> None:
    calls = [[("scores", np.ones((rows, 2))), ("state", np.ones((1, rows, 8)))] for rows in (3, 1)]
    ((name, values),) = arrays.joined(calls)
    assert (name, values.shape) == ("scores", (4, 2))
    with pytest.raises(Refusal, match="state has another shape"):
        arrays.joined([part[1:] for part in calls])


def test_a_function_that_imports_jax_when_it_is_called_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load.Model("callable", None, lambda: "begun", "__call__", "numpy")
    assert load.waited_for(model)() == "begun"
    jax = SimpleNamespace(block_until_ready=lambda value: f"{value} and ended")
    monkeypatch.setitem(sys.modules, "jax", jax)
    assert load.waited_for(model)() == "begun and ended"


def test_a_pickle_that_cannot_be_searched_to_its_end_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": Policy()})
    for name, content in {
        "cut.pkl": whole[:-20],
        "text.pkl": b"no pickle",
        "cut.joblib": whole[:-20],
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UnloadedError) as caught:
            pickles.search(path, allow_pickle=True)
        assert caught.value.code == "unscannable"


def test_a_call_hidden_behind_an_array_is_found(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")

    class Evil:
        def __reduce__(self) -> Any:
            return eval, ("1",)

    for compress in (0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)):
        path = tmp_path / "model.joblib"
        joblib.dump([np.arange(9.0), np.array([None, Evil()], dtype=object)], path, compress=compress)
        with pytest.raises(UnloadedError, match="eval"):
            pickles.search(path, allow_pickle=True)


def test_the_policy_says_how_a_model_is_loaded(tmp_path: Path) -> None:
    policy = Policy.model_validate(
        {
            "model": {
                "loader": "a.b:c",
                "input": (
                    {"name": "ids", "shape": (1, 8), "dtype": "int64", "range": (0, 99)},
                    {"name": "mask", "shape": (1, 8), "dtype": "bool"},
                ),
                "device": "cuda",
                "threads": 2,
                "allow-pickle": True,
                "trusted": ("a.B",),
            }
        }
    )
    spec = from_policy(policy.model, tmp_path / "net.pt", tmp_path)
    assert spec.inputs == (
        TensorSpec(name="ids", shape=(1, 8), dtype="int64", range=(0, 99)),
        TensorSpec(name="mask", shape=(1, 8), dtype="bool"),
    )
    assert (spec.loader, spec.device, spec.threads, spec.allow_pickle, spec.trusted) == (
        "a.b:c", "cuda", 2, True, ("a.B",),
    )  # fmt: skip
    assert from_policy(policy.model, tmp_path / "net.pt", tmp_path, loader="x:y").loader == "x:y"
    sample = Policy.model_validate({"model": {"input": "sample.npy"}}).model
    assert from_policy(sample, tmp_path / "net.pt", tmp_path).sample == tmp_path / "sample.npy"


def test_files_that_a_container_keeps_in_memory_leave_room_for_the_model(tmp_path: Path) -> None:
    gib = 2**30
    for name, text in {
        "memory.max": f"{2 * gib}\n",
        "memory.current": f"{2 * gib}\n",
        "memory.stat": f"anon {gib // 2}\ninactive_file {gib}\nactive_file {gib // 2}\nslab 0\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert memory_to_use(tmp_path) == gib  # less the reserve of half a one


def test_what_a_process_may_take_is_less_than_the_machine_has() -> None:
    assert 2**29 <= memory_to_use() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_how_long_a_model_may_take_stands_in_the_policy() -> None:
    asked = Policy.model_validate({"model": {"time-limit": "30 min"}}).model
    assert (limits(asked).load_s, limits(asked).total_s) == (1800, 1800)
    assert (limits(None).load_s, limits(None).total_s) == (120, 900)
