"""XML as hosts send and take it: read into trees, and written by a serializer alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.etree.ElementTree import Element

from sundog.errors import BackendFailed


def parse(text: str) -> Element:
    """What a host sent as a tree. Entities are not expanded: expat refuses those that nest, and nobody defines any.

    Raises: BackendFailed for what is no XML.
    """
    try:
        return ET.fromstring(text)  # noqa: S314 - libvirtd wrote it
    except ET.ParseError as error:
        raise BackendFailed(f"a host sent XML that cannot be read: {error}") from error


def document(root: Element) -> str:
    """A tree as text, a line an element."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
