"""A pytest fixture that gives a test run one environment: rehearsed, or real (`--provision-aws`).

    def test_iam_login(provision_environment):
        assert httpx.get(provision_environment.urls["iam"]).status_code == 200

pytest loads this in every run of a project that has the package installed, so nothing slow is
imported before a test asks for the fixture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from provision.library.environment import Environment


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two flags."""
    group = parser.getgroup("provision", "RDS Proxy environment")
    group.addoption(
        "--provision-aws",
        action="store_true",
        help="create the environment of `provision_environment` in the AWS account of boto3: "
        "it takes about 20 minutes and costs money until the run ends",
    )
    group.addoption(
        "--provision-config",
        metavar="PATH",
        help="the configuration of `provision_environment` (default: config.toml, else defaults)",
    )


@pytest.fixture(scope="session")
def provision_environment(pytestconfig: pytest.Config) -> Iterator[Environment]:
    """One environment for the whole run, deleted at its end; with pytest-xdist, one per worker."""
    from provision.library.environment import Environment

    real = pytestconfig.getoption("--provision-aws")
    if real and "PYTEST_XDIST_WORKER" in os.environ:
        raise pytest.UsageError(
            "--provision-aws creates one environment, which pytest-xdist's workers cannot share: "
            "run these tests with `-n 0`"
        )
    config = pytestconfig.getoption("--provision-config")
    with Environment(config, dry_run=not real, progress=bool(real)) as environment:
        yield environment
