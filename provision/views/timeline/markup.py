"""HTML and SVG as text, everything escaped: the one place where markup is put together."""

from __future__ import annotations

import html
from collections.abc import Iterable

from provision.views.visible import visible


class Markup(str):
    """Text that is markup already, and is put in as it is."""


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """Return an element. Children that are no Markup are escaped, and so are all attributes.

    An attribute that is None is left out; `class_` is `class`, `stroke_width` is `stroke-width`.
    """
    pairs = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(number(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{pairs}>{joined(children)}</{tag}>")


def joined(children: Iterable[object]) -> Markup:
    """Return children one after the other, escaped where they are no Markup."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escaped(child) for child in children)
    )


def escaped(text: object) -> str:
    """Return text as markup shows it, control characters too."""
    return html.escape(visible(str(text)))


def link(url: str, text: object) -> Markup:
    """Return a link, which is followed when a person clicks it; the text alone for no web URL."""
    if not url.startswith(("https://", "http://")):
        return element("span", text)
    return element("a", text, href=url, rel="noreferrer")


def number(value: object) -> str:
    """Return an attribute's value; a float with at most two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
