"""SVG and HTML as text, everything escaped: the one place where markup is put together."""

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


def drawing(
    name: str, title: str, description: str, *parts: Markup, width: float, height: float
) -> Markup:
    """Return an SVG of the class `name`, with its title and description for who cannot see it."""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-description"),
        *parts,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-description",
        class_=name,
    )


def number(value: object) -> str:
    """Return an attribute's value; a float with at most two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def cut(text: str, most: int) -> str:
    """Return text of at most `most` characters; its middle gives way, since ids differ at ends."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"
