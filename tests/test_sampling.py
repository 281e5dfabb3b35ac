"""The sample of the sweeps: the same for the same seed, another for another, and never none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import ROOT

Run = Callable[..., pytest.RunResult]

SWEEP = """
import pytest

pytestmark = pytest.mark.sweep

@pytest.mark.parametrize("case", range(40))
def test_a_sweep(case):
    pass
"""
OTHERS = """
import pytest

def test_plain():
    pass

@pytest.mark.slow
def test_slow():
    pass

@pytest.mark.sweep
def test_rare():
    pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest on a sweep of 40 tests and three others."""
    monkeypatch.syspath_prepend(ROOT)
    pytester.makepyfile(test_sweep=SWEEP, test_others=OTHERS)
    pytester.makeini("[pytest]\nmarkers = slow: takes seconds\n")

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-v", "-p", "tests.support.sampling", *arguments)

    return run


def swept(result: pytest.RunResult) -> set[str]:
    """Return the cases of the sweep that ran."""
    return set(re.findall(r"test_a_sweep\[(\d+)\] PASSED", result.stdout.str()))


def test_a_run_takes_a_share_of_each_sweep_and_everything_else(run: Run) -> None:
    result = run("--sweeps", "0.25")
    assert len(swept(result)) == 10
    result.assert_outcomes(passed=13, deselected=30)


def test_the_same_seed_takes_the_same_ones_and_another_seed_others(run: Run) -> None:
    samples = [
        swept(run("--sweeps=0.25", f"--randomly-seed={seed}")) for seed in ("7", "7", "8", "9")
    ]
    assert samples[0] == samples[1]
    assert len({frozenset(each) for each in samples}) == 3


def test_the_seed_of_a_day_is_its_date(run: Run) -> None:
    assert re.search(r"--randomly-seed=20\d{6}$", run().stdout.str(), re.MULTILINE)


@pytest.mark.parametrize("share", ["0", "0.01"])
def test_the_smallest_share_still_takes_one_of_each_sweep(run: Run, share: str) -> None:
    result = run("--sweeps", share)
    assert len(swept(result)) == 1
    result.assert_outcomes(passed=4, deselected=39)


def test_by_default_one_of_each_sweep_is_taken_another_one_each_day(run: Run) -> None:
    days = [swept(run(f"--randomly-seed=2026010{day}")) for day in range(1, 6)]
    assert [len(each) for each in days] == [1] * 5
    assert len(set.union(*days)) > 1


def test_all_are_all(run: Run) -> None:
    run("--sweeps", "all").assert_outcomes(passed=43)


@pytest.mark.parametrize("share", ["some", "1.1", "-0.1", "nan"])
def test_another_share_is_refused(run: Run, share: str) -> None:
    result = run(f"--sweeps={share}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"'{share}' is neither a share from 0 to 1 nor `all`" in result.stderr.str()


def test_what_is_named_is_run_whatever_the_sample(run: Run) -> None:
    for case in range(3):
        result = run("--sweeps=0", "--randomly-seed=1", f"test_sweep.py::test_a_sweep[{case}]")
        assert swept(result) == {str(case)}


def test_a_sweep_is_slow(run: Run) -> None:
    result = run("-m", "not slow")
    assert "test_plain" in result.stdout.str()
    result.assert_outcomes(passed=1, deselected=42)


def test_a_test_of_many_cases_is_a_sweep_of_its_own(run: Run, pytester: pytest.Pytester) -> None:
    one = "@pytest.mark.sweep\n@pytest.mark.parametrize('n', range(9))\ndef test_{}(n): pass\n"
    pytester.makepyfile(test_two=f"import pytest\n{one.format('a')}{one.format('b')}")
    result = run("test_two.py")
    found = re.findall(r"test_([ab])\[\d\] PASSED", result.stdout.str())
    assert sorted(found) == ["a", "b"]
    result.assert_outcomes(passed=2, deselected=16)
    text = (pytester.path / "test_two.py").read_text().replace("sweep", "sweep(of='module')")
    pytester.makepyfile(test_two=text + "\ndef test_quick(): pass")
    run("test_two.py").assert_outcomes(passed=2, deselected=17)


def test_each_worker_begins_with_its_slow_tests_in_random_order(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(6))\n"
        "@pytest.mark.slow\ndef test_slow_one(n): pass\n"
        "@pytest.mark.parametrize('n', range(10))\ndef test_quick_one(n): pass\n"
    )
    orders = set()
    for seed in range(3):
        arguments = ("-p", "tests.support.order", "-k", "one", f"--randomly-seed={seed}")
        text = run(*arguments).stdout.str()
        found = re.findall(r"(slow|quick)_one\[(\d)\] PASSED", text)
        kinds = [kind for kind, _ in found]
        assert kinds == [*["slow"] * 3, *["quick"] * 5] * 2
        assert len(set(found)) == 16
        orders.add(tuple(found))
    assert len(orders) == 3


def test_a_run_that_fails_says_how_to_repeat_it(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_bad="def test_bad(): assert False")
    result = run("--sweeps=0.1", "--randomly-seed=20260102")
    lines = result.stdout.str().splitlines()
    (same,) = (line for line in lines if line.startswith("the same tests:"))
    (alone,) = (line for line in lines if line.startswith("only the failed:"))
    for line in (same, alone):
        assert "python -m pytest" in line
        assert "--randomly-seed=20260102" in line
    assert "--sweeps=0.1" in same
    assert alone.endswith(" test_bad.py::test_bad")
    repeated = run(*same.partition("python -m pytest ")[2].split()[3:])
    assert swept(repeated) == swept(result)


def test_a_run_that_passes_needs_no_repetition(run: Run) -> None:
    assert "the same tests:" not in run().stdout.str()


def test_every_test_of_the_sweeps_is_marked() -> None:
    folder = Path(__file__).parent / "sweeps"
    for path in folder.glob("test_*.py"):
        assert "pytest.mark.sweep" in path.read_text(encoding="utf-8"), path.name


def test_a_sweep_may_take_a_part_of_its_share_and_all_when_all_are_wanted(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_sweep=SWEEP.replace("mark.sweep", "mark.sweep(part=0.5)"))
    assert len(swept(run("--sweeps", "0.25"))) == 5
    assert len(swept(run("--sweeps", "all"))) == 40
    pytester.makepyfile(test_sweep=SWEEP.replace("mark.sweep", "mark.sweep(part=2)"))
    assert len(swept(run("--sweeps", "0.25"))) == 20
    assert len(swept(run("--sweeps", "0.75"))) == 40
