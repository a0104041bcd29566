"""Files of the workspace in one pull request: opened by the first run, updated by the later ones.

No clone and no `git push`: the commit is made through the Git data API, with the token's own rights. A branch
only moves forward, so that nobody's commits on it are lost: but for one of our own naming whose pull request
is no longer open, which starts anew.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from github import GithubException

from cml_action.errors import OutsideError
from cml_action.github import complete, github_errors, may_not_write, why_not

if TYPE_CHECKING:
    from collections.abc import Mapping

    from github.Repository import Repository

#: GitHub's limit for a pull request's text, in characters.
MOST_BODY = 65_536
#: Text up to this size travels inside the tree; everything else as a blob of its own.
_MOST_INLINE = 1_000_000
_BAD, _NOT_FOUND, _NOT_ALLOWED, _CONFLICT, _UNPROCESSABLE = 400, 404, 405, 409, 422
_ATTEMPTS = 5
AUTO_MERGE = """
mutation($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { clientMutationId }
}"""

Merge = Literal["merge", "rebase", "squash"]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file shall hold.

    :param executable: whether Git marks it as a program.
    """

    data: bytes
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What became of the pull request.

    :param outcome: `unchanged`: the base holds the files already; `skipped`: `reason` says why.
    :param url: its page; empty where there is none.
    :param merge: `merged`; `waiting`: GitHub merges it when its checks have passed; empty: not asked for, or
        not possible, and `reason` says why.
    """

    outcome: Literal["opened", "updated", "unchanged", "skipped"]
    url: str = ""
    number: int = 0
    reason: str = ""
    merge: Literal["", "merged", "waiting"] = ""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a pull request shall bring.

    :param branch: the pull request's own branch, without `refs/heads/`.
    :param base: the branch that it is to be merged into.
    :param revision: the commit that the files were made from, where a new branch starts. Where others have
        changed them in the base meanwhile, Git then finds a conflict, and nobody's work is taken back.
    :param files: by path in the repository; none where the branch has been pushed already.
    :param body: Markdown, at most `MOST_BODY` characters; the rest is cut.
    :param message: of the commit.
    :param merge: how GitHub shall merge it once its checks have passed; None leaves that to people.
    :param author: of the commit, `name` and `email`; None for the token's own, whose commits GitHub signs.
    """

    branch: str
    base: str
    revision: str
    files: Mapping[str, Content]
    title: str
    body: str
    message: str
    merge: Merge | None = None
    author: Mapping[str, str] | None = None


def open_pull_request(repository: Repository, proposal: Proposal) -> Opened:
    """Commit files to a branch, and open a pull request of it or update the one that is open.

    :param repository: of `cml_action.github.connect`; it may be lazy.
    :return: `skipped` where the token may not; the reason names the permission.
    :raises OutsideError: GitHub cannot be reached, refuses what was sent, or does not have the revision.
    """
    hub = _Hub(repository)
    with github_errors("open the pull request"):
        try:
            return complete(lambda: _open(hub, proposal))
        except GithubException as error:
            if not may_not_write(error):
                raise
            return Opened(outcome="skipped", reason=_refused(error))


def branch_for(title: str, base: str) -> str:
    """Return the branch of a title's pull request: the same in every run, so that there is one."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-")
    if words != title:
        words = f"{words}-{hashlib.sha256(title.encode(errors='surrogatepass')).hexdigest()[:6]}".strip("-")
    return f"cml-pr/{base}/{words}"


def is_own_branch(name: str) -> bool:
    """Whether a branch is one of `branch_for`: a run on it opens no pull request on top of another."""
    return name.startswith("cml-pr/") or "-cml-pr-" in name


class _Hub:
    """The repository's part of the API, as plain requests: none is made that is not needed."""

    def __init__(self, repository: Repository) -> None:
        self.requester = repository.requester
        self.path = urlsplit(repository.url).path if "://" in repository.url else repository.url
        self.owner = self.path.split("/")[-2]

    def call(self, verb: str, route: str, sent: Mapping[str, Any] | None = None) -> Any:
        given = dict(sent) if sent is not None else None
        return self.requester.requestJsonAndCheck(verb, f"{self.path}{route}", input=given)[1]

    def head_of(self, branch: str) -> str:
        """Return a branch's commit; nothing where there is no such branch."""
        found = self._got(f"/git/ref/heads/{quote(branch)}")
        return str(found["object"]["sha"]) if found else ""

    def tree_of(self, commit: str) -> str:
        found = self._got(f"/git/commits/{commit}")
        if not found:
            raise OutsideError(f"The commit {commit[:7]} is not on GitHub.", "Push it first.")
        return str(found["tree"]["sha"])

    def _got(self, route: str) -> Any:
        """Return what is there; None where there is nothing."""
        try:
            return self.call("GET", route)
        except GithubException as error:
            if error.status != _NOT_FOUND:
                raise
            return None


def _open(hub: _Hub, asked: Proposal) -> Opened:
    found = _find(hub, asked)
    if asked.files and not _committed(hub, asked, is_open=found is not None):
        return Opened(outcome="unchanged", reason=f"`{asked.base}` holds these files already")
    wanted = {"title": asked.title, "body": asked.body[:MOST_BODY]}
    outcome: Literal["opened", "updated"] = "updated"
    if found is None:
        try:
            found = hub.call("POST", "/pulls", {**wanted, "head": asked.branch, "base": asked.base})
            outcome = "opened"
        except GithubException as error:
            if error.status != _UNPROCESSABLE or "already exists" not in str(error.data).lower():
                raise
            found = _find(hub, asked)  # another run was faster
            if found is None:
                raise
    if outcome != "opened" and any(_lines(found.get(key)) != _lines(value) for key, value in wanted.items()):
        found = hub.call("PATCH", f"/pulls/{found['number']}", wanted)
    merged, reason = _merge(hub, found, asked) if asked.merge else ("", "")
    return Opened(
        outcome=outcome,
        url=str(found["html_url"]),
        number=int(found["number"]),
        reason=reason,
        merge=merged,
    )


def _find(hub: _Hub, asked: Proposal) -> Any:
    head, base = quote(f"{hub.owner}:{asked.branch}", safe=""), quote(asked.base, safe="")
    pulls = hub.call("GET", f"/pulls?state=open&head={head}&base={base}")
    return pulls[0] if pulls else None


def _committed(hub: _Hub, asked: Proposal, *, is_open: bool) -> bool:
    """Bring the files onto the branch; False where the base has all of them: there is nothing to propose."""
    branch = asked.branch
    if not is_open and _held(hub, asked):
        return False
    for _ in range(_ATTEMPTS):
        head = hub.head_of(branch)
        starts_anew = not head or (is_own_branch(branch) and not is_open)
        below = asked.revision if starts_anew else head
        tree, changed = _changed(hub, below, asked.files)
        if not changed:
            return not starts_anew
        entries = [_entry(hub, path, content) for path, content in changed.items()]
        made = hub.call("POST", "/git/trees", {"base_tree": tree, "tree": entries})
        sent = {"message": asked.message, "tree": made["sha"], "parents": [below]}
        if asked.author:
            sent["author"] = dict(asked.author)
        commit = hub.call("POST", "/git/commits", sent)
        try:
            if head:
                moved = {"sha": commit["sha"], "force": starts_anew}
                hub.call("PATCH", f"/git/refs/heads/{quote(branch)}", moved)
            else:
                hub.call("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": commit["sha"]})
        except GithubException as error:
            if error.status != _UNPROCESSABLE or "protected" in str(error.data).lower():
                raise
            continue  # somebody moved it, or made it, meanwhile
        return True
    raise GithubException(_CONFLICT, {"message": f"{branch} moved {_ATTEMPTS} times in between"})


def _held(hub: _Hub, asked: Proposal) -> bool:
    """Whether the base holds all files already, as it is now."""
    tip = hub.head_of(asked.base)
    if not tip:
        raise GithubException(_NOT_FOUND, {"message": f"There is no branch {asked.base}"})
    return not _changed(hub, tip, asked.files)[1]


def _changed(hub: _Hub, commit: str, files: Mapping[str, Content]) -> tuple[str, dict[str, Content]]:
    """Return a commit's tree, and the files that it does not hold as they are."""
    tree = hub.tree_of(commit)
    listed = hub.call("GET", f"/git/trees/{tree}?recursive=1")["tree"]
    there = {str(entry["path"]): (str(entry["sha"]), str(entry["mode"])) for entry in listed}
    return tree, {
        path: content
        for path, content in files.items()
        if there.get(path) != (_git_hash(content.data), _mode(content))
    }


def _entry(hub: _Hub, path: str, content: Content) -> dict[str, Any]:
    return {"path": path, "mode": _mode(content), "type": "blob", **_carried(hub, content.data)}


def _mode(content: Content) -> str:
    return "100755" if content.executable else "100644"


def _carried(hub: _Hub, data: bytes) -> dict[str, str]:
    if len(data) <= _MOST_INLINE:
        try:
            return {"content": data.decode()}
        except UnicodeDecodeError:
            pass
    sent = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
    return {"sha": str(hub.call("POST", "/git/blobs", sent)["sha"])}


def _git_hash(data: bytes) -> str:
    """Return the name that Git gives to a content (Pro Git, "Git Objects")."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _merge(hub: _Hub, pull: Any, asked: Proposal) -> tuple[Literal["", "merged", "waiting"], str]:
    """Have GitHub merge when the checks have passed; at once where nothing is waited for, as CML did."""
    method = str(asked.merge)
    wanted = {"pullRequestId": pull["node_id"], "mergeMethod": method.upper()}
    try:
        hub.requester.graphql_query(AUTO_MERGE, {"input": wanted})
    except GithubException as error:
        # No checks to wait for, not allowed in this repository, or a server that cannot.
        if error.status not in {_BAD, _NOT_FOUND}:
            raise
    else:
        return "waiting", ""
    head = hub.head_of(asked.branch)
    try:
        hub.call("PUT", f"/pulls/{pull['number']}/merge", {"merge_method": method, "sha": head})
    except GithubException as error:
        if error.status not in {_NOT_ALLOWED, _CONFLICT, _UNPROCESSABLE} and not may_not_write(error):
            raise
        return "", (
            f"it was not merged: {why_not(error)};"
            " allow auto-merge in the repository's settings, or merge it by hand"
        )
    return "merged", ""


def _refused(error: GithubException) -> str:
    why = why_not(error)
    if "not permitted to create" in why:
        return f"{why}; allow it under Settings, Actions, General, `Workflow permissions`"
    return f"{why}; it needs `contents: write` and `pull-requests: write`" if "needs" not in why else why


def _lines(text: Any) -> str:
    return str(text or "").replace("\r\n", "\n").rstrip()
