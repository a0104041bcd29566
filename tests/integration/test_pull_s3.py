from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from cml_action.credentials import prepared
from cml_action.errors import UsageError
from cml_action.remotes import remote_schemes
from tests.services.forked import forked_step
from tests.services.projects import Project, new_project
from tests.services.s3 import KEYS, S3, running_s3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running_s3() as running:
        yield running


@pytest.fixture
def checkout(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A clone whose data lies in a bucket."""
    for name, value in {**s3.environ, **KEYS}.items():
        monkeypatch.setenv(name, value)
    project = new_project(tmp_path)
    project.dvc("remote", "add", "--quiet", "--force", "--default", "storage", f"s3://{s3.bucket}/dvc")
    project.commit({"train.csv": "a,b\n1,2\n", "images/one.txt": "one"})
    for name in KEYS:
        monkeypatch.delenv(name)
    return project.clone(tmp_path / "checkout")


def test_data_comes_from_a_bucket_with_keys(checkout: Project, s3: S3) -> None:
    step = forked_step(checkout.path, {"mode": "pull", "jobs": "2"}, environ={**s3.environ, **KEYS})
    assert step.code == 0, step.log
    assert (checkout.path / "train.csv").read_text() == "a,b\n1,2\n"
    assert f"from storage (s3://{s3.bucket}/dvc)" in step.log


def test_data_comes_from_a_bucket_without_keys_by_a_web_identity_and_a_role(
    checkout: Project, s3: S3
) -> None:
    role = s3.client("iam").create_role(
        RoleName=f"reader-{os.getpid()}-{checkout.path.parent.name}"[:60],
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )["Role"]["Arn"]
    token = checkout.path.parent / "token"
    token.write_text("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
    environ = {
        **s3.environ,
        "AWS_ROLE_ARN": role,
        "AWS_ROLE_SESSION_NAME": "ci",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
    }
    step = forked_step(checkout.path, {"mode": "pull"}, environ=environ)
    assert step.code == 0, step.log
    assert (checkout.path / "images" / "one.txt").read_text() == "one"


def test_a_remote_without_credentials_says_so(checkout: Project, s3: S3) -> None:
    environ = {**s3.environ, "HOME": str(checkout.path.parent)}
    step = forked_step(checkout.path, {"mode": "pull"}, environ=environ)
    assert step.code == 3
    assert f"The remote refuses: `storage` (s3://{s3.bucket}/dvc)" in step.log
    assert "Check the credentials" in step.log
    assert not (checkout.path / "train.csv").exists()


def test_a_bucket_that_is_not_there_is_named(checkout: Project, s3: S3) -> None:
    checkout.dvc("remote", "modify", "storage", "url", "s3://no-such-bucket-of-ours/dvc")
    step = forked_step(checkout.path, {"mode": "pull"}, environ={**s3.environ, **KEYS})
    assert step.code == 3
    assert "s3://no-such-bucket-of-ours/dvc" in step.log


def test_the_schemes_of_remotes_are_known_before_dvc_is_installed(checkout: Project) -> None:
    assert remote_schemes(checkout.path) == {"s3"}
    assert remote_schemes(checkout.path / "images") == {"s3"}
    assert remote_schemes(checkout.path.parent) == set()


def test_googles_key_may_be_the_json_itself(tmp_path: Path) -> None:
    key = json.dumps({"type": "service_account", "private_key": "secret"})
    changed = prepared({"GOOGLE_APPLICATION_CREDENTIALS": key}, tmp_path)
    path = tmp_path / "google.json"
    assert changed["GOOGLE_APPLICATION_CREDENTIALS"] == str(path)
    assert path.read_text() == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_googles_key_may_be_a_path(tmp_path: Path) -> None:
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in prepared(
        {"GOOGLE_APPLICATION_CREDENTIALS": "/run/key.json"}, tmp_path
    )


def test_aws_is_asked_twice_where_the_user_says_nothing(tmp_path: Path) -> None:
    assert prepared({}, tmp_path) == {"AWS_MAX_ATTEMPTS": "2"}
    assert prepared({"AWS_MAX_ATTEMPTS": "7"}, tmp_path) == {}


@pytest.mark.parametrize(
    "value", ['{"type": "service_account", "private_key": "hunter2"', '{"private_key": "hunter2"}']
)
def test_a_broken_key_is_refused_and_not_shown(value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GOOGLE_APPLICATION_CREDENTIALS") as caught:
        prepared({"GOOGLE_APPLICATION_CREDENTIALS": value}, tmp_path)
    assert "hunter2" not in str(caught.value)
