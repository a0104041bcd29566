"""Which kinds of storage a DVC project names, read before DVC itself is installed: standard library only."""

from __future__ import annotations

import configparser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

#: The files of `.dvc/` that hold remotes; the user's own and the system's are the machine's affair.
_FILES = ("config", "config.local")


def remote_schemes(project: Path) -> set[str]:
    """Return the schemes of all remotes, such as `s3` or `gs`; a remote in a folder has none.

    The project may lie in a sub-folder of the DVC repository. A configuration that cannot be read has no
    schemes here: DVC says later what is wrong with it.
    """
    project = project.resolve()
    for folder in (project, *project.parents):
        if (folder / ".dvc").is_dir():
            return {scheme for file in _FILES for scheme in _schemes(folder / ".dvc" / file)}
    return set()


def _schemes(path: Path) -> set[str]:
    # DVC writes lines like Git's, indented and with quoted section names: ['remote "storage"'].
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string("\n".join(line.strip() for line in path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return set()
    remotes = [name for name in parser.sections() if name.strip("'\"").startswith("remote ")]
    schemes = {urlsplit(parser.get(name, "url", fallback="")).scheme.lower() for name in remotes}
    # One letter is a drive of Windows; `remote://` points to another remote of the same file.
    return {scheme for scheme in schemes if len(scheme) > 1 and scheme != "remote"}
