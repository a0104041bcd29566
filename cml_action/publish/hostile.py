"""Markdown that the code of somebody else's pull request wrote, made harmless for a comment in our name.

GitHub cleans HTML itself. What is left are the things that a comment *does*: it notifies whoever is
mentioned, links itself into the issues that it names, gives orders to other robots, loads pictures from
anywhere, and may look like something else than it is.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from cml_action.publish.find import find, normalised
from cml_action.publish.markdown import ZERO_WIDTH, code, plain

if TYPE_CHECKING:
    from cml_action.publish.find import Found

_TURNING = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\u200e", "\u200f", "\u061c"}
_UNSEEN = {"Cc", "Cs", "Co", "Zl", "Zp"}
#: A browser takes a number of any length, and without its semicolon too.
_ENTITY = re.compile(r"&#0*[0-9]{1,7};?|&#[xX]0*[0-9a-fA-F]{1,6};?|&[A-Za-z][A-Za-z0-9]*;")
_NUMBER = re.compile(r"(?<!&)#(?=[\d<])|(?<=\bGH)\\?-(?=[\d<])", re.IGNORECASE)
_ORDER = re.compile(r"(?m)^([ \t>]*)/(?=[A-Za-z])")
_MENTIONED = re.compile(
    r"(?i)\bgithub\\?\.com\\?/(?=[\w.\\-]+/[\w.\\-]+/(?:issues|pull|discussions|commit)\\?/)"
)
#: What would show a picture where `find` has not seen one; a backslash may be in the way of the first.
_SHOWING = re.compile(r"!(?=\[)|<(?=(?:img|image|source|video|audio|input)\b)", re.IGNORECASE)
#: Signs in a picture's words by which they could end before they seem to.
_BINDING = re.compile(r"[\[\]<>`\\]")
_IN_ADDRESS = "/:?#=,+@~%;!$*'"
#: The attributes that a picture keeps, beside its address.
_KEPT = {"alt", "title", "width", "height", "align", "media"}


def harmless(text: str) -> str:
    """Return the text with its local pictures, and nothing in it that acts.

    What is not certain to be a local picture is no picture: GitHub may read it in another way than we do.
    """
    text = "".join(each for each in normalised(text) if each in "\n\t" or not _unseen(each))
    text = _ENTITY.sub(_decoded, text)
    found = find(text, remote=True)
    local = {each.start for each in find(text)}
    parts, at = [], 0
    for each in found:
        parts += [_still(text[at : each.start]), _picture(each, local=each.start in local)]
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
    return character in _TURNING or unicodedata.category(character) in _UNSEEN


def _decoded(entity: re.Match[str]) -> str:
    """Return the sign that an entity stands for where it could be part of an order, with what stops that.

    Others stay: one that stands for markup shows the sign, and does nothing.
    """
    sign = html.unescape(entity[0])
    if sign == entity[0]:
        return sign
    if all(map(_unseen, sign)):
        return ZERO_WIDTH
    return f"{sign}{ZERO_WIDTH}" if re.fullmatch(r"[\w@#/.:-]", sign, re.ASCII) else entity[0]


def _still(text: str) -> str:
    text = text.replace("@", f"@{ZERO_WIDTH}")
    text = _NUMBER.sub(lambda sign: f"{sign[0]}{ZERO_WIDTH}", text)
    text = _ORDER.sub(rf"\1{ZERO_WIDTH}/", text)
    text = _SHOWING.sub(lambda sign: f"{sign[0]}{ZERO_WIDTH}", text)
    return _MENTIONED.sub("redirect.github.com/", text)


def _picture(found: Found, *, local: bool) -> str:
    if not local:
        return f"*{plain(found.alt or 'picture')}*"
    attributes = tuple(
        (name, value and _words(value))
        for name, value in found.attributes
        if name in _KEPT or (value is None and name in {"src", "srcset"})
    )
    alt = _words(_BINDING.sub(" ", found.alt))
    shown = replace(found, alt=alt, title=_words(found.title), attributes=attributes)
    return shown.at(quote(found.address, safe=_IN_ADDRESS))


def _words(text: str) -> str:
    return _still(" ".join(text.split()))
