"""ONNX models whose weights lie in other files, as exporters write large ones: none is read undigested."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cml_action.model import onnxfile
from cml_action.model.faults import ModelFault, ModelSetupFault
from cml_action.model.process import Worker
from cml_action.model.spec import ModelSpec
from tests.services.models import PATIENT, loaded, make_models, place


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("models") / "project")


def test_a_folder_with_one_onnx_file_is_loaded_with_the_weights_beside_it(project: Path) -> None:
    rows = {"pixels": np.ones((5, 64), "float32")}
    with loaded(project, "apart") as apart, loaded(project, "net.onnx") as whole:
        size = sum(each.stat().st_size for each in (project / "apart").iterdir())
        assert apart.load().size_bytes == size > 64 * 32 * 4
        np.testing.assert_allclose(apart.predict(rows)["scores"], whole.predict(rows)["scores"])


def test_a_folder_of_links_into_dvcs_cache_is_loaded(project: Path) -> None:
    (project / "linked").mkdir()
    for name, part in {"net.onnx": "ab", "net.onnx.data": "cd"}.items():
        stored = project / "cache" / part / name
        stored.parent.mkdir(parents=True)
        stored.write_bytes((project / "apart" / name).read_bytes())
        (project / "linked" / name).symlink_to(stored)
    # The onnxruntime of these tests, newer than the other, follows no such link.
    here = place(project, Path(sys.executable))
    with Worker(ModelSpec(path=project / "linked"), here, PATIENT) as worker:
        assert worker.load().kind == "onnx"


@pytest.mark.parametrize("loader", ["", "loaders:session"])
def test_a_file_whose_weights_lie_beside_it_is_not_loaded_alone(project: Path, loader: str) -> None:
    with pytest.raises(ModelSetupFault) as caught, loaded(project, "apart/net.onnx", loader=loader):
        pass
    assert caught.value.what.startswith(
        "The model `apart/net.onnx` keeps weights in another file: `net.onnx.data`."
    )
    assert "Name the folder that holds both" in caught.value.fix


@pytest.mark.parametrize("folder", ["up", "whole"])
def test_weights_that_lie_outside_of_the_folder_are_not_read(project: Path, folder: str) -> None:
    with (
        pytest.raises(ModelFault, match=f"`{folder}` keeps weights in what is no file of its folder"),
        loaded(project, folder),
    ):
        pass


def test_weights_elsewhere_are_found_wherever_onnx_may_hold_them(project: Path) -> None:
    assert onnxfile.locations(project / "places.onnx") == {
        *("initializer", "sparse", "attribute", "attributes", "branch", "branches", "function", "training")
    }
