"""What a user reads of an error that nobody foresaw."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from cml_action.edge import _EXTRAS, own_fault


@pytest.mark.parametrize("module", ["gto", "scipy.stats"])
def test_a_part_that_was_not_installed_is_named_with_how_to_install_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = module.partition(".")[0]
    monkeypatch.setitem(sys.modules, name, None)
    if module != name:
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(module)
    fault = own_fault(caught.value)
    assert (fault.exit_code, fault.what) == (
        2,
        f"The module `{name}` is needed for this, and it is not installed.",
    )
    assert f"cml-action[{_EXTRAS[name]}]" in fault.fix


def test_a_part_is_installed_by_an_extra_that_there_is() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = set(re.findall(r"(?m)^(\w+) = \[", text.partition("[project.optional-dependencies]")[2]))
    assert {name for each in _EXTRAS.values() for name in each.split(",")} <= extras


def test_any_other_module_that_is_missing_is_a_fault_of_ours() -> None:
    fault = own_fault(ModuleNotFoundError("No module named 'cml_action.nothing'", name="cml_action.nothing"))
    assert fault.exit_code == 3
    assert "cml-action met an error of its own" in fault.what
