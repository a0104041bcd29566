"""The commands and flags of CML 0.20.6, as data.

The command line is made of them, and a test holds `docs/from-cml.md` against them. Names, aliases, types,
defaults, allowed values and conflicts are those of CML 0.20.6 (`bin/cml/*/*.js`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "switch", "whole", "list"]

#: The version of CML whose command line this is.
VERSION = "0.20.6"


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One option of one command.

    :param name: without its hyphens; `aliases` likewise, one letter being a short one.
    :param default: what is taken where nobody says; empty where the command decides.
    :param conflicts: flags that may not be given beside it.
    :param hidden: it works, and help does not show it, as in CML.
    :param instead: what replaces it where it cannot be honoured; empty for all that can.
    """

    name: str
    help: str = ""
    kind: Kind = "text"
    aliases: tuple[str, ...] = ()
    default: str = ""
    choices: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    hidden: bool = False
    instead: str = ""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    :param words: as typed, `("comment", "create")`.
    :param prefix: of the variables that give its flags, `CML_COMMENT`.
    :param argument: what it takes beside flags, as help shows it; empty for nothing.
    :param many: whether it takes several, or none; `optional`: one, or none.
    :param function: `module:function` of this package that does it.
    :param gone: it only says what replaces it, whatever it is asked.
    """

    words: tuple[str, ...]
    help: str
    prefix: str
    function: str
    argument: str = ""
    many: bool = False
    optional: bool = False
    flags: tuple[Flag, ...] = ()
    hidden: bool = False
    gone: bool = False

    @property
    def name(self) -> str:
        """The words as one text."""
        return " ".join(self.words)

    @property
    def all_flags(self) -> tuple[Flag, ...]:
        """Its own flags, then the global ones that it does not define itself."""
        own = {flag.name for flag in self.flags}
        return (*self.flags, *(flag for flag in GLOBAL if flag.name not in own))


GLOBAL = (
    Flag(
        name="log",
        help="Logging verbosity.",
        choices=("error", "warn", "info", "debug"),
        default="info",
    ),
    Flag(
        name="driver",
        help="Git provider where the repository is hosted; only GitHub is served.",
        choices=("github", "gitlab", "bitbucket"),
    ),
    Flag(name="repo", help="Repository URL or slug; the one of the job, else that of the Git remote."),
    Flag(
        name="driver-token",
        help="Token for GitHub; REPO_TOKEN, else GITHUB_TOKEN, where empty.",
        aliases=("token",),
    ),
)

_NATIVE = "Leave it out: pictures go to the repository's own assets branch."

_COMMENT = (
    Flag(
        name="target",
        help="Where to comment: `commit`, `pr`, `commit/f00bar`, `pr/42`, `issue/1337`;"
        " `pr`, else `commit`, where empty.",
    ),
    Flag(
        name="pr",
        help="Comment on the pull request of the commit; `--target pr` says the same.",
        kind="switch",
        conflicts=("target", "commit-sha"),
        hidden=True,
    ),
    Flag(
        name="commit-sha",
        help="Comment on this commit; `--target commit/SHA` says the same.",
        aliases=("head-sha",),
        conflicts=("target", "pr"),
        hidden=True,
    ),
    Flag(
        name="watch",
        help="Go on: publish again whenever the report or one of its pictures changes.",
        kind="switch",
    ),
    Flag(
        name="trigger-file",
        help="Watch this file instead of the report, and remove it when it was seen.",
        hidden=True,
    ),
    Flag(name="publish", help="Publish the report's local pictures.", kind="switch", default="true"),
    Flag(
        name="publish-url",
        help="A self-hosted CML asset server for the pictures; the repository's assets branch where empty.",
    ),
    Flag(
        name="publish-native",
        help="Not available on GitHub.",
        kind="switch",
        aliases=("native",),
        instead=_NATIVE,
    ),
    Flag(
        name="update",
        help="Update the last comment with the same watermark; create it where there is none.",
        kind="switch",
        hidden=True,
    ),
    Flag(
        name="rm-watermark",
        help="Leave no watermark; the comment can then not be updated.",
        kind="switch",
        hidden=True,
    ),
    Flag(
        name="watermark-title",
        help="Hidden marker by which `cml comment update` finds the comment; `{workflow}` and `{run}` are"
        " replaced.",
        conflicts=("rm-watermark",),
    ),
)

_USER = (
    Flag(name="user-email", help="Git user email.", default="olivaw@iterative.ai"),
    Flag(name="user-name", help="Git user name.", default="Olivaw[bot]"),
)

_RUNNER = (
    *(
        Flag(name=name)
        for name in (
            "labels",
            "idle-timeout",
            "name",
            "cloud",
            "cloud-region",
            "cloud-type",
            "cloud-permission-set",
            "cloud-gpu",
            "cloud-ssh-private",
            "cloud-startup-script",
            "cloud-aws-security-group",
            "cloud-image",
            "tpi-version",
            "cml-version",
            "gcp-access-token",
            "runner-path",
        )
    ),
    Flag(name="workdir", aliases=("path",)),
    Flag(name="cloud-aws-subnet", aliases=("cloud-aws-subnet-id",)),
    Flag(name="tf-resource", aliases=("tf_resource",)),
    *(Flag(name=name, kind="switch") for name in ("no-retry", "single", "reuse", "reuse-idle", "cloud-spot")),
    *(Flag(name=name, kind="whole") for name in ("cloud-hdd-size", "cloud-spot-price", "destroy-delay")),
    *(
        Flag(name=name, kind="list")
        for name in ("docker-volumes", "cloud-metadata", "cloud-kubernetes-node-selector")
    ),
)

COMMANDS = (
    Command(
        words=("check", "create"),
        help="Create a check run from a Markdown report.",
        prefix="CML_CHECK",
        argument="markdown file",
        function="check:create",
        flags=(
            Flag(
                name="commit-sha",
                help="Commit to which the check belongs; the job's own where empty.",
                aliases=("head-sha",),
            ),
            Flag(
                name="conclusion",
                help="Conclusion of the check.",
                choices=("success", "failure", "neutral", "cancelled", "skipped", "timed_out"),
                default="success",
            ),
            Flag(
                name="status",
                help="Status of the check.",
                choices=("queued", "in_progress", "completed"),
                default="completed",
            ),
            Flag(name="title", help="Title of the check.", default="CML Report"),
        ),
    ),
    Command(
        words=("comment", "create"),
        help="Create a comment from a Markdown report, and print its address.",
        prefix="CML_COMMENT",
        argument="markdown file",
        optional=True,
        function="comment:create",
        flags=_COMMENT,
    ),
    Command(
        words=("comment", "update"),
        help="Update the last comment with the same watermark, or create it, and print its address.",
        prefix="CML_COMMENT",
        argument="markdown file",
        optional=True,
        function="comment:update",
        flags=_COMMENT,
    ),
    Command(
        words=("pr", "create"),
        help="Open a pull request, committing the files first that match, and print its address.",
        prefix="CML_PR",
        argument="glob path",
        many=True,
        function="pr:create",
        flags=(
            Flag(name="md", help="Print it as a Markdown link.", kind="switch"),
            Flag(name="skip-ci", help="Mark the commit with `[skip ci]`.", kind="switch"),
            Flag(
                name="merge",
                help="Merge the pull request when its checks pass; at once where nothing is to wait for.",
                kind="switch",
                aliases=("auto-merge",),
                conflicts=("rebase", "squash"),
            ),
            Flag(
                name="rebase",
                help="Like `--merge`, with a rebase.",
                kind="switch",
                conflicts=("merge", "squash"),
            ),
            Flag(
                name="squash",
                help="Like `--merge`, with a squash.",
                kind="switch",
                conflicts=("merge", "rebase"),
            ),
            Flag(name="branch", help="Branch of the pull request; `TARGET-cml-pr-SHA` where empty."),
            Flag(name="target-branch", help="Branch to merge into; the job's own where empty."),
            Flag(name="title", help="Title of the pull request."),
            Flag(name="body", help="Description of the pull request."),
            Flag(name="message", help="Message of the commit."),
            Flag(name="remote", help="Git remote to push to.", default="origin"),
            *_USER,
        ),
    ),
    Command(
        words=("workflow", "rerun"),
        help="Run a workflow again; it is cancelled first where it is still going on.",
        prefix="CML_WORKFLOW",
        function="workflow:rerun",
        flags=(Flag(name="id", help="Run to repeat; this one where empty."),),
    ),
    Command(
        words=("asset", "publish"),
        help="Publish a picture, a video or a document, and print its address.",
        prefix="CML_ASSET",
        argument="asset",
        function="asset:publish",
        flags=(
            Flag(name="url", help="A self-hosted CML asset server.", hidden=True),
            Flag(name="md", help="Print it in Markdown: `[title](url)`, or as a picture.", kind="switch"),
            Flag(name="title", help="Title in the Markdown.", aliases=("t",)),
            Flag(name="native", help="Not available on GitHub.", kind="switch", instead=_NATIVE),
            Flag(name="gitlab-uploads", kind="switch", hidden=True, instead=_NATIVE),
            Flag(
                name="rm-watermark",
                help="Nothing is added to addresses, with this or without.",
                kind="switch",
                hidden=True,
            ),
            Flag(name="mime-type", help="MIME type; told by the file's content where empty."),
            Flag(name="file", help="Append the output to this file.", aliases=("f",), hidden=True),
        ),
    ),
    Command(
        words=("repo", "prepare"),
        help="Prepare the clone for commits and pushes: name, email, credentials, history.",
        prefix="CML_REPO",
        function="repo:prepare",
        flags=(
            Flag(
                name="fetch-depth",
                help="How many commits to fetch; 0 for all branches and tags.",
                kind="whole",
            ),
            Flag(
                name="unshallow",
                help="Fetch all history; `--fetch-depth 0` says the same.",
                kind="switch",
                hidden=True,
            ),
            *_USER,
        ),
    ),
    Command(
        words=("metrics", "add"),
        help="Append a file of metrics, as a table, to the report of the next `cml comment create`.",
        prefix="CML_METRICS",
        argument="file",
        function="staged:add_metrics",
    ),
    Command(
        words=("image", "add"),
        help="Append a picture to the report of the next `cml comment create`.",
        prefix="CML_IMAGE",
        argument="file",
        function="staged:add_image",
        flags=(Flag(name="title", help="Title of the picture.", aliases=("t",)),),
    ),
    Command(
        words=("tensorboard", "connect"),
        help="Print the curves of event files as charts: TensorBoard.dev was shut down.",
        prefix="CML_TENSORBOARD",
        function="tensorboard:connect",
        flags=(
            Flag(name="credentials", help="Not used any more.", aliases=("c",), hidden=True),
            Flag(name="logdir", help="Directory with the event files."),
            Flag(name="name", help="Heading above the charts."),
            Flag(name="description", help="Not used any more.", hidden=True),
            Flag(name="md", help="The output is Markdown, with this or without.", kind="switch"),
            Flag(name="title", help="Heading above the charts; `--name` where empty.", aliases=("t",)),
            Flag(name="file", help="Append the output to this file.", aliases=("f",), hidden=True),
            Flag(
                name="rm-watermark",
                help="Nothing is added, with this or without.",
                kind="switch",
                hidden=True,
            ),
        ),
    ),
    Command(
        words=("runner", "launch"),
        help="Not here; says what launches runners now.",
        prefix="CML_RUNNER",
        function="gone:runner",
        flags=_RUNNER,
        gone=True,
    ),
)

#: Older names, by the words that were typed; the program's own name (`cml-publish`) is one of them.
OLD_NAMES: dict[str, tuple[str, ...]] = {
    "ci": ("repo", "prepare"),
    "publish": ("asset", "publish"),
    "rerun-workflow": ("workflow", "rerun"),
    "send-comment": ("comment", "create"),
    "send-github-check": ("check", "create"),
    "tensorboard-dev": ("tensorboard", "connect"),
}
