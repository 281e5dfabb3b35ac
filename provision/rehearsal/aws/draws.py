"""Chance in a rehearsal: how long AWS takes, and what it answers where both are possible.

Drawn by a seed and by what the draw is for, as ("proxy_create", "demo-proxy-iam"): the nth draw for
a name is the same in every run with that seed, whatever other threads draw meanwhile.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter

_EXACT = float(1 << 53)


def new_seed() -> int:
    """A seed for a rehearsal that was given none: short enough to be typed."""
    return secrets.randbelow(1_000_000)


class Draws:
    """Draws of one rehearsal. Without a seed nothing is left to chance."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._drawn: Counter[tuple[str, ...]] = Counter()

    def number(self, *name: str) -> float:
        """The next number for this name, at least 0 and below 1; without a seed 0.5."""
        self._drawn[name] += 1
        if self.seed is None:
            return 0.5
        text = "\0".join([str(self.seed), *name, str(self._drawn[name])])
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return (int.from_bytes(digest) >> 11) / _EXACT

    def happens(self, probability: float, *name: str) -> bool:
        """Whether something of this probability happens now; without a seed, when it is certain."""
        number = self.number(*name)
        return probability >= 1 if self.seed is None else number < probability
