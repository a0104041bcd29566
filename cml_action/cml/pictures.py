"""The local pictures of a report that `cml` publishes: stored, and shown by their address there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.publish.assets import StoreRefusedError, open_store
from cml_action.publish.pictures import collect, shown
from cml_action.report import Markdown, Report, Section, Text

if TYPE_CHECKING:
    from pathlib import Path

    from github.Repository import Repository

    from cml_action.log import Log
    from cml_action.publish.assets import Store


def store_at(address: str, flag: str, repo: Repository | None) -> Store | None:
    """Return the store that a flag names: the assets branch where it is empty; none without a repository.

    :raises UsageError: it is no such address.
    """
    try:
        return open_store(address or "auto", repo)
    except UsageError:
        raise UsageError(
            f"`--{flag}` is `{address}`.",
            "It is the address of a CML asset server (`https://…`), or of a bucket (`s3://…`, `gs://…`,"
            " `az://…`).",
        ) from None


def published(text: str, folder: Path, root: Path, *, asked: str, repo: Repository | None, log: Log) -> str:
    """Return a report with its local pictures stored.

    A picture that cannot be shown is a warning, and words stand for it.

    :param folder: where relative paths start; `root`: the workspace, which none may leave.
    :param asked: a CML asset server (`https://…`), or what the Action's input `assets` may be.
    """
    block = Markdown(text, folder)
    report = Report(sections=(Section(title=Text(()), blocks=(block,)),))
    gallery = collect(report, root, log)
    addresses: dict[str, str] = {}
    if gallery.pictures:
        store = store_at(asked, "publish-url", repo)
        try:
            addresses = dict(store.put(gallery.pictures)) if store else {}
        except StoreRefusedError as error:
            log.warning(str(error), title="Pictures")
    done = shown(report, gallery, lambda picture: addresses.get(picture.digest, ""))
    (written,) = done.sections[0].blocks
    return written.text if isinstance(written, Markdown) else text
