"""The time by which a request must be answered, so that Lambda never cuts it off."""

import time

LONGEST_SECONDS = 28.0  # an HTTP API gives up on its function after 30 s
SHARE = 0.9  # of the time that Lambda leaves; the rest is for sending the response


class Deadline:
    """Counts down the time that a request may take, in seconds."""

    def __init__(self, seconds_remaining: float) -> None:
        """Start counting; `seconds_remaining` is what Lambda leaves to this request."""
        self.seconds = min(seconds_remaining * SHARE, LONGEST_SECONDS)
        self._end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds left; negative once the deadline has passed."""
        return self._end - time.monotonic()

    def socket_timeout(self) -> int:
        """Return the seconds left as the connector takes them: whole, and at least 1.

        Raises TimeoutError once the deadline has passed, so that nothing more is started.
        """
        if self.left <= 0:
            raise TimeoutError(f"no time left of {self.seconds:.1f} s")
        return max(1, int(self.left))
