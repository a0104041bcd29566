"""Whether a drawing only draws.

GitHub shows an SVG of a repository in a sandbox, a bucket does not: there a script in it runs in the bucket's
name for whoever opens it. So a drawing that could run something, or load something, is refused and not
repaired: what a repair forgets is worse than a sentence.
"""

from __future__ import annotations

from xml.parsers import expat

_RUNS = {"script", "foreignobject", "iframe", "object", "embed", "handler", "listener"}
_LINKS = {"href", "src"}


def fault_of_svg(data: bytes) -> str:
    """Return what is wrong with an SVG, as the end of "it is an SVG that …"; nothing where it only draws."""
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        return reader.fault or f"is no whole XML (line {error.lineno})"
    return reader.fault


class _Reader:
    def __init__(self) -> None:
        self.fault = ""
        self._root = True
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._element
        self.parser.EntityDeclHandler = self._entity
        self.parser.ProcessingInstructionHandler = self._instruction

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2].lower()
        if self._root and tag != "svg":
            self.fault = f"begins with `{name[:40]}`"
        self._root = False
        if tag in _RUNS:
            self.fault = f"has a `{tag}`"
        for key, value in attributes.items():
            self._attribute(key.rpartition(":")[2].lower(), "".join(value.split()).lower())

    def _attribute(self, key: str, value: str) -> None:
        if key.startswith("on") or "javascript:" in value or "data:text" in value:
            self.fault = f"runs something (`{key[:40]}`)"
        elif key in _LINKS and not value.startswith(("#", "data:image/", "http://", "https://")) and value:
            self.fault = "loads another file"

    def _entity(self, name: str, *_: object) -> None:
        self.fault = f"defines an entity (`{name[:40]}`)"
        raise expat.ExpatError(self.fault)

    def _instruction(self, target: str, _data: str) -> None:
        if target == "xml-stylesheet":
            self.fault = "loads a style sheet"
