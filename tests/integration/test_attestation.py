"""The evidence of a gate as an attestation, made and verified the way `docs/gate.md` says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.services.attestation import NotVerifiedError, Signed, Visibility, sign, verify
from tests.services.forked import forked_step
from tests.services.models import DARK
from tests.services.projects import write
from tests.services.runner import ROOT

if TYPE_CHECKING:
    from tests.services.runner import Step

#: What `actions/attest` asks of its inputs, as its `action.yml` says.
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MOST_BYTES = 16 * 1024 * 1024
DOCS = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
POLICY = """\
model:
  loader: dark:load
  threads: 1
  input: {shape: [1, 64], dtype: float32}
  gates: [{measure: size, max: MOST}]
"""


def documented_step() -> dict[str, Any]:
    """The step with `actions/attest` that the docs show."""
    text = DOCS[DOCS.index("      - uses: actions/attest@") :]
    (step,) = yaml.safe_load(textwrap.dedent(text[: text.index("```")]))
    found: dict[str, Any] = step
    return found


def given_to_attest(gate: Step) -> dict[str, str]:
    """The inputs of that step after a gate, as the runner fills them in."""
    output = re.compile(r"\$\{\{ steps\.gate\.outputs\.([a-z-]+) \}\}")
    given = {
        name: output.sub(lambda found: gate.outputs[found[1]], text)
        for name, text in documented_step()["with"].items()
    }
    assert not any("${{" in text for text in given.values())
    return given


def gate(folder: Path, model: str, *, most: str = "1 MB") -> Step:
    workspace = folder / "workspace"
    workspace.mkdir()
    files = {"net.bin": "weights", "net/of words.txt": "words", "net/B/1.bin": "1", "net/a.bin": "a"}
    write(workspace, {"cml.yaml": POLICY.replace("MOST", most), "dark.py": DARK, **files})
    return forked_step(workspace, {"mode": "gate", "python": sys.executable, "model": model})


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Step]:
    """A model that passed its gate, and the gate."""
    folder = tmp_path_factory.mktemp("gated")
    step = gate(folder, "net.bin")
    assert step.code == 0, step.log
    return folder / "workspace" / "net.bin", step


@pytest.fixture(scope="module")
def signed(gated: tuple[Path, Step], tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign(given_to_attest(gated[1]), tmp_path_factory.mktemp("signed"), visibility="private")


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_the_evidence_is_signed_about_exactly_the_file_that_was_tested(
    gated: tuple[Path, Step], tmp_path: Path, visibility: Visibility
) -> None:
    model, step = gated
    given = given_to_attest(step)
    evidence = Path(step.outputs["verdict-file"])
    assert DIGEST.fullmatch(given["subject-digest"])
    assert evidence.stat().st_size < MOST_BYTES

    signed = sign(given, tmp_path, visibility=visibility)

    assert signed.stored == signed.bundle
    statement = verify(model, signed, predicate_type=given["predicate-type"])
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert statement == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "net.bin", "digest": {"sha256": digest}}],
        "predicateType": "https://github.com/org/cml-action/gate/v1",
        "predicate": json.loads(evidence.read_text()),
    }
    assert statement["predicate"]["verdict"] == "pass"


def test_the_command_of_the_docs_asks_for_the_predicate_that_the_step_signs() -> None:
    assert f"--predicate-type {documented_step()['with']['predicate-type']} " in DOCS


def test_another_file_repository_or_type_does_not_verify(
    gated: tuple[Path, Step], signed: Signed, tmp_path: Path
) -> None:
    model, step = gated
    wanted = given_to_attest(step)["predicate-type"]
    changed = tmp_path / model.name
    changed.write_bytes(model.read_bytes() + b"!")
    with pytest.raises(NotVerifiedError, match=f"not about {hashlib.sha256(b'weights!').hexdigest()}"):
        verify(changed, signed, predicate_type=wanted)
    with pytest.raises(NotVerifiedError, match=r"invalid certificate extension - missing OID .*\.12$"):
        verify(model, signed, predicate_type=wanted, repository="o/another")
    with pytest.raises(NotVerifiedError, match="the predicate is a "):
        verify(model, signed, predicate_type="https://slsa.dev/provenance/v1")


def test_what_others_signed_does_not_verify(gated: tuple[Path, Step], signed: Signed, tmp_path: Path) -> None:
    model, step = gated
    given = given_to_attest(step)
    theirs = sign(given, tmp_path, visibility="private")
    with pytest.raises(NotVerifiedError):
        verify(
            model, replace(theirs, trusted_root=signed.trusted_root), predicate_type=given["predicate-type"]
        )


def test_a_verdict_that_fails_is_signed_as_one_and_does_not_verify_as_another(tmp_path: Path) -> None:
    step = gate(tmp_path, "net.bin", most="1 B")
    assert (step.code, step.outputs["verdict"]) == (1, "fail"), step.log
    given = given_to_attest(step)
    model = tmp_path / "workspace" / "net.bin"

    signed = sign(given, tmp_path / "signed", visibility="private")

    statement = verify(model, signed, predicate_type=given["predicate-type"])
    assert statement["predicate"]["verdict"] == "fail"
    statement["predicate"]["verdict"] = "pass"
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope = {**signed.bundle["dsseEnvelope"], "payload": payload}
    forged = replace(signed, bundle={**signed.bundle, "dsseEnvelope": envelope})
    with pytest.raises(NotVerifiedError, match="signature verification failed"):
        verify(model, forged, predicate_type=given["predicate-type"])


def test_a_folder_is_verified_by_the_list_that_the_docs_write_of_its_files(tmp_path: Path) -> None:
    step = gate(tmp_path, "net")
    assert step.code == 0, step.log
    given, workspace = given_to_attest(step), tmp_path / "workspace"
    (written,) = re.findall(r"^\(cd models/net && .*\) > net\.sha256$", DOCS, re.MULTILINE)
    command = written.replace("models/net", "net")

    signed = sign(given, tmp_path / "signed", visibility="private")

    subprocess.run(["bash", "-euc", command], cwd=workspace, check=True)
    statement = verify(workspace / "net.sha256", signed, predicate_type=given["predicate-type"])
    assert statement["subject"][0]["name"] == "net"
    (workspace / "net" / "a.bin").write_text("b")
    subprocess.run(["bash", "-euc", command], cwd=workspace, check=True)
    with pytest.raises(NotVerifiedError, match="the statement is not about "):
        verify(workspace / "net.sha256", signed, predicate_type=given["predicate-type"])
