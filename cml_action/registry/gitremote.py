"""A Git repository far away, read and written from a private clone of this run's own.

The user's clone stays as it is: nothing is fetched into it, no tag is made in it, and how shallow it is does
not matter. Whatever is asked is asked of the remote itself. Servers send only the references that match
(protocol version 2), commits without their history and, where they can, without their large files.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from cml_action.errors import CmlActionError, OutsideError, UsageError
from cml_action.registry.protocol import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LIMIT_S = 120.0
_PAUSES_S = (0.5, 1.5, 3.0)
#: What a clone says of how it talks to its remotes: `actions/checkout` keeps tokens and ssh's command there.
_TALKS = r"^(http|credential|url|ssh|protocol)\.|^core\.(sshcommand|askpass|gitproxy)$"
#: Files up to this size come with a commit: DVC's and GTO's own. A model is fetched when it is asked for.
_SMALL = "blob:limit=256k"

_PASSING = re.compile(
    r"returned error: (5\d\d|429)|HTTP (5\d\d|429)|[Cc]onnection (reset|refused|timed out|was reset)"
    r"|early EOF|[Rr]ecv failure|[Ss]end failure|hung up|[Ee]mpty reply|[Oo]peration timed out"
    r"|unexpected disconnect"
    r"|cannot lock ref|shallow file has changed|[Cc]ould not resolve host"
    r"|[Cc]ould(?:n't| not) connect to server"
)


@dataclass(frozen=True, kw_only=True)
class GitRemote:
    """A remote, and the private bare clone through which it is seen.

    :param clone: the folder of the bare clone.
    :param url: the remote's address; it may carry credentials, so it is never shown: see `name`.
    :param environ: on top of the process's own: how to talk to the remote, with which token.
    """

    clone: Path
    url: str
    environ: Mapping[str, str]

    @property
    def name(self) -> str:
        """The address without credentials."""
        parts = urlsplit(self.url)
        return (
            self.url.replace(f"{parts.netloc}", parts.netloc.rpartition("@")[2]) if parts.scheme else self.url
        )

    def fetch(self, *patterns: str, whole: bool = False) -> None:
        """Bring the references that match under their own names, in place of those seen before.

        :param patterns: full names with at most one `*`, or hashes of commits.
        :param whole: with the commits' trees and small files; else tags and commits alone.
        """
        named = [each for each in patterns if each.startswith("refs/")]
        for name in self._seen(*named):
            self.git("update-ref", "-d", name)
        refspecs = [f"+{each}:{each}" if each.startswith("refs/") else each for each in patterns]
        words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1"]
        words += [f"--filter={_SMALL}" if whole else "--filter=tree:0"]
        self._ask(*words, "origin", *refspecs)
        if named and not self._seen(*named) and not self._ask("ls-remote", "--heads", "origin").stdout:
            # Git takes a page for people for an old server's list, in which nothing matches.
            raise OutsideError(
                f"{self.name}: there is no branch: the repository is empty, or a page for people answers"
                " instead of it",
                _ADDRESS,
            )

    def _ask(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a git command that talks to the remote and may be repeated.

        :raises CmlActionError: as `fault` says.
        """
        for pause in (*_PAUSES_S, None):
            done = self._run(*words)
            said = done.stderr.decode(errors="replace")
            # Without a word and with exit code 1 `git fetch --depth` says that no reference matches.
            if done.returncode == 0 or (done.returncode == 1 and not said):
                return done
            if pause is None or not _PASSING.search(said):
                raise self.fault(said, f"git {words[0]}")
            time.sleep(pause)
        raise AssertionError  # the loop ends inside

    def push(self, *updates: str, leases: Sequence[str] = ()) -> str:
        """Update references, all or none; return nothing, or why the remote did not take them.

        :param updates: `OBJECT:refs/…`, never forced beyond its lease.
        :param leases: `refs/…:EXPECTED` for a reference that may be replaced while it is what was expected.
        :raises CmlActionError: where the answer is neither yes nor no, or no for want of rights.
        """
        flags = ["--quiet", "--porcelain", "--atomic", *(f"--force-with-lease={lease}" for lease in leases)]
        for pause in (*_PAUSES_S, None):
            done = self._run("push", *flags, "origin", *updates)
            if done.returncode == 0:
                return ""
            said = (done.stderr + done.stdout).decode(errors="replace")
            if _TAKEN.search(said):
                return said
            if pause is None or not _PASSING.search(said):
                raise self.fault(said, "git push")
            time.sleep(pause)
        raise AssertionError  # the loop ends inside

    def git(self, *words: str, given: bytes | None = None, missing: bool = False) -> str:
        """Run a git command on what is here and return what it prints, stripped.

        :param given: its standard input.
        :param missing: whether it may fail, for want of what it asks for; then it returns nothing.
        """
        return self.raw(*words, given=given, missing=missing).decode(errors="replace").strip()

    def raw(self, *words: str, given: bytes | None = None, missing: bool = False) -> bytes:
        """Run a git command as `git` does, and return the bytes."""
        done = self._run(*words, given=given)
        if done.returncode and not missing:
            raise self.fault(done.stderr.decode(errors="replace"), f"git {words[0]}")
        return b"" if done.returncode else done.stdout

    def save(self, blob: str, path: Path) -> None:
        """Write a file's content as it is in Git to a path, fetched if it is not here, piece by piece."""
        with path.open("wb") as stream:
            done = self._run("cat-file", "blob", blob, into=stream)
        if done.returncode:
            raise self.fault(done.stderr.decode(errors="replace"), "git cat-file")

    def names(self) -> list[tuple[str, str]]:
        """Return every reference of the remote, `(name, object)`, peeled ones ending in `^{}`.

        A repository of ten thousand tags answers with all of them: only for a message, and for a list.
        """
        lines = (
            line.partition("\t")
            for line in self._ask("ls-remote", "origin").stdout.decode(errors="replace").splitlines()
        )
        return [(name, found) for found, _, name in lines]

    def _seen(self, *patterns: str) -> list[str]:
        stems = [each.partition("*")[0] for each in patterns]
        found = self.git("for-each-ref", "--format=%(refname)").splitlines() if stems else []
        return [name for name in found if name.startswith(tuple(stems))]

    def fault(self, said: str, doing: str) -> CmlActionError:
        """Return what git said as an error of ours."""
        said = said.replace(self.url, self.name)  # the address may carry a token
        text = " ".join(said.split())
        for pattern, kind, why, fix in _FAULTS:
            if found := re.search(pattern, text):
                detail = found[1] if found.groups() and found[1] else ""
                return kind(f"{self.name}: {why.format(detail)}", fix)
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "no message")
        return OutsideError(
            f"`{doing}` failed at {self.name}: {last.strip()[:300]}",
            "Run the job again: what was done is kept.",
        )

    def _run(
        self, *words: str, given: bytes | None = None, into: BinaryIO | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 -- a list of words, no shell
                ["git", "-C", str(self.clone), *words],  # noqa: S607 -- the user's own git
                stdout=into or subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
                env={**os.environ, **self.environ},
                input=given or b"",
                timeout=_LIMIT_S,
            )
        except FileNotFoundError:
            raise UsageError(
                "There is no `git` on the PATH.", "Install Git, or use a runner with it."
            ) from None
        except subprocess.TimeoutExpired:
            raise OutsideError(
                f"{self.name} did not answer `git {words[0]}` within {_LIMIT_S:.0f} seconds.",
                "Run the job again: what was done is kept.",
            ) from None


_TAKEN = re.compile(
    r"already exists|stale info|fetch first|non-fast-forward|reference already exists|failed to update ref"
)
_AGAIN = "Run the job again: what was done is kept."
_ADDRESS = "Check the remote's address and the proxy settings; then run the job again."
_FAULTS: tuple[tuple[str, type[CmlActionError], str, str], ...] = (
    (
        r"(GH0(?:06|13)[^!]{0,200}|protected (?:branch|tag|ref)[^!]{0,200}|hook declined)",
        RefusedError,
        "a rule of the repository protects this reference ({})",
        "Let the account of `github-token` pass the ruleset, or give a token of one that may.",
    ),
    (
        r"returned error: 403|Permission to \S+ denied|Write access to repository not granted",
        RefusedError,
        "the token may not write here",
        "Add `contents: write` to the job's `permissions:`, or give `github-token` one that may write.",
    ),
    (
        r"Authentication failed|returned error: 401|could not read (?:User|Pass)|Invalid username or token",
        RefusedError,
        "the token is not accepted; it is missing, has expired or was revoked",
        "Check `github-token`.",
    ),
    (
        r"[Rr]epository .{0,200}not found|returned error: 404|does not appear to be a git repository",
        OutsideError,
        "there is no such repository, or the token may not see it",
        "Check the remote `origin` and `github-token`.",
    ),
    (
        (
            r"not valid: is this a git repository|invalid server response|expected flush"
            r"|bad line length|protocol error"
        ),
        OutsideError,
        "the server answers with something that is not Git's protocol, such as a page for people",
        _ADDRESS,
    ),
    (r"returned error: (5\d\d|429)", OutsideError, "the server answered {} several times", _AGAIN),
    (
        (
            r"resolve host|onnection (?:refused|timed out|reset)|connect to server|hung up|early EOF"
            r"|mpty reply|failure"
        ),
        OutsideError,
        "there is no connection, or it broke off",
        f"Check the network. {_AGAIN}",
    ),
)


def open_remote(workspace: Path, clone: Path, *, token: str, server_url: str) -> GitRemote:
    """Return the remote `origin` of a workspace, seen through a new bare clone.

    The token travels in the environment (`GIT_CONFIG_*`, Git 2.31), where a list of processes does not show
    it. It goes to the server's address alone, and in place of a header that `actions/checkout` left: GitHub
    refuses a request with two. An empty value clears what was said before (git-config, `http.extraHeader`).

    :raises UsageError: no repository, or one without a remote `origin`.
    """
    url = _config(workspace, "--get", "remote.origin.url").strip()
    if not url:
        raise UsageError(
            f"The Git registry is the repository's remote `origin`, and `{workspace.name}` has none.",
            "In a job: is there an `actions/checkout` step before this one? On a laptop: add it with"
            " `git remote add origin …`.",
        )
    if not urlsplit(url).scheme and ":" not in url:
        url = str((workspace / url).resolve())  # a folder, as the workspace sees it
    settings = [
        each.split("\n", 1) for each in _config(workspace, "-z", "--get-regexp", _TALKS).split("\0") if each
    ]
    if token:
        word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        header = f"http.{server_url.rstrip('/')}/.extraheader"
        settings += [[header, ""], [header, f"AUTHORIZATION: basic {word}"]]
    environ = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_CONFIG_COUNT": str(len(settings))}
    for at, (key, *value) in enumerate(settings):
        environ |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value[0] if value else "true"}
    remote = GitRemote(clone=clone, url=url, environ=environ)
    clone.mkdir(parents=True)
    remote.git("init", "--quiet", "--bare")
    remote.git("remote", "add", "origin", url)
    return remote


def _config(workspace: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 -- a list of words, no shell
        ["git", "-C", str(workspace), "config", "--local", "--includes", *words],  # noqa: S607 -- the user's own git
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=_LIMIT_S,
    )
    return done.stdout if done.returncode == 0 else ""
