"""ONNX models whose weights lie in other files, as exporters write large ones: none is read undigested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cml_action.model import onnxfile
from cml_action.model.faults import ModelFault, ModelSetupFault
from tests.services.models import loaded, make_models

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("models") / "project")


def test_a_folder_with_one_onnx_file_is_loaded_with_the_weights_beside_it(project: Path) -> None:
    rows = {"pixels": np.ones((5, 64), "float32")}
    with loaded(project, "apart") as apart, loaded(project, "net.onnx") as whole:
        size = sum(each.stat().st_size for each in (project / "apart").iterdir())
        assert apart.load().size_bytes == size > 64 * 32 * 4
        np.testing.assert_allclose(apart.predict(rows)["scores"], whole.predict(rows)["scores"])


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
