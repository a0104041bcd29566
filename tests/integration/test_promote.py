"""`promote` and `rollback` as a step of a workflow, on the Git registry."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import pytest

from tests.services.contract import faults_of_answer
from tests.services.githttp import git
from tests.services.promotion import POLICY, Promotion
from tests.services.proxy import NOT_ACCESSIBLE, Fault, running_proxy
from tests.services.receiver import Receiver, running_receiver
from tests.services.registries import GitWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.githttp import GitServer


@pytest.fixture
def promotion(git_server: GitServer, tmp_path: Path) -> Iterator[Promotion]:
    with running_proxy("http://127.0.0.1:9") as hub:  # nothing but the stand-in's own routes is asked for
        yield Promotion(GitWorld(git_server, tmp_path, token="test_token_admin"), hub)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def test_a_version_with_a_passing_verdict_takes_the_stage_and_the_record_says_all(
    promotion: Promotion,
) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    assert promotion.step("promote", model=f"mnist:{first}").code == 0
    step = promotion.step("promote", model=f"mnist:{second}", reason="Fewer errors on sevens")
    assert (step.code, step.errors) == (0, "")
    assert promotion.holder() == second
    assert {name: step.outputs[name] for name in ("version", "previous", "model", "verdict")} == {
        "version": second,
        "previous": first,
        "model": f"mnist:{second}",
        "verdict": "pass",
    }
    assert step.outputs["model-digest"] == f"sha256:{hashlib.sha256(b'two').hexdigest()}"
    move = promotion.stage().moves[-1]
    assert (move.who, move.why, move.previous) == ("ada", "Fewer errors on sevens", first)
    assert move.run_url.endswith("/o/r/actions/runs/102")
    assert f"`mnist:{second}` took `production` from `{first}`." in step.report


def test_promoting_it_again_changes_nothing_and_says_the_same(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    promotion.step("promote", model=f"mnist:{first}")
    once = promotion.step("promote", model=f"mnist:{second}")
    before = promotion.stage()
    again = promotion.step("promote", model=f"mnist:{second}")
    assert again.code == 0
    assert promotion.stage() == before
    assert "holds `production` already; nothing was moved" in again.report
    outputs = ("version", "previous", "model", "model-digest")
    assert [again.outputs[name] for name in outputs] == [once.outputs[name] for name in outputs]
    assert [states for _, states in promotion.hub.deployments.states()] == [
        ["in_progress", "success", "inactive"],
        ["in_progress", "success"],
    ]


def test_the_deployments_are_those_that_github_describes(promotion: Promotion) -> None:
    promotion.step("promote", model=f"mnist:{promotion.version('one')}")
    (made,) = promotion.hub.deployments.made
    assert (made["task"], made["environment"]) == ("promote:mnist#production#1", "production")
    assert made["production_environment"]
    route = "/repos/{owner}/{repo}/deployments"
    assert faults_of_answer(route, made, method="post", status="201") == []
    assert (
        faults_of_answer(f"{route}/{{deployment_id}}/statuses", promotion.hub.deployments.statuses[1]) == []
    )


def test_a_token_without_deployments_promotes_all_the_same(promotion: Promotion) -> None:
    promotion.hub.fail("GET", "/deployments", Fault(status=403, message=NOT_ACCESSIBLE))
    step = promotion.step("promote", model=f"mnist:{promotion.version('one')}")
    assert step.code == 0
    assert "deployments: write" in step.log
    assert promotion.holder() == "v1.0.0"


def test_a_version_without_a_verdict_is_refused(promotion: Promotion) -> None:
    version = promotion.world.add({"model.bin": "one"})
    step = promotion.step("promote", model=f"mnist:{version}")
    assert step.code == 1
    assert f"No verdict of a gate is kept beside `mnist:{version}`" in step.log
    assert promotion.holder() == ""
    assert step.outputs["verdict"] == "fail"
    assert promotion.step("promote", model=f"mnist:{version}", require_gate="false").code == 0
    assert promotion.holder() == version


def test_a_version_that_the_gate_refused_is_refused(promotion: Promotion) -> None:
    step = promotion.step("promote", model=f"mnist:{promotion.version('one', 'fail')}")
    assert step.code == 1
    assert "The gate refused `mnist:v1.0.0` (https://github.com/o/r/actions/runs/99)" in step.log
    assert promotion.holder() == ""


def test_with_fail_on_warn_a_warning_moves_nothing(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("two", "warn")
    promotion.step("promote", model=f"mnist:{first}")
    step = promotion.step("promote", model=f"mnist:{second}", fail_on="warn")
    assert (step.code, promotion.holder()) == (1, first)
    said = f"`mnist:{second}` was not promoted to `production`: a warning is enough with `fail-on: warn`."
    assert said in step.report
    assert promotion.step("promote", model=f"mnist:{second}").code == 0
    (promotion.world.workspace / "verdict.json").write_text(promotion.gate(first, "warn").to_json())
    back = promotion.step("rollback", evidence="verdict.json", fail_on="warn")
    assert (back.code, promotion.holder()) == (1, second)


def test_a_policy_that_was_changed_since_the_gate_is_named(promotion: Promotion) -> None:
    version = promotion.version("one")
    promotion.policy(POLICY.replace("50 MB", "40 MB"))
    step = promotion.step("promote", model=f"mnist:{version}")
    assert step.code == 1
    assert "was changed since the gate ran" in step.log
    promotion.gate(version)
    assert promotion.step("promote", model=f"mnist:{version}").code == 0


def test_a_verdict_about_other_files_is_no_verdict(promotion: Promotion) -> None:
    other = promotion.gate(promotion.world.add({"model.bin": "two"}))
    version = promotion.world.add({"model.bin": "one"})
    path = promotion.world.workspace / "verdict.json"
    path.write_text(other.to_json())
    step = promotion.step("promote", model=f"mnist:{version}", evidence="verdict.json")
    assert step.code == 1
    assert "is about a model with another digest" in step.log
    waived = promotion.step(
        "promote", model=f"mnist:{version}", evidence="verdict.json", require_gate="false", dry_run="true"
    )
    assert waived.result["move"]["why"] == "Promoted without a gate's verdict"
    path.write_text(promotion.gate(version).to_json())
    step = promotion.step("promote", model=f"mnist:{version}", evidence="verdict.json")
    assert (step.code, promotion.stage().moves[-1].why[:18]) == (0, "The gate said pass")


def test_a_version_that_never_raced_production_is_gated_again_once_production_is_held(
    promotion: Promotion,
) -> None:
    promotion.policy(f"{POLICY}    - {{measure: latency-p50, max-ratio: 1.10}}\n")
    first, second = (promotion.world.add({"model.bin": text}) for text in ("one", "two"))
    for name in (first, second):
        promotion.gate(name, baseline="")
    assert promotion.step("promote", model=f"mnist:{first}").code == 0  # the first has none to race
    step = promotion.step("promote", model=f"mnist:{second}")
    assert (step.code, promotion.holder()) == (1, first)
    assert f"The gate compared it with nothing, and `{first}` holds `production` now." in step.log
    promotion.gate(second, baseline=f"mnist:{first}")
    assert promotion.step("promote", model=f"mnist:{second}").outputs["verdict"] == "pass"


def test_a_version_that_raced_another_than_production_is_gated_again(promotion: Promotion) -> None:
    promotion.policy(f"{POLICY}    - {{measure: latency-p50, max-ratio: 1.10}}\n")
    first, second, third = (promotion.world.add({"model.bin": text}) for text in ("one", "two", "three"))
    digest = promotion.gate(first, baseline="").digest
    assert promotion.step("promote", model=f"mnist:{first}").code == 0
    for name in (second, third):
        promotion.gate(name, baseline=f"mnist:{first}", baseline_digest=digest)
    assert promotion.step("promote", model=f"mnist:{second}").outputs["verdict"] == "pass"
    step = promotion.step("promote", model=f"mnist:{third}")
    assert (step.code, promotion.holder()) == (1, second)
    assert f"The gate compared it with `{first}`, and `{second}` holds `production` now." in step.log
    assert "with `alias: production` and without the input `baseline`" in step.log


def test_on_the_way_to_production_a_race_beside_production_is_enough(promotion: Promotion) -> None:
    promotion.policy(
        f"{POLICY}    - {{measure: latency-p50, max-ratio: 1.10}}\n"
        "registry:\n  collection: mnist\n  stages: [staging, production]\n"
    )
    first, second, third = (promotion.world.add({"model.bin": text}) for text in ("one", "two", "three"))
    digest = promotion.gate(first, baseline="").digest
    for name in (first, second, third):
        if name != first:
            promotion.gate(name, baseline=f"mnist:{first}", baseline_digest=digest)
        step = promotion.step("promote", model=f"mnist:{name}", alias="staging")
        assert (step.code, promotion.holder("staging")) == (0, name)
    assert step.outputs["verdict"] == "warn"


def test_a_file_that_a_version_raced_counts_where_it_is_productions(promotion: Promotion) -> None:
    promotion.policy(f"{POLICY}    - {{measure: latency-p50, max-ratio: 1.10}}\n")
    first, second = (promotion.world.add({"model.bin": text}) for text in ("one", "two"))
    digest = promotion.gate(first, baseline="").digest
    assert promotion.step("promote", model=f"mnist:{first}").code == 0
    itself = promotion.gate(second, baseline="").digest
    promotion.gate(second, baseline="model.bin", baseline_digest=itself)
    step = promotion.step("promote", model=f"mnist:{second}")
    assert (step.code, promotion.holder()) == (1, first)
    assert f"compared it with `model.bin`, other files than those of `{first}`" in step.log
    promotion.gate(second, baseline="model.bin", baseline_digest=digest)
    assert promotion.step("promote", model=f"mnist:{second}").outputs["verdict"] == "pass"


def test_a_version_that_raced_nothing_is_worth_a_warning_where_nothing_beside_production_is_demanded(
    promotion: Promotion,
) -> None:
    promotion.step("promote", model=f"mnist:{promotion.version('one')}")
    second = promotion.world.add({"model.bin": "two"})
    promotion.gate(second, baseline="")
    step = promotion.step("promote", model=f"mnist:{second}")
    assert (step.code, step.outputs["verdict"], promotion.holder()) == (0, "warn", second)
    assert "The gate compared it with nothing" in step.log


def test_no_stage_is_jumped_over_unless_told(promotion: Promotion) -> None:
    promotion.policy(f"{POLICY}registry:\n  collection: mnist\n  stages: [staging, production]\n")
    version = promotion.version("one")
    step = promotion.step("promote", model=f"mnist:{version}", collection="")
    assert step.code == 1
    assert "never held `staging`, which comes before `production`" in step.log
    assert promotion.step("promote", model=f"mnist:{version}", alias="staging").code == 0
    # Without a model it is the one in the stage before.
    assert promotion.step("promote").code == 0
    assert (promotion.holder("staging"), promotion.holder()) == (version, version)
    other = promotion.version("two")
    told = promotion.step("promote", model=f"mnist:{other}", skip_stages="true")
    assert (told.code, told.outputs["verdict"]) == (0, "warn")
    wrong = promotion.step("promote", model=f"mnist:{other}", alias="prodution")
    assert wrong.code == 2
    assert "Did you mean `production`?" in wrong.log


def test_a_dry_run_says_what_would_move_and_moves_nothing(promotion: Promotion) -> None:
    version = promotion.version("one")
    step = promotion.step("promote", model=f"mnist:{version}", dry_run="true")
    assert step.code == 0
    assert f"`mnist:{version}` would take `production`, which nobody held." in step.report
    assert promotion.holder() == ""
    assert promotion.hub.deployments.made == []


def test_rolling_back_goes_further_each_time_and_forward_again(promotion: Promotion) -> None:
    names = [promotion.version(text) for text in ("one", "two", "three")]
    for name in names:
        promotion.step("promote", model=f"mnist:{name}")
    step = promotion.step("rollback")
    assert (step.code, step.errors) == (0, "")
    assert (promotion.holder(), step.outputs["version"], step.outputs["previous"]) == (
        names[1],
        names[1],
        names[2],
    )
    assert f"`mnist:{names[1]}` took `production` from `{names[2]}`." in step.report
    assert promotion.step("rollback").code == 0
    assert promotion.holder() == names[0]
    none = promotion.step("rollback")
    assert none.code == 2
    assert "there is nothing to go back to" in none.log
    assert promotion.step("rollback", to=names[2], reason="It was the network").code == 0
    assert promotion.holder() == names[2]
    assert [each.kind for each in promotion.stage().moves] == ["promote"] * 3 + ["rollback"] * 3


def test_a_run_that_is_repeated_rolls_back_once(promotion: Promotion) -> None:
    names = [promotion.version(text) for text in ("one", "two", "three")]
    for name in names:
        promotion.step("promote", model=f"mnist:{name}")
    promotion.step("rollback")
    promotion.environ = {"GITHUB_RUN_ATTEMPT": "2"}
    again = promotion.step("rollback", same_run=True)
    assert again.code == 0
    assert promotion.holder() == names[1]


def test_a_version_that_never_was_in_production_is_nowhere_to_go_back_to(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    promotion.step("promote", model=f"mnist:{first}")
    step = promotion.step("rollback", to=second)
    assert step.code == 2
    assert f"`{second}` (input `to`) never held `production` of `mnist`" in step.log
    assert f"These did: `{first}`" in step.log


def test_a_version_to_go_back_to_is_one_of_this_model_and_still_there(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    for name in (first, second):
        promotion.step("promote", model=f"mnist:{name}")
    other = promotion.step("rollback", to=f"other:{first}")
    assert (other.code, promotion.holder()) == (2, second)
    assert (
        f"`other:{first}` (input `to`) is a version of `other`, and the stage is one of `mnist`" in other.log
    )
    typed = promotion.step("rollback", to=f"mnist:{first} \n", dry_run="true")
    assert typed.code == 0
    assert f"`mnist:{first}` would take `production`" in typed.report
    as_gto_does = promotion.step("rollback", to=f"mnist@{first}", dry_run="true")
    assert as_gto_does.code == 0
    promotion.world.delete(first)
    gone = promotion.step("rollback")
    assert (gone.code, promotion.holder()) == (2, second)
    assert f"`{first}` held `production` before, and cannot take it again." in gone.log


def test_a_stage_that_nobody_held_is_nothing_to_go_back_in(promotion: Promotion) -> None:
    promotion.version("one")
    step = promotion.step("rollback")
    assert step.code == 2
    assert "No version has held `production` of `mnist`: there is nothing to go back to." in step.log


def test_files_that_are_lost_stop_a_rollback_before_anything_moves(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    for name in (first, second):
        promotion.step("promote", model=f"mnist:{name}")
    promotion.world.spoil(first)
    step = promotion.step("rollback")
    assert step.code == 2
    assert "has no `model.bin`" in step.log
    assert promotion.holder() == second


def test_files_that_were_exchanged_stop_a_rollback(promotion: Promotion) -> None:
    world = promotion.world
    assert isinstance(world, GitWorld)
    first, second = promotion.version("one"), promotion.version("two")
    for name in (first, second):
        promotion.step("promote", model=f"mnist:{name}")
    world.tag(f"mnist@{first}", "HEAD", "--force")  # the tag of the first now leads to the second's files
    step = promotion.step("rollback")
    assert step.code == 3
    assert "are not those that were recorded" in step.log
    assert promotion.holder() == second


def test_a_deployer_is_told_with_a_signature_and_a_key(promotion: Promotion, receiver: Receiver) -> None:
    promotion.environ = {"CML_WEBHOOK_SECRET": "hunter2hunter2", "CML_DISPATCH_TOKEN": "ghs_write_token"}
    receiver.answers = [500]
    version = promotion.version("one")
    step = promotion.step("promote", model=f"mnist:{version}", notify=f"{receiver.url}, o/deploy")
    assert (step.code, step.errors) == (0, "")
    headers, sent = receiver.got[-1]
    assert len(receiver.got) == 2  # the first was answered 500
    signed = hmac.new(b"hunter2hunter2", sent, hashlib.sha256).hexdigest()
    assert headers["X-Cml-Signature-256"] == f"sha256={signed}"
    key = f"o/r/mnist#production#1@{promotion.stage().moves[0].when}"
    assert headers["Idempotency-Key"] == key
    (event,) = promotion.hub.deployments.dispatched
    assert event["event_type"] == "model-promoted"
    assert json.loads(sent) == event["client_payload"]
    assert (event["client_payload"]["key"], event["client_payload"]["move"]["version"]) == (
        key,
        version,
    )
    assert "hunter2" not in step.log + step.report


def test_a_deployer_that_cannot_be_told_is_told_by_the_next_run(
    promotion: Promotion, receiver: Receiver
) -> None:
    promotion.environ = {"CML_WEBHOOK_SECRET": "hunter2hunter2"}
    receiver.answers = [404]
    version = promotion.version("one")
    step = promotion.step("promote", model=f"mnist:{version}", notify=receiver.url)
    assert step.code == 3
    assert "The deployer was not told: 127.0.0.1 answered 404" in step.log
    assert promotion.holder() == version
    assert promotion.hub.deployments.states()[0][1] == ["in_progress"]
    assert promotion.step("promote", model=f"mnist:{version}", notify=receiver.url).code == 0
    keys = {headers["Idempotency-Key"] for headers, _ in receiver.got}
    assert (len(receiver.got), len(keys)) == (2, 1)
    # Now the Deployment says that it is done, and nobody is told a third time.
    promotion.step("promote", model=f"mnist:{version}", notify=receiver.url)
    assert len(receiver.got) == 2
    # The record is deleted and begins anew: this is another move, though it has the first one's number.
    git(["push", "--quiet", "direct", ":refs/tags/mnist#production#1"], promotion.world.workspace)
    assert promotion.step("promote", model=f"mnist:{version}", notify=receiver.url).code == 0
    assert len(receiver.got) == 3
    assert receiver.got[-1][0]["Idempotency-Key"] not in keys


def test_a_deployer_is_told_and_the_report_says_what_moved_though_no_deployment_can_be_recorded(
    promotion: Promotion, receiver: Receiver
) -> None:
    promotion.environ = {"CML_WEBHOOK_SECRET": "hunter2hunter2"}
    promotion.hub.fail("GET", "/deployments", Fault(status=422, message="Not now"))
    version = promotion.version("one")
    step = promotion.step("promote", model=f"mnist:{version}", notify=receiver.url)
    assert step.code == 3
    assert f"`production` moved to `mnist:{version}`, but: Could not record the Deployment" in step.log
    assert f"`mnist:{version}` took `production`, which nobody held." in step.report
    assert (step.outputs["version"], step.outputs["verdict"]) == (version, "fail")
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ("ftp://x/y", "neither a web address nor a repository"),
        ("https://x/y", "CML_WEBHOOK_SECRET is not set"),
        ("o/deploy", "CML_DISPATCH_TOKEN is not set"),
    ],
)
def test_a_notification_that_cannot_work_is_named_before_anything_moves(
    promotion: Promotion, notify: str, said: str
) -> None:
    step = promotion.step("promote", model=f"mnist:{promotion.version('one')}", notify=notify)
    assert step.code == 2
    assert said in step.log
    assert promotion.holder() == ""


def merge(promotion: Promotion, text: str, *, branch: str = "main") -> str:
    """Commit `registry.lock.yaml` and let the next steps run on its push; return the commit."""
    world = promotion.world
    assert isinstance(world, GitWorld)
    (world.workspace / "registry.lock.yaml").write_text(text)
    before = git(["rev-parse", "HEAD"], world.workspace).strip()
    world.commit("Approve")
    made = git(["rev-parse", "HEAD"], world.workspace).strip()
    promotion.event = ("push", {"before": before, "repository": {"default_branch": "main"}})
    promotion.environ = {"GITHUB_SHA": made, "GITHUB_REF": f"refs/heads/{branch}"}
    return made


def test_a_person_approves_by_merging_one_line(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    lock = promotion.world.workspace / "registry.lock.yaml"
    lock.write_text(
        f"# Ours\nmnist:\n  staging: {first}\n  production: {first} # since May\nother:\n  production: v1\n"
    )
    step = promotion.step("promote", model=f"mnist:{second}", approval="pull-request")
    assert step.code == 0
    assert promotion.holder() == ""
    assert "once the change of `registry.lock.yaml` is merged" in step.report
    changed = f"# Ours\nmnist:\n  staging: {first}\n  production: {second}\nother:\n  production: v1\n"
    assert lock.read_text() == changed
    merge(promotion, changed)
    # On the push of the merge the lock file names the version; no `model` is needed.
    merged = promotion.step("promote", approval="pull-request")
    assert merged.code == 0, merged.log
    assert promotion.holder() == second


def test_a_line_that_was_merged_before_a_rollback_does_not_undo_it(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    promotion.step("promote", model=f"mnist:{first}")
    old = merge(promotion, f"mnist:\n  production: {second}\n")
    event, environ = promotion.event, promotion.environ
    assert promotion.step("promote", approval="pull-request").code == 0
    back = promotion.step("rollback")
    assert f"`registry.lock.yaml` names `{second}`: let it name `{first}` as well." in back.report

    merge(promotion, f"mnist:\n  production: {second}\nother:\n  production: v7\n")  # another model's line
    step = promotion.step("promote", approval="pull-request")
    assert (step.code, promotion.holder()) == (1, first)
    assert f"`mnist:{second}` was rolled back by ada at " in step.log
    assert f"Set it to `{first}`, which holds `production`" in step.log

    git(["checkout", "--quiet", old], promotion.world.workspace)
    promotion.event, promotion.environ = event, environ
    again = promotion.step("promote", approval="pull-request")  # the job that approved it, run again
    assert (again.code, promotion.holder()) == (1, first)

    git(["checkout", "--quiet", "-"], promotion.world.workspace)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00:00Z")
    merge(promotion, f"mnist:\n  production: {first}\n")
    merge(promotion, f"mnist:\n  production: {second}\n")
    anew = promotion.step("promote", approval="pull-request")
    assert (anew.code, promotion.holder()) == (0, second), anew.log


def test_a_line_on_a_branch_that_nobody_merged_approves_nothing(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    promotion.step("promote", model=f"mnist:{first}")
    made = merge(promotion, f"mnist:\n  production: {second}\n", branch="feature")
    step = promotion.step("promote", approval="pull-request")
    assert (step.code, promotion.holder()) == (1, first)
    assert "this run is of `refs/heads/feature`, which is not the default branch" in step.log
    # `issue_comment` runs on the default branch, and its job may check a pull request out.
    promotion.environ = {"GITHUB_SHA": git(["rev-parse", f"{made}^"], promotion.world.workspace).strip()}
    step = promotion.step("promote", approval="pull-request")
    assert (step.code, promotion.holder()) == (1, first)
    assert "in another commit than the one that this run is for" in step.log
    promotion.event = ("merge_group", promotion.event[1])
    assert promotion.step("promote", approval="pull-request").code == 2


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"model": "mnist:producton"}, "No version of `mnist` holds the alias `producton`"),
        ({"model": "mnist:lates"}, "Name a version such as `mnist:v1.2.3`"),
        ({"model": "mnist:v9.9.9"}, "There is no version v9.9.9 of `mnist`"),
        ({"model": "mnist:v9.9.9\n"}, "and `git push origin mnist@v9.9.9`"),
        ({"model": "mnist:v1"}, "In Git a version has three numbers: name it as `mnist:v1.0.0`"),
        ({"model": "mnist:1.0"}, "There is no version 1.0 of `mnist`"),
        ({"model": "other:v1.0.0"}, "names a model of `other`, and promotion happens in `mnist`"),
        ({"model": "$(touch x)"}, "which is no version in a registry"),
        (
            {"model": "mnist:v1.0.0", "evidence": "nowhere.json"},
            "`nowhere.json` (input `evidence`) is not there",
        ),
        ({}, "Nothing says which version shall be promoted"),
        ({"model": "v1.0.0", "collection": "a b"}, "cannot be a model's name in Git"),
    ],
)
def test_what_is_asked_wrongly_is_one_sentence(
    promotion: Promotion, inputs: dict[str, str], said: str
) -> None:
    promotion.world.add({"model.bin": "one"})
    step = promotion.step("promote", **inputs)
    assert step.code == 2
    assert said in step.log
    assert "Traceback" not in step.log


def test_two_versions_with_one_digest_are_both_named(promotion: Promotion) -> None:
    first, second = promotion.version("one"), promotion.version("one")
    digest = f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    step = promotion.step("promote", model=digest)
    assert step.code == 2
    assert f"2 versions of `mnist` have the digest `{digest}`: {first}, {second}" in step.log
