"""Markdown that the code of somebody else's pull request wrote, made harmless for a comment in our name.

GitHub cleans HTML itself. What is left are the things that a comment *does*: it notifies whoever is
mentioned, links itself into the issues that it names, gives orders to other robots, loads pictures from
anywhere, and may look like something else than it is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from cml_action.publish.find import find, normalised
from cml_action.publish.markdown import code, plain

if TYPE_CHECKING:
    from cml_action.publish.find import Found

_NOTHING = "\u200b"
_TURNING = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\u200e", "\u200f", "\u061c"}
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
_NUMBER = re.compile(r"(?<!&)#(?=\d)|(?<=\bGH)-(?=\d)", re.IGNORECASE)
_ORDER = re.compile(r"(?m)^([ \t>]*)/(?=[A-Za-z])")
_MENTIONED = re.compile(r"(?i)\bgithub\.com/(?=[\w.-]+/[\w.-]+/(?:issues|pull|discussions|commit)/)")


def harmless(text: str) -> str:
    """Return the text with its local pictures as they were, and nothing in it that acts."""
    text = normalised(text)
    text = "".join(each for each in text if each in "\n\t" or not _unseen(each))
    found = find(text, remote=True)
    local = {each.start for each in find(text)}
    parts, at = [], 0
    for each in found:
        parts += [_still(text[at : each.start]), _picture(text, each, local=each.start in local)]
        at = each.end
    return "".join([*parts, _still(text[at:])])


def introduced(text: str, source: str) -> str:
    """Put the sentence in front that says whose words these are.

    :param source: the repository that the code came from, `owner/name`.
    """
    return (
        f"> [!NOTE]\n> This report was written by the code of a pull request from {code(source)}."
        f" Nobody has reviewed it.\n\n{text}"
    )


def _unseen(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in {"Cc", "Cs", "Co"}


def _still(text: str) -> str:
    text = _MENTION.sub(f"@{_NOTHING}", text)
    text = _NUMBER.sub(lambda sign: f"{sign[0]}{_NOTHING}", text)
    text = _ORDER.sub(rf"\1{_NOTHING}/", text)
    return _MENTIONED.sub("redirect.github.com/", text)


def _picture(text: str, found: Found, *, local: bool) -> str:
    if not local:
        return f"*{plain(found.alt or 'picture')}*"
    return text[found.start : found.end]
