"""The timeline's page in a real browser: light, dark, on paper, and on its own."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import pytest

from provision.config import Config
from provision.environment import environment
from provision.views.timeline.model import timeline
from provision.views.timeline.page import POLICY
from tests.support.browser import NAMES, Browser, find_browser
from tests.support.timelines import UP, all_ready, step, whole_page

pytestmark = pytest.mark.slow

WHITE, DARK = (255, 255, 255), (20, 24, 29)  # the style sheet's --paper
SIZE = (1000, 800)
ANYTHING = "default-src * 'unsafe-inline'"
# Each way in which a page makes a browser ask for something.
FOREIGN = """\
<img src="http://image.invalid/"><script src="http://script.invalid/"></script>
<link rel="stylesheet" href="http://style.invalid/"><iframe src="http://frame.invalid/"></iframe>
<p style="background: url(http://background.invalid/)">x</p>
<svg><image href="http://drawing.invalid/"/></svg>
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A headless Chromium; in CI it has to be there."""
    program = find_browser()
    if program is None and os.environ.get("CI"):
        pytest.fail(f"none of {', '.join(NAMES)} is on this machine")
    if program is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on this machine")
    return Browser(program, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run, and of an environment that is up."""
    resources = environment(Config(), packed=False)
    path = tmp_path_factory.mktemp("page") / "page.html"
    text = whole_page(timeline(UP, resources), resources, all_ready(resources))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def state_of_things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a failed run of an environment in which things stand in every way, long names."""
    resources = environment(Config(), packed=False)
    steps = all_ready(resources, "target-iam", "stage")
    for name, phase in (("proxy-iam", "made"), ("db-instance", "updating"), ("api", "deleting")):
        steps[name]["phase"] = phase
    steps["function-iam"]["outputs"]["id"] = "a" * 64
    steps["vpc"]["outputs"]["id"] = "vpc-0123456789abcdef0"
    failed = step(2, 3, (2.5, "failed", ""), action="failed", error=f"secret: {'e' * 200}")
    run = timeline({**UP, "ok": False, "steps": {**UP["steps"], "secret": failed}}, resources)
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(whole_page(run, resources, steps, "n" * 40), encoding="utf-8")
    return path


def corner(png: Path) -> tuple[int, ...]:
    """Return the colour of a PNG's first pixel; a PNG has it as it is."""
    data = png.read_bytes()
    assert data[24:26] in (b"\x08\x02", b"\x08\x06")  # 8 bits each of red, green, blue
    start = data.index(b"IDAT") + 4
    pixels = zlib.decompressobj().decompress(data[start : start + 4096], 4)
    return tuple(pixels[1:4])


@pytest.mark.parametrize(("dark", "paper"), [(False, WHITE), (True, DARK)])
def test_it_is_light_or_dark_as_the_reader_has_it_and_asks_for_nothing(
    browser: Browser, file: Path, tmp_path: Path, dark: bool, paper: tuple[int, ...]
) -> None:
    png = tmp_path / "page.png"
    assert browser.picture(file, png, dark=dark, size=SIZE) == []
    data = png.read_bytes()
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == SIZE
    assert corner(png) == paper
    assert len(data) > 40_000  # an empty page has 5 kB


def test_on_paper_it_is_dark_on_white_also_for_who_reads_it_dark(
    browser: Browser, file: Path, tmp_path: Path
) -> None:
    pdf = tmp_path / "page.pdf"
    assert browser.printed(file, pdf, dark=True) == []
    data = pdf.read_bytes()
    assert 2 <= len(re.findall(rb"/Type /Page\b", data)) <= 5
    (box,) = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", data))
    assert float(box[0]) > float(box[1])  # landscape
    colours = {
        tuple(round(float(each) * 255) for each in colour.split())
        for colour in re.findall(rb"([\d.]+ [\d.]+ [\d.]+) rg\b", drawn(data))
    }
    assert (0, 0, 0) in colours  # the ink
    assert DARK not in colours
    assert (230, 233, 237) not in colours


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_has_nothing_to_object_to_and_nothing_is_cut(
    browser: Browser, state_of_things: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    text = state_of_things.read_text(encoding="utf-8").replace(POLICY, ANYTHING)
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    seen = browser.examined(page, dark=dark, width=width)
    assert seen.objections == []
    assert seen.passed > 20
    assert seen.judged > 200
    assert seen.wide <= width
    assert seen.cut == []


def test_axe_would_object(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<!DOCTYPE html><html><body><img src=''><p style='color:#eee'>pale</p></body>")
    found = " ".join(browser.examined(page, width=390).objections)
    for rule in ("image-alt", "color-contrast", "html-has-lang", "document-title", "landmark-one"):
        assert rule in found


def drawn(pdf: bytes) -> bytes:
    """Return all that is drawn in a PDF, uncompressed."""
    streams = re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    return b"\n".join(zlib.decompressobj().decompress(stream) for stream in streams)


@pytest.mark.parametrize("protected", [True, False])
def test_even_foreign_parts_of_it_would_ask_for_nothing(
    browser: Browser, file: Path, tmp_path: Path, protected: bool
) -> None:
    text = file.read_text(encoding="utf-8").replace("</body>", f"{FOREIGN}</body>")
    if not protected:  # the same without the policy: so requests would be seen
        text = text.replace(POLICY, ANYTHING)
    page = tmp_path / "foreign.html"
    page.write_text(text, encoding="utf-8")
    asked = set(browser.picture(page, tmp_path / "page.png", size=SIZE))
    parts = ("image", "script", "style", "frame", "drawing", "background")
    everything = {f"http://{part}.invalid/" for part in parts}
    assert asked == (set() if protected else everything)
