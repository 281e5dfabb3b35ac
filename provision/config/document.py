"""config.toml as a file: its keys, the overrides of `--set`, and the line of each key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.config.files import Unreadable, read_text
from provision.errors import UsageError

Place = tuple[str, ...]  # a key's path: ("environment", "tags", "team")

TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|"  # several lines
    r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|" + r"#[^\n]*|\n|[\[\]{}=,.]|[^\s\[\]{}=,.\"'#]+",
    re.DOTALL,
)


@dataclass
class Document:
    """A TOML document, and for each key where its value came from: `line 7`, `--set`, ..."""

    values: dict[str, Any]
    places: dict[Place, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Return where the value of a dotted key came from; of the nearest key around it, else."""
        path = tuple(re.findall(r'"(?:\\.|[^"])*"|[^.\[\]]+', key))
        path = tuple(part.strip('"') for part in path)
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, "")

    def lay_over(self, override: str, kind_of: Callable[[str, str], Any], flag: str) -> None:
        """Put one `KEY=VALUE` into the document: TOML where it is TOML, else a string.

        `kind_of` gives a known key's type; `flag` is who says so. Raises UsageError.
        """
        key, equals, text = override.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and section and dot and name):
            raise UsageError(
                f"{flag} {override}: not KEY=VALUE with a dotted key",
                next_step="For example: --set database.instance_class=db.t4g.small",
            )
        value = value_of(text)
        if isinstance(value, float) and kind_of(section, name) is str:
            value = text.strip()  # a version such as 8.4 is meant as it is written
        table = self.values.setdefault(section, {})
        if not isinstance(table, dict):
            return  # the check of the whole reports that the section is no table
        first, dot, rest = name.partition(".")
        if dot and isinstance(table.get(first, {}), dict):  # environment.tags.team=blue
            table.setdefault(first, {})[rest] = value if isinstance(value, str) else text
            self.places[section, first, rest] = flag
        else:
            table[name] = value
            for inner in [place for place in self.places if place[:2] == (section, name)]:
                del self.places[inner]
            self.places[section, name] = flag


def value_of(text: str) -> Any:
    """Return the one TOML value that `text` is, or the text itself."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML; a number of thousands of digits; deep nesting
        return text
    return document["value"] if len(document) == 1 else text  # "1\nother = 2" is no value


def read(path: Path) -> Document:
    """Return the TOML document of `path`. Raises UsageError when there is none."""
    flag = f"--config {path}"
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise UsageError(
            f"{flag}: no such file",
            next_step="Run from the folder that has config.toml, or name the file with --config.",
        ) from None
    except Unreadable as error:
        raise UsageError(f"{flag}: {error}", next_step=error.next_step) from None
    try:
        values = tomllib.loads(text)
        places = dict(key_places(text.replace("\r\n", "\n")))
    except RecursionError:
        raise bad_toml(flag, "nested too deep") from None
    except ValueError as error:
        raise bad_toml(flag, str(error)) from None
    return Document(values, places)


def bad_toml(flag: str, why: str) -> UsageError:
    """Return the error for a file that is no TOML."""
    return UsageError(f"{flag}: not valid TOML: {why}", next_step="Correct the file.")


# --- which line a key stands on -------------------------------------------------------------------


def key_places(text: str) -> Iterator[tuple[Place, str]]:
    """Yield each key of a valid TOML document, with its line as a place."""
    tokens = Tokens(text)
    header: Place = ()
    while tokens.more():
        line = tokens.line
        if tokens.at("\n") or tokens.at("#"):
            tokens.take()
        elif tokens.at("["):
            while tokens.at("["):
                tokens.take()
            header = tuple(tokens.keys_until("]"))
            yield header, f"line {line}"
            tokens.skip_line()
        else:
            yield from entry(tokens, header)


def entry(tokens: Tokens, around: Place) -> Iterator[tuple[Place, str]]:
    """Yield a `key = value`, and the keys of the tables inside the value."""
    line = tokens.line
    key = (*around, *tokens.keys_until("="))
    for size in range(len(around) + 1, len(key) + 1):  # a.b.c = 1
        yield key[:size], f"line {line}"
    yield from inside(tokens, key)


def inside(tokens: Tokens, key: Place) -> Iterator[tuple[Place, str]]:
    """Yield the keys inside one value, and move behind it."""
    opened = tokens.take()
    if opened not in ("[", "{"):
        while tokens.more() and tokens.token not in (",", "]", "}", "\n"):  # 1979-05-27, 1.5
            tokens.take()
        return
    number = 0
    while tokens.more():
        if tokens.at("]") or tokens.at("}"):
            tokens.take()
            return
        if tokens.token in (",", "\n") or tokens.at("#"):
            number += tokens.take() == ","
        elif opened == "{":
            yield from entry(tokens, key)
        else:
            yield (*key, str(number)), f"line {tokens.line}"
            yield from inside(tokens, (*key, str(number)))


class Tokens:
    """The tokens of a TOML document, one after another, and the line of the next."""

    def __init__(self, text: str) -> None:
        self._matches = TOKEN.finditer(text)
        self.line = 1
        self.token: str | None = None
        self._next()

    def _next(self) -> None:
        match = next(self._matches, None)
        self.token = match[0] if match else None

    def more(self) -> bool:
        """Return whether there is another token."""
        return self.token is not None

    def at(self, start: str) -> bool:
        """Return whether the next token begins so."""
        return self.token is not None and self.token.startswith(start)

    def take(self) -> str:
        """Return the next token, and move behind it."""
        token = self.token or ""
        self.line += token.count("\n")
        self._next()
        return token

    def skip_line(self) -> None:
        """Move to the end of the line."""
        while self.more() and not self.at("\n"):
            self.take()

    def keys_until(self, end: str) -> Iterator[str]:
        """Yield the parts of a dotted key, and move behind `end`."""
        while self.more():
            token = self.take()
            if token == end:
                return
            if token[:1] in "\"'":
                yield str(value_of(token))
            elif token not in (".", "\n"):
                yield token
