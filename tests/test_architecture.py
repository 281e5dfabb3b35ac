"""The house: imports go downwards only, in no circle, and provision/ stays easy to survey."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.commands import ROOT

# From the ground up: what stands in a line may import what stands in the lines above it.
FLOORS = (
    "errors",
    "aws",
    "config",
    "state",
    "packaging",
    "waiting",
    "resources",
    "engine",
    "environment",
    "views",
    "cli",
    "pricing",
    "context",
    "verify",
    "rehearsal",
    "commands",
    "teardown",
    "library",
    "__init__",  # the library's public names, loaded when they are used
    "__main__",
)
MOST_ENTRIES = 20
MOST_LINES = 60  # of a function; environment() alone is longer, since it is the one file to read


def modules() -> dict[str, Path]:
    """Every module of both packages, by its dotted name."""
    paths = [path for top in ("provision", "teardown") for path in (ROOT / top).rglob("*.py")]
    named = {path.relative_to(ROOT).with_suffix("").parts: path for path in paths}
    return {".".join(parts).removesuffix(".__init__"): path for parts, path in named.items()}


MODULES = modules()


@cache
def parsed(module: str) -> ast.Module:
    """A module's source, parsed."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def floor(module: str) -> int:
    """How high a module stands."""
    parts = module.split(".")
    if parts == ["provision"]:
        return FLOORS.index("__init__")
    room = (
        parts[-1] if parts[-1] == "__main__" and len(parts) == 2 else parts[parts[0] != "teardown"]
    )
    return FLOORS.index(room)


def imports(module: str) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it, and if only for types."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            deeper = [f"{node.module}.{each.name}" for each in node.names]
            yield from (each if each in MODULES else node.module for each in deeper)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


ARROWS = {module: {each for each in imports(module) if each in MODULES} for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downwards(module: str) -> None:
    upwards = [each for each in ARROWS[module] if floor(each) > floor(module)]
    assert upwards == []


def test_imports_go_in_no_circle() -> None:
    graphlib.TopologicalSorter(ARROWS).prepare()  # raises CycleError, which names the circle


def test_provision_is_easy_to_survey() -> None:
    entries = {path.name for path in (ROOT / "provision").iterdir() if path.name != "__pycache__"}
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_no_two_classes_share_a_name() -> None:
    where: dict[str, list[str]] = {}
    for module in MODULES:
        for node in parsed(module).body:
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(module)
    assert {name: shared for name, shared in where.items() if len(shared) > 1} == {}


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_longer_than_a_screen(module: str) -> None:
    tree = parsed(module)
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MOST_LINES
    ]
    assert long == (["environment"] if module == "provision.environment" else [])
