"""A headless Chromium: takes pictures of a page, prints it, tells what the page asked for."""

from __future__ import annotations

import html
import importlib.metadata
import json
import re
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
RUN_AXE = """
axe.run(document).then(found => {
  const told = each => each.nodes.map(node =>
    `${each.id}: ${node.target.join(' ')}: ${node.any.concat(node.all, node.none).map(
      check => check.message).join('; ')}`);
  const objections = found.violations.concat(found.incomplete).flatMap(told);
  const cut = [...document.querySelectorAll('body *')].filter(each =>
    getComputedStyle(each).overflowX !== 'visible' && each.tagName !== 'THEAD' &&
    each.scrollWidth > each.clientWidth).map(each => each.outerHTML.slice(0, 200));
  const contrast = found.passes.filter(each => each.id === 'color-contrast').flatMap(
    each => each.nodes).length;
  parent.postMessage(JSON.stringify({objections, cut, judged: contrast, passed: found.passes.length,
    width: innerWidth, wide: document.documentElement.scrollWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches}), '*');
});
"""
# Who asked for a request of the browser's own, in the words of its log.
BROWSER_ITSELF = "not an origin"


def find_browser() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(frozen=True)
class Examination:
    """What axe-core and the browser say of a page."""

    objections: list[str]  # what breaks a rule, and what axe cannot judge
    passed: int  # rules
    judged: int  # elements whose contrast is good
    wide: int  # pixels that the page needs
    cut: list[str]  # elements that do not show all of what they hold


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

    def examined(self, page: Path, *, dark: bool = False, width: int) -> Examination:
        """Return what axe-core finds in a page, in a window of this width (pixels).

        The page's policy has to allow scripts. Raises RuntimeError when axe says nothing.
        """
        text = page.read_text(encoding="utf-8")
        tested = self.folder / "axe.html"
        script = f"<script>{axe()}</script><script>{RUN_AXE}</script>"
        tested.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
        frame = self.folder / "frame.html"
        frame.write_text(
            f'<!DOCTYPE html><meta name="color-scheme" content="light dark">'
            f"<body style='margin:0'><iframe src='axe.html' width={width} height=6000 "
            "style='border:0'></iframe><pre id=found></pre><script>"
            "addEventListener('message', m => {"
            " document.getElementById('found').textContent = m.data })</script>",
            encoding="utf-8",
        )
        dom = self._dom(frame, f"--window-size={max(width, 800)},6000", scheme(dark))
        found = re.search(r'<pre id="found">(.+?)</pre>', dom, re.DOTALL)
        if found is None:
            raise RuntimeError(f"axe said nothing: {dom[-2000:]}")
        answer = json.loads(html.unescape(found[1]))
        if (answer.pop("width"), answer.pop("dark")) != (width, dark):
            raise RuntimeError(f"axe saw another page: {answer}")
        return Examination(**answer)

    def _dom(self, page: Path, *flags: str) -> str:
        own = f"--user-data-dir={self.folder / 'profile'}"
        budget = "--virtual-time-budget=60000"
        done = subprocess.run(
            [self.program, *FLAGS, own, budget, "--dump-dom", *flags, page.resolve().as_uri()],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
        return done.stdout

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


def axe() -> str:
    """Return axe-core, which constraints/axe.txt installs. Raises PackageNotFoundError."""
    package = importlib.metadata.distribution("axe-playwright-python")
    path = Path(str(package.locate_file("axe_playwright_python/axe.min.js")))
    return path.read_text(encoding="utf-8")


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
