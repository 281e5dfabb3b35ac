"""The fence: checked before each attempt of what changes something, and again when bytes leave."""

from __future__ import annotations

import contextlib
import http.client
import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import urllib3.connection

from provision.aws import fence
from provision.aws.account import Aws, calling, make_session
from provision.errors import LeaseLost
from provision.rehearsal import Fault, Remote
from tests.support.commands import measured
from tests.support.names import REGION

HOOKED = pytest.mark.skipif(bool(measured()), reason="while it is measured, no hook is installed")


@pytest.fixture
def aws(rehearsal: Remote) -> Iterator[Aws]:
    """The rehearsed account, as the program calls it."""
    with mock.patch.dict(os.environ, rehearsal.environ()):
        account = Aws(make_session(None, REGION), environment="demo", speed=1000)
        with contextlib.closing(account):
            yield account


class Check:
    """Counts how often it is asked; says no from the nth time on."""

    def __init__(self, no_from: int = 1000) -> None:
        self.asked = 0
        self.no_from = no_from

    def __call__(self) -> None:
        self.asked += 1
        if self.asked >= self.no_from:
            raise LeaseLost("lost")


def test_reads_pass_and_what_changes_something_is_checked(aws: Aws, rehearsal: Remote) -> None:
    aws.fence = check = Check(no_from=1)
    aws.ec2.describe_vpcs()
    assert check.asked == 0
    with pytest.raises(LeaseLost), calling("vpc"):
        aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert [call.operation for call in rehearsal.journal()] == ["DescribeVpcs"]


def test_each_attempt_is_checked(aws: Aws, rehearsal: Remote) -> None:
    rehearsal.set_faults(Fault("throttle", "CreateVpc", times=2))
    aws.fence = check = Check()
    aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    made = sum(call.operation == "CreateVpc" for call in rehearsal.journal())
    assert made == 3
    assert check.asked >= made


def test_a_lock_that_is_lost_between_two_attempts_stops_the_second(
    aws: Aws, rehearsal: Remote
) -> None:
    rehearsal.set_faults(Fault("throttle", "CreateVpc", times=5))

    def lost() -> None:
        if any(call.operation == "CreateVpc" for call in rehearsal.journal()):
            raise LeaseLost("lost")

    aws.fence = lost
    with pytest.raises(LeaseLost), calling("vpc"):
        aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert sum(call.operation == "CreateVpc" for call in rehearsal.journal()) == 1


@HOOKED
def test_a_lock_that_is_lost_while_the_connection_is_made_sends_nothing(
    aws: Aws, rehearsal: Remote
) -> None:
    fence.watch_sending()
    connected: list[object] = []
    connect = urllib3.connection.HTTPConnection.connect

    def slowly(connection: Any) -> None:
        connect(connection)
        connected.append(connection)

    def lost() -> None:
        if connected:
            raise LeaseLost("lost")

    aws.fence = lost
    with (
        mock.patch.object(urllib3.connection.HTTPConnection, "connect", slowly),
        pytest.raises(LeaseLost),
        calling("vpc"),
    ):
        aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert connected
    assert rehearsal.journal() == []


@HOOKED
def test_other_requests_of_a_thread_are_not_checked(aws: Aws, rehearsal: Remote) -> None:
    fence.watch_sending()
    aws.fence = check = Check()
    aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    check.no_from = 0
    aws.ec2.describe_vpcs()
    host = rehearsal.endpoint_url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", "/")
    assert connection.getresponse().status
    connection.close()
