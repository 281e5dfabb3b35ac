"""A rehearsal of its own process, and its remote control."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from provision.rehearsal import Fault, Override, Remote

from .control_plane import ONCE, policy, refused

COMMAND = (
    *(sys.executable, "-m", "provision.rehearsal"),
    *("--no-data-plane", "--control", "--typical"),
)


@contextmanager
def served(*options: str) -> Iterator[tuple[Remote, subprocess.Popen[str]]]:
    """A rehearsal in another process, ended by closing its standard input.

    Where the user has set an AWS profile that is not there: it must not matter.
    """
    process = subprocess.Popen(
        [*COMMAND, *options],
        env={**os.environ, "AWS_PROFILE": "theirs"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        about = json.loads(process.stdout.readline())
        assert about["pid"] == process.pid
        yield Remote(about), process
    finally:
        process.stdin.close()
        process.stdout.close()
        assert process.wait(timeout=60) == 0


def client(remote: Remote, service: str) -> Any:
    """A client of the rehearsal that tries once."""
    variables = remote.environ("tester")
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=variables["AWS_REGION"],
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=ONCE,
    )


@pytest.mark.slow
def test_all_that_a_remote_can_do() -> None:
    with served("--speed", "0.000001") as (remote, _):
        logs, ec2 = client(remote, "logs"), client(remote, "ec2")
        logs.create_log_group(logGroupName="a")
        (entry,) = remote.journal()
        assert (entry.operation, entry.mutating, entry.access_key) == (
            "CreateLogGroup",
            True,
            remote.environ("tester")["AWS_ACCESS_KEY_ID"],
        )
        remote.set_faults(Fault("throttle", "CreateLogGroup"))
        with refused("ThrottlingException"):
            logs.create_log_group(logGroupName="b")
        remote.set_overrides(Override("logs:*", code="SomethingNew"))
        with refused("SomethingNew"):
            logs.describe_log_groups()
        remote.set_overrides()
        remote.set_policy(policy("ec2:*"))
        with refused("AccessDeniedException"):
            logs.describe_log_groups()
        remote.set_policy(None)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        with refused("InvalidVpcID.NotFound"):
            ec2.describe_vpcs(VpcIds=[vpc])
        remote.advance(60)
        (seen,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
        assert seen["State"] == "available"
        remote.set_manners(consistency=False, page_size=1)
        assert len(ec2.describe_vpcs()["Vpcs"]) == 1
        remote.reset()
        assert remote.journal() == []
        assert logs.describe_log_groups()["logGroups"] == []
        with pytest.raises(ValueError, match="politeness"):
            remote.set_manners(politeness=True)
        with pytest.raises(ValueError, match="nothing"):
            remote._ask("POST", "nothing")


@pytest.mark.slow
def test_a_remote_victim_is_killed() -> None:
    with served("--plain") as (remote, _):
        code = (
            "import boto3, sys; input(); "
            "boto3.client('logs').create_log_group(logGroupName='a'); print('survived')"
        )
        env = {"PATH": os.environ["PATH"], **remote.environ()}
        victim = subprocess.Popen(
            [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        remote.register(victim.pid)
        remote.set_faults(Fault("kill-after", mutating_only=True), victim=victim.pid)
        output, _ = victim.communicate(b"\n", timeout=60)
        assert (victim.returncode, output) == (-signal.SIGKILL, b"")
        assert len(client(remote, "logs").describe_log_groups()["logGroups"]) == 1


@pytest.mark.slow
def test_sigterm_ends_it() -> None:
    with served("--plain") as (remote, process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        with pytest.raises(urllib.error.URLError):
            remote.journal()
