"""Gate and promote a model on the Git registry, then a better one, roll back, and show the record.

Everything lies in one folder: a project, and a bare repository that stands for its remote. The model is a
logistic regression on scikit-learn's digits, saved as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

POLICY = """\
model:
  path: model.json
  loader: serve:load
  input: {shape: [1, 64], dtype: float32, range: [0, 1]}
  threads: 1
  gates:
    - {measure: size, max: 1 MB}
registry:
  backend: git
  collection: digits
  stages: [production]
"""
SERVE = """\
import json

import numpy as np


def load(path):
    with open(path) as file:
        model = json.load(file)
    weights, bias = np.array(model["weights"]).T, np.array(model["bias"])
    return lambda pixels: (pixels @ weights + bias).argmax(axis=1)
"""
WHO = ("-c", "user.name=Demo", "-c", "user.email=demo@example.com")


def main() -> int:
    """Build the project in a folder, and do it all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/promote-demo").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    return demo(folder)


def demo(folder: Path) -> int:
    """Promote twice, and get back; 0 where production ends with the first version."""
    project = build(folder)
    for rows in (200, 1500):
        version = train(project, rows)
        promote(project, version)
    command(project, "rollback", "--reason", "To show the way back")
    command(project, "history")
    return 0


def build(folder: Path) -> Path:
    """Make a project with a policy, and a repository that is its remote."""
    project = folder / "project"
    project.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "registry.git")
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "remote", "add", "origin", str(folder / "registry.git"))
    (project / "cml.yaml").write_text(POLICY, encoding="utf-8")
    (project / "serve.py").write_text(SERVE, encoding="utf-8")
    (project / ".gitignore").write_text("cml-report/\n__pycache__/\n", encoding="utf-8")
    return project


def train(project: Path, rows: int) -> str:
    """Train on so many rows, commit the model, and register it as the next version."""
    data, target = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=200).fit(data[:rows] / 16, target[:rows])
    weights = {"weights": model.coef_.tolist(), "bias": model.intercept_.tolist()}
    (project / "model.json").write_text(json.dumps(weights), encoding="utf-8")
    git(project, "add", "--all")
    git(project, *WHO, "commit", "--quiet", "-m", f"Train on {rows} rows")
    tags = subprocess.run(
        ["git", "tag"],  # noqa: S607 -- a fixed list
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    version = f"v1.{len(tags)}.0"
    git(project, *WHO, "tag", "-a", "-m", f"Register {version}", f"digits@{version}")
    git(project, "push", "--quiet", "origin", "main", f"digits@{version}")
    return version


def promote(project: Path, version: str) -> None:
    """Gate a version beside the one in production, and promote it on the verdict that the gate keeps."""
    command(project, "gate", f"digits:{version}", "--python", sys.executable)
    command(project, "promote", f"digits:{version}")


def command(project: Path, *words: str) -> None:
    """Run cml-action as a user would."""
    print(f"\n$ cml-action {' '.join(words)}", flush=True)
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "RUNNER_"))
    }
    subprocess.run([sys.executable, "-m", "cml_action", *words], cwd=project, check=True, env=environ)  # noqa: S603 -- a fixed list


def git(folder: Path, *words: str) -> None:
    """Run git."""
    subprocess.run(["git", *words], cwd=folder, check=True)  # noqa: S603, S607 -- a fixed list


if __name__ == "__main__":
    sys.exit(main())
