"""What cml-action keeps in the metadata of a version, under one key of its own.

```json
{"cml-action": {
  "evidence": {"source_digest": "wandb:…", "evidence": {"verdict": "pass", …}},
  "stages": {"acme/wandb-registry-model/mnist:production": {"id": "…", "after": "…", "moves": [{…}, …]}}}}
```

A version that takes a stage carries the stage's whole history with it: what was recorded before, and the move
itself. So a reader needs the version that holds the stage, and no other. The same version may be linked into
several collections, and its metadata is one for all of them: hence the collection in the key.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cml_action.registry.history import gaps
from cml_action.registry.protocol import Move, read_move

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "cml-action"
#: Older moves are not carried along: metadata is no place for megabytes.
MOST_MOVES = 200


@dataclass(frozen=True, kw_only=True)
class Record:
    """A move with the history that it continues.

    :param id: of this very attempt; empty where nothing was recorded yet.
    :param after: the `id` of the record that it continues; `older`: of the one before that.
    :param moves: oldest first, the move itself last.
    :param over: the version carried the record before already, and the move is not finished: until it is, the
        stage's record is the one before.
    :param edited: someone changed the record so that moves are missing from it.
    """

    id: str = ""
    after: str = ""
    older: str = ""
    moves: tuple[Move, ...] = ()
    over: bool = False
    edited: bool = False

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences about gaps; that older moves are not carried along is none."""
        found = gaps(self.moves)
        shortened = len(self.moves) == MOST_MOVES and self.moves[0].previous
        return found[1:] if shortened else found

    def before(self) -> Record:
        """Return what was there when this record was written over it, as far as it is known."""
        return Record(id=self.after, after=self.older, moves=self.moves[:-1])


def read_record(metadata: Mapping[str, Any], stage: str) -> Record | None:
    """Read the record of a stage; None where there is none. What was edited into nonsense is left out."""
    found = _dict(_dict(_dict(metadata.get(KEY)).get("stages")).get(stage))
    if not found:
        return None
    listed = found.get("moves")
    read = [read_move(json.dumps(each)) for each in (listed if isinstance(listed, list) else ())]
    moves = tuple(each for each in read if each)
    return Record(
        id=str(found.get("id", "")),
        after=str(found.get("after", "")),
        older=str(found.get("older", "")),
        moves=moves,
        over=found.get("over") is True,
        edited=not found.get("id") or len(moves) < len(read) or not moves,
    )


def with_record(metadata: Mapping[str, Any], stage: str, record: Record) -> dict[str, Any]:
    """Return the metadata with a record of a stage in the place of the one before."""
    kept = [asdict(each) for each in record.moves]
    ids = {"id": record.id, "after": record.after, "older": record.older}
    written = {**ids, "over": record.over, "moves": kept}
    own = _dict(metadata.get(KEY))
    return {**metadata, KEY: {**own, "stages": {**_dict(own.get("stages")), stage: written}}}


def read_evidence(metadata: Mapping[str, Any]) -> str:
    """Return the evidence as text; empty where there is none."""
    found = _dict(metadata.get(KEY)).get("evidence")
    return json.dumps(found) if found else ""


def with_evidence(metadata: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the metadata with evidence in the place of what lay there."""
    return {**metadata, KEY: {**_dict(metadata.get(KEY)), "evidence": json.loads(text)}}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
