"""A version's files from W&B, each checked on its way.

The client's own download follows references onto the runner's disk, checks no digest and waits up to twenty
minutes. Here files come from the addresses that the server signs, within time limits, and the digest of the
version is computed from what came (`ArtifactManifestV1.digest` of the client: path and digest of each file).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cml_action.errors import OutsideError
from cml_action.registry.protocol import NotThereError

if TYPE_CHECKING:
    from requests import Session
    from wandb import Artifact

    from cml_action.registry.wandbdoor import Door

_CONNECT_S, _READ_S, _AT_ONCE, _PIECE = 10, 60, 8, 1 << 20
_GONE = (404, 410)
_XXH128 = "MANIFEST_XXH128"


@dataclass(frozen=True)
class _File:
    path: str
    address: str


def download(door: Door, artifact: Artifact, folder: Path) -> Path:
    """Write a version's files below an empty folder, and return the model: the file where it is one.

    :raises NotThereError: files are gone from the storage; they are named.
    :raises OutsideError: what came is not what the version's digest says.
    """
    shown = artifact.qualified_name
    with door.errors(f"list the files of `{shown}`"):
        files = [_File(each.name, each.direct_url) for each in artifact.files(per_page=100)]
        algorithm = getattr(artifact.digest_algorithm, "value", str(artifact.digest_algorithm))
    if not files:
        raise NotThereError(f"`{shown}` holds no file.", "Log the model's files into it as a new version.")
    for each in files:
        _check(each, shown)
    with _session() as session, ThreadPoolExecutor(_AT_ONCE) as aside:
        jobs = {
            each.path: aside.submit(_bring, door, session, each, folder, shown, algorithm) for each in files
        }
        digests = {path: job.result() for path, job in jobs.items()}
    gone = sorted(path for path, digest in digests.items() if digest is None)
    if gone:
        raise NotThereError(
            f"Files of `{shown}` are not in the storage any more: {', '.join(f'`{each}`' for each in gone)}.",
            "Choose another version, or log this one again.",
        )
    if (
        _manifest_digest({path: digest or "" for path, digest in digests.items()}, algorithm)
        != artifact.digest
    ):
        raise OutsideError(
            f"What came for `{shown}` is not what its digest {artifact.digest} says: files were changed in"
            " the storage, or it holds references to files elsewhere.",
            "Log the model's files themselves, with `add_file` or `add_dir`, as a new version.",
        )
    return folder / files[0].path if len(files) == 1 else folder


def _check(file: _File, shown: str) -> None:
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or "\\" in file.path or "\0" in file.path or not path.parts:
        raise OutsideError(
            f"`{shown}` holds a file named `{file.path}`, which leads out of its folder.",
            "Nothing was written; log the model again under plain names.",
        )
    if not file.address.startswith(("https://", "http://")):
        raise OutsideError(
            f"`{shown}` refers to a file elsewhere, `{file.path}`, which W&B does not hold.",
            "Log the file itself, with `add_file`, as a new version.",
        )


@contextlib.contextmanager
def _session() -> Any:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    # Signed addresses: no key is sent along, and none of `.netrc`.
    with requests.Session() as session:
        session.trust_env = True
        session.auth = _nobody
        retry = Retry(
            total=4,
            backoff_factor=0.5,
            status_forcelist=(408, 429, 500, 502, 503, 504),
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=_AT_ONCE))
        yield session


def _nobody(request: Any) -> Any:
    return request


def _bring(door: Door, session: Session, file: _File, folder: Path, shown: str, algorithm: str) -> str | None:
    """Write one file and return its digest as the manifest has it; None where the storage has lost it."""
    import requests

    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with door.errors(f"fetch `{file.path}` of `{shown}`"):
        try:
            return _stream(session, file.address, target, algorithm)
        except requests.exceptions.ChunkedEncodingError:  # retries end when an answer begins
            return _stream(session, file.address, target, algorithm)


def _stream(session: Session, address: str, target: Path, algorithm: str) -> str | None:
    with session.get(address, stream=True, timeout=(_CONNECT_S, _READ_S)) as answer:
        if answer.status_code in _GONE:
            return None
        answer.raise_for_status()
        found = _hasher(algorithm)
        with target.open("wb") as stream:
            for piece in answer.iter_content(_PIECE):
                stream.write(piece)
                found.update(piece)
    return base64.b64encode(found.digest()).decode()


def _hasher(algorithm: str) -> Any:
    if algorithm == _XXH128:
        import xxhash

        return xxhash.xxh128()
    return hashlib.md5(usedforsecurity=False)


def _manifest_digest(digests: dict[str, str], algorithm: str) -> str:
    found = _hasher(algorithm)
    found.update(b"wandb-artifact-manifest-v1\n")
    for path, digest in sorted(digests.items()):
        found.update(f"{path}:{digest}\n".encode())
    return str(found.hexdigest())
