"""Where the pictures of a report are stored, so that a comment can show them.

`open_store` reads the input `assets` and returns a store, or None where nothing is to be stored. A store
takes pictures and gives the address of each; the same picture is stored once. What may not be written is a
`StoreRefusedError`, for which there is always the other way: a figure as Mermaid, words for a picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from cml_action.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import github.Repository

    from cml_action.publish.pictures import Picture

BRANCH = "cml-assets"
_ALLOWED = "`auto`, `branch`, `branch:NAME`, `s3://…`, `gs://…`, `az://…` or `none`"
_DAYS = re.compile(r"([1-9][0-9]{0,4})\s*(?:d|days?)")
# "Ref names": what Git itself refuses, and what a URL would take apart.
_NAME = re.compile(r"(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)))[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}(?<![./])")


class StoreRefusedError(OutsideError):
    """The store may not be written, or not by this token: nothing was, and the report goes without it."""


class Store(Protocol):
    """A place for pictures."""

    #: What people call it: "the branch `cml-assets`".
    name: str

    def put(self, pictures: Sequence[Picture]) -> dict[str, str]:
        """Store pictures, and return the address of each by its `digest`.

        :raises StoreRefusedError: it may not be written.
        :raises OutsideError: it cannot be reached.
        """


def open_store(
    asked: str,
    repository: github.Repository.Repository | None,
    *,
    keep: str = "90 days",
    signed: str = "",
    server_url: str = "",
) -> Store | None:
    """Return the store that the input `assets` names; nothing is called before pictures are put into it.

    :param asked: `auto`, `branch`, `branch:NAME`, `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `none`, or the
        address of a CML asset server (`https://…`).
    :param repository: of `cml_action.github.connect`; without one there is no branch.
    :param keep: how long the branch keeps a picture: `90 days`, or `forever`.
    :param signed: how long addresses in a bucket are signed for (`7 days`); empty: it is public.
    :param server_url: where the repository's pages are, `https://github.com`; found from the API where empty.
    :return: None where nothing is stored: `none`, or a branch without a repository.
    :raises UsageError: the input says something else.
    """
    scheme, _, rest = asked.partition("://")
    if asked == "none":
        return None
    if asked in {"auto", "branch"} or asked.startswith("branch:"):
        name = asked.partition(":")[2] or BRANCH
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"The input `assets` is `{asked}`: that is no branch.", f"Allowed are {_ALLOWED}."
            )
        days = parse_days(keep, "assets-keep")
        if repository is None:
            return None
        from cml_action.publish.branch import BranchStore

        return BranchStore(repository, name, keep_days=days, server_url=server_url)
    if scheme in {"s3", "gs", "az"} and rest.strip("/"):
        from cml_action.publish.bucket import BucketStore

        days = parse_days(signed, "assets-signed") if signed else None
        return BucketStore(scheme, rest.strip("/"), signed_days=days)
    if scheme in {"http", "https"} and rest:
        from cml_action.publish.server import ServerStore

        return ServerStore(asked)
    raise UsageError(f"The input `assets` is `{asked}`.", f"Allowed are {_ALLOWED}.")


def check_assets(asked: str, *, keep: str, signed: str) -> None:
    """Check the inputs before anything runs.

    :raises UsageError: one says something that nothing can be made of.
    """
    open_store(asked, None, keep=keep, signed=signed)


def parse_days(text: str, input_name: str) -> int | None:
    """Return a number of days; None for `forever`.

    :raises UsageError: it is neither.
    """
    if text.strip() == "forever":
        return None
    found = _DAYS.fullmatch(text.strip())
    if not found:
        raise UsageError(f"The input `{input_name}` is `{text}`.", "It reads like `90 days`, or `forever`.")
    return int(found[1])
