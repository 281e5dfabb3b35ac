"""Rules that change AWS's answers: a refusal instead of the answer, members left out or set.

For experiments and tests: what AWS might answer, without a behaviour that plays it. Rules come from
the process that opened the rehearsal, from its control channel, or from a JSON file that is read
again when it changes. docs/rehearsal.md describes them.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError


@dataclass(frozen=True)
class Override:
    """One rule: the calls that it is for, and what AWS answers to them.

    operation  shell pattern on `service:Operation` or on the operation's name alone
    when       text that the call's parameters contain, or the patterns of some parameters
               by name; empty: any
    nth        the first matching call that is answered so, counted from 1
    times      how many are; None: all from then on

    With `code` the call is refused, before it takes effect:

    code       AWS's error code
    message    AWS's message
    status     the HTTP status; None: that of botocore's model, or 400

    Without it the call takes effect, and its answer is changed:

    drop       members to leave out, however deep
    set        members to set, with their values
    within     only in those structures of the answer that have this member, or these members with
               values that match these patterns; empty: `drop` everywhere, `set` at the top
    """

    operation: str = "*"
    when: str | Mapping[str, str] = ""
    nth: int = 1
    times: int | None = None
    code: str = ""
    message: str = ""
    status: int | None = None
    drop: tuple[str, ...] = ()
    set: Mapping[str, Any] = field(default_factory=dict)
    within: str | Mapping[str, str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "drop", tuple(self.drop))
        if bool(self.code) == bool(self.drop or self.set):
            raise ValueError("an override has either a code, or something to drop or to set")
        if self.nth < 1 or (self.times is not None and self.times < 1):
            raise ValueError("nth and times count from 1")

    @classmethod
    def from_plain(cls, rule: Mapping[str, Any]) -> Override:
        """The rule as JSON has it. Raises ValueError for what is no rule."""
        known = [each.name for each in dataclasses.fields(cls)]
        if not isinstance(rule, Mapping) or set(rule) - set(known):
            raise ValueError(f"{rule!r} is no override; an override has {', '.join(known)}")
        return cls(**rule)

    def matches(self, call: Call) -> bool:
        """Whether the rule is for this call."""
        if not call.is_named(self.operation):
            return False
        if isinstance(self.when, str):
            return self.when in json.dumps(call.params, default=str)
        return _has(call.params, self.when)

    def is_due(self, nth: int) -> bool:
        """Whether the rule changes the nth call that it matches."""
        return self.nth <= nth and (self.times is None or nth < self.nth + self.times)

    def apply(self, answer: dict[str, Any]) -> None:
        """Changes the answer in place."""
        everywhere = list(_structures(answer))
        within = {self.within: "*"} if isinstance(self.within, str) else self.within
        chosen = [each for each in everywhere if _has(each, within)] if self.within else []
        for each in chosen if self.within else everywhere:
            for name in self.drop:
                each.pop(name, None)
        for each in chosen if self.within else [answer]:
            each.update(self.set)


class Overrides:
    """The rules in force. Safe in threads."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file = file
        self._read: tuple[int, int] | None = None
        self._rules: list[Override] = []
        self._seen: Counter[int] = Counter()  # calls, by the index of the rule that they match
        self._refresh()

    def set(self, rules: Iterable[Override]) -> None:
        """Replaces all rules, and counts afresh."""
        with self._lock:
            self._rules, self._seen = list(rules), Counter()

    def due(self, call: Call) -> list[Override]:
        """Counts the call; the rules to apply to it, in their order.

        Raises AwsError (500) when the file of rules can no longer be read.
        """
        try:
            self._refresh()
        except (OSError, ValueError) as error:
            raise AwsError("InternalFailure", f"{self._file}: {error}", 500) from None
        with self._lock:
            matching = [(n, rule) for n, rule in enumerate(self._rules) if rule.matches(call)]
            self._seen.update(n for n, _ in matching)
            return [rule for n, rule in matching if rule.is_due(self._seen[n])]

    def _refresh(self) -> None:
        """Reads the file, if there is one and it has changed. Raises OSError or ValueError."""
        if self._file is None:
            return
        about = self._file.stat()
        read = (about.st_mtime_ns, about.st_size)
        if read == self._read:
            return
        text = self._file.read_text()
        rules = json.loads(text) if text.strip() else []
        if not isinstance(rules, list):
            raise ValueError("a list of overrides is expected")
        self.set([Override.from_plain(rule) for rule in rules])
        self._read = read


def refusal(rules: Iterable[Override]) -> AwsError | None:
    """The refusal that the first of these rules with a code asks for."""
    for rule in rules:
        if rule.code:
            return AwsError(rule.code, rule.message, rule.status)
    return None


def _has(structure: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Whether the structure has these members, with values that match these patterns."""
    return all(
        name in structure and fnmatch.fnmatchcase(_text(structure[name]), pattern)
        for name, pattern in wanted.items()
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _structures(value: Any) -> Iterator[dict[str, Any]]:
    """Every structure within `value`, the outermost first."""
    if isinstance(value, dict):
        yield value
        for part in list(value.values()):
            yield from _structures(part)
    elif isinstance(value, list):
        for part in value:
            yield from _structures(part)
