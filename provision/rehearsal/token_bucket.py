"""A token bucket: so many events a second in the long run, so many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Starts full; safe to use from several threads. `clock` returns seconds."""

    def __init__(
        self, rate_per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate_per_second, self.burst = rate_per_second, burst
        self._lock, self._clock = threading.Lock(), clock
        self._tokens, self._seen = float(burst), clock()

    def take(self) -> bool:
        """Take one token if there is one; says whether there was."""
        with self._lock:
            now = self._clock()
            grown = self._tokens + (now - self._seen) * self.rate_per_second
            self._tokens, self._seen = min(self.burst, grown), now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
