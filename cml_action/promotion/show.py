"""`cml-action history`: the record of a stage, as a table or as JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from tabulate import tabulate

from cml_action.job import open_job
from cml_action.promotion.target import open_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.inputs import Inputs
    from cml_action.log import Log
    from cml_action.registry.protocol import Stage

_WIDEST = 48


def show(inputs: Inputs, environ: Mapping[str, str], log: Log, *, as_json: bool) -> str:
    """Return the record of the stage that the inputs name, as text."""
    job = open_job(inputs, environ, log)
    try:
        target, _ = open_target(job)
        stage = target.registry.look(target.collection, target.alias)
    finally:
        shutil.rmtree(job.private, ignore_errors=True)
    return to_json(stage) if as_json else to_table(stage)


def to_json(stage: Stage) -> str:
    """Return the record for programs: moves oldest first, with every field of `Move`."""
    found = {
        "schema": 1,
        "collection": stage.collection,
        "alias": stage.alias,
        "holder": stage.holder.name if stage.holder else None,
        "pending": stage.pending,
        "moves": [asdict(each) for each in stage.moves],
        "doubts": list(stage.doubts),
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def to_table(stage: Stage) -> str:
    """Return the record for people, the latest move first."""
    holder = stage.holder.name if stage.holder else "nobody"
    head = f"{stage.collection}#{stage.alias}: {holder} holds it"
    if stage.pending:
        head += " by the record, and the alias does not follow it yet: run the job that moved it again"
    rows = [
        (
            each.number or "–",
            each.when.replace("T", " ").removesuffix("Z"),
            each.kind,
            each.version or "nobody",
            each.previous or "–",
            _short(each.who),
            _short(each.why),
            each.run_url,
        )
        for each in reversed(stage.moves)
    ]
    names = ("#", "when (UTC)", "what", "version", "before", "who", "why", "run")
    table = tabulate(rows, names, tablefmt="simple", disable_numparse=True)
    return "\n".join([head, *((table,) if rows else ()), *stage.doubts])


def _short(text: str) -> str:
    plain = " ".join("".join(letter for letter in text if letter.isprintable()).split())
    return plain if len(plain) <= _WIDEST else f"{plain[: _WIDEST - 1]}…"
