"""Time as the rehearsed AWS has it: AWS's own seconds, passing `speed` times faster than ours."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """AWS seconds since the start of the rehearsal.

    `speed` is how many AWS seconds pass in one real second (1.0 = as slow as AWS).
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._speed, self._since, self._passed = 1.0, time.monotonic(), 0.0
        self._skipped = timedelta()
        self.speed = speed

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.advance(0.0)
        self._speed = speed

    def now(self) -> float:
        """AWS seconds passed since the start."""
        with self._lock:
            return self._passed + (time.monotonic() - self._since) * self._speed

    def advance(self, aws_seconds: float) -> None:
        """Lets `aws_seconds` pass at once."""
        with self._lock:
            now = time.monotonic()
            self._passed += (now - self._since) * self._speed + aws_seconds
            self._since = now
            self._skipped += timedelta(seconds=aws_seconds)

    def date(self) -> datetime:
        """AWS's date and time: ours (however fast AWS's seconds pass), and what was skipped."""
        with self._lock:
            return datetime.now(UTC) + self._skipped
