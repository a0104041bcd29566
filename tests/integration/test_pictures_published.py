from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from cml_action.errors import OutsideError
from cml_action.publish.assets import StoreRefusedError, check_assets
from cml_action.publish.bucket import BucketStore
from cml_action.publish.pictures import Picture
from cml_action.publish.server import ServerStore
from tests.services.azure import running_azure
from tests.services.forked import forked_step
from tests.services.gcs import running_gcs
from tests.services.images import SVG, png
from tests.services.s3 import KEYS, S3, running_s3
from tests.services.server import asset_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.emulator import Emulator, Fresh
    from tests.services.proxy import Proxy
    from tests.services.runner import Step

REPORT = "It is 97.6 %.\r\n\r\n![the loss](plots/loss.png)\r\n\r\n![gone](gone.png)\r\n"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running_s3() as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "loss.png").write_bytes(png())
    (folder / "report.md").write_bytes(REPORT.encode())
    return folder


def comment(workspace: Path, proxy: Proxy, fresh: Fresh, token: str, **inputs: str) -> Step:
    given = {"mode": "comment", "report": "report.md", "github-token": token}
    return forked_step(
        workspace,
        {**given, **{name.replace("_", "-"): value for name, value in inputs.items()}},
        event=("pull_request", fresh.pull_request_event()),
        environ={"GITHUB_API_URL": proxy.url, "GITHUB_REPOSITORY": fresh.name},
    )


def body(fresh: Fresh) -> str:
    (found,) = fresh.pull.get_issue_comments()
    return str(found.body)


def test_a_local_picture_is_shown_from_the_branch_and_lies_beside_the_report(
    workspace: Path, emulator: Emulator, proxy: Proxy, fresh: Fresh
) -> None:
    step = comment(workspace, proxy, fresh, emulator.token)

    assert step.code == 0, step.log
    name = Picture(data=png(), kind="png", name="").file_name
    assert f"![the loss](https://github.com/{fresh.name}/blob/cml-assets/" in body(fresh)
    assert f"/{name}?raw=true)" in body(fresh)
    assert "*gone*" in body(fresh)
    assert "::warning title=Picture::The picture `gone.png` is not there." in step.log
    assert f"![the loss](pictures/{name})" in step.report
    assert (Path(step.outputs["report"]).parent / "pictures" / name).read_bytes() == png()
    assert 'src="data:image/png;base64,' in Path(step.outputs["report-html"]).read_text(encoding="utf-8")
    assert f"/{name}?raw=true)" in step.summary
    proxy.calls.clear()
    comment(workspace, proxy, fresh, emulator.token)
    assert [call for call in proxy.calls if "graphql" in call or "/git/" in call] == ["POST /graphql"]


def test_a_token_without_contents_shows_words_and_says_which_permission_to_add(
    workspace: Path, emulator: Emulator, proxy: Proxy, fresh: Fresh
) -> None:
    token = emulator.workflow_token(contents="read", issues="write", pull_requests="write")

    step = comment(workspace, proxy, fresh, token)

    assert step.code == 0
    assert "*the loss*" in body(fresh)
    assert "::notice title=Pictures::1 picture not shown. Could not store pictures on the branch" in step.log
    assert "`contents: write`" in step.log


def test_where_nothing_shall_be_stored_nothing_is(
    workspace: Path, emulator: Emulator, proxy: Proxy, fresh: Fresh
) -> None:
    comment(workspace, proxy, fresh, emulator.token, assets="none")

    assert "*the loss*" in body(fresh)
    assert {branch.name for branch in fresh.repo.get_branches()} == {"main", "feature"}


def test_a_pull_request_of_a_fork_is_green_and_nothing_is_attempted_that_would_be_refused(
    workspace: Path, emulator: Emulator, proxy: Proxy, fresh: Fresh
) -> None:
    event = fresh.pull_request_event()
    pull = event["pull_request"]
    assert isinstance(pull, dict)
    pull["head"] = {**pull["head"], "repo": {"full_name": "octocat/fork"}}
    token = emulator.workflow_token(contents="read", issues="read", pull_requests="read", checks="read")

    step = forked_step(
        workspace,
        {"mode": "comment", "report": "report.md", "check": "true", "github-token": token},
        event=("pull_request", event),
        environ={"GITHUB_API_URL": proxy.url, "GITHUB_REPOSITORY": fresh.name},
    )

    assert step.code == 0
    assert "It is 97.6 %." in step.summary
    assert "::error" not in step.log
    assert not [call for call in proxy.calls if "graphql" in call or "check-runs" in call or "git/" in call]


def test_pictures_in_s3_have_a_type_and_are_stored_once(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**s3.environ, **KEYS}.items():
        monkeypatch.setenv(name, value)
    pictures = [Picture(data=png(), kind="png", name="a"), Picture(data=SVG, kind="svg", name="b")]
    store = BucketStore("s3", f"{s3.bucket}/ci/pictures")

    first = store.put(pictures)

    listed = s3.client().list_objects_v2(Bucket=s3.bucket, Prefix="ci/pictures/")["Contents"]
    assert {each["Key"] for each in listed} == {f"ci/pictures/{each.file_name}" for each in pictures}
    for each in pictures:
        found = s3.client().get_object(Bucket=s3.bucket, Key=f"ci/pictures/{each.file_name}")
        assert (found["ContentType"], found["Body"].read()) == (each.media_type, each.data)
        assert first[each.digest].endswith(f"/{each.file_name}")
        assert "?" not in first[each.digest]
    before = {each["Key"]: each["LastModified"] for each in listed}
    assert store.put(pictures) == first
    listed = s3.client().list_objects_v2(Bucket=s3.bucket, Prefix="ci/pictures/")["Contents"]
    assert {each["Key"]: each["LastModified"] for each in listed} == before


def test_signed_addresses_of_s3_open_without_keys(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**s3.environ, **KEYS}.items():
        monkeypatch.setenv(name, value)
    picture = Picture(data=png(3), kind="png", name="a")

    address = BucketStore("s3", f"{s3.bucket}/signed", signed_days=7).put([picture])[picture.digest]

    assert "604800" in address
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in address
    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 -- our own server
        assert answer.read() == picture.data


@pytest.mark.slow  # the emulator has 187 MB
def test_a_container_of_azure_keeps_each_picture_once_and_signs_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.storage.blob import BlobServiceClient

    pictures = [Picture(data=png(), kind="png", name="a"), Picture(data=SVG, kind="svg", name="b")]
    with running_azure(tmp_path) as connection:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
        with BlobServiceClient.from_connection_string(connection) as service:
            container = service.create_container("plots", public_access="blob")
            store = BucketStore("az", "plots/ci")

            public = store.put(pictures)
            first = {each.name: each.last_modified for each in container.list_blobs()}
            signed = BucketStore("az", "plots/ci", signed_days=30).put(pictures)

            assert set(first) == {f"ci/{each.file_name}" for each in pictures}
            assert {each.name: each.last_modified for each in container.list_blobs()} == first
            assert store.put(pictures) == public
            for each in pictures:
                assert public[each.digest].endswith(f"/devstoreaccount1/plots/ci/{each.file_name}")
                assert "sig=" in signed[each.digest]
                for address in (public[each.digest], signed[each.digest]):
                    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 -- our own server
                        assert answer.headers["Content-Type"] == each.media_type
                        assert answer.read() == each.data
        with pytest.raises(StoreRefusedError, match="Could not store pictures in az://nowhere/ci"):
            BucketStore("az", "nowhere/ci").put(pictures)


def test_a_bucket_of_google_keeps_each_picture_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [Picture(data=png(), kind="png", name="a"), Picture(data=SVG, kind="svg", name="b")]
    with running_gcs(tmp_path, "plots") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        store = BucketStore("gs", "plots/ci")

        addresses = store.put(pictures)
        first = _listed(url, "plots")

        assert store.put(pictures) == addresses
        assert _listed(url, "plots") == first
        assert {name: kept["contentType"] for name, kept in first.items()} == {
            f"ci/{each.file_name}": each.media_type for each in pictures
        }
        for each in pictures:
            assert addresses[each.digest] == f"https://storage.googleapis.com/plots/ci/{each.file_name}"
            media = f"{url}/download/storage/v1/b/plots/o/{quote(f'ci/{each.file_name}', safe='')}?alt=media"
            with urllib.request.urlopen(media, timeout=20) as answer:  # noqa: S310 -- our own server
                assert answer.read() == each.data
        with pytest.raises(StoreRefusedError, match="these credentials are no key, but a token"):
            BucketStore("gs", "plots/ci", signed_days=7).put(pictures)
        with pytest.raises(StoreRefusedError, match="gs://nowhere/ci: there is no such bucket"):
            BucketStore("gs", "nowhere/ci").put(pictures)


def _listed(url: str, bucket: str) -> dict[str, dict[str, str]]:
    """Return what a bucket holds: an object's metadata by its name."""
    with urllib.request.urlopen(f"{url}/storage/v1/b/{bucket}/o", timeout=20) as answer:  # noqa: S310 -- our own
        return {each["name"]: each for each in json.load(answer)["items"]}


def test_an_asset_server_that_refuses_or_is_not_there_is_named() -> None:
    picture = Picture(data=png(), kind="png", name="a")
    for status in (403, 200):  # 200 with a text that is no address: another server
        with (
            asset_server(status) as server,
            pytest.raises(
                StoreRefusedError, match=f"the asset server 127.0.0.1 answered {status} and no address"
            ),
        ):
            ServerStore(server.url).put([picture])
    with pytest.raises(OutsideError, match=r"the asset server 127\.0\.0\.1 does not answer"):
        ServerStore(server.url).put([picture])


@pytest.mark.parametrize("bucket", ["no-such-bucket-here/x"])
def test_a_bucket_that_is_not_there_is_named(s3: S3, monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    for name, value in {**s3.environ, **KEYS}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StoreRefusedError, match="Could not store pictures in s3://no-such-bucket-here/x"):
        BucketStore("s3", bucket).put([Picture(data=png(), kind="png", name="a")])


@pytest.mark.parametrize(
    ("asked", "keep", "signed", "said"),
    [
        ("branches", "90 days", "", "The input `assets` is `branches`."),
        ("branch:a..b", "90 days", "", "that is no branch"),
        ("s3://", "90 days", "", "The input `assets` is `s3://`."),
        ("auto", "soon", "", "The input `assets-keep` is `soon`."),
        ("s3://b", "90 days", "30 days", "s3:// signs for 7 at most"),
    ],
)
def test_an_input_that_says_nothing_is_refused_before_anything_runs(
    asked: str, keep: str, signed: str, said: str
) -> None:
    with pytest.raises(Exception, match="input") as caught:
        check_assets(asked, keep=keep, signed=signed)
    assert said in str(caught.value)
