"""The rehearsal: AWS on this machine, for as long as a `with` block lasts.

moto's own WSGI application is the control plane, on loopback, with AWS's own behaviours put
on it; the data plane runs the real functions against the stand-in proxy. Nothing leaves the
machine, nothing is kept.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

from provision.aws.observation.durations import Durations, typical
from provision.cli.memory import one_heap
from provision.rehearsal.aws.access_keys import CALLER, INSIDE, SOMEBODY_ELSE, AccessKey
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.control import ControlEndpoint, Remote, as_plain
from provision.rehearsal.aws.draws import Draws, new_seed
from provision.rehearsal.aws.faults import Fault, Faults
from provision.rehearsal.aws.front import Front
from provision.rehearsal.aws.iam_policy import Grant
from provision.rehearsal.aws.journal import Entry
from provision.rehearsal.aws.moto_app import Moto, quiet_session
from provision.rehearsal.aws.overrides import Override, Overrides
from provision.rehearsal.aws.permissions import Caller, Policy
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Behaviours, World
from provision.rehearsal.http_server import HttpServer, Request, Response

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

__all__ = [
    "CALLER",
    "INSIDE",
    "SOMEBODY_ELSE",
    "UNWANTED",
    "AccessKey",
    "AwsError",
    "Behaviours",
    "Call",
    "Durations",
    "Entry",
    "Fault",
    "Override",
    "Rehearsal",
    "Remote",
    "new_seed",
    "typical",
]

UNWANTED = (
    "AWS_CA_BUNDLE",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "REQUESTS_CA_BUNDLE",
)
"""Environment variables that must not be set where `Rehearsal.environ` is used."""

BODY_LIMIT = 256 * 1024 * 1024  # bytes: far more than the largest zip that Lambda takes
IDLE_SECONDS = 120.0
_SERVICE_IDS = (
    "APIGATEWAYV2",
    "CLOUDWATCH_LOGS",
    "EC2",
    "IAM",
    "LAMBDA",
    "PRICING",
    "RDS",
    "RESOURCE_GROUPS_TAGGING_API",
    "S3",
    "SECRETS_MANAGER",
    "STS",
)
"""Services as botocore names them in AWS_ENDPOINT_URL_<SERVICE>, which would win otherwise."""


class Rehearsal:
    """A rehearsed AWS account: empty at the start, and discarded at the end.

    It serves only clients that have one of its access keys, which are random for each rehearsal:
    see `environ`. After `open_control`, another process can control it: see `Remote`.

    `behaviours` default to all of AWS's. `faults` and `policy` (one or several IAM policy
    documents: calls that they do not allow are denied) can be changed later. With `data_plane`,
    functions can be invoked and HTTP APIs called; `database` is the database behind the proxies
    (see `DataPlane`). `overrides` is a JSON file of rules that change answers, read again whenever
    it changes; raises OSError or ValueError if it cannot be read at first. moto has one set of
    backends per process, so a second rehearsal in a process raises RuntimeError.
    """

    _open: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        behaviours: Behaviours | None = None,
        *,
        region: str = "ap-northeast-1",
        port: int = 0,
        faults: Iterable[Fault] = (),
        policy: Policy | None = None,
        data_plane: bool = True,
        durations: Durations | None = None,
        database: str | None = None,
        overrides: Path | None = None,
    ) -> None:
        self.overrides = Overrides(overrides)
        if not self._open.acquire(blocking=False):
            raise RuntimeError("a rehearsal is open in this process already")
        self._started = behaviours or Behaviours()
        self._durations = durations
        self._database = database
        self.region = region
        self.faults = Faults(faults)
        self._closed = False
        self._sessions: dict[str, boto3.Session] = {}
        one_heap()
        try:
            moto = Moto()
            moto.reset()
            world = World(moto, self._started, region, durations)
            self._front = Front(world, self.faults, self.overrides)
            self.policy = policy
            self._control: ControlEndpoint | None = None
            self._server = HttpServer(
                self._answer, body_limit=BODY_LIMIT, idle_seconds=IDLE_SECONDS, port=port
            )
        except BaseException:
            self._open.release()
            raise
        try:
            self._start_data_plane(data_plane)
        except BaseException:
            self.close()
            raise

    def _answer(self, request: Request) -> Response:
        if self._control is not None and self._control.is_meant(request):
            return self._control.answer(request)
        return self._front.answer(request)

    def _start_data_plane(self, wanted: bool) -> None:
        self.data_plane: Any = None
        if wanted:
            from provision.rehearsal.data_plane.data_plane import DataPlane

            self.data_plane = DataPlane(self, self._database)
            self.world.data_plane = self.data_plane

    @property
    def world(self) -> World:
        """What the rehearsed AWS knows: its clock, behaviours and memory."""
        return self._front.world

    @property
    def endpoint_url(self) -> str:
        """Where the rehearsal listens: for AWS_ENDPOINT_URL."""
        return self._server.url

    @property
    def control_url(self) -> str | None:
        """The secret URL of the control channel, for `Remote`. None before `open_control`."""
        return f"{self.endpoint_url}{self._control.path}" if self._control else None

    def open_control(self) -> str:
        """Open the control channel for other processes; returns its secret URL."""
        self._control = self._control or ControlEndpoint(self._order)
        return f"{self.endpoint_url}{self._control.path}"

    @property
    def protection(self) -> str:
        """How function code is confined on this machine, in words; "" if none can run."""
        if self.data_plane is None:
            return ""
        from provision.rehearsal.data_plane.function_process import protection

        return protection()

    @property
    def journal(self) -> list[Entry]:
        """Every call from outside, in order of arrival."""
        return self._front.journal

    @property
    def policy(self) -> Policy | None:
        """The IAM policy or policies that have to allow each call; None allows all."""
        return self.world.caller.policy if self.world.caller else None

    @policy.setter
    def policy(self, policy: Policy | None) -> None:
        self.world.caller = None if policy is None else Caller(policy)

    @property
    def used(self) -> list[Grant]:
        """What of the policy has allowed a call so far: statements, actions, resources."""
        return sorted(self.world.caller.used) if self.world.caller else []

    def key(self, principal: str = CALLER) -> AccessKey:
        """The access key of a principal, created at first use."""
        return self._front.keys.of(principal)

    def environ(self, principal: str = CALLER) -> dict[str, str]:
        """Environment variables that point any AWS client at the rehearsal, and at nothing else.

        They override the user's own configuration, credentials and proxies. The variables in
        `UNWANTED` must not be set beside them: a profile cannot be overridden, only unset.
        """
        return environ(self.endpoint_url, self.region, self.key(principal))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Set this process's own environment to `environ()`, without what is `UNWANTED`."""
        before = dict(os.environ)
        for name in UNWANTED:
            os.environ.pop(name, None)
        os.environ.update(self.environ())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def client(self, service: str, *, inside: bool = True) -> Any:
        """A boto3 client. `inside`: straight to moto, without behaviours, faults and journal."""
        return self._client(INSIDE if inside else CALLER, service)

    def somebody_else(self, service: str) -> Any:
        """A boto3 client of another principal in the account, who may do everything.

        Its calls are played with all behaviours, but without faults, overrides and policy.
        """
        return self._client(SOMEBODY_ELSE, service)

    def _client(self, principal: str, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"total_max_attempts": 1 if principal == INSIDE else 3, "mode": "standard"},
            proxies={},
            connect_timeout=5,
            read_timeout=60,
        )
        session = self.session(principal)
        return session.client(service, endpoint_url=self.endpoint_url, config=config)

    def session(self, principal: str = CALLER) -> Any:
        """A boto3 session with throw-away credentials, which reads nothing of the user's.

        Its clients need `endpoint_url`.
        """
        import boto3

        if principal not in self._sessions:
            key = self.key(principal)
            self._sessions[principal] = boto3.Session(
                aws_access_key_id=key.id,
                aws_secret_access_key=key.secret,
                region_name=self.region,
                botocore_session=quiet_session(),
            )
        return self._sessions[principal]

    def reset(self) -> None:
        """An empty account again, an empty journal, no faults, overrides and policy."""
        self.faults.clear()
        self.overrides.set(())
        if self.data_plane is not None:
            self.data_plane.close()
        with self.world.lock:
            moto = self.world.moto
            moto.reset()
            self._front.world = World(moto, self._started, self.region, self._durations)
            self._front.journal.clear()
        self._start_data_plane(self.data_plane is not None)

    def set_manners(self, **changes: Any) -> None:
        """Changes some behaviours from now on; a seed begins its draws anew.

        Raises TypeError for unknown ones.
        """
        world = self.world
        world.behaviours = dataclasses.replace(world.behaviours, **changes)
        world.clock.speed = world.behaviours.speed
        if "seed" in changes:
            world.draws = Draws(world.behaviours.seed)
            world.decided.clear()

    def advance(self, aws_seconds: float) -> None:
        """Lets AWS's time pass at once."""
        self.world.clock.advance(aws_seconds)

    def close(self) -> None:
        """Ends the rehearsal, its server and its data plane. Twice is once."""
        if self._closed:
            return
        self._closed = True
        try:
            if self.data_plane is not None:
                self.data_plane.close()
            self._server.close()
            self.faults.processes.close()
        finally:
            self._open.release()

    def _order(self, method: str, name: str, value: Any) -> Any:
        """What `Remote` asks for. Raises KeyError for what is unknown."""
        if (method, name) == ("GET", "journal"):
            return as_plain(self.journal)
        if (method, name) == ("GET", "used"):
            return as_plain(self.used)
        if method != "POST":
            raise KeyError(name)
        actions = {
            "environ": lambda: self.environ(str(value)),
            "register": lambda: self.faults.processes.register(int(value)),
            "faults": lambda: self.faults.set(
                [Fault(**fault) for fault in value["faults"]], victim=value["victim"]
            ),
            "overrides": lambda: self.overrides.set(map(Override.from_plain, value)),
            "policy": lambda: setattr(self, "policy", value),
            "behaviours": lambda: self.set_manners(**value),
            "advance": lambda: self.advance(float(value)),
            "reset": self.reset,
        }
        return actions[name]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def environ(endpoint_url: str, region: str, key: AccessKey | None = None) -> dict[str, str]:
    """See `Rehearsal.environ`. Without a key: for an endpoint that takes none."""
    key = key or AccessKey.random()
    proxies = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), ""
    )
    return {
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_SESSION_TOKEN": key.session_token,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        **{f"AWS_ENDPOINT_URL_{name}": endpoint_url for name in _SERVICE_IDS},
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **proxies,
    }
