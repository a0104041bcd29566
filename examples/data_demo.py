"""Build a small project whose data changes, and run `pull, stats` on it as a user would.

The data set is the UCI wine data that scikit-learn ships: 178 wines of three cultivars, 13 measurements each.
The project's first commit holds four fifths of it. The second adds the others, and a filter that somebody
thought harmless: it drops the wines with little proline, which are mostly of one cultivar.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sklearn.datasets import load_wine

SEED = 20
LITTLE_PROLINE = 500


def main() -> int:
    """Build the project in a folder, and do it all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/data-demo").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    return demo(folder)


def demo(folder: Path) -> int:
    """Build the project, run the modes on a fresh clone of it, and return their exit code."""
    origin, checkout = folder / "origin", folder / "checkout"
    print(f"Building a project with two commits in {folder} …", flush=True)
    build(origin, folder / "remote")
    # A fresh clone, as a runner has it: the data is not there until it is pulled.
    git(folder, "clone", "--quiet", str(origin), str(checkout))
    command = [sys.executable, "-m", "cml_action", "run", "pull, stats", "--label", "cultivar"]
    print(f"\n$ cml-action {' '.join(command[3:4])} 'pull, stats' --label cultivar", flush=True)
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "RUNNER_"))
    }
    return subprocess.run(command, cwd=checkout, check=False, env=environ).returncode  # noqa: S603 -- a fixed list


def build(project: Path, remote: Path) -> None:
    """Make a Git repository with DVC, a remote in a folder, and two commits whose data differ."""
    project.mkdir(parents=True)
    git(project, "init", "--quiet", "--initial-branch=main")
    dvc(project, "init", "--quiet")
    dvc(project, "remote", "add", "--quiet", "--default", "storage", str(remote))
    wines = load_wine(as_frame=True).frame.sample(frac=1, random_state=SEED)
    wines.insert(0, "cultivar", wines.pop("target").map({0: "Barolo", 1: "Grignolino", 2: "Barbera"}))
    first = wines.iloc[: len(wines) * 4 // 5]
    commit(project, first, "Measure the first wines")
    commit(project, wines[wines["proline"] >= LITTLE_PROLINE], "Add the other wines, drop what looks odd")


def commit(project: Path, frame: object, message: str) -> None:
    """Write the table, track it with DVC, push it to the remote and commit its hash."""
    path = project / "data" / "wines.csv"
    path.parent.mkdir(exist_ok=True)
    frame.to_csv(path, index=False)  # type: ignore[attr-defined]
    dvc(project, "add", "--quiet", "data/wines.csv")
    dvc(project, "push", "--quiet")
    git(project, "add", "--all")
    git(
        project,
        "-c",
        "user.name=Demo",
        "-c",
        "user.email=demo@example.com",
        "commit",
        "--quiet",
        "-m",
        message,
    )


def git(folder: Path, *words: str) -> None:
    """Run git."""
    subprocess.run(["git", *words], cwd=folder, check=True)  # noqa: S603, S607 -- a fixed list


def dvc(folder: Path, *words: str) -> None:
    """Run DVC of this environment."""
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True)  # noqa: S603 -- a fixed list


if __name__ == "__main__":
    sys.exit(main())
