"""A token bucket: so many events a second in the long run, so many at once."""

from __future__ import annotations

import threading
import time


class TokenBucket:
    """Starts full; safe to use from several threads."""

    def __init__(self, rate_per_second: float, burst: float) -> None:
        self.rate_per_second, self.burst = rate_per_second, burst
        self._lock = threading.Lock()
        self._tokens, self._seen = float(burst), time.monotonic()

    def take(self) -> bool:
        """Take one token if there is one; says whether there was."""
        with self._lock:
            now = time.monotonic()
            grown = self._tokens + (now - self._seen) * self.rate_per_second
            self._tokens, self._seen = min(self.burst, grown), now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
