"""Local pictures in a user's Markdown, found as GitHub's reader would meet them: by a Markdown parser.

markdown-it gives a block the lines that it stands on, and nothing to an image inside. So blocks are parsed
first, then each block's text by itself with rules that note where they matched, and the place in the block is
carried over to the place in the file.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_inline.html_inline import html_inline
from markdown_it.rules_inline.image import image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

Attributes: TypeAlias = "tuple[tuple[str, str | None], ...]"
#: The attribute of each tag that names a picture or a video.
_NAMED_BY = {"img": "src", "video": "src", "source": "src", "picture": ""}
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")
_IN_TABLE = {"th_open", "td_open"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A local picture in a text.

    :param start: where it begins in the text, and `end` where it ends, in characters.
    :param address: the path or `data:` URL as it was meant, escapes undone.
    :param alt: what stands for the picture: Markdown source, or an attribute's value.
    :param tag: `img`, `video` or `source` with its attributes, where it is an HTML tag.
    """

    start: int
    end: int
    address: str
    alt: str
    title: str = ""
    tag: str = ""
    attributes: Attributes = ()

    @property
    def fragment(self) -> str:
        """What GitHub reads behind `#`, such as `gh-dark-mode-only`, with the `#`; nothing otherwise."""
        _, sign, rest = ("", "", "") if self.address.startswith("data:") else self.address.partition("#")
        return sign + quote(rest)

    def at(self, address: str) -> str:
        """Return the Markdown, or the HTML tag, that shows the picture at an address.

        :param address: as it stands in Markdown: percent-encoded.
        """
        if not self.tag:
            escaped = re.sub(r'([\\"])', r"\\\1", self.title.replace("\n", " ")).replace("&", "&amp;")
            return f"![{self.alt}]({address}" + (f' "{escaped}")' if self.title else ")")
        written = []
        for name, value in self.attributes:
            given = address if value is None and name in {"src", "srcset"} else value
            written.append(name if given is None else f'{name}="{escape(given)}"')
        return f"<{' '.join([self.tag, *written])}>"


def normalised(text: str) -> str:
    """Return the text with the line ends that `find` counts by; a report from Windows has others."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def find(text: str, *, remote: bool = False) -> tuple[Found, ...]:
    """Return the local pictures of a text, in their order; code and comments hold none.

    :param text: with line ends as `normalised` leaves them.
    :param remote: also those of the web.
    """
    if "![" not in text and "<" not in text:  # parsing a large text takes seconds
        return ()
    parser = _Parser()
    environment: dict[str, Any] = {}
    lines = _Lines(text)
    found: list[Found] = []
    before = ""
    for token in parser.parse(text, environment):
        if token.type == "inline" and token.map and ("![" in token.content or "<" in token.content):
            recorded: list[Found] = []
            inside = {**environment, "recorded": recorded, "depth": [0]}
            parser.inline.parse(token.content, parser, inside, [])
            found += lines.carried(token, recorded, in_cell=before in _IN_TABLE)
        elif token.type == "html_block" and token.map:
            found += lines.carried(token, tags(token.content))
        before = token.type
    return tuple(each for each in found if remote or _is_local(each.address))


def replaced(text: str, pieces: Iterable[tuple[Found, str]]) -> str:
    """Return the text with each found picture replaced by other Markdown."""
    parts, at = [], 0
    for found, piece in sorted(pieces, key=lambda each: each[0].start):
        parts += [text[at : found.start], piece]
        at = found.end
    return "".join([*parts, text[at:]])


class _Parser(MarkdownIt):
    """CommonMark with GitHub's tables, and images that may lead anywhere: they are judged later."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": True})
        self.enable(["table", "strikethrough"]).disable("inline")
        self.inline.ruler.at("image", _image)
        self.inline.ruler.at("html_inline", _html)

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 -- markdown-it's name
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url


def _image(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 -- the parser's own signature
    start, depth = state.pos, state.env["depth"]
    depth[0] += 1  # an image in another's words is never shown
    try:
        matched = image(state, silent)
    finally:
        depth[0] -= 1
    if matched and not silent and not depth[0]:
        attributes = state.tokens[-1].attrs
        closed = state.md.helpers.parseLinkLabel(state, start + 1, False)
        state.env["recorded"].append(
            Found(
                start=start,
                end=state.pos,
                address=str(attributes["src"]),
                alt=state.src[start + 2 : closed],
                title=str(attributes.get("title", "")),
            )
        )
    return matched


def _html(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 -- the parser's own signature
    start = state.pos
    matched = html_inline(state, silent)
    if matched and not silent and not state.env["depth"][0]:
        state.env["recorded"] += tags(state.src[start : state.pos], start)
    return matched


def tags(html: str, offset: int = 0) -> list[Found]:
    """Return the tags of a piece of HTML that show a picture, wherever it is."""
    reader = _Reader(html, offset)
    with contextlib.suppress(AssertionError):  # of Python's own parser, which gives up at `<![ `
        reader.feed(html)
        reader.close()
    return reader.found


class _Reader(HTMLParser):
    """Tags that show a picture, and where they stand."""

    def __init__(self, html: str, offset: int) -> None:
        super().__init__()
        self.found: list[Found] = []
        self._starts = [offset, *(offset + each.end() for each in re.finditer("\n", html))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = _NAMED_BY.get(tag)
        values = dict(attrs)
        if tag == "source" and not values.get("src"):
            named = "srcset"
            if len((values.get("srcset") or "").split()) != 1:  # several sizes: left as they are
                return
        address = values.get(named or "") or ""
        line, column = self.getpos()
        start = self._starts[line - 1] + column
        if address:
            self.found.append(
                Found(
                    start=start,
                    end=start + len(self.get_starttag_text() or ""),
                    address=address.strip(),
                    alt=values.get("alt") or "",
                    title=values.get("title") or "",
                    tag=tag,
                    attributes=tuple((name, None if name == named else value) for name, value in attrs),
                )
            )


class _Lines:
    """The lines of a text, by which a place in a block becomes a place in the text."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._cell = (-1, 0)

    def carried(self, token: Token, recorded: Sequence[Found], *, in_cell: bool = False) -> Iterator[Found]:
        """Yield what was found in a block's text, with the places that it has in the file."""
        assert token.map  # noqa: S101 -- asked for before
        first, after = token.map
        content = token.content.split("\n")
        at = 0
        offsets: list[tuple[int, int | None]] = []
        for number, line in enumerate(content[: after - first] or [""]):
            offsets.append((at, self._place(first + number, line, in_cell=in_cell)))
            at += len(line) + 1
        for each in recorded:
            start, end = _carry(each.start, offsets), _carry(each.end, offsets)
            if start is not None and end is not None:
                yield Found(**{**_fields(each), "start": start, "end": end})

    def _place(self, number: int, content: str, *, in_cell: bool) -> int | None:
        """Return where a line of a block begins in the file, though its indentation may be another there."""
        source, shown = self._lines[number], content.strip()
        if in_cell:
            known, cursor = self._cell
            at = source.find(shown, cursor if known == number else 0)
            if at < 0:  # a bar is escaped in the file
                return None
            self._cell = (number, at + len(shown))
        elif source.rstrip().endswith(shown):
            at = len(source.rstrip()) - len(shown)
        else:  # a heading that is closed by `#`
            at = source.find(shown)
        return None if at < 0 else self._starts[number] + at - (len(content) - len(content.lstrip()))


def _fields(found: Found) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Found.__dataclass_fields__}


def _carry(at: int, offsets: Sequence[tuple[int, int | None]]) -> int | None:
    begins, place = next(each for each in reversed(offsets) if each[0] <= at)
    return None if place is None else place + at - begins


def _is_local(address: str) -> bool:
    """Whether an address is a `data:` URL or a path, and not one of the web or of a place in the page."""
    if address[:5].lower() == "data:":
        return True
    return (
        bool(address)
        and not address.startswith(("#", "//"))
        and not _SCHEME.match(address)
        and (bool(urlsplit(address).path))
    )
