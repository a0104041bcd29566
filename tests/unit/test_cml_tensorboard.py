"""`cml tensorboard connect`: charts out of event files, as real programs write them."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

import pytest

from cml_action.cml.events import curves
from tests.services.cml import Terminal

if TYPE_CHECKING:
    from pathlib import Path

#: What tensorboardX 2.6 wrote for `add_scalar("loss", 0.5, 1)` and `add_scalar("loss", 0.25, 2)`.
WRITTEN = base64.b64decode(
    "GAAAAAAAAACjf0siCWswuTwtwtpBGg1icmFpbi5FdmVudDoypQgrXRoAAAAAAAAAEpvYLQmvP7k8LcLaQRABKg0KCwoEbG9zcxUA"
    "AAA/MOS2cBoAAAAAAAAAEpvYLQlbRrk8LcLaQRACKg0KCwoEbG9zcxUAAIA+QOlPvg=="
)
NAME = "events.out.tfevents.1767225600.host"


def field(number: int, content: bytes | int) -> bytes:
    """Encode one field, shorter than 128 bytes, as Protocol Buffers do."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def of_tensorflow(tag: str, step: int, value: float) -> bytes:
    """Encode a record as TensorFlow 2 writes a scalar: a tensor of one float. (Checksums are not read.)"""
    tensor = field(1, 1) + field(4, struct.pack("<f", value))
    event = field(2, step) + field(5, field(1, field(1, tag.encode()) + field(8, tensor)))
    return struct.pack("<Q", len(event)) + b"\0\0\0\0" + event + b"\0\0\0\0"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for run, content in {"train": WRITTEN, "val": of_tensorflow("loss", 1, 0.75)}.items():
        (tmp_path / "logs" / run).mkdir(parents=True)
        (tmp_path / "logs" / run / NAME).write_bytes(content)
    return tmp_path / "logs"


def test_scalars_of_pytorch_and_of_tensorflow_are_read_by_run(logs: Path) -> None:
    assert curves(logs) == {"loss": {"train": {1: 0.5, 2: 0.25}, "val": {1: 0.75}}}


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (WRITTEN[:-10], {1: 0.5}),  # still being written
        (WRITTEN + b"\xff" * 40, {1: 0.5, 2: 0.25}),
        (b"not an event file, in spite of its name", None),
        (b"", None),
    ],
)
def test_a_file_counts_as_far_as_it_can_be_read(
    tmp_path: Path, content: bytes, known: dict[int, float] | None
) -> None:
    (tmp_path / NAME).write_bytes(content)

    assert curves(tmp_path) == ({"loss": {".": known}} if known else {})


def test_the_line_of_a_workflow_appends_charts_to_its_report_where_it_appended_a_link(logs: Path) -> None:
    terminal = Terminal(folder=logs.parent, environ={"TB_CREDENTIALS": "{}"})

    done = terminal.cml_here("tensorboard-dev", "--logdir=logs", "--md", "--name", "Curves", "-c", "{}")

    assert done.code == 0
    assert done.out.startswith("**`Curves`**\n\n```mermaid\n")
    assert '  line "train" [0.5, 0.25]\n  line "val" [0.75, 0.75]\n```' in done.out
    assert "| `loss`  | `train` |" in done.out
    assert "TensorBoard.dev was shut down" in done.said
    assert "Not used any more: `--credentials`." in done.said


def test_the_charts_may_go_to_a_file_that_is_named(logs: Path) -> None:
    done = Terminal(folder=logs.parent, environ={}).cml_here(
        "tensorboard", "connect", "--logdir", "logs", "--file", "report.md"
    )

    assert (done.code, done.out) == (0, "")
    assert "```mermaid" in (logs.parent / "report.md").read_text()


def test_a_folder_without_scalars_is_named(tmp_path: Path) -> None:
    done = Terminal(folder=tmp_path, environ={}).cml_here("tensorboard", "connect", "--logdir", ".")

    assert done.code == 2
    assert "There are no scalars in `.`." in done.said
