"""Each behaviour of the rehearsal switched off: a report of that life names it."""

from __future__ import annotations

import pytest

from tests.field.behaviours import alone, recorded

pytestmark = pytest.mark.sweep(part=0.03)

NAMED = [name for name, each in recorded().items() if each["shown"] and each["named"]]


@pytest.mark.parametrize("name", NAMED)
def test_a_report_names_what_aws_lacks(name: str) -> None:
    assert alone(name).found, f"python -m tests.field.behaviours {name!r}"
