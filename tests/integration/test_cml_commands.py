"""`cml check create`, `pr create`, `asset publish`, `workflow rerun` and `repo prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_cml_comment import PNG
from tests.services.cml import Terminal, step_of
from tests.services.githttp import persist_credentials
from tests.services.projects import run, write
from tests.services.proxy import Fault
from tests.services.server import asset_server

if TYPE_CHECKING:
    from tests.services.emulator import Emulator, Fresh
    from tests.services.proxy import Proxy

_IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main")


@pytest.fixture
def step(fresh: Fresh, emulator: Emulator, proxy: Proxy, tmp_path: Path) -> Terminal:
    """A step of a job that a push to `main` started; its workspace is a clone with one commit."""
    event = ("push", {"ref": "refs/heads/main"})
    made = step_of(fresh, emulator, tmp_path, event=event, url=proxy.url)
    write(made.folder, {"report.md": "Accuracy 0.9\n", "model/old.txt": "old\n", ".gitignore": "ignored\n"})
    git(made, "init", "--quiet")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "-m", "First")
    git(made, "remote", "add", "origin", f"https://github.com/{fresh.name}")
    environ = {**made.environ, "GITHUB_SHA": fresh.base_sha, "GITHUB_REF": "refs/heads/main"}
    return Terminal(folder=made.folder, environ=environ)


@pytest.fixture
def forked(fresh: Fresh, emulator: Emulator, proxy: Proxy, tmp_path: Path) -> Terminal:
    """A step of a job for a pull request from a fork, whose token may only read."""
    event = fresh.pull_request_event()
    event["pull_request"]["head"]["repo"] = {"full_name": "someone/fork"}  # type: ignore[index]
    token = emulator.workflow_token(contents="read", checks="read", pull_requests="read")
    made = step_of(fresh, emulator, tmp_path, event=("pull_request", event), url=proxy.url, token=token)
    made.write("report.md", "Accuracy 0.9\n")
    git(made, "init", "--quiet")
    return made


def git(step: Terminal, *words: str) -> str:
    return run(["git", *_IDENTITY, *words], step.folder)


def app_step(step: Terminal, emulator: Emulator) -> Terminal:
    """The same with the kind of token from which GitHub takes checks."""
    token = emulator.workflow_token(checks="write", contents="write")
    return Terminal(folder=step.folder, environ={**step.environ, "REPO_TOKEN": token})


def check_runs(fresh: Fresh) -> list[Any]:
    return list(fresh.repo.get_commit(fresh.base_sha).get_check_runs())


def test_a_report_becomes_a_check_run_and_nothing_is_printed(
    step: Terminal, fresh: Fresh, emulator: Emulator
) -> None:
    done = app_step(step, emulator).cml_here("check", "create", "report.md", "--conclusion", "neutral")

    assert (done.code, done.out) == (0, ""), done.said
    (check,) = check_runs(fresh)
    assert (check.name, check.status, check.conclusion) == ("CML Report", "completed", "neutral")
    assert check.output.summary == "Accuracy 0.9\n"


def test_a_check_may_be_of_another_commit_and_still_going_on(
    step: Terminal, fresh: Fresh, emulator: Emulator
) -> None:
    done = app_step(step, emulator).cml_here(
        "send-github-check",
        "report.md",
        "--title=Train",
        "--status=in_progress",
        "--head-sha",
        fresh.head_sha,
    )

    assert (done.code, done.out) == (0, ""), done.said
    (check,) = fresh.repo.get_commit(fresh.head_sha).get_check_runs()
    assert (check.name, check.status, check.conclusion) == ("Train", "in_progress", None)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nope.md"], 2, "`nope.md` could not be read"),
        (["--status=queued", "--conclusion=success", "report.md"], 2, "has no conclusion yet"),
        (["long.md"], 2, "a check run holds 65,535"),
    ],
)
def test_a_check_that_cannot_be_is_named(step: Terminal, words: list[str], code: int, sentence: str) -> None:
    step.write("long.md", "Words.\n" * 20_000)

    done = step.cml_here("check", "create", *words)

    assert (done.code, done.out) == (code, "")
    assert sentence in done.said


def test_a_token_that_may_not_make_checks_is_told_what_it_needs(
    step: Terminal, emulator: Emulator, fresh: Fresh
) -> None:
    token = emulator.workflow_token(checks="read")
    done = step.cml_here("check", "create", "report.md", REPO_TOKEN=token)

    assert done.code == 3
    assert "Add `checks: write` to the job's `permissions:`." in done.said
    assert check_runs(fresh) == []


def test_from_a_fork_nothing_is_written_and_the_step_is_green(forked: Terminal, fresh: Fresh) -> None:
    check = forked.cml_here("check", "create", "report.md")
    pull = forked.cml_here("pr", "create", "report.md")

    assert (check.code, check.out, pull.code, pull.out) == (0, "", 0, ""), check.said + pull.said
    assert "No check run was created" in check.said
    assert "may not do that" in pull.said
    assert check_runs(fresh) == []
    assert fresh.repo.get_pulls().totalCount == 1


def test_from_a_fork_a_picture_keeps_its_own_path_and_the_step_is_green(forked: Terminal) -> None:
    forked.write("plots/a b.png", PNG)

    done = forked.cml_here("publish", "plots/a b.png", "--md")

    assert (done.code, done.out) == (0, "![](plots/a%20b.png)\n"), done.said
    assert "a b.png was not published" in done.said


def test_commits_that_a_fork_may_not_push_are_a_warning(forked: Terminal, tmp_path: Path) -> None:
    git(forked, "commit", "--quiet", "--allow-empty", "-m", "First")
    git(forked, "remote", "add", "elsewhere", str(tmp_path / "nowhere"))

    done = forked.cml_here("pr", "create", "--remote", "elsewhere")

    assert (done.code, done.out) == (0, ""), done.said
    assert "`git push` to" in done.said


def test_a_fork_that_gets_no_secret_leaves_its_report_in_the_summary_and_the_steps_are_green(
    forked: Terminal, fresh: Fresh
) -> None:
    forked.write("plot.png", PNG)
    forked.write("report.md", "Accuracy 0.9\n\n![Loss](plot.png)\n")

    for words in (
        ["comment", "create", "report.md"],
        ["check", "create", "report.md"],
        ["pr", "create", "report.md"],
        ["asset", "publish", "plot.png"],
        ["workflow", "rerun"],
    ):
        done = forked.cml_here(*words, REPO_TOKEN="")

        assert done.code == 0, done.said
        assert "A pull request from a fork gets no secrets" in done.said
    assert "Accuracy 0.9" in Path(forked.environ["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
    assert fresh.pull.get_issue_comments().totalCount == 0
    assert forked.cml_here("repo", "prepare", REPO_TOKEN="").code == 0


def test_changed_files_become_a_pull_request_whose_address_is_printed(step: Terminal, fresh: Fresh) -> None:
    write(
        step.folder,
        {"model/new.txt": "new\n", "model/old.txt": "changed\n", "other.txt": "not asked for\n"},
    )
    write(step.folder, {"model/ignored": "no\n"})
    head = git(step, "rev-parse", "HEAD")

    done = step.cml_here("pr", "create", "model/**", "!**/nothing")

    assert done.code == 0, done.said
    branch = f"main-cml-pr-{fresh.base_sha[:8]}"
    (pull,) = fresh.repo.get_pulls(head=f"admin:{branch}")
    assert done.out.rstrip().endswith(f"/pull/{pull.number}")
    assert pull.title == f"CML PR for main {fresh.base_sha[:8]}"
    assert pull.base.ref == "main"
    commit = fresh.repo.get_commit(fresh.repo.get_branch(branch).commit.sha)
    assert commit.commit.message == f"CML PR for {fresh.base_sha[:8]} [skip ci]"
    names = {entry.path for entry in fresh.repo.get_git_tree(commit.sha, recursive=True).tree}
    assert {"model/new.txt", "model/old.txt"} <= names
    assert not {"other.txt", "model/ignored"} & names
    # The clone is as it was.
    assert git(step, "rev-parse", "HEAD") == head
    assert git(step, "branch", "--show-current").strip() == "main"
    assert "https://github.com" in git(step, "remote", "get-url", "origin")


def test_a_second_run_updates_the_pull_request_instead_of_opening_another(
    step: Terminal, fresh: Fresh
) -> None:
    words = ["pr", "--branch", "models", "--title=A model", "--message", "Train", "--md", "model/{new,x}.txt"]
    write(step.folder, {"model/new.txt": "1\n"})
    first = step.cml_here(*words)
    write(step.folder, {"model/new.txt": "2\n"})
    second = step.cml_here(*words, "--user-name=Ada", "--user-email=ada@example.com")

    assert (first.code, second.code) == (0, 0), first.said + second.said
    assert first.out == second.out
    assert first.out.startswith("[CML's Pull Request](")
    (pull,) = fresh.repo.get_pulls(head="admin:models")
    assert pull.title == "A model"
    held = fresh.repo.get_contents("model/new.txt", ref="models")
    assert held.decoded_content == b"2\n"  # type: ignore[union-attr]
    commit = fresh.repo.get_commit(fresh.repo.get_branch("models").commit.sha)
    assert commit.commit.message == "Train"
    assert commit.commit.author.name == "Ada"


def test_line_ends_and_filters_are_those_that_git_stores(step: Terminal, fresh: Fresh) -> None:
    write(step.folder, {".gitattributes": "*.txt text eol=crlf\n", "model/new.txt": "one\r\ntwo\r\n"})

    assert step.cml_here("pr", "create", "--branch=ends", "model").code == 0

    held = fresh.repo.get_contents("model/new.txt", ref="ends")
    assert held.decoded_content == b"one\ntwo\n"  # type: ignore[union-attr]


def test_a_pull_request_may_be_merged_at_once(step: Terminal, fresh: Fresh) -> None:
    write(step.folder, {"model/new.txt": "new\n"})

    done = step.cml_here("pr", "create", "--squash", "model/new.txt")

    assert done.code == 0, done.said
    assert fresh.repo.get_contents("model/new.txt", ref="main").decoded_content == b"new\n"  # type: ignore[union-attr]


def test_a_run_on_the_branch_of_such_a_pull_request_opens_no_other(step: Terminal, fresh: Fresh) -> None:
    write(step.folder, {"model/new.txt": "new\n"})

    done = step.cml_here("pr", "create", "model/new.txt", GITHUB_REF="refs/heads/main-cml-pr-01234567")

    assert (done.code, done.out) == (0, "")
    assert "nothing to do" in done.said
    assert fresh.repo.get_pulls().totalCount == 1


@pytest.mark.parametrize(
    ("words", "variables", "code", "sentence"),
    [
        (["nothing/**"], {}, 0, "No changed file matches. Nothing to do."),
        (["big.bin"], {}, 2, "`big.bin` is tracked by Git LFS"),
        (["new.txt"], {"GITHUB_REF": "refs/tags/v1"}, 2, "This run works on no branch (refs/tags/v1)."),
        (["--target-branch", "nope", "new.txt"], {}, 2, "There is no branch `nope` (`--target-branch`)."),
        (["--remote", "nope"], {}, 2, "There is no Git remote `nope`."),
    ],
)
def test_a_pull_request_that_cannot_be_is_named(
    step: Terminal, words: list[str], variables: dict[str, str], code: int, sentence: str
) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n"
    write(step.folder, {"new.txt": "new\n", "big.bin": pointer})

    done = step.cml_here("pr", "create", *words, **variables)

    assert (done.code, done.out) == (code, "")
    assert sentence in done.said


def test_without_globs_the_clones_own_commits_are_pushed(
    step: Terminal, fresh: Fresh, tmp_path: Path
) -> None:
    # The emulator serves no Git: a repository beside it is pushed to, and has the branch already there.
    run(["git", "init", "--quiet", "--bare", str(tmp_path / "bare")], tmp_path)
    git(step, "remote", "add", "elsewhere", str(tmp_path / "bare"))
    fresh.repo.create_git_ref("refs/heads/mine", fresh.head_sha)

    done = step.cml_here("pr", "create", "--remote", "elsewhere", "--branch", "mine")

    assert done.code == 0, done.said
    pushed = run(["git", "rev-parse", "refs/heads/mine"], tmp_path / "bare")
    assert pushed == git(step, "rev-parse", "HEAD")
    assert [pull.number for pull in fresh.repo.get_pulls(head="admin:mine")] == [
        int(done.out.rsplit("/", 1)[1])
    ]


def test_an_asset_is_published_and_its_address_printed(step: Terminal, fresh: Fresh) -> None:
    step.write("plot.png", PNG)

    bare = step.cml_here("asset", "publish", "plot.png")
    shown = step.cml_here("publish", "plot.png", "--md", "-t", 'Loss "1"')

    assert bare.code == 0, bare.said
    address = bare.out.strip()
    path = address.split("?")[0].partition("/cml-assets/")[2]
    assert fresh.repo.get_contents(path, ref="cml-assets").decoded_content == PNG  # type: ignore[union-attr]
    assert shown.out == f'![]({address} "Loss \\"1\\"")\n'


def test_a_document_becomes_a_link_and_goes_to_the_file_that_was_named(step: Terminal) -> None:
    step.write("paper.pdf", b"%PDF-1.7\n")

    done = step.cml_here("asset", "publish", "paper.pdf", "--md", "--file", "out.md")
    again = step.cml_here("asset", "publish", "paper.pdf", "--md", "--title", "Paper", "-f", "out.md")

    assert (done.code, done.out, again.out) == (0, "", ""), done.said
    first, second = (step.folder / "out.md").read_text().splitlines()
    assert first.startswith("[paper.pdf](http")
    assert second.startswith("[Paper](http")
    assert ".pdf" in first


def test_a_self_hosted_asset_server_still_works(step: Terminal, fresh: Fresh) -> None:
    step.write("plot.png", PNG)
    step.write("report.md", "![Loss](plot.png)\n")
    with asset_server() as server:
        asset = step.cml_here("asset", "publish", "plot.png", "--url", server.url)
        comment = step.cml_here(
            "comment",
            "create",
            "--target",
            f"pr/{fresh.pull.number}",
            "--publish-url",
            server.url,
            "report.md",
        )

    assert (asset.code, comment.code) == (0, 0), asset.said + comment.said
    assert asset.out == f"{server.url}/1\n"
    assert f"![Loss]({server.url}/2)" in next(iter(fresh.pull.get_issue_comments())).body
    assert server.received[0] == ("image/png", PNG)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nope.png"], "`nope.png` is not there, or no file."),
        (["."], "`.` is not there, or no file."),
        (["big.bin"], "at most 10,000,000 are published."),
        (["--mime-type=nonsense", "report.md"], "`--mime-type` is `nonsense`."),
        (["--url=ftp://x", "report.md"], "`--url` is `ftp://x`."),
    ],
)
def test_an_asset_that_cannot_be_is_named(step: Terminal, words: list[str], sentence: str) -> None:
    with (step.folder / "big.bin").open("wb") as file:
        file.truncate(30_000_000)

    done = step.cml_here("asset", "publish", *words)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.said


def test_a_workflow_that_goes_on_is_cancelled_and_run_again(
    step: Terminal, fresh: Fresh, proxy: Proxy
) -> None:
    # The emulator has no way to make a run: these are GitHub's answers, from its documentation.
    page = f"{proxy.url}/repos/{fresh.name}/actions/runs/12345"
    told = {"id": 12345, "url": page, "cancel_url": f"{page}/cancel", "rerun_url": f"{page}/rerun"}
    proxy.fail("GET", "/runs/12345$", Fault(status=200, message={**told, "status": "in_progress"}), times=1)
    proxy.fail("GET", "/runs/12345$", Fault(status=200, message={**told, "status": "completed"}))
    proxy.fail("POST", "/cancel$", Fault(status=202, message={}))
    proxy.fail("POST", "/rerun$", Fault(status=201, message={}))

    done = step.cml_here("workflow", "rerun", "--id", "12345")

    assert (done.code, done.out) == (0, ""), done.said
    assert [call.rpartition("/")[2] for call in proxy.calls] == ["12345", "cancel", "12345", "rerun"]


def test_a_run_that_is_not_there_is_named(step: Terminal) -> None:
    done = step.cml_here("workflow", "rerun", "--id", "12345")

    assert (done.code, done.out) == (3, "")
    assert "run the workflow again (run 12345): GitHub does not find it" in done.said


def test_a_run_that_is_none_is_named(step: Terminal) -> None:
    assert "`--id` is `abc`, which is no run." in step.cml_here("workflow", "rerun", "--id", "abc").said
    assert "Which run to repeat is not known." in step.cml_here("workflow", "rerun", GITHUB_RUN_ID="").said


@pytest.mark.parametrize("file", [None, "git-credentials.config"], ids=["checkout@v4", "checkout@v7"])
def test_a_clone_is_prepared_for_commits_and_pushes_without_a_token_in_its_addresses(
    step: Terminal, fresh: Fresh, tmp_path: Path, file: str | None
) -> None:
    header = "AUTHORIZATION: basic b2xk"
    credentials = tmp_path / file if file else None
    persist_credentials(step.folder, "https://github.com", header, credentials=credentials)
    git(step, "remote", "set-url", "origin", f"git@github.com:{fresh.name}.git")

    done = step.cml_here("repo", "prepare", "--user-name", "Ada")

    assert (done.code, done.out) == (0, ""), done.said
    assert git(step, "config", "--local", "user.name") == "Ada\n"
    assert git(step, "config", "--local", "user.email") == "olivaw@iterative.ai\n"
    assert git(step, "remote", "get-url", "origin") == f"https://github.com/{fresh.name}.git\n"
    headers = git(step, "config", "--get-all", "http.https://github.com/.extraheader").splitlines()
    counted = headers[headers.index("") + 1 :]  # an empty one takes back what was said before it
    assert [each[:21] for each in counted] == ["AUTHORIZATION: basic "]
    assert header not in counted
    assert step.environ["REPO_TOKEN"] not in (step.folder / ".git" / "config").read_text()


def test_the_history_of_a_shallow_clone_is_fetched(step: Terminal, tmp_path: Path) -> None:
    git(step, "commit", "--quiet", "--allow-empty", "-m", "Second")
    shallow = tmp_path / "shallow"
    run(["git", "clone", "--quiet", "--depth=1", step.folder.as_uri(), str(shallow)], tmp_path)
    clone = Terminal(folder=shallow, environ=step.environ)
    # The address becomes GitHub's: what it leads to here is the repository that was cloned.
    git(clone, "config", f"url.{step.folder.as_uri()}.insteadOf", "https://github.com/o/r.git")

    done = clone.cml_here("ci", "--unshallow", GITHUB_REPOSITORY="o/r")

    assert done.code == 0, done.said
    assert git(clone, "rev-parse", "--is-shallow-repository") == "false\n"
    assert git(clone, "log", "--format=%s").split() == ["Second", "First"]
