"""The MLflow registry: registered models, their aliases and tags, on any tracking server.

MLflow sets an alias whatever it was before: nothing there compares and swaps. What it does write only once is
a run's parameter ("Changing param values is not allowed"). So the record of a collection is a run, each move
one parameter of it (`production.000004`), and of two jobs that write the same one wins. The alias follows the
record, and the run's tag `cml-action.production` says up to which move it did. The model's tag
`cml-action.record` names the run; that it can be written shows that the alias can be.

That run lies in the experiment `cml-action`. Which run it is has to be decided once, by jobs that may start
together: by the name of an experiment, which only one of them can make, `cml-action/COLLECTION`, with a tag.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cml_action.errors import UsageError, suggestion
from cml_action.registry.history import gaps, with_outside
from cml_action.registry.kept import read_kept, to_text
from cml_action.registry.mlflow_faults import is_missing, mlflow_errors
from cml_action.registry.protocol import Kept, Move, NotThereError, Stage, Version, moved, only, read_move

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_HOME = "cml-action"
_RUN, _COLLECTION = "cml-action.record", "cml-action.collection"
_EVIDENCE, _DIGEST = "cml-action.evidence", "cml-action.digest"
#: MLflow's client repeats seven times with pauses that double from two seconds: minutes for one request. And
#: it writes addresses and bars of its own into the log.
_MANNERS = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
#: A file that MLflow's client adds to what it downloads by a model's name.
_ADDED = "registered_model_meta"
_MOST_TAG = 5_000  # characters of a version's tag (mlflow.utils.validation); MLflow 3 takes more
_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class MlflowRegistry:
    """The registered models of a tracking server.

    :param server: its address without credentials, for messages.
    """

    client: MlflowClient
    server: str
    backend: ClassVar[str] = "mlflow"

    def find(self, collection: str, wanted: str) -> Version:
        """Return the version with a number, an alias or a SHA-256."""
        if wanted.startswith("sha256:"):
            return self._with_digest(collection, wanted)
        number = re.fullmatch(r"[vV]?([1-9]\d*)", wanted)
        with self._errors(f"find `{collection}:{wanted}`"):
            try:
                if number:
                    found = self.client.get_model_version(collection, number[1])
                else:
                    found = self.client.get_model_version_by_alias(collection, wanted)
            except Exception as error:
                if is_missing(error):
                    raise self._not_there(collection, wanted, is_number=bool(number)) from error
                raise
        return _version(found)

    def look(self, collection: str, alias: str) -> Stage:
        """Read the record's run and the alias."""
        run = self._record(collection)
        recorded, doubts, highest = _moves(run, alias)
        moves = with_outside(recorded)
        last, holds = (moves[-1] if moves else None), self._holder(collection, alias)
        done = _number(run.data.tags.get(f"{_HOME}.{alias}", "")) if run else 0
        pending = bool(last and done < last.number and holds in (last.previous, last.version))
        if last and not pending and holds != last.version:
            doubts = (*doubts, _by_hand(alias, holds, last))
            moves = (
                *moves,
                Move(number=0, alias=alias, version=holds, previous=last.version, kind="outside"),
            )
        if not last and holds:
            moves = (Move(number=0, alias=alias, version=holds, kind="outside"),)
        name = last.version if pending and last else holds
        return Stage(
            collection=collection,
            alias=alias,
            holder=Version(collection=collection, name=name) if name else None,
            moves=moves,
            next=highest + 1,
            pending=pending,
            doubts=(*doubts, *gaps(moves)),
            seen=(last.number if last else 0, name),
        )

    def settle(self, stage: Stage) -> Stage:
        """Let the alias follow the record."""
        if not stage.pending or not stage.last:
            return stage
        self._follow(stage.collection, stage.last)
        return replace(stage, pending=False)

    def move(self, stage: Stage, move: Move) -> Stage:
        """Write the move's parameter, then let the alias follow."""
        now = self.settle(self.look(stage.collection, stage.alias))
        if now.seen != stage.seen:
            raise moved(now)
        version = self.find(stage.collection, move.version)
        run = self._record(stage.collection) or self._make_record(stage.collection)
        done = replace(move, version=version.name)
        with self._errors(f"move `{move.alias}` of `{stage.collection}`"):
            # Who may not write to the model may not move its alias: were the move recorded all the same, the
            # next job with more rights would carry it out.
            self.client.set_registered_model_tag(stage.collection, _RUN, run.info.run_id)
        with self._errors(f"record the move of `{move.alias}`"):
            try:
                self.client.log_param(run.info.run_id, _key(move.alias, move.number), done.to_json())
            except Exception as error:
                if "Changing param values is not allowed" in str(error):
                    raise moved(self.look(stage.collection, stage.alias)) from error
                raise
        self._follow(stage.collection, done)
        return replace(
            stage,
            holder=version,
            moves=(*stage.moves, done),
            next=move.number + 1,
            pending=False,
            seen=(move.number, version.name),
        )

    def versions(self, collection: str) -> Iterator[Version]:
        """Yield the versions, newest first."""
        yield from self._search(f"name={_quoted(collection)}")

    def download(self, version: Version, folder: Path) -> Path:
        """Bring the artifacts that the version names."""
        from mlflow.artifacts import download_artifacts

        with self._errors(f"download `{version.reference}`"):
            try:
                uri = self.client.get_model_version_download_uri(version.collection, version.name)
                got = Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), **self._addresses()))
            except Exception as error:
                if is_missing(error):
                    raise _no_files(version) from error
                raise
        if got.is_file():
            return got
        (got / _ADDED).unlink(missing_ok=True)
        files = [each for each in got.rglob("*") if each.is_file()]
        if not files:
            raise _no_files(version)
        return files[0] if len(files) == 1 else got

    def evidence(self, version: Version) -> Kept | None:
        """Read the version's tag."""
        with self._errors(f"read the evidence beside `{version.reference}`"):
            tags = self.client.get_model_version(version.collection, version.name).tags
        text = tags.get(_EVIDENCE)
        return read_kept(text, shown_as=f"{version.reference}, tag {_EVIDENCE}") if text else None

    def keep_evidence(self, version: Version, kept: Kept) -> None:
        """Set the version's tags: the digest, by which it is found, and the evidence."""
        with self._errors(f"keep the evidence beside `{version.reference}`"):
            for name, value in ((_DIGEST, kept.evidence.digest), (_EVIDENCE, to_text(kept, most=_MOST_TAG))):
                self.client.set_model_version_tag(version.collection, version.name, name, value)

    def _holder(self, collection: str, alias: str) -> str:
        """Return the version that holds an alias, empty where none does.

        Asked for a registered model with its aliases, the server reads all of its versions, however many.
        """
        with self._errors(f"read the alias `{alias}` of `{collection}`"):
            try:
                return str(self.client.get_model_version_by_alias(collection, alias).version)
            except Exception as error:
                if not is_missing(error):
                    raise
            try:
                self.client.get_registered_model(collection)
            except Exception as error:
                if is_missing(error):
                    raise self._not_there(collection, alias, is_number=False) from error
                raise
        return ""

    def _follow(self, collection: str, move: Move) -> None:
        """Let the alias follow a move, or the one that came after it in the meantime; then say so.

        A job may sleep between its record and its alias, and wake up when others have moved on: it looks once
        more after it wrote, so that the alias is never left behind the record.
        """
        with self._errors(f"move `{move.alias}` of `{collection}`"):
            while True:
                self.client.set_registered_model_alias(collection, move.alias, move.version)
                run = self._record(collection)
                newer = _moves(run, move.alias)[0]
                if not run or not newer or newer[-1].number <= move.number:
                    break
                move = newer[-1]
            self.client.set_tag(run.info.run_id, f"{_HOME}.{move.alias}", str(move.number))  # type: ignore[union-attr]

    def _record(self, collection: str) -> Run | None:
        """Return the run that holds the record of a collection, None where none was made yet."""
        with self._errors(f"read the record of `{collection}`"):
            found = self.client.get_experiment_by_name(f"{_HOME}/{collection}")
            return self.client.get_run(found.tags[_RUN]) if found and _RUN in found.tags else None

    def _make_record(self, collection: str) -> Run:
        with self._errors(f"make the record of `{collection}`"):
            home = self._experiment(_HOME)
            mine = self.client.search_runs(
                [home],
                f"tags.`{_COLLECTION}` = {_quoted(collection)}",
                order_by=["attributes.start_time ASC"],
            )
            run = mine[0] if mine else None
            if run is None:
                tags = {_COLLECTION: collection}
                run = self.client.create_run(home, run_name=f"Record of {collection}", tags=tags)
            self.client.set_terminated(run.info.run_id)
            self._experiment(f"{_HOME}/{collection}", {_RUN: run.info.run_id})
        decided = self._record(collection)
        if decided is None:
            raise UsageError(
                f"{self.server} has an experiment `{_HOME}/{collection}` without the tag `{_RUN}`.",
                "Someone made or edited it by hand: delete it for good, or give it the tag back.",
            )
        return decided

    def _experiment(self, name: str, tags: dict[str, str] | None = None) -> str:
        """Return the id of an experiment, made where it is not there."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.client.create_experiment(name, tags=tags))
            except Exception as error:
                if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id) if found else ""

    def _with_digest(self, collection: str, wanted: str) -> Version:
        query = f"name={_quoted(collection)} AND tags.`{_DIGEST}` = {_quoted(wanted)}"
        found = {each.name: each for each in self._search(query)}
        return found[only(list(found), collection, wanted)]

    def _search(self, query: str) -> Iterator[Version]:
        token = None
        while True:
            with self._errors("list the versions"):
                page = self.client.search_model_versions(
                    query, max_results=_PAGE, order_by=["version_number DESC"], page_token=token
                )
            yield from map(_version, page)
            token = page.token
            if not token:
                return

    def _not_there(self, collection: str, wanted: str, *, is_number: bool) -> NotThereError:
        try:
            aliases = sorted(self.client.get_registered_model(collection).aliases)
        except Exception as error:
            if not is_missing(error):
                raise
            return NotThereError(
                f"There is no registered model `{collection}` on {self.server}.",
                "Check the input `collection` or `model`, and MLFLOW_TRACKING_URI.",
            )
        have = f"It has {', '.join(f'`{each}`' for each in aliases)}." if aliases else "It has no alias yet."
        if is_number:
            return NotThereError(
                f"There is no version {wanted} of `{collection}` on {self.server}: it never was, or was"
                " deleted.",
                f"Name another version, or an alias. {have}",
            )
        return NotThereError(
            f"No version of `{collection}` holds the alias `{wanted}`.{suggestion(wanted, aliases)}",
            f"{have} Name one of them, or a version such as `{collection}:3`.",
        )

    def _errors(self, doing: str) -> Any:
        return mlflow_errors(doing, self.server)

    def _addresses(self) -> dict[str, str]:
        client: Any = self.client
        return {"tracking_uri": client.tracking_uri, "registry_uri": client._registry_uri}  # noqa: SLF001 -- no other way


def open_mlflow(environ: Mapping[str, str]) -> MlflowRegistry:
    """Return the registry that MLFLOW_TRACKING_URI names (MLFLOW_REGISTRY_URI, where it is another).

    The credentials are MLflow's own variables, which its client reads: MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.

    :raises UsageError: no address, or that of a folder.
    """
    uri = environ.get("MLFLOW_TRACKING_URI", "")
    registry = environ.get("MLFLOW_REGISTRY_URI") or uri
    if not uri:
        raise UsageError(
            "The registry is MLflow, and MLFLOW_TRACKING_URI is not set.",
            "Set it in the step's `env:` to the address of the tracking server.",
        )
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    shown = re.sub(r"://[^/@]*@", "://", registry)
    return MlflowRegistry(client=MlflowClient(tracking_uri=uri, registry_uri=registry), server=shown)


def _version(found: ModelVersion) -> Version:
    made = datetime.fromtimestamp(found.creation_timestamp / 1000, tz=timezone.utc)
    return Version(
        collection=found.name,
        name=str(found.version),
        created=made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        revision=found.tags.get("mlflow.source.git.commit", ""),
        source=found.source or "",
    )


def _moves(run: Run | None, alias: str) -> tuple[tuple[Move, ...], tuple[str, ...], int]:
    """Return the moves that a run records, a sentence for each record that is none, and the last number."""
    moves, doubts, highest = [], [], 0
    for key, value in sorted((run.data.params if run else {}).items()):
        stem, _, number = key.rpartition(".")
        if stem != alias or not number.isdigit():
            continue
        move, highest = read_move(value), max(highest, int(number))
        if move and move.number == int(number):
            moves.append(move)
        else:
            doubts.append(f"The parameter `{key}` of the record was written by hand and is not read.")
    return tuple(moves), tuple(doubts), highest


def _key(alias: str, number: int) -> str:
    return f"{alias}.{number:06}"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _by_hand(alias: str, holds: str, last: Move) -> str:
    return (
        f"`{alias}` is held by {f'version {holds}' if holds else 'no version'}, and the last recorded move"
        f" gave it to version {last.version}: someone moved it by other means."
    )


def _quoted(text: str) -> str:
    if "'" in text or "\n" in text:
        raise UsageError(
            f"`{text}` cannot be searched for in MLflow: it holds a quotation mark or a line break."
        )
    return f"'{text}'"


def _no_files(version: Version) -> NotThereError:
    return NotThereError(
        f"The files of `{version.reference}` are not there any more ({version.source}).",
        "Restore them where they were stored, or name another version.",
    )
