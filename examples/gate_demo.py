"""Train a small network on digits, gate it, and gate a slower and a worse one beside it.

The digits are those that scikit-learn ships: 1,797 images of 8 x 8 pixels. The network is trained with
scikit-learn and served by a few lines of numpy, as a service would do it: the loader in `serve.py`. The
slower one gives the same answers from a hidden layer that is padded with units of weight zero; the worse one
saw eighty digits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

SEED = 20
UNITS, PADDED, FEW = 64, 2_000, 80
POLICY = """\
model:
  path: models/candidate.npz
  loader: serve:load
  input: {shape: [1, 64], dtype: float32, range: [0, 1]}
  threads: 1
  data: data/test.csv
  task: classification
  label: digit
  gates:
    - {measure: accuracy, min: 0.9, max-drop: 0.01}
    - {measure: latency-p50, max-ratio: 1.10}
    - {measure: latency-p95, max: 100 ms}
    - {measure: size, max: 50 MB}
"""
SERVE = """\
import numpy as np


def load(path):
    saved = np.load(path)
    first, second = saved["first"], saved["second"]
    inner, outer = saved["inner"], saved["outer"]

    def classify(pixels):
        return (np.maximum(pixels @ first + inner, 0) @ second + outer).argmax(axis=1)

    return classify
"""


def main() -> int:
    """Build the project, gate three models, and say where the reports are."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/gate-demo").resolve()
    build(folder)
    return demo(folder)


def build(project: Path) -> None:
    """Write the models, the labelled rows and the policy into a project's folder."""
    for name in ("models", "data"):
        (project / name).mkdir(parents=True, exist_ok=True)
    pixels, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(
        pixels / 16, digits, test_size=0.4, random_state=SEED
    )
    rows = pd.DataFrame(test, columns=[f"pixel-{at}" for at in range(test.shape[1])])
    rows.assign(digit=test_digits).to_csv(project / "data" / "test.csv", index=False)
    good = trained(train, train_digits, seed=SEED)
    for name, network in {
        "production": good,
        "candidate": trained(train, train_digits, seed=SEED + 1),
        "slower": padded(good),
        "worse": trained(train[:FEW], train_digits[:FEW], seed=SEED),
    }.items():
        (first, second), (inner, outer) = network.coefs_, network.intercepts_
        weights = {"first": first, "second": second, "inner": inner, "outer": outer}
        np.savez(
            project / "models" / f"{name}.npz", **{key: each.astype("f4") for key, each in weights.items()}
        )
    (project / "serve.py").write_text(SERVE, encoding="utf-8")
    (project / "cml.yaml").write_text(POLICY, encoding="utf-8")


def trained(pixels: np.ndarray, digits: np.ndarray, *, seed: int) -> MLPClassifier:
    """Train a network with one hidden layer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((UNITS,), solver="lbfgs", max_iter=100, random_state=seed).fit(pixels, digits)


def padded(network: MLPClassifier) -> MLPClassifier:
    """Return the same function with many more hidden units, none of which leads anywhere."""
    wide = MLPClassifier((UNITS + PADDED,), solver="lbfgs", random_state=SEED)
    wide.__dict__.update({**network.__dict__, "hidden_layer_sizes": (UNITS + PADDED,)})
    first, second = network.coefs_
    wide.coefs_ = [np.pad(first, ((0, 0), (0, PADDED))), np.pad(second, ((0, PADDED), (0, 0)))]
    wide.intercepts_ = [np.pad(network.intercepts_[0], (0, PADDED)), network.intercepts_[1]]
    return wide


def demo(project: Path) -> int:
    """Gate the candidate, the slower and the worse network; 0 where each verdict is as it should be."""
    found = {name: gate(project, name) for name in ("candidate", "slower", "worse")}
    expected = {"candidate": {0}, "slower": {1}, "worse": {1}}
    for name, code in found.items():
        print(f"{name}: exit code {code}, {project / 'reports' / name}.html")
    return int(any(found[name] not in codes for name, codes in expected.items()))


def gate(project: Path, name: str) -> int:
    """Run the gate as a user would, keep its report, and return its exit code."""
    model = f"models/{name}.npz"
    command = [sys.executable, "-m", "cml_action", "gate", model, "--baseline", "models/production.npz"]
    command += ["--python", sys.executable]
    print(f"\n$ cml-action {' '.join(command[3:6])} models/production.npz", flush=True)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "RUNNER_"))}
    code = subprocess.run(command, cwd=project, check=False, env=environ).returncode  # noqa: S603 -- a fixed list
    kept = project / "reports"
    kept.mkdir(exist_ok=True)
    for suffix in ("html", "md"):
        (project / "cml-report" / f"report.{suffix}").replace(kept / f"{name}.{suffix}")
    (project / "cml-report" / "verdict.json").replace(kept / f"{name}.verdict.json")
    return code


if __name__ == "__main__":
    sys.exit(main())
