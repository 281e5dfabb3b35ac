"""The control channel: who may give orders, and which processes may be killed by them."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from provision.rehearsal import Behaviours, Fault, Rehearsal, Remote
from provision.rehearsal.aws.processes import Processes

FAULTS = b'{"faults": [{"kind": "kill-before"}], "victim": %d}'


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal(Behaviours.plain(), data_plane=False) as made:
        made.open_control()
        yield made


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits to be killed."""
    yield from sleeping()


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another one."""
    yield from sleeping()


def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline()
        yield process
        process.kill()


def order(url: str, body: bytes = b"null", **headers: str) -> int:
    """The status of an order, sent as a web page sends a simple request."""
    request = urllib.request.Request(url, body, {"Content-Type": "text/plain", **headers})  # noqa: S310
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def remote(rehearsal: Rehearsal) -> Remote:
    return Remote(
        {
            "endpoint_url": rehearsal.endpoint_url,
            "control_url": rehearsal.control_url,
            "environ": rehearsal.environ(),
        }
    )


def test_there_is_none_where_nobody_asked_for_it(sleeper: subprocess.Popen[bytes]) -> None:
    with Rehearsal(Behaviours.plain(), data_plane=False) as rehearsal:
        assert rehearsal.control_url is None
        for path in ("/_rehearsal/faults", "/_rehearsal//faults", "/_rehearsal/None/faults"):
            assert order(rehearsal.endpoint_url + path, FAULTS % sleeper.pid) == 403
        rehearsal.client("logs", inside=False).describe_log_groups()
    assert sleeper.poll() is None


def test_it_takes_orders_under_its_secret_path_alone(rehearsal: Rehearsal) -> None:
    assert rehearsal.control_url
    assert order(rehearsal.control_url + "advance", b"1") == 200
    token = rehearsal.control_url.split("/")[-2]
    assert len(token) == 32
    for wrong in ("", token[:-1], token.swapcase(), "x" * 32, f"..%2f{token}"):
        url = f"{rehearsal.endpoint_url}/_rehearsal/{wrong}/advance"
        assert order(url, b"1") == 403
    assert order(f"{rehearsal.endpoint_url}/_rehearsal/advance", b"1") == 403


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Referer": "http://evil.example/"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
def test_a_web_page_orders_nothing(rehearsal: Rehearsal, header: dict[str, str]) -> None:
    assert rehearsal.control_url
    assert order(rehearsal.control_url + "advance", b"1", **header) == 403


def test_nonsense_is_refused(rehearsal: Rehearsal) -> None:
    assert rehearsal.control_url
    for name, body in (("faults", b"{"), ("faults", b"[]"), ("register", b'"x"'), ("no", b"1")):
        assert order(rehearsal.control_url + name, body) == 400


# --- victims ---


def test_only_a_registered_process_is_killed(
    rehearsal: Rehearsal, sleeper: subprocess.Popen[bytes]
) -> None:
    control = remote(rehearsal)
    with pytest.raises(ValueError, match="was not registered"):
        control.set_faults(Fault("kill-before"), victim=sleeper.pid)
    rehearsal.client("logs", inside=False).describe_log_groups()
    assert sleeper.poll() is None
    control.register(sleeper.pid)
    control.set_faults(Fault("kill-before"), victim=sleeper.pid)
    rehearsal.client("logs", inside=False).describe_log_groups()  # its second try is answered
    assert sleeper.wait(20) == -9


def test_what_was_there_before_cannot_be_registered(sleeper: subprocess.Popen[bytes]) -> None:
    processes = Processes()
    processes._began += 3600
    with pytest.raises(ValueError, match="before the rehearsal"):
        processes.register(sleeper.pid)
    for pid in (0, 1, -1, os.getpid(), os.getppid()):
        with pytest.raises(ValueError, match="cannot be registered"):
            processes.register(pid)
    assert sleeper.poll() is None


def test_one_that_has_ended_is_not_met_again_under_its_id(
    sleeper: subprocess.Popen[bytes],
    other: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processes = Processes()
    processes.register(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid) if number else None)
    processes.kill(sleeper.pid)
    assert killed == []
    processes.register(other.pid)
    with pytest.raises(ValueError, match="was not registered"):
        processes.check(sleeper.pid)  # no descriptor is kept for it
    with pytest.raises(ValueError, match="cannot be registered"):
        Processes().register(sleeper.pid)
    processes.close()
