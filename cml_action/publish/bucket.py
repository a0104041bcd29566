"""Pictures in a bucket of the team's own: S3, Google Cloud Storage or Azure, through fsspec.

A file is named by its SHA-256, so the same picture is stored once; how long it is kept is the bucket's own
rule ("object lifecycle"). Nothing is made public here: either the bucket is, or addresses are signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cml_action.errors import OutsideError, UsageError
from cml_action.publish.assets import StoreRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.publish.pictures import Picture

_DAY_S = 86_400
#: Signatures of S3 (SigV4) and of Google (V4) last a week at most.
_LONGEST_DAYS = {"s3": 7, "gs": 7}
_FAMILY = {"s3": "s3", "gs": "gs", "az": "azure"}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_CONNECTION_STRING",
}
_FORBIDDEN, _NOT_FOUND = {401, 403}, 404


class BucketStore:
    """Pictures below a prefix of a bucket (a container in Azure).

    :param scheme: `s3`, `gs` or `az`; credentials are read from the environment by its own client.
    :param place: `BUCKET/PREFIX`.
    :param signed_days: how long addresses are signed for; None where the bucket is public.
    """

    def __init__(self, scheme: str, place: str, *, signed_days: int | None = None) -> None:
        longest = _LONGEST_DAYS.get(scheme)
        if signed_days and longest and signed_days > longest:
            raise UsageError(
                f"The input `assets-signed` is {signed_days} days; {scheme}:// signs for {longest} at most.",
                f"Ask for `{longest} days`, or make the bucket public.",
            )
        self.name = f"{scheme}://{place}"
        self._scheme, self._place, self._days = scheme, place, signed_days

    def put(self, pictures: Sequence[Picture]) -> dict[str, str]:
        """Store what is not there yet, all at once, and return the addresses."""
        files = self._files()
        try:
            there = self._names(files)
            missing = [each for each in pictures if each.file_name not in there]
            for media_type in {each.media_type for each in missing}:
                files.pipe(
                    {self._path(each): each.data for each in missing if each.media_type == media_type},
                    **self._typed(media_type),
                )
            return {each.digest: self._address(files, each) for each in pictures}
        except Exception as error:
            raise self._translated(error) from error

    def _files(self) -> Any:
        try:
            import fsspec

            # The older signatures, which botocore still makes for some regions, are refused by new buckets.
            options = {"config_kwargs": {"signature_version": "s3v4"}} if self._scheme == "s3" else {}
            return fsspec.filesystem(
                self._scheme, skip_instance_cache=True, use_listings_cache=False, **options
            )
        except ImportError:
            raise UsageError(
                f"Pictures in {self._scheme}:// need a client that is not installed here.",
                f"Run `pip install 'cml-action[{_FAMILY[self._scheme]}]'`.",
            ) from None
        except Exception as error:  # a client without its account's name
            raise self._translated(error) from error

    def _names(self, files: Any) -> set[str]:
        try:
            return {str(path).rpartition("/")[2] for path in files.ls(self._place, detail=False)}
        except FileNotFoundError:  # nothing below the prefix yet, or no such bucket: writing will tell
            return set()

    def _path(self, picture: Picture) -> str:
        return f"{self._place}/{picture.file_name}"

    def _typed(self, media_type: str) -> dict[str, Any]:
        """Return how each client is told a content's type; a browser shows nothing without it."""
        if self._scheme == "s3":
            return {"ContentType": media_type}
        return (
            {"content_type": media_type}
            if self._scheme == "gs"
            else {"content_settings": {"content_type": media_type}}
        )

    def _address(self, files: Any, picture: Picture) -> str:
        path = self._path(picture)
        if self._days:
            version = {"version": "v4"} if self._scheme == "gs" else {}
            return str(files.sign(path, expiration=self._days * _DAY_S, **version))
        if self._scheme == "gs":
            return f"https://storage.googleapis.com/{quote(path)}"
        if self._scheme == "az":
            return f"{files.service_client.url.partition('?')[0].rstrip('/')}/{quote(path)}"
        # The client knows region, endpoint and style of a bucket's address; without its query it is unsigned.
        return str(files.sign(path, expiration=1)).partition("?")[0]

    def _translated(self, error: Exception) -> OutsideError | UsageError:
        if isinstance(error, (OutsideError, UsageError)):
            return error
        credentials = _CREDENTIALS[self._scheme]
        kind = type(error).__name__
        if isinstance(error, PermissionError) or "Credential" in kind or _status(error) in _FORBIDDEN:
            return StoreRefusedError(
                f"Could not store pictures in {self.name}: credentials are missing, or may not write there.",
                f"Set {credentials} in the step's `env`, and allow them to list, read and write below it.",
            )
        if isinstance(error, AttributeError) and "private key" in str(error):  # Google's, of a token
            return StoreRefusedError(
                f"Addresses in {self.name} could not be signed: these credentials are no key, but a token.",
                "Use a service account's key, or a public bucket without `assets-signed`.",
            )
        if isinstance(error, FileNotFoundError) or _status(error) == _NOT_FOUND:
            return StoreRefusedError(
                f"Could not store pictures in {self.name}: there is no such bucket.",
                "Check the input `assets`.",
            )
        return OutsideError(f"Could not store pictures in {self.name} ({kind}).", "Run the job again.")


def _status(error: Exception) -> int:
    found = getattr(error, "status_code", None) or getattr(error, "code", None)
    return found if isinstance(found, int) else 0
