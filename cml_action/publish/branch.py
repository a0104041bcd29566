"""The assets branch: pictures in the repository itself, for whoever may read the repository.

An orphan branch with a folder a month, and in it one file a picture, named by its SHA-256. Nothing is cloned.
GitHub's GraphQL API makes one commit of all pictures in one call, if the branch is still where it was seen
(`createCommitOnBranch`, `expectedHeadOid`); on a server without it the same is done through the Git data API,
a blob a call, with a reference that only moves forward. Whoever loses a race looks again and repeats what is
missing: no picture is lost, and none is stored twice.

A picture's address names the branch and not a commit, so that it stays the same from run to run. GitHub Docs,
"Basic writing and formatting syntax", gives `blob/BRANCH/PATH?raw=true` as the form for comments, and says
that it shows pictures of private repositories to everybody who may read them (`raw.githubusercontent.com`
does not).
"""

from __future__ import annotations

import base64
import calendar
import random
import re
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from github import GithubException
from github.GithubException import RateLimitExceededException

from cml_action.errors import OutsideError
from cml_action.github import complete, github_errors, may_not_write, translate, why_not
from cml_action.publish.assets import StoreRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from github.Repository import Repository

    from cml_action.publish.pictures import Picture

_README = """\
Pictures of reports, kept by cml-action for comments to show. Nothing here is ever merged.
The folders are months; old ones go away by themselves. To start afresh, delete the branch.
"""
_MESSAGE = "Add pictures of a report"
#: GitHub takes about 40 MB in one such call, and base64 adds a third (seen by others; not documented).
_MOST_IN_A_COMMIT = 25_000_000
_ATTEMPTS = 40
_LONGEST_PAUSE_S = 3.0
_NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 404, 409, 422
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_DOING = "store pictures on the branch `{}`"

LOOK = """
query($owner: String!, $name: String!, $ref: String!, $root: String!, $folder: String!) {
  repository(owner: $owner, name: $name) {
    ref(qualifiedName: $ref) { target { oid } }
    root: object(expression: $root) { ... on Tree { entries { name } } }
    folder: object(expression: $folder) { ... on Tree { entries { name } } }
  }
}"""
COMMIT = """
mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}"""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The branch at one moment: its commit, this month's files, and the months that it has."""

    head: str
    paths: frozenset[str]
    months: frozenset[str]


class _RaceLostError(Exception):
    """The branch moved between looking and writing."""


class BranchStore:
    """Pictures on a branch of the repository.

    :param repository: of `cml_action.github.connect`; it may be lazy.
    :param keep_days: how long a picture is kept after the month in which it was stored; None: for good.
    :param server_url: `https://github.com`; where it is not given, it is found from the API's address.
    :param today: for tests: what day it is.
    """

    def __init__(
        self,
        repository: Repository,
        branch: str,
        *,
        keep_days: int | None = 90,
        server_url: str = "",
        today: Callable[[], date] = lambda: datetime.now(timezone.utc).date(),
    ) -> None:
        self.name = f"the branch `{branch}`"
        self._requester = repository.requester
        self._path = urlsplit(repository.url).path if "://" in repository.url else repository.url
        self._full_name = "/".join(self._path.split("/")[-2:])
        self._branch, self._keep, self._today = branch, keep_days, today
        self._server = server_url or _web_address(self._requester.base_url)
        self._bulk = True
        self._blobs: dict[str, str] = {}

    def put(self, pictures: Sequence[Picture]) -> dict[str, str]:
        """Store pictures in one commit (in several where they are very large), and return their addresses."""
        month = self._today().strftime("%Y-%m")
        files = {f"{month}/{each.file_name}": each.data for each in pictures}
        with github_errors(_DOING.format(self._branch)):
            for part in _parts(files):
                self._store(part, month)
        return {each.digest: self.address(f"{month}/{each.file_name}") for each in pictures}

    def address(self, path: str) -> str:
        """Return where a file of the branch is shown."""
        return f"{self._server}/{self._full_name}/blob/{quote(self._branch)}/{path}?raw=true"

    def _store(self, files: Mapping[str, bytes], month: str) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                complete(lambda: self._bring(files, month))
            except _RaceLostError:  # noqa: PERF203 -- one of those who race has been served, so that it ends
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.05 * 1.3**attempt)))  # noqa: S311
            except GithubException as error:
                raise self._refusal(error) from error
            else:
                return
        raise OutsideError(
            f"Could not {_DOING.format(self._branch)}: other jobs wrote to it {_ATTEMPTS} times in between.",
            "Run the job again.",
        )

    def _bring(self, files: Mapping[str, bytes], month: str) -> None:
        seen = self._look(month) or self._begin()
        missing = {path: data for path, data in files.items() if path not in seen.paths}
        if missing:
            old = self._expired(seen) if month not in seen.months else []
            self._write(seen, missing, old)

    def _refusal(self, error: GithubException) -> OutsideError:
        doing = _DOING.format(self._branch)
        said = str(error.data).lower()
        if "protected" in said or "rule violation" in said:
            return StoreRefusedError(
                f"Could not {doing}: it is protected.",
                "Exclude it from the repository's rules, or name another one (`assets: branch:NAME`).",
            )
        if error.status == _CONFLICT and "empty" in said:
            return StoreRefusedError(
                f"Could not {doing}: the repository has no commits yet.", "Push one first."
            )
        if may_not_write(error):
            return StoreRefusedError(
                f"Could not {doing}: {why_not(error)}.", "Add `contents: write` to the job."
            )
        if error.status in {_CONFLICT, _UNPROCESSABLE}:
            fault = translate(error, doing)
            return StoreRefusedError(fault.what, fault.fix or "Name another branch (`assets: branch:NAME`).")
        return translate(error, doing)

    def _look(self, month: str) -> _Seen | None:
        """Return the branch as it is; None where there is none."""
        if self._bulk:
            owner, name = self._full_name.split("/")
            ref = f"refs/heads/{self._branch}"
            found = self._ask(
                LOOK,
                {"owner": owner, "name": name, "ref": ref, "root": f"{ref}:", "folder": f"{ref}:{month}"},
            )
            if found is not None:
                return _seen(found["repository"], month)
        head = self._head()
        if not head:
            return None
        paths = self._files(head)
        return _Seen(
            head=head, paths=frozenset(paths), months=frozenset(path.partition("/")[0] for path in paths)
        )

    def _head(self) -> str:
        try:
            return str(self._call("GET", f"/git/ref/heads/{quote(self._branch)}")["object"]["sha"])
        except GithubException as error:
            if error.status != _NOT_FOUND:
                raise
            return ""

    def _files(self, head: str) -> list[str]:
        tree = self._call("GET", f"/git/trees/{head}?recursive=1")
        return [str(entry["path"]) for entry in tree["tree"] if entry["type"] == "blob"]

    def _begin(self) -> _Seen:
        """Make the branch: a commit without a parent, so that it shares no history with the code."""
        entry = {"path": "README.md", "mode": "100644", "type": "blob", "content": _README}
        tree = self._call("POST", "/git/trees", {"tree": [entry]})
        commit = self._call(
            "POST", "/git/commits", {"message": "Keep pictures here", "tree": tree["sha"], "parents": []}
        )
        try:
            self._call("POST", "/git/refs", {"ref": f"refs/heads/{self._branch}", "sha": commit["sha"]})
        except GithubException as error:
            if error.status == _UNPROCESSABLE and "already exists" in str(error.data).lower():
                raise _RaceLostError from None
            raise
        return _Seen(head=str(commit["sha"]), paths=frozenset(), months=frozenset())

    def _write(self, seen: _Seen, files: Mapping[str, bytes], old: Sequence[str]) -> None:
        if self._bulk and self._write_at_once(seen, files, old):
            return
        entries: list[dict[str, Any]] = [
            {"path": path, "mode": "100644", "type": "blob", "sha": self._blob(path, data)}
            for path, data in files.items()
        ]
        entries += [{"path": path, "mode": "100644", "type": "blob", "sha": None} for path in old]
        base = self._call("GET", f"/git/commits/{seen.head}")["tree"]["sha"]
        tree = self._call("POST", "/git/trees", {"base_tree": base, "tree": entries})
        commit = self._call(
            "POST", "/git/commits", {"message": _MESSAGE, "tree": tree["sha"], "parents": [seen.head]}
        )
        try:
            self._call(
                "PATCH", f"/git/refs/heads/{quote(self._branch)}", {"sha": commit["sha"], "force": False}
            )
        except GithubException as error:
            if error.status == _UNPROCESSABLE and "fast" in str(error.data).lower():
                raise _RaceLostError from None
            raise

    def _blob(self, path: str, data: bytes) -> str:
        """Return the Git hash of a content that GitHub has now; after a lost race it has it still."""
        if path not in self._blobs:
            sent = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
            self._blobs[path] = str(self._call("POST", "/git/blobs", sent)["sha"])
        return self._blobs[path]

    def _write_at_once(self, seen: _Seen, files: Mapping[str, bytes], old: Sequence[str]) -> bool:
        """Make the commit with one call; False where the server cannot."""
        sent = {
            "branch": {"repositoryNameWithOwner": self._full_name, "branchName": self._branch},
            "message": {"headline": _MESSAGE},
            "expectedHeadOid": seen.head,
            "fileChanges": {
                "additions": [
                    {"path": path, "contents": base64.b64encode(data).decode()}
                    for path, data in files.items()
                ],
                "deletions": [{"path": path} for path in old],
            },
        }
        return self._ask(COMMIT, {"input": sent}) is not None

    def _expired(self, seen: _Seen) -> list[str]:
        """Return files of months that are long over, without those that an open pull request shows.

        Asked once a month, with the first picture of it. Where GitHub does not tell what is shown, all stay.
        """
        if self._keep is None:
            return []
        last = self._today() - timedelta(days=self._keep)
        months = {month for month in seen.months if (end := _end_of(month)) and end < last}
        if not months:
            return []
        try:
            files = [path for path in self._files(seen.head) if path.partition("/")[0] in months]
            used = self._used()
        except GithubException:
            return []
        return [path for path in files if path.rpartition("/")[2] not in used]

    def _used(self) -> str:
        """Return what open pull requests show: their texts, comments, reviews and check runs."""
        texts: list[str] = []
        for pull in self._pages("/pulls?state=open"):
            number, sha = pull["number"], pull["head"]["sha"]
            texts.append(str(pull.get("body")))
            for route in (
                f"/issues/{number}/comments",
                f"/pulls/{number}/comments",
                f"/pulls/{number}/reviews",
            ):
                texts += [str(each.get("body")) for each in self._pages(f"{route}?")]
            for check in self._pages(f"/commits/{sha}/check-runs?", "check_runs"):
                texts.append(str(check.get("output")))
        return "\n".join(texts)

    def _pages(self, route: str, key: str = "") -> Iterable[dict[str, Any]]:
        page = 1
        while True:
            mark = "&" if not route.endswith("?") else ""
            answer = self._call("GET", f"{route}{mark}per_page=100&page={page}")
            items = answer[key] if key else answer
            yield from items
            if len(items) < 100:  # noqa: PLR2004 -- as asked for
                return
            page += 1

    def _call(self, verb: str, route: str, sent: Mapping[str, Any] | None = None) -> Any:
        given = dict(sent) if sent is not None else None
        return self._requester.requestJsonAndCheck(verb, f"{self._path}{route}", input=given)[1]

    def _ask(self, query: str, variables: dict[str, Any]) -> Any:
        """Return the answer of the GraphQL API; None where this server has none, which is remembered."""
        try:
            return self._requester.graphql_query(query, variables)[1]["data"]
        except GithubException as error:
            faults = error.data.get("errors") if isinstance(error.data, dict) else None
            if not isinstance(faults, list):
                if error.status != _NOT_FOUND:
                    raise
                self._bulk = False
                return None
            kinds = {str(fault.get("type")) for fault in faults}
            if "STALE_DATA" in kinds:
                raise _RaceLostError from None
            if "RATE_LIMITED" in kinds:
                raise RateLimitExceededException(429, {"message": faults[0].get("message")}) from None
            if "FORBIDDEN" in kinds or "INSUFFICIENT_SCOPES" in kinds:
                raise GithubException(403, {"message": faults[0].get("message")}, error.headers) from None
            raise


def _parts(files: Mapping[str, bytes]) -> Iterable[dict[str, bytes]]:
    part: dict[str, bytes] = {}
    size = 0
    for path, data in files.items():
        if part and size + len(data) > _MOST_IN_A_COMMIT:
            yield part
            part, size = {}, 0
        part[path] = data
        size += len(data)
    if part:
        yield part


def _seen(repository: Mapping[str, Any], month: str) -> _Seen | None:
    ref, root, folder = (repository.get(name) for name in ("ref", "root", "folder"))
    if not ref:
        return None
    return _Seen(
        head=str(ref["target"]["oid"]),
        paths=frozenset(f"{month}/{entry['name']}" for entry in (folder or {}).get("entries", ())),
        months=frozenset(str(entry["name"]) for entry in (root or {}).get("entries", ())),
    )


def _end_of(month: str) -> date | None:
    found = _MONTH.fullmatch(month)
    if not found or not 1 <= int(found[2]) <= 12:  # noqa: PLR2004 -- months
        return None
    year, number = int(found[1]), int(found[2])
    return date(year, number, calendar.monthrange(year, number)[1]) if year else None


def _web_address(api_url: str) -> str:
    """Return the pages' address of an API's: `https://github.com`, or the server's own."""
    address = urlsplit(api_url)
    if address.hostname == "api.github.com":
        return "https://github.com"
    return f"{address.scheme}://{address.netloc.removeprefix('api.')}"
