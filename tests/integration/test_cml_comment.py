"""`cml comment create` and `update`, as workflows written for CML 0.20.6 call them."""

from __future__ import annotations

import base64
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.cml import Terminal, step_of
from tests.services.proxy import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.emulator import Emulator, Fresh
    from tests.services.proxy import Proxy

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SHA = "deadbeef" * 5


@pytest.fixture
def step(fresh: Fresh, emulator: Emulator, proxy: Proxy, tmp_path: Path) -> Terminal:
    """A step of a job that a pull request started, with a report in its workspace."""
    event = ("pull_request", fresh.pull_request_event())
    made = step_of(fresh, emulator, tmp_path, event=event, url=proxy.url)
    made.write("report.md", "# Trained\n\nAccuracy 0.9\n")
    return made


def pushed(fresh: Fresh, emulator: Emulator, proxy: Proxy, folder: Path, sha: str) -> Terminal:
    """The same of a push."""
    made = step_of(fresh, emulator, folder, event=("push", {"ref": "refs/heads/feature"}), url=proxy.url)
    made.write("report.md", "# Trained\n\nAccuracy 0.9\n")
    return Terminal(folder=made.folder, environ={**made.environ, "GITHUB_SHA": sha})


def comments(fresh: Fresh) -> list[Any]:
    return list(fresh.pull.get_issue_comments())


def test_a_report_becomes_a_comment_and_its_address_is_all_that_is_printed(
    step: Terminal, fresh: Fresh
) -> None:
    done = step.cml("comment", "create", "report.md")

    assert (done.code, done.said) == (0, "")
    (comment,) = comments(fresh)
    assert done.out.endswith(f"#issuecomment-{comment.id}\n")
    assert done.out.count("\n") == 1
    assert comment.body.endswith("# Trained\n\nAccuracy 0.9\n")
    assert "CML watermark" in comment.body.splitlines()[0]


def test_each_create_leaves_a_comment_of_its_own_and_update_changes_the_last(
    step: Terminal, fresh: Fresh
) -> None:
    first = step.cml_here("comment", "create", "report.md")
    second = step.cml_here("comment", "create", "report.md")
    step.write("report.md", "Accuracy 0.95")
    third = step.cml_here("comment", "update", "report.md")

    assert first.out != second.out
    assert third.out == second.out
    assert ["0.95" in each.body for each in comments(fresh)] == [False, True]


@pytest.mark.parametrize("fault", [Fault(lost=True), Fault(half=True)], ids=["lost", "half"])
@pytest.mark.parametrize("words", [[], ["--rm-watermark"]], ids=["", "bare"])
def test_a_comment_whose_answer_was_lost_is_left_once(
    step: Terminal, fresh: Fresh, proxy: Proxy, fault: Fault, words: list[str]
) -> None:
    earlier = step.cml_here("comment", "create", "report.md", *words)
    proxy.fail("POST", "/comments$", fault, times=1)

    done = step.cml_here("comment", "create", "report.md", *words)

    assert done.code == 0, done.said
    assert [f"{earlier.out}{done.out}".count(f"-{each.id}\n") for each in comments(fresh)] == [1, 1]


@pytest.mark.parametrize("words", [["--update"], ["--update=true"], ["--update", "true"]])
def test_create_with_update_is_update_and_creates_where_there_is_none(
    step: Terminal, fresh: Fresh, words: list[str]
) -> None:
    first = step.cml_here("comment", "create", *words, "report.md")
    step.write("report.md", "Accuracy 0.95")
    second = step.cml_here("comment", "create", "report.md", *words)

    assert first.out == second.out
    (comment,) = comments(fresh)
    assert "0.95" in comment.body


@pytest.mark.parametrize(
    ("title", "left"),
    [
        ("", f'![](https://cml.dev/watermark.png#{SHA} "CML watermark")'),
        ("", "![CML watermark](https://raw.githubusercontent.com/iterative/cml/master/assets/watermark.svg)"),
        ("gpu", f'![](https://cml.dev/watermark.png#{SHA} "CML watermark gpu")'),
        ("my_1[*]-vm", f'![](https://cml.dev/watermark.png#{SHA} "CML watermark my\\_1\\[\\*]-vm")'),
        ("{workflow}-{run}", f'![](https://cml.dev/watermark.png#{SHA} "CML watermark train-100")'),
    ],
)
def test_a_comment_that_cml_left_is_found_by_its_watermark_and_updated(
    step: Terminal, fresh: Fresh, title: str, left: str
) -> None:
    fresh.pull.create_issue_comment(f"# Old\n\n{left}")
    fresh.pull.create_issue_comment("Somebody's own words")

    done = step.cml_here("comment", "update", f"--watermark-title={title}", "report.md")

    assert done.code == 0, done.said
    updated, untouched = comments(fresh)
    assert "Accuracy 0.9" in updated.body
    assert "cml.dev" not in updated.body
    assert untouched.body == "Somebody's own words"


def test_comments_with_another_title_of_somebody_else_or_with_a_pasted_mark_stay(
    step: Terminal, fresh: Fresh, emulator: Emulator
) -> None:
    mark = f'![](https://cml.dev/watermark.png#{SHA} "CML watermark'
    fresh.pull.create_issue_comment(f'Another title\n\n{mark} gpu")')
    fresh.pull.create_issue_comment(f'Quoted:\n\n{mark}")\n\nand more')
    theirs = emulator.connect("test_token_user").get_repo(fresh.name).get_issue(fresh.pull.number)
    theirs.create_comment(f'Mine\n\n{mark}")')

    done = step.cml_here("comment", "update", "report.md")

    assert done.code == 0, done.said
    assert [each.body.splitlines()[0] for each in comments(fresh)[:3]] == ["Another title", "Quoted:", "Mine"]
    assert "Accuracy" in comments(fresh)[3].body


def test_without_a_watermark_the_comment_is_the_report_alone(step: Terminal, fresh: Fresh) -> None:
    assert step.cml_here("comment", "create", "--rm-watermark", "report.md").code == 0

    assert comments(fresh)[0].body == "# Trained\n\nAccuracy 0.9\n"


def test_a_later_run_is_never_overwritten_by_an_earlier_one(step: Terminal, fresh: Fresh) -> None:
    later = step.cml_here("comment", "update", "report.md", GITHUB_RUN_ID="101")
    step.write("report.md", "Old news")
    earlier = step.cml_here("comment", "update", "report.md")

    assert earlier.out == later.out
    assert "a later run has left its comment already" in earlier.said
    assert "Accuracy 0.9" in comments(fresh)[0].body


@pytest.mark.parametrize("target", ["pr", "PR", "auto", "pr/{number}", "issue/{number}"])
def test_targets_lead_to_the_pull_request(step: Terminal, fresh: Fresh, target: str) -> None:
    done = step.cml_here(
        "comment", "create", "--target", target.format(number=fresh.pull.number), "report.md"
    )

    assert done.code == 0, done.said
    assert len(comments(fresh)) == 1


@pytest.mark.parametrize("words", [["--target=commit"], ["--target=commit/{sha}"], ["--head-sha", "{sha}"]])
def test_targets_lead_to_the_commit(step: Terminal, fresh: Fresh, words: list[str]) -> None:
    done = step.cml_here(
        "comment", "create", *[word.format(sha=fresh.head_sha) for word in words], "report.md"
    )

    assert done.code == 0, done.said
    (comment,) = fresh.repo.get_commit(fresh.head_sha).get_comments()
    assert "Accuracy 0.9" in comment.body
    assert ("Deprecated" in done.said) == ("--head-sha" in words)


def test_a_push_comments_on_the_open_pull_request_of_its_commit_else_on_the_commit(
    fresh: Fresh, emulator: Emulator, proxy: Proxy, tmp_path: Path
) -> None:
    to_pull = pushed(fresh, emulator, proxy, tmp_path / "a", fresh.head_sha)
    to_commit = pushed(fresh, emulator, proxy, tmp_path / "b", fresh.base_sha)

    assert to_pull.cml_here("comment", "create", "report.md").code == 0
    assert to_commit.cml_here("comment", "create", "report.md").code == 0
    refused = to_commit.cml_here("comment", "create", "--pr", "report.md")

    assert len(comments(fresh)) == 1
    assert len(list(fresh.repo.get_commit(fresh.base_sha).get_comments())) == 1
    assert (refused.code, refused.out) == (2, "")
    assert "no open pull request has" in refused.said


@pytest.mark.parametrize("target", ["pr", "auto"])
def test_a_push_that_another_one_followed_comments_on_the_pull_request_all_the_same(
    fresh: Fresh, emulator: Emulator, proxy: Proxy, tmp_path: Path, target: str
) -> None:
    step = pushed(fresh, emulator, proxy, tmp_path, fresh.head_sha)
    fresh.repo.create_file("more.dvc", "More", "outs: []\n", branch="feature")

    done = step.cml_here("comment", "create", "--target", target, "report.md")

    assert done.code == 0, done.said
    assert len(comments(fresh)) == 1


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CML_COMMENT_WATERMARK_TITLE": "gpu"}, "CML watermark gpu"),
        ({"CML_SEND_COMMENT_WATERMARK_TITLE": "gpu"}, "CML watermark gpu"),
        ({"REPO_TOKEN": "", "repo_token": "test_token_admin"}, "CML watermark"),
        ({"REPO_TOKEN": "", "GITHUB_TOKEN": "test_token_admin"}, "CML watermark"),
        ({"REPO_TOKEN": "wrong", "CML_TOKEN": "test_token_admin"}, "CML watermark"),
        ({"REPO_TOKEN": "wrong", "CML_COMMENT_DRIVER_TOKEN": "test_token_admin"}, "CML watermark"),
    ],
)
def test_variables_are_read_as_cml_reads_them(
    step: Terminal, fresh: Fresh, variables: dict[str, str], expected: str
) -> None:
    done = step.cml_here("comment", "create", "report.md", **variables)

    assert done.code == 0, done.said
    assert comments(fresh)[0].body.splitlines()[0] == f"<!-- cml-action: {expected} -->"


def test_a_picture_is_stored_in_the_repository_and_shown(step: Terminal, fresh: Fresh) -> None:
    step.write("plots/confusion.png", PNG)
    step.write("report.md", '# Trained\n\n![](./plots/confusion.png "Confusion matrix")\n')

    done = step.cml_here("comment", "create", "report.md")

    assert done.code == 0, done.said
    body = comments(fresh)[0].body
    assert "./plots/" not in body
    shown = re.search(r'!\[\]\((\S+) "Confusion matrix"\)', body)
    assert shown
    path = shown[1].split("?")[0].partition("/cml-assets/")[2]
    assert fresh.repo.get_contents(path, ref="cml-assets").decoded_content == PNG  # type: ignore[union-attr]


@pytest.mark.parametrize("flag", ["--publish=false", "--no-publish", "--publish false"])
def test_pictures_stay_as_they_are_where_nothing_is_to_be_published(
    step: Terminal, fresh: Fresh, flag: str
) -> None:
    step.write("report.md", "![](./plot.png)\n")

    assert step.cml_here("comment", "create", *flag.split(), "report.md").code == 0

    assert comments(fresh)[0].body.endswith("![](./plot.png)\n")


def test_metrics_and_images_that_were_added_stand_below_the_report_once(step: Terminal, fresh: Fresh) -> None:
    step.write("out/metrics.json", '{"accuracy": 0.9, "val": {"loss": 0.25}, "name": "@everyone"}')
    step.write("out/plot.png", PNG)

    assert step.cml_here("metrics", "add", "out/metrics.json").code == 0
    assert step.cml_here("image", "add", "out/plot.png", "--title", "Loss").code == 0
    first = step.cml_here("comment", "create", "report.md")
    second = step.cml_here("comment", "create", "report.md")

    assert (first.code, second.code) == (0, 0), first.said + second.said
    full, plain = (comment.body for comment in comments(fresh))
    assert full.index("Accuracy 0.9") < full.index("`val.loss`") < full.index("![Loss](")
    assert re.search(r"`accuracy`\s*\|\s*0\.9", full)
    assert "`@everyone`" in full
    assert "val.loss" not in plain


def test_what_was_added_is_a_report_by_itself(step: Terminal, fresh: Fresh) -> None:
    step.write("history.csv", "epoch,loss\n1,0.5\n2,0.25\n")

    assert step.cml_here("metrics", "add", "history.csv").code == 0
    assert step.cml_here("comment", "create").code == 0

    assert "0.25" in comments(fresh)[0].body


def test_a_report_beyond_githubs_limit_is_cut_and_whole_in_the_summary(step: Terminal, fresh: Fresh) -> None:
    step.write("report.md", "# Long\n\n" + "Words, words.\n" * 10_000 + "The end.\n")

    done = step.cml_here("comment", "create", "report.md")

    assert done.code == 0
    assert "a comment holds" in done.said
    body = comments(fresh)[0].body
    assert len(body) <= 65_536
    assert "The rest is in" in body
    with open(step.environ["GITHUB_STEP_SUMMARY"], encoding="utf-8") as summary:  # noqa: PTH123
        assert "The end." in summary.read()


def test_a_pull_request_from_a_fork_is_green_and_its_report_is_in_the_summary(
    fresh: Fresh, emulator: Emulator, proxy: Proxy, tmp_path: Path
) -> None:
    event = fresh.pull_request_event()
    event["pull_request"]["head"]["repo"] = {"full_name": "someone/fork"}  # type: ignore[index]
    token = emulator.workflow_token(issues="read", pull_requests="read")
    step = step_of(fresh, emulator, tmp_path, event=("pull_request", event), url=proxy.url, token=token)
    step.write("report.md", "Accuracy 0.9\n")

    done = step.cml_here("comment", "create", "report.md")

    assert (done.code, done.out) == (0, "")
    assert "No comment was written" in done.said
    with open(step.environ["GITHUB_STEP_SUMMARY"], encoding="utf-8") as summary:  # noqa: PTH123
        assert "Accuracy 0.9" in summary.read()


@pytest.mark.parametrize(("level", "said"), [("debug", True), ("warn", True), ("error", False)])
def test_the_level_of_the_log_decides_what_is_said(step: Terminal, level: str, *, said: bool) -> None:
    done = step.cml_here("--log", level, "comment", "create", "--pr", "report.md")

    assert done.code == 0
    assert done.out.startswith("http")
    assert ("Deprecated" in done.said) is said


def until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False


def test_watch_publishes_each_change_in_one_comment_until_it_is_ended(step: Terminal, fresh: Fresh) -> None:
    process = step.start("comment", "create", "--watch", "--no-publish", "report.md")
    try:
        assert process.stderr
        assert "Watching for changes" in process.stderr.readline()
        step.write("report.md", "Epoch 1")
        assert until(lambda: ["Epoch 1" in each.body for each in comments(fresh)] == [True])
        step.write("report.md", "Epoch 2, better")
        assert until(lambda: ["Epoch 2" in each.body for each in comments(fresh)] == [True])
    finally:
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in said


def test_a_trigger_file_says_when_to_publish_and_is_removed(step: Terminal, fresh: Fresh) -> None:
    process = step.start("comment", "create", "--watch", "--trigger-file", "go", "--no-publish", "report.md")
    try:
        assert process.stderr
        assert "Watching for changes" in process.stderr.readline()
        step.write("go", "")
        assert until(lambda: len(comments(fresh)) == 1)
        assert until(lambda: not (step.folder / "go").exists())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    ("words", "variables", "code", "sentence"),
    [
        (["report.md"], {"REPO_TOKEN": ""}, 2, "There is no token for GitHub."),
        (["nope.md"], {}, 2, "`nope.md` could not be read: No such file or directory."),
        (["."], {}, 2, "`.` could not be read: Is a directory."),
        (["empty.md"], {}, 2, "`empty.md` is empty."),
        (["odd.md"], {}, 2, "`odd.md` is not UTF-8 (byte 1)."),
        ([], {}, 2, "`cml comment create` needs a Markdown file."),
        (["a.md", "b.md"], {}, 2, "Got unexpected extra argument"),
        (["--target", "mr/1", "report.md"], {}, 2, "`--target` is `mr/1`."),
        (["--target", "issue", "report.md"], {}, 2, "`--target` is `issue`."),
        (["--target", "pr/99999", "report.md"], {}, 3, "GitHub does not find it"),
        (["--publish-native", "report.md"], {}, 2, "`--publish-native` is not available on GitHub."),
        (["--native", "report.md"], {}, 2, "`--publish-native` is not available on GitHub."),
        (["--update", "--rm-watermark", "report.md"], {}, 2, "`--update` finds the comment by its watermark"),
        (["--pr", "--target=pr", "report.md"], {}, 2, "`--pr` and `--target` are mutually exclusive"),
        (["--trigger-file", "x", "report.md"], {}, 2, "`--trigger-file` means nothing without `--watch`."),
        (["--tarket", "pr", "report.md"], {}, 2, "No such option: --tarket"),
        (
            ["--driver", "gitlab", "report.md"],
            {},
            2,
            "cml-action serves GitHub only; this is Gitlab (--driver).",
        ),
        (["--driver", "svn", "report.md"], {}, 2, "`--driver` is `svn`."),
        (["--repo", "https://gitlab.com/o/r", "report.md"], {}, 2, "cml-action serves GitHub only"),
        (["--repo", "nothing", "report.md"], {}, 2, "`--repo` is `nothing`, which names no repository."),
        (["report.md"], {"CML_COMMENT_TARGTE": "pr"}, 2, "Did you mean `CML_COMMENT_TARGET`?"),
        (["report.md"], {"CML_COMMENT_WATCH": "1"}, 2, "`CML_COMMENT_WATCH` is `1`."),
        (["report.md"], {"CML_COMMENT_PUBLISH_NATIVE": "true"}, 2, "is not available on GitHub."),
    ],
)
def test_what_was_asked_wrongly_is_one_sentence_and_an_exit_code(
    step: Terminal, words: list[str], variables: dict[str, str], code: int, sentence: str
) -> None:
    step.write("empty.md", "")
    step.write("odd.md", b"\xff\xfe")

    done = step.cml_here("comment", "create", *words, **variables)

    assert (done.code, done.out) == (code, "")
    assert sentence in done.said.replace("%0A", "\n")
    assert "error of its own" not in done.said


def test_a_token_that_github_does_not_know_is_named(step: Terminal, proxy: Proxy) -> None:
    proxy.fail("POST", "/comments", Fault(status=401, message="Bad credentials"))

    done = step.cml_here("comment", "create", "report.md")

    assert (done.code, done.out) == (3, "")
    assert "GitHub does not accept the token (Bad credentials)" in done.said


def test_github_that_stays_broken_is_given_up_with_a_sentence(step: Terminal, proxy: Proxy) -> None:
    proxy.fail("POST", "/comments", Fault(status=403, message="You have exceeded a secondary rate limit",
                                          headers={"Retry-After": "3600"}))  # fmt: skip

    done = step.cml_here("comment", "create", "report.md")

    assert (done.code, done.out) == (3, "")
    assert "GitHub's rate limit asks to wait 3600 s" in done.said
