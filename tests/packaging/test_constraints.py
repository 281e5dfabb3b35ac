"""What make installs is pinned with hashes, and is what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.commands import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;]+)[^\\\n]*\\?\n((?:    --hash=.*\n?)*)", re.MULTILINE
)
FILES = {"run": (), "rehearsal": ("rehearsal",), "dev": ("dev",)}


def required(extras: tuple[str, ...]) -> Iterator[Requirement]:
    """Yield what the package requires with these extras, and what it is built with."""
    project = PROJECT["project"]
    lines = [*project["dependencies"], *PROJECT["dependency-groups"]["build"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            yield from required(tuple(sorted(requirement.extras)))
        else:
            yield requirement


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(name: str) -> None:
    text = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8")
    pins = {canonicalize_name(each[0]): each[1] for each in PIN.findall(text)}
    for requirement in required(FILES[name]):
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name}: run `make constraints UPGRADE=`"
        assert requirement.specifier.contains(Version(version)), requirement


@pytest.mark.parametrize("path", sorted((ROOT / "constraints").iterdir()), ids=lambda p: p.name)
def test_every_pin_has_its_hashes_and_no_registry_is_named(path: object) -> None:
    text = (ROOT / "constraints" / str(path)).read_text(encoding="utf-8")
    assert "://" not in text
    assert "-index-url" not in text
    pins = PIN.findall(text)
    assert len(pins) == len(re.findall(r"^\S+==", text, re.M)) > 0
    assert all("--hash=sha256:" in hashes for _, _, hashes in pins)


def test_what_runs_is_pinned_alike_everywhere() -> None:
    pinned = {
        name: {
            canonicalize_name(each[0]): each[1]
            for each in PIN.findall((ROOT / "constraints" / f"{name}.txt").read_text("utf-8"))
        }
        for name in FILES
    }
    for name in ("run", "rehearsal"):
        assert pinned[name].items() <= pinned["dev"].items()
