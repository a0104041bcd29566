"""Pictures of a report: read from the workspace, checked, and shown by another address.

A picture is known by its content: the same one in two places, or in two runs, is stored once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, unquote_to_bytes

from cml_action.errors import UsageError
from cml_action.publish.find import Found, find, normalised, replaced
from cml_action.publish.markdown import ZERO_WIDTH, code, plain, plain_html, words
from cml_action.publish.svg import fault_of_svg
from cml_action.quantity import quantity
from cml_action.report import Figure, Markdown, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cml_action.log import Log
    from cml_action.report import Block

    #: Gives a picture's address; empty where it has none, and words stand for it.
    Address: TypeAlias = Callable[["Picture"], str]

#: What GitHub itself takes as a picture in a comment (GitHub Docs, "Attaching files").
MOST_BYTES = 10 * 1000 * 1000
#: A comment of 65,536 characters holds no more addresses than about this.
MOST_PICTURES = 300
MOST_TOTAL_BYTES = 100 * 1000 * 1000
_MOST_WARNINGS = 5

_MEDIA = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
#: Where a content of each kind has which bytes.
_SIGNS = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"RIFF", "webp"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1a\x45\xdf\xa3", "webm"),
)
_ALLOWED = "PNG, JPEG, GIF, WebP or SVG (MP4 and WebM become links)"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A file to be shown.

    :param kind: what its content is, as a file name ends: `png`, `jpg`, `gif`, `webp`, `svg`, `mp4`, `webm`;
        for a file that is no picture, its own ending or `bin`.
    :param name: what people call it.
    """

    data: bytes = field(repr=False)
    kind: str
    name: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def file_name(self) -> str:
        """The name that it is stored under: `<digest>.<kind>`."""
        return f"{self.digest}.{self.kind}"

    @property
    def media_type(self) -> str:
        """`image/png` and so on."""
        return _MEDIA.get(self.kind, "application/octet-stream")

    @property
    def is_video(self) -> bool:
        """GitHub shows no video that was not uploaded by hand: it becomes a link."""
        return self.media_type.startswith("video/")

    @property
    def is_picture(self) -> bool:
        """Whether it can be shown as it is."""
        return self.media_type.startswith("image/")

    @property
    def data_url(self) -> str:
        """The picture inside its own address."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """What a report shows: its users' pictures, and its own figures drawn.

    :param texts: for each text of a user's own, what was found in it; None where it could not be read.
    """

    texts: Mapping[Markdown, tuple[tuple[Found, Picture | None], ...]]
    figures: Mapping[Figure, Picture]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture once, in order of appearance."""
        shown = [picture for found in self.texts.values() for _, picture in found if picture]
        return tuple({each.digest: each for each in (*shown, *self.figures.values())}.values())


def collect(report: Report, root: Path, log: Log) -> Gallery:
    """Read the pictures of a report's own Markdown, and draw its figures.

    A picture that cannot be shown is a warning with a sentence: the report is worth more than one of them.

    :param root: the workspace, which no address may leave.
    """
    blocks = [block for section in report.sections for block in section.blocks]
    texts, faults = {}, list[str]()
    room = _Room()
    for block in dict.fromkeys(block for block in blocks if isinstance(block, Markdown)):
        texts[block] = tuple(
            (found, _read_or_say(found, block.folder or root, _root(block, root), room, faults))
            for found in find(normalised(block.text))
        )
    for fault in faults[:_MOST_WARNINGS]:
        log.warning(fault, title="Picture")
    if len(faults) > _MOST_WARNINGS:
        log.warning(f"{len(faults) - _MOST_WARNINGS:,} more pictures are not shown.", title="Picture")
    return Gallery(texts=texts, figures=_drawn(blocks))


def shown(report: Report, gallery: Gallery, address: Address, *, figures: bool = True) -> Report:
    """Return the report with every picture at the address that it has; words stand for one that has none.

    :param figures: also the report's own figures; one without an address stays a figure.
    """

    def block_of(block: Block) -> Block:
        if isinstance(block, Markdown):
            return replace(block, text=_rewritten(block, gallery.texts.get(block, ()), address))
        if figures and isinstance(block, Figure) and block in gallery.figures:
            url = address(gallery.figures[block])
            if url:
                return Markdown(f"**{words(block.title)}**\n\n![{plain(block.alt)}]({url})")
        return block

    sections = tuple(
        replace(section, blocks=tuple(block_of(block) for block in section.blocks))
        for section in report.sections
    )
    return replace(report, sections=sections)


def rewrite(text: str, folder: Path, root: Path, address: Address, log: Log) -> str:
    """Return a user's Markdown with its local pictures at the addresses that they have.

    :param folder: where relative paths start: the folder of the Markdown file.
    :param root: the workspace, which no address may leave.
    """
    from cml_action.report import Section, Text

    block = Markdown(text, folder)
    gallery = collect(Report(sections=(Section(title=Text(()), blocks=(block,)),)), root, log)
    return _rewritten(block, gallery.texts[block], address)


def read(address: str, folder: Path, root: Path) -> Picture:
    """Return the picture that an address leads to.

    :param address: a path relative to `folder`, one that begins at the workspace, or a `data:` URL.
    :raises UsageError: it is missing, a folder, out of the workspace, too large, no picture, or a drawing
        that runs something; the sentence says which.
    """
    if address[:5].lower() == "data:":
        data, name = _decoded(address), "a `data:` URL"
    else:
        path = _path(address, folder, root)
        data, name = path.read_bytes(), path.name
    shown_as = "A `data:` URL" if address[:5].lower() == "data:" else f"The picture {_quoted(address)}"
    kind = _kind(data)
    if kind is None:
        raise UsageError(f"{shown_as} is none that GitHub shows.", f"Write it as {_ALLOWED}.")
    if kind == "svg" and (fault := fault_of_svg(data)):
        raise UsageError(f"{shown_as} is an SVG that {fault}.", "Save it as a plain drawing, or as a PNG.")
    return Picture(data=data, kind=kind, name=name)


def load(path: Path) -> Picture:
    """Return any file as something to store; one that is no picture keeps the ending of its name."""
    data = path.read_bytes()
    ending = path.suffix[1:].lower()
    own = ending if ending.isascii() and ending.isalnum() and ending not in _MEDIA else "bin"
    kind = _kind(data)
    if kind == "svg" and fault_of_svg(data):
        kind = "txt"
    return Picture(data=data, kind=kind or own, name=path.name)


@dataclass
class _Room:
    """How many pictures of one report are read, and how large they are together."""

    left: int = MOST_PICTURES
    bytes_left: int = MOST_TOTAL_BYTES

    def take(self, picture: Picture) -> None:
        self.left -= 1
        self.bytes_left -= len(picture.data)
        if self.left < 0:
            raise UsageError(
                f"A report shows at most {MOST_PICTURES} pictures; {_quoted(picture.name)} is one too many.",
                "Put several plots into one picture.",
            )
        if self.bytes_left < 0:
            raise UsageError(
                f"The pictures of a report have at most {quantity(MOST_TOTAL_BYTES, 'bytes')} together;"
                f" {_quoted(picture.name)} is too much.",
                "Save them smaller.",
            )


def _root(block: Markdown, workspace: Path) -> Path:
    """Return what a text's addresses may not leave: a report that was fetched has a folder of its own."""
    folder = block.folder
    return workspace if folder is None or folder.resolve().is_relative_to(workspace.resolve()) else folder


def _read_or_say(found: Found, folder: Path, root: Path, room: _Room, faults: list[str]) -> Picture | None:
    try:
        picture = read(found.address, folder, root)
        room.take(picture)
    except UsageError as error:
        faults.append(str(error))
        return None
    except OSError as error:
        faults.append(f"The picture {_quoted(found.address)} could not be read: {error.strerror}.")
        return None
    return picture


def _path(address: str, folder: Path, root: Path) -> Path:
    """Return the file that a path in a report means."""
    root = root.resolve()
    bare = address.partition("#")[0].partition("?")[0]
    # As written, then as an address; `/plot.png` is of the machine, or of the repository as on GitHub.
    ways = [folder / address, folder / unquote(bare)]
    if bare.startswith("/"):
        ways.append(root / unquote(bare).lstrip("/"))
    try:
        path = next((way for way in ways if os.path.lexists(way)), ways[-1])
        real = path.resolve()
        inside = real.is_relative_to(root)
        is_there, is_folder = real.exists(), real.is_dir()
        size = real.stat().st_size if is_there else 0
    except (OSError, ValueError, RuntimeError):  # too long, a NUL in it, or links in a circle
        inside, is_there = True, False
    if not inside:
        raise UsageError(
            f"The picture {_quoted(address)} leaves the workspace.", "Save it inside the repository's folder."
        )
    if not is_there:
        raise UsageError(
            f"The picture {_quoted(address)} is not there.",
            "Paths start at the report's own folder; an earlier step has to write it.",
        )
    if is_folder or not real.is_file():
        raise UsageError(f"The picture {_quoted(address)} is not a file.", "Name a file.")
    if size > MOST_BYTES:
        raise UsageError(
            f"The picture {_quoted(address)} has {quantity(size, 'bytes')};"
            f" at most {quantity(MOST_BYTES, 'bytes')} are shown.",
            "Save it smaller.",
        )
    return real


def _decoded(url: str) -> bytes:
    """Return the content of a `data:` URL (RFC 2397)."""
    head, comma, body = url[5:].partition(",")
    try:
        if head.lower().replace(" ", "").endswith(";base64"):
            data = base64.b64decode("".join(unquote(body).split()), validate=True)
        else:
            data = unquote_to_bytes(body)
    except (ValueError, binascii.Error):
        comma = ""
    if not comma:
        raise UsageError("A `data:` URL in the report is broken.", "Write the picture again.")
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"A `data:` URL in the report has {quantity(len(data), 'bytes')};"
            f" at most {quantity(MOST_BYTES, 'bytes')} are shown.",
            "Save the picture smaller.",
        )
    return data


def _kind(data: bytes) -> str | None:
    """Return what a content is; its name may say anything."""
    for at, sign, kind in _SIGNS:
        if data[at : at + len(sign)] == sign and (kind != "webp" or data[8:12] == b"WEBP"):
            return kind
    is_xml = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return "svg" if is_xml and b"<svg" in data[:4096] else None


def _drawn(blocks: list[Block]) -> dict[Figure, Picture]:
    figures = dict.fromkeys(block for block in blocks if isinstance(block, Figure))
    if not figures:
        return {}
    from cml_action.publish.figures import png

    return {figure: Picture(data=png(figure), kind="png", name=figure.title) for figure in figures}


def _rewritten(block: Markdown, found: tuple[tuple[Found, Picture | None], ...], address: Address) -> str:
    return replaced(
        normalised(block.text),
        [(each, _piece(each, picture, address(picture) if picture else "")) for each, picture in found],
    )


def _piece(found: Found, picture: Picture | None, url: str) -> str:
    """Return the Markdown, or HTML, that shows a picture at its address."""
    name = _spoken(found, picture)
    if found.tag:
        return _tag(found, picture, url, name)
    if not url or picture is None:
        return f"*{plain(name)}*"
    if not picture.is_picture:
        return f"[▶ {plain(name)}]({url})"
    return found.at(f"{url}{found.fragment}")


def _tag(found: Found, picture: Picture | None, url: str, name: str) -> str:
    if not url or picture is None:
        return f"<em>{plain_html(name)}</em>"
    if not picture.is_picture:
        return f'<a href="{html.escape(url)}">▶ {plain_html(name)}</a>'
    return found.at(f"{url}{found.fragment}")


def _spoken(found: Found, picture: Picture | None) -> str:
    """Return what is said of a picture that cannot be seen."""
    alt = found.alt.replace(ZERO_WIDTH, "")  # would be written out; it is put in again where it is needed
    if alt.strip():
        return alt
    if picture:
        return picture.name
    return "picture" if found.address.startswith("data:") else Path(unquote(found.address)).name or "picture"


def _quoted(address: str) -> str:
    return code(address)
