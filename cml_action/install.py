"""The private environment of the Action: made once a job, holding only what the asked modes need.

This module runs in the user's Python, before anything is installed: it knows the standard library alone.

Everything comes from hash-locked lists (`requirements/*.txt`), as wheels only: nothing is built, and no code
of a package runs while it is installed. The lists are locked together and hold the same versions, so families
add up in one environment. uv installs them (itself from the index, hash-locked): with all packages in the
caches `base` took 1.3 s, and 17 s with pip; `base`, `pull` and `stats` 3.6 s, and 101 s with pip
(`benchmarks/install.py` measures it again).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.errors import OutsideError
from cml_action.remotes import remote_schemes
from cml_action.uv import call, get_uv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cml_action.log import Log

#: What each mode needs on top of `base`. `setup` puts DVC on the PATH; `stats` reads the base revision, with
#: which it compares, through DVC; `gate` pulls the model and its data set.
FAMILIES: dict[str, tuple[str, ...]] = {
    "setup": ("pull",),
    "pull": ("pull",),
    "stats": ("stats", "pull"),
    "gate": ("gate", "pull"),
}
#: The modes that talk to a registry; each registry has a family of its name.
REGISTRY_MODES = frozenset({"gate", "promote", "rollback"})
#: The family that speaks each scheme of a DVC remote; HTTP comes with DVC.
REMOTES = {
    "s3": "s3",
    "gs": "gs",
    "azure": "azure",
    "gdrive": "gdrive",
    "ssh": "ssh",
    "webdav": "webdav",
    "webdavs": "webdav",
}

#: Variables of the user's that reach the installers: where packages come from and how they are fetched. The
#: others (PIP_TARGET, PIP_CONSTRAINT, UV_OVERRIDE, …) say what to install into the user's own environment.
_PASSED = re.compile(
    r"(?!PYTHON|PIP_|UV_|VIRTUAL_ENV)"
    r"|PIP_(CONFIG_FILE|(EXTRA_)?INDEX_URL|FIND_LINKS|NO_INDEX|(CLIENT_)?CERT|TRUSTED_HOST|PROXY|RETRIES"
    r"|(DEFAULT_)?TIMEOUT|CACHE_DIR|NO_CACHE_DIR|KEYRING_PROVIDER)$"
    r"|UV_(CONFIG_FILE|(DEFAULT_|EXTRA_)?INDEX|INDEX_URL|EXTRA_INDEX_URL|INDEX_\w+|FIND_LINKS|NO_INDEX|OFFLINE"
    r"|HTTP_\w+|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER|CACHE_DIR|NO_CACHE|LINK_MODE"
    r"|CONCURRENT_\w+)$"
)


def asked_for(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the families that the step's inputs need.

    What is wrong with the inputs is the program's to say; it needs no more than `base` for that.
    """
    try:
        return families_for(
            json.loads(environ.get("CML_ACTION_INPUTS", "")), Path(environ.get("GITHUB_WORKSPACE", "."))
        )
    except (json.JSONDecodeError, AttributeError):
        return ("base",)


def families_for(given: Mapping[str, object], start: Path) -> tuple[str, ...]:
    """Return the families that inputs need, as they were written.

    :param start: where `working-directory` starts.
    """
    asked = {name: str(value or "").strip() for name, value in given.items()}  # as the program trims them
    modes = [part.strip() for part in re.split(r"[,\n]", asked.get("mode", ""))]
    project = start / (asked.get("working-directory") or ".")
    more = _of_registry(asked, project) if REGISTRY_MODES.intersection(modes) else set()
    return families_of(modes, project, _schemes(asked), more)


def families_of(
    modes: Iterable[str], project: Path, schemes: Iterable[str] = (), more: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the families that modes need; unknown modes need none.

    :param project: its DVC remotes decide too.
    :param schemes: of other storages that are used; `more`: families that are needed besides.
    """
    families = {*more, *(family for mode in modes for family in FAMILIES.get(mode, ()))}
    used = {*schemes, *(remote_schemes(project) if "pull" in families else ())}
    return ("base", *sorted(families | {REMOTES[scheme] for scheme in used if scheme in REMOTES}))


def _schemes(asked: Mapping[str, str]) -> set[str]:
    """Return the kind of storage that pictures go to."""
    scheme = asked.get("assets", "").partition("://")[0]
    return {"azure" if scheme == "az" else scheme}


def _of_registry(asked: Mapping[str, str], project: Path) -> set[str]:
    """Return the families of the registry that is asked; versions in Git may have their files in DVC."""
    named = asked.get("registry") or _registry(project / (asked.get("config") or "cml.yaml"))
    if named in {"mlflow", "wandb"}:
        return {named}
    tracked = any((each / ".dvc").is_dir() for each in (project, *project.parents))
    return {"git", "pull"} if tracked else {"git"}


def _registry(policy: Path) -> str:
    """Return what `cml.yaml` names as `registry.backend`, read before there is a reader of YAML."""
    try:
        text = policy.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
    text = re.sub(r"(?m)(^|[ \t])#.*", "", text)
    section = re.search(r"(?m)^registry:[ \t]*(.*(?:\n(?:[ \t].*)?)*)", text)
    found = re.search(r"\bbackend:[ \t]*[\"']?(git|mlflow|wandb)\b", section[1]) if section else None
    return found[1] if found else ""


def ensure(families: Sequence[str], locks: Path, environ: Mapping[str, str], log: Log) -> Path:
    """Return the interpreter of a private environment that holds the families; make what is missing.

    :param families: names of lists in `locks`.
    :raises UsageError: without pip.
    :raises OutsideError: when the network, the index or the disk fails.
    """
    home = _home(environ) / f"cml-action-{_digest(locks)}"
    scripts = home / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    try:
        if not _missing(home, families):
            return python
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home.with_suffix(".lock")):
            if missing := _missing(home, families):
                began = time.monotonic()
                _install(home, python, [locks / f"{family}.txt" for family in missing], environ)
                log.line(f"Installed {', '.join(missing)} privately in {time.monotonic() - began:.1f} s.")
    except OSError as error:
        raise OutsideError(
            f"The private environment could not be made in {home}: {error.strerror or error}.",
            "Free some space, or point RUNNER_TEMP at a folder that can be written; then run the step again.",
        ) from None
    return python


def _home(environ: Mapping[str, str]) -> Path:
    """Return the folder of this job; outside a runner one of the user's own, never a shared one."""
    given = environ.get("RUNNER_TEMP")
    return Path(given).resolve() if given else Path.home() / ".cache" / "cml-action"


def _digest(locks: Path) -> str:
    """Name what an environment is made of: every list, and the interpreter underneath."""
    digest = hashlib.sha256()
    for part in (sys.version, sys.base_prefix, sys.platform, platform.machine()):
        digest.update(part.encode() + b"\0")
    for path in sorted(locks.glob("*.txt")):
        if path.stem != "dev":
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _missing(home: Path, families: Iterable[str]) -> list[str]:
    return [family for family in families if not (home / f"{family}.installed").is_file()]


def _install(home: Path, python: Path, lists: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Install lists into the environment, and mark each as done.

    While that goes on, `unfinished` stands there. Where somebody finds it, an earlier run was killed and what
    lies there may be half a package: it is made anew.
    """
    unfinished = home / "unfinished"
    if unfinished.exists():
        shutil.rmtree(home)
    home.mkdir(exist_ok=True)
    unfinished.touch()
    clean = {name: value for name, value in environ.items() if _PASSED.match(name)}
    uv, settings = get_uv(home, lists[0].with_name("uv.txt"), clean)
    if not python.exists():
        venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(home / "env")
    call(
        [
            *(str(uv), "pip", "install", "--quiet", "--python", str(python)),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
            *(part for path in lists for part in ("--requirements", str(path))),
        ],
        home,
        {**settings, **clean},
    )
    for path in lists:
        (home / f"{path.stem}.installed").touch()
    unfinished.unlink()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process that holds it, however that ends."""
    with path.open("ab") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                with contextlib.suppress(OSError):  # after ten seconds it gives up by itself
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
