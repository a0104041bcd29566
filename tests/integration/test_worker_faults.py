"""Models that misbehave, in a Python without any package: each gets its sentence, and nothing stays."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cml_action.errors import UsageError
from cml_action.model import python
from cml_action.model.faults import ModelFault, ModelSetupFault
from cml_action.model.process import Worker
from cml_action.model.spec import Limits, ModelSpec
from tests.services.models import bare, place
from tests.services.user_python import bare_python

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = """
import ctypes, os, sys, time

def load(path):
    def model(x):
{body}
        return x
    return model, [[1.0, 2.0]]
"""


def calling(body: str) -> str:
    """A loader whose model does something when it is called."""
    return CALL.format(body="\n".join(f"        {line}" for line in body.splitlines()))


@pytest.fixture
def fault(tmp_path: Path) -> Callable[..., ModelFault]:
    """Load a model and time it; return the fault that it must have, and find that no process is left."""

    def fault(source: str, *, calls: int = 3, **limits: float) -> ModelFault:
        told = {"load_s": 60.0, "request_s": 60.0, **limits}
        marked = {"MODEL_TEST": f"{os.getpid()}-{time.monotonic_ns()}"}
        with (
            bare(tmp_path, source, limits=Limits(**told), **marked) as worker,
            pytest.raises(ModelFault) as caught,
        ):
            _load_and_time(worker, calls)
        assert _left(marked) == []
        return caught.value

    return fault


def _load_and_time(worker: Worker, calls: int) -> None:
    worker.load()
    worker.time_block(calls)


def _left(marked: dict[str, str]) -> list[int]:
    """Return the processes that have the variable in their environment."""
    word = "MODEL_TEST=" + marked["MODEL_TEST"]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def test_a_model_that_hangs_is_stopped_at_its_limit(fault: Callable[..., ModelFault]) -> None:
    error = fault(calling("time.sleep(600)"), request_s=1.0)
    assert error.kind == "hang"
    assert error.what == (
        "The model `model.txt` gave no answer within 1 seconds while it was measured, and was stopped."
    )
    assert "time-limit" not in error.fix  # which says nothing about one request


def test_a_loader_that_hangs_is_stopped_at_its_limit(fault: Callable[..., ModelFault]) -> None:
    error = fault("def load(path):\n    while True: pass", load_s=1.0)
    assert error.kind == "hang"
    assert "raise `time-limit`" in error.fix  # which sets how long loading may take, too


@pytest.mark.parametrize("limits", [{"total_s": 3.0}, {"total_s": 3.0, "request_s": 3.0}])
def test_the_limit_of_the_whole_holds_for_every_request(
    fault: Callable[..., ModelFault], limits: dict[str, float]
) -> None:
    error = fault(calling("time.sleep(600)"), **limits)
    assert error.kind == "hang"
    assert "gave no answer before all its 3 seconds were over while it was measured" in error.what
    assert "raise `time-limit` under `model` in cml.yaml" in error.fix


def test_a_model_that_crashes_the_interpreter_names_the_signal(fault: Callable[..., ModelFault]) -> None:
    error = fault(calling("ctypes.string_at(0)"))
    assert error.kind == "crash"
    assert "crashed its Python interpreter while it was measured (SIGSEGV)" in error.what
    assert "mine.py" in error.tail  # where, by the fault handler


def test_a_model_that_allocates_without_end_is_stopped_before_the_machine_suffers(
    fault: Callable[..., ModelFault],
) -> None:
    error = fault(calling("keep = []\nwhile True: keep.append(bytearray(2**24))"), memory_bytes=2**28)
    assert error.kind == "memory"
    assert "GB that it may, and was stopped" in error.what


def test_the_memory_of_children_counts(fault: Callable[..., ModelFault]) -> None:
    body = (
        "import subprocess\n"
        "subprocess.run([sys.executable, '-c', 'x = bytearray(2**29); import time; time.sleep(60)'])"
    )
    assert fault(calling(body), memory_bytes=2**28).kind == "memory"


def test_a_model_killed_from_outside_is_likely_out_of_memory(fault: Callable[..., ModelFault]) -> None:
    error = fault(calling("os.kill(os.getpid(), 9)"))
    assert error.kind == "killed"
    assert "ran out of memory" in error.what


def test_a_model_that_exits_with_0_early_has_said_nothing(fault: Callable[..., ModelFault]) -> None:
    error = fault(calling("os._exit(0)"))
    assert error.kind == "end"
    assert error.what == (
        "The process of the model `model.txt` ended by itself, with exit code 0, while it was measured."
    )


def test_a_model_that_calls_sys_exit_has_failed(fault: Callable[..., ModelFault]) -> None:
    error = fault(calling("sys.exit(0)"))
    assert error.kind == "raised"
    assert error.what == "The model `model.txt` failed when it was called: `SystemExit: 0`."


WRITERS = {
    "to every descriptor": (
        'for fd in range(3, 1024):\n    try: os.write(fd, b\'{"ns": [1, 1, 1], "other_s": 0}\\n\')\n'
        "    except OSError: pass"
    ),
    "half a line": "for fd in range(3, 1024):\n    try: os.write(fd, b'x')\n    except OSError: pass",
    "no text": (
        "for fd in range(3, 1024):\n    try: os.write(fd, bytes(range(256)))\n    except OSError: pass"
    ),
    "and closes it": (
        'for fd in range(3, 1024):\n    try: os.write(fd, b\'{"word": "0"}\\n\')\n    except OSError: pass\n'
        "os.closerange(3, 1024)\ntime.sleep(60)"
    ),
}


@pytest.mark.parametrize("body", WRITERS.values(), ids=WRITERS.keys())
def test_a_model_that_writes_to_the_pipe_of_answers_is_not_believed(
    fault: Callable[..., ModelFault], body: str
) -> None:
    error = fault(calling(body))
    assert error.kind == "pipe"
    assert "cannot be believed" in error.what


def test_what_is_written_between_two_questions_is_found(tmp_path: Path) -> None:
    source = calling(
        "import threading\n"
        "def later():\n"
        "    time.sleep(0.3)\n"
        "    for fd in range(3, 1024):\n"
        "        try: os.write(fd, b'{}\\n')\n"
        "        except OSError: pass\n"
        "threading.Thread(target=later, daemon=True).start()"
    )
    with bare(tmp_path, source) as worker:
        worker.load()
        worker.time_block(1)
        time.sleep(1.5)
        with pytest.raises(ModelFault, match="cannot be believed"):
            worker.time_block(1)
        with pytest.raises(ModelFault, match="cannot be believed"):  # it does not come back
            worker.memory()


def test_a_clock_that_the_model_changed_contradicts_the_one_outside(tmp_path: Path) -> None:
    source = calling("time.sleep(1.5)").replace(
        "import ctypes",
        "import cml_action_worker.clock as c\n"
        "c.on_cpu = lambda call, given, named, n: [call(*given) and 1000 for _ in range(n)]\n"
        "import cml_action_worker.serve as s\ns.perf_counter = lambda: 0.0\nimport ctypes",
    )
    with bare(tmp_path, source) as worker:
        worker.load()
        with pytest.raises(ModelFault, match=r"times of the model `model\.txt` cannot be believed"):
            worker.time_block(4)


def test_megabytes_on_stdout_disturb_nothing_and_their_end_is_kept(tmp_path: Path) -> None:
    body = "print('x' * 2**20)\nsys.stderr.write('y' * 2**20)\nos.write(1, b'the end\\n')"
    with bare(tmp_path, calling(body)) as worker:
        worker.load()
        assert len(worker.time_block(5)) == 5
        worker.close()
        assert worker.tail.endswith("the end")
        assert len(worker.tail) < 10_000


def test_a_model_that_forks_answers_once_and_leaves_nobody(tmp_path: Path) -> None:
    body = (
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        time.sleep(600)\n"
        "    time.sleep(600)"
    )
    marked = {"MODEL_TEST": f"fork-{os.getpid()}-{time.monotonic_ns()}"}
    with bare(tmp_path, calling(body), **marked) as worker:
        worker.load()
        assert len(worker.time_block(2)) == 2
        patience = time.monotonic() + 30
        while len(_left(marked)) < 5 and time.monotonic() < patience:
            time.sleep(0.05)
        assert len(_left(marked)) == 5  # two of each call, and the worker
    assert _left(marked) == []


def test_a_fork_that_comes_back_into_the_worker_says_nothing(tmp_path: Path) -> None:
    with bare(tmp_path, calling("if x and not hasattr(os, 'once'): os.once = os.fork()")) as worker:
        worker.load()
        assert len(worker.time_block(3)) == 3
        assert len(worker.time_block(3)) == 3


LOADERS = {
    "no such module": ("mine2:load", "The loader `mine2:load` was not found: `there is no module mine2`."),
    "no such function": ("mine:lod", "The loader `mine:lod` was not found: `lod does not exist in mine`."),
    "no function": (
        "mine:number",
        "The loader `mine:number` was not found: `number is no function in mine`.",
    ),
    "it raises": ("mine:fails", "The loader `mine:fails` failed: `ValueError: of no use`."),
    "it exits": ("mine:exits", "The loader `mine:exits` failed: `SystemExit: 3`."),
    "it returns text": (
        "mine:text",
        "What was loaded from `model.txt` cannot be called: `it is of type str`.",
    ),
    "it needs what is not installed": (
        "mine:needs",
        "The model `model.txt` needs the module `flax`, which is not installed in `{python}`.",
    ),
    "its module has a fault": (
        "broken:load",
        (
            "The loader `broken:load` was not found: `importing broken raised SyntaxError: invalid syntax"
            " (broken.py, line 1)`."
        ),
    ),
}
MINE = """
import sys
number = 3
def fails(path): raise ValueError("of no\\nuse")
def exits(path): sys.exit(3)
def text(path): return "model"
def needs(path): import flax
def load(path): return lambda x: x
"""


@pytest.mark.parametrize(("loader", "sentence"), LOADERS.values(), ids=LOADERS.keys())
def test_a_loader_that_does_not_load_is_named(tmp_path: Path, loader: str, sentence: str) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("def load(:")
    (tmp_path / "model.txt").write_text("weights")
    spec = ModelSpec(path=tmp_path / "model.txt", loader=loader)
    with pytest.raises(ModelFault) as caught, Worker(spec, place(tmp_path, bare_python())) as worker:
        worker.load()
    assert caught.value.what == sentence.format(python=bare_python())
    assert caught.value.fix


def test_without_torch_the_module_is_named_and_where_it_is_missed(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"\x80\x02")
    with (
        pytest.raises(ModelSetupFault) as caught,
        Worker(ModelSpec(path=tmp_path / "net.pt"), place(tmp_path, bare_python())) as worker,
    ):
        worker.load()
    assert caught.value.exit_code == 2
    assert caught.value.what == (
        f"The model `net.pt` needs the module `torch`, which is not installed in `{bare_python()}`."
    )
    assert "Install it in a step before this one" in caught.value.fix


def test_a_model_of_an_unknown_type_asks_for_a_loader(tmp_path: Path) -> None:
    (tmp_path / "net.xyz").write_bytes(b"?")
    with (
        pytest.raises(
            ModelSetupFault, match=r"type of `net.xyz` is not known: `a file ending in .xyz`"
        ) as caught,
        Worker(ModelSpec(path=tmp_path / "net.xyz"), place(tmp_path, bare_python())) as worker,
    ):
        worker.load()
    assert "model-loader" in caught.value.fix


def test_an_input_that_nothing_names_is_asked_for_when_it_is_needed(tmp_path: Path) -> None:
    with bare(tmp_path, "def load(path): return lambda x: x") as worker:
        assert worker.load().inputs == ()
        with pytest.raises(ModelSetupFault, match=r"Nothing says what `model.txt` takes") as caught:
            worker.time_block(1)
        assert "Give `input`" in caught.value.fix


def test_secrets_are_not_in_the_workers_environment(tmp_path: Path) -> None:
    source = (
        "import json, os\n"
        "def load(path):\n"
        "    with open('seen.json', 'w') as file: json.dump(dict(os.environ), file)\n"
        "    return lambda x: x\n"
    )
    given = {
        "GITHUB_TOKEN": "ghs_0123456789abcdef",
        "INPUT_GITHUB-TOKEN": "ghs_0123456789abcdef",
        "WANDB_API_KEY": "f" * 40,
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGEXAMPLEKEY",
        "AWS_SESSION_TOKEN": "a-session-of-somebody",
        "HF_TOKEN": "hf_0123456789",
        "MODEL_REGISTRY_PASSWORD": "pass-word-of-mine",
        "TORCH_INDEX": "https://ada:pass-word@packages.example.com",
        "OMP_STACKSIZE": "ghs_0123456789abcdef",
        "GITHUB_ENV": "/home/runner/env",
        "ACTIONS_RUNTIME_TOKEN": "eyJhbGciOi",
        "MODEL_SIZE": "small",
        "OMP_NUM_THREADS": "1",
    }
    with bare(tmp_path, source, **given) as worker:
        worker.load()
    seen = (tmp_path / "seen.json").read_text()
    for secret in ("ghs_", "fffff", "wJalr", "a-session", "hf_0", "pass-word", "eyJ", "GITHUB_ENV"):
        assert secret not in seen
    assert '"MODEL_SIZE": "small"' in seen
    assert '"OMP_NUM_THREADS": "1"' in seen
    assert '"MODEL_PATH"' in seen


def test_a_module_of_the_projects_takes_nothing_from_the_worker(tmp_path: Path) -> None:
    for name in ("json", "clock", "load", "serve", "statistics"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the project has this module')")
    source = "import sys\ndef load(path): return (lambda x: sys.path[0]), [[1.0]]"
    with bare(tmp_path, source) as worker:
        worker.load()
        assert worker.predict(worker.example())["output"] == str(tmp_path)


def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no interpreter `python9` \(input `python`\)"):
        python.find("python9", os.environ["PATH"], tmp_path)
    with pytest.raises(UsageError, match="There is no Python on the PATH"):
        python.find("", str(tmp_path), tmp_path)
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "python").symlink_to(bare_python())
    assert python.find("env/python", "", tmp_path) == tmp_path / "env" / "python"


def test_an_interpreter_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("no program")
    broken.chmod(0o755)
    (tmp_path / "model.txt").write_text("weights")
    with pytest.raises(UsageError, match="cannot be started"):
        Worker(ModelSpec(path=tmp_path / "model.txt"), place(tmp_path, broken))


def test_where_theirs_lacks_the_library_ours_stands_in(tmp_path: Path) -> None:
    ours = Path(sys.executable)  # with onnxruntime, without torch
    onnx, text, torch = (tmp_path / name for name in ("net.onnx", "net.txt", "net.pt"))
    assert python.with_libraries((bare_python(), ours), [onnx, text]) == ours
    assert python.with_libraries((bare_python(), ours), [text]) == bare_python()
    assert python.with_libraries((bare_python(), ours), [onnx, torch]) is None
    assert python.families([torch, onnx, text, onnx]) == ("onnx", "torch")


def test_a_model_that_is_not_there_is_told_before_a_loader_sees_it(tmp_path: Path) -> None:
    with bare(tmp_path, "def load(path): raise SystemExit") as worker:
        (tmp_path / "model.txt").unlink()
        with pytest.raises(ModelSetupFault, match=r"The model `model.txt` is not there"):
            worker.load()


def _oldest() -> Path | None:
    """Return an interpreter of Python 3.8, where this machine has one that runs."""
    places = [Path.home() / ".pyenv/versions", Path("/opt/hostedtoolcache/Python")]
    found = [
        each for place in places for end in ("bin", "x64/bin") for each in place.glob(f"3.8.*/{end}/python")
    ]
    return next(iter(found), None)


@pytest.mark.skipif(_oldest() is None, reason="there is no Python 3.8 here")
def test_a_model_runs_in_the_oldest_python_that_the_worker_takes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        f"{calling('pass')}\ndef measure(model):\n    return {{'rows': len(model([[1.0]]))}}\n"
    )
    (tmp_path / "model.txt").write_text("weights")
    python = _oldest()
    assert python is not None
    spec = ModelSpec(path=tmp_path / "model.txt", loader="mine:load")
    with Worker(spec, place(tmp_path, python)) as worker:
        worker.load()
        assert worker.warm_up(most_s=0.2).calls > 0
        assert len(worker.time_block(3, draw=1)) == 3
        assert worker.memory().peak > 0
        assert "3.8" in worker.environment()["python"]
        assert worker.predict(worker.example(3), batch=2)["output"].tolist() == [[1.0, 2.0]] * 3
        assert worker.evaluate("mine:measure") == {"rows": 1.0}


def test_an_interpreter_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = tmp_path / "python"  # says what `worker/__main__.py` says in such a one
    old.write_text(
        "#!/bin/sh\necho 'cml-action runs models in Python 3.8 or later, and this is 3.6.9'\nexit 1\n"
    )
    old.chmod(0o755)
    (tmp_path / "model.txt").write_text("weights")
    spec = ModelSpec(path=tmp_path / "model.txt", loader="mine:load")
    with (
        Worker(spec, place(tmp_path, old)) as worker,
        pytest.raises(ModelSetupFault, match=r"is too old: `3\.6\.9`"),
    ):
        worker.load()
