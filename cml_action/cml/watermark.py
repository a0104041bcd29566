"""The marker by which a later command finds a comment again: ours, and the one that CML left.

CML ended a comment with a picture, `![](https://cml.dev/watermark.png#SHA "CML watermark TITLE")`
(`src/watermark.js` of CML 0.20.6), that readers had to fetch from its server. Ours is a hidden line at the
beginning; both are found, so that a comment that CML left is updated and not written anew.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cml_action.publish.comment import marker

if TYPE_CHECKING:
    from cml_action.event import Event

_NAME = "CML watermark"
_PICTURE = "https://cml.dev/watermark.png"
#: Before January 2023.
_OLD_PICTURE = "https://raw.githubusercontent.com/iterative/cml/master/assets/watermark.svg"


def label(title: str, event: Event) -> str:
    """Return what tells one comment from another: the title, with the workflow and the run filled in."""
    filled = title.replace("{workflow}", event.workflow).replace("{run}", str(event.run_id or ""))
    return f"{_NAME} {filled}".strip()


def is_in(body: str, wanted: str) -> bool:
    """Tell whether a comment has this label; the commit in CML's picture does not matter.

    Only the first line is looked at, and the last: a marker inside somebody's text is text.
    """
    lines = body.strip().splitlines()
    return bool(lines) and (lines[0] == marker(wanted) or _of_cml(lines[-1]) == wanted)


def _of_cml(line: str) -> str:
    """Return the label of CML's picture, which Markdown's own parser reads; empty where it is none."""
    if _PICTURE not in line and _OLD_PICTURE not in line:
        return ""
    from markdown_it import MarkdownIt

    found = [
        child
        for token in MarkdownIt("commonmark").parseInline(line)
        for child in token.children or ()
        if child.type == "image"
    ]
    if not found:
        return ""
    source, title = str(found[-1].attrGet("src") or ""), str(found[-1].attrGet("title") or "")
    if re.fullmatch(rf"{re.escape(_PICTURE)}(#[0-9a-fA-F]+)?", source) and title.startswith(_NAME):
        return title
    return _NAME if source == _OLD_PICTURE else ""
