"""A headless Chromium: takes pictures of a page, prints it, tells what the page asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_SECONDS = 60  # a picture takes one or two
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the pages are our own; in a container there is often no sandbox to be had
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # neither page nor browser gets out of this machine
)
# Who asked for a request of the browser's own, in the words of its log.
BROWSER_ITSELF = "not an origin"


def find_browser() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(frozen=True)
class Browser:
    """A browser, and a folder for its profile. Each call starts it anew."""

    program: str
    folder: Path

    def picture(
        self,
        page: Path,
        png: Path,
        *,
        dark: bool = False,
        size: tuple[int, int],
    ) -> list[str]:
        """Write a picture of what a window of this size (pixels) shows of the page.

        Returns the URLs that the page asked for. Raises RuntimeError when there is no picture.
        """
        window = f"--window-size={size[0]},{size[1]}"
        return self._run(page, png, f"--screenshot={png}", window, scheme(dark))

    def printed(self, page: Path, pdf: Path, *, dark: bool = False) -> list[str]:
        """Print the page. Returns the URLs that it asked for. Raises RuntimeError."""
        return self._run(page, pdf, f"--print-to-pdf={pdf}", "--no-pdf-header-footer", scheme(dark))

    def _run(self, page: Path, made: Path, *flags: str) -> list[str]:
        log = self.folder / "net-log.json"
        log.unlink(missing_ok=True)
        made.unlink(missing_ok=True)
        own = (f"--user-data-dir={self.folder / 'profile'}", f"--log-net-log={log}")
        done = subprocess.run(
            [self.program, *FLAGS, *own, *flags, page.resolve().as_uri()],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if not made.exists():
            raise RuntimeError(f"{self.program} made no {made.name}: {done.stderr[-2000:]}")
        return asked_for(log)


def scheme(dark: bool) -> str:
    """Return the flag for what `prefers-color-scheme` says."""
    return f"--blink-settings=preferredColorScheme={0 if dark else 1}"


def asked_for(log: Path) -> list[str]:
    """Return the URLs of the requests in a browser's network log that are a page's.

    Reading the file that the browser was started with is none.
    """
    events = json.loads(log.read_text())["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    return [each["url"] for each in asked if each["initiator"] != BROWSER_ITSELF]
