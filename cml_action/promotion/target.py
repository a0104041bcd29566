"""Which stage of which collection is meant, and which version shall take it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cml_action.errors import UsageError, suggestion
from cml_action.model import reference
from cml_action.promotion import lock
from cml_action.registry.open import Surroundings, open_registry
from cml_action.registry.wandbevent import read_automation

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.registry.protocol import Registry

# `mnist:v3`, `mnist@v1.2.3` and `mnist#production` as GTO writes them, `org/registry/mnist:production`,
# `mnist@sha256:…`. A digest may stand alone. MLflow's names may hold spaces.
_REFERENCE = re.compile(
    rf"(?:(?!{reference.DIGEST}$)(?P<collection>[^@#\s]+?(?: [^@#\s]+)*?)[:@#])?"
    rf"(?P<wanted>{reference.DIGEST}|[\w.+-]+)"
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A stage of a collection in a registry.

    :param stages: the stages in the order of promotion; empty where `cml.yaml` names none.
    """

    registry: Registry
    collection: str
    alias: str
    stages: tuple[str, ...]

    @property
    def before(self) -> str:
        """The stage that a version has to pass before this one; empty where there is none."""
        at = self.stages.index(self.alias) if self.alias in self.stages else 0
        return self.stages[at - 1] if at else ""

    @property
    def is_last(self) -> bool:
        """Whether no stage comes after this one."""
        return not self.stages or self.alias == self.stages[-1]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How the candidate was named.

    :param name: a version, an alias or a digest, as `Registry.find` takes it.
    :param origin: who named it, in words.
    """

    name: str
    origin: str


def open_target(job: Job, named: str = "", origin: str = "") -> tuple[Target, Wanted | None]:
    """Find out where promotion happens, and who named the candidate; None where nobody did.

    :param named: the candidate, where the caller knows it; what the input or the event names where empty.
    :param origin: who named it, in words.
    :raises UsageError: no collection is named, two are, or the alias is no stage.
    """
    parts, origin = _parts(job, named, origin) if named else _named(job)
    own, wanted = parts or ("", "")
    target = stage_of(job, own, origin)
    if parts:
        return target, Wanted(name=wanted, origin=origin)
    return target, _unnamed(job, target)


def stage_of(job: Job, own: str = "", origin: str = "") -> Target:
    """Return the stage that the input `alias` names.

    :param own: the collection that a model was named with, `origin` says by whom; empty where by nobody.
    :raises UsageError: no collection is named, two are, or the alias is no stage.
    """
    section = job.policy.registry if job.policy else None
    backend = job.inputs.registry or (section and section.backend) or "git"
    collection = job.inputs.collection or (section and section.collection) or own
    if not collection:
        raise UsageError(
            "Nothing says in which collection of the registry the model is.",
            "Set the input `collection`, `registry.collection` in cml.yaml, or name the model as"
            " `collection:version`.",
        )
    if own and not names_same(own, collection):
        raise UsageError(
            f"{_capital(origin)} names a model of `{own}`, and promotion happens in `{collection}`.",
            "Name a version of that collection, or set the input `collection`.",
        )
    stages = (section.stages if section else None) or ()
    if stages and job.inputs.alias not in stages:
        raise UsageError(
            f"The input `alias` is `{job.inputs.alias}`, which is no stage."
            f"{suggestion(job.inputs.alias, stages)}",
            f"The stages of `cml.yaml` are {', '.join(f'`{each}`' for each in stages)}.",
        )
    return Target(
        registry=open_registry(backend, surroundings(job)),
        collection=collection,
        alias=job.inputs.alias,
        stages=stages,
    )


def names_same(name: str, other: str) -> bool:
    """Whether two names are of one collection, the longer one with what W&B puts before it."""
    return f"/{name}".endswith(f"/{other}") or f"/{other}".endswith(f"/{name}")


def surroundings(job: Job) -> Surroundings:
    """Return what the registries' backends may know of a job."""
    model = job.policy.model if job.policy else None
    return Surroundings(
        root=job.root,
        project=job.project,
        prefix=job.prefix,
        private=job.private,
        model_path=(model.path if model else None) or "",
        remote=job.inputs.remote,
        token=job.inputs.github_token.get_secret_value(),
        server_url=job.event.server_url,
        environ=os.environ,
        log=job.log,
    )


def _named(job: Job) -> tuple[tuple[str, str] | None, str]:
    """Return the collection (or nothing) and the version that the input or the event names, and who did."""
    if job.inputs.model:
        return _parts(job, job.inputs.model, "the input `model`")
    if job.event.ref.startswith("refs/tags/") and job.event.name in {"push", "create"}:
        return _parts(job, job.event.ref.removeprefix("refs/tags/"), "the pushed tag")
    found = reference.find("", job.event, None)
    return _parts(job, found.text, found.origin) if found else (None, "")


def _parts(job: Job, named: str, origin: str) -> tuple[tuple[str, str], str]:
    payload = job.event.payload.get("client_payload") if job.event.name == "repository_dispatch" else None
    said = read_automation(payload) if isinstance(payload, dict) and not job.inputs.model else None
    if said and said.reference == named:  # the version that was meant, and not who holds its alias by now
        return (said.collection, said.pinned), origin
    parts = split(named)
    if not parts:
        raise UsageError(
            f"{_capital(origin)} names the model `{named}`, which is no version in a registry.",
            "Name it as `collection:version` or `collection:alias`.",
        )
    return parts, origin


def split(named: str) -> tuple[str, str] | None:
    """Return the collection (or nothing) and the version of a reference; None where it is none."""
    match = _REFERENCE.fullmatch(named)
    return (match["collection"] or "", match["wanted"]) if match else None


def _unnamed(job: Job, target: Target) -> Wanted | None:
    """Return the version that the lock file names, else the one in the stage before."""
    locked = lock.read(job.project / lock.FILE).get(target.collection, {}).get(target.alias)
    if locked:
        return Wanted(name=locked, origin=f"`{lock.FILE}`")
    if target.before:
        return Wanted(name=target.before, origin=f"the stage `{target.before}`")
    return None


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
