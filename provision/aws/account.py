"""One AWS account and region: the session, its clients, and the translation of AWS's errors.

Every client is made once, under one lock (making clients in parallel is slower than in turn), and
sends each call that changes something once: botocore would repeat a create whose answer was lost,
and AWS would make a second copy. Repeated here are reads, and calls that AWS throttled, which it
did not carry out. What to do about a lost answer is converge.py's business.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as boto_errors
import botocore.session
from botocore.config import Config as BotoConfig
from botocore.parsers import ResponseParserError

from provision.aws import fence
from provision.aws.advice import REACH, THROTTLED, CallContext, Trouble, advise, aws_answer
from provision.aws.credentials import explain_credentials, none_found
from provision.aws.observation.observer import Observer
from provision.aws.service_models import Models
from provision.aws.settings import checked_settings
from provision.aws.shared_answers import SharedAnswers
from provision.errors import (
    AwsAnswer,
    AwsCallError,
    ClockWrong,
    CredentialsError,
    NotSignedUp,
    OddAnswer,
    ProvisionError,
    RegionNotEnabled,
    UnreachableError,
    UnsureError,
    UsageError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_apigatewayv2.client import ApiGatewayV2Client
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_logs.client import CloudWatchLogsClient
    from mypy_boto3_pricing.client import PricingClient
    from mypy_boto3_rds.client import RDSClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sts.client import STSClient

T = TypeVar("T")

READS = ("Describe", "Filter", "Get", "Head", "List")
# What is wrong with the caller, not with the call: no other call of the run will do better.
CALLERS_FAULT = {
    Trouble.KEYS: CredentialsError,
    Trouble.EXPIRED: CredentialsError,
    Trouble.REGION: RegionNotEnabled,
    Trouble.CLOCK: ClockWrong,
    Trouble.ACCOUNT: NotSignedUp,
}
CALLER = "Caller"  # the key of an error's metadata
FIRST_ERROR = 300  # HTTP status
REFUSALS = range(400, 500)  # HTTP statuses with which AWS says that it did nothing
MAX_ATTEMPTS = 8
PRICING_REGION = "us-east-1"


@dataclass(frozen=True)
class Identity:
    """Who is calling: the account, its partition and the caller's ARN."""

    account: str
    partition: str
    arn: str


# Whoever wants to know of each call (`-v`): service, operation, outcome and seconds. Parameters are
# not among it, and so no secrets are.
CallLog = Callable[[str, str, str, float], None]


def make_session(
    profile: str | None, region: str | None, *, models_at: Path | None = None
) -> botocore.session.Session:
    """Return the session that boto3's clients are made from, by boto3's own configuration.

    boto3's clients are botocore's. What boto3 adds to them, resources and transfers for S3, has no
    use here, and is left out: it takes longer to load than most clients. `models_at` is a file for
    what the clients need of AWS's models (service_models.py).

    Raises UsageError for settings that cannot be used.
    """
    session = botocore.session.Session(profile=profile)
    checked_settings(session, profile)
    session.register_component(
        "data_loader", Models(session.get_component("data_loader").search_paths, models_at)
    )
    session.set_config_variable("region", region)
    explain_credentials(session)
    return session


def client_of(service: str) -> Any:
    """Return an attribute of Aws that is the client of `service`, created at first use."""
    return cached_property(lambda aws: aws.client(service))


class Aws:
    """The clients of one account and region, and what every resource needs to know of them."""

    validates = True  # parameters, before a call is sent

    apigateway: ApiGatewayV2Client = client_of("apigatewayv2")  # HTTP APIs
    ec2: EC2Client = client_of("ec2")
    iam: IAMClient = client_of("iam")
    lambda_: LambdaClient = client_of("lambda")
    logs: CloudWatchLogsClient = client_of("logs")
    pricing: PricingClient = client_of("pricing")  # answers for all regions from a few
    rds: RDSClient = client_of("rds")
    secretsmanager: SecretsManagerClient = client_of("secretsmanager")
    sts: STSClient = client_of("sts")

    def __init__(
        self,
        session: botocore.session.Session,
        *,
        environment: str,
        tags: Mapping[str, str] | None = None,
        speed: float = 1.0,
        call_log: CallLog | None = None,
    ) -> None:
        self.session = session
        self.environment = environment
        self.extra_tags = dict(tags or {})
        self.region: str = session.get_config_variable("region") or ""
        self.expires = ""  # the value of the tag that says when the environment ends; "" = never
        self.expiry_kept_at = ""  # the step whose such tag is to stay for now
        self.state_place = ""  # the value of the tag that says where the state is kept
        self.fence: Callable[[], None] = lambda: None  # raises when nothing may be changed
        self.observer = Observer(speed)  # what AWS did, added up; for the record of the run
        self.shared = SharedAnswers(speed)
        self._speed = speed
        self._call_log = call_log
        self._clients: dict[str, Future[Any]] = {}
        self._lock = threading.Lock()
        self._making = threading.RLock()
        self._made: list[Any] = []
        self._asking = threading.Lock()
        self._who: Identity | ProvisionError | None = None
        self._readers = ThreadPoolExecutor(max_workers=32, thread_name_prefix="read")

    def client(self, service: str) -> Any:
        """Return the one client of `service`."""
        with self._lock:
            first = service not in self._clients
            client = self._clients.setdefault(service, Future())
        if first:
            with self._making:
                try:
                    client.set_result(self._make_client(service))
                except BaseException as error:  # raised for each that waits for it
                    client.set_exception(error)
        return client.result()

    def _make_client(self, service: str) -> Any:
        client = self.make_client(service, connect_timeout=10, read_timeout=70)
        events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
        repeats = partial(repeat_safely, max_attempts(self.session), self._speed)
        events.register_first(f"needs-retry.{name}", repeats)
        events.register(f"before-send.{name}", self._check_fence)
        changes = partial(self._note_change, service)
        events.register(f"after-call.{name}", changes)
        events.register(f"after-call-error.{name}", changes)
        # Read how lists are paged now: once, and not in each of many threads.
        client.can_paginate(next(iter(client.meta.method_to_api_mapping)))
        return client

    def make_client(self, service: str, **settings: Any) -> Any:
        """Return a separate client with these botocore settings, which sends each call once.

        Raises UsageError for settings of the caller's that make none.
        """
        config = BotoConfig(
            **{
                "retries": {"total_max_attempts": 1, "mode": "standard"},
                "max_pool_connections": 50,
                "user_agent_extra": "rds-proxy-auth",
                "parameter_validation": self.validates,
                **settings,
            }
        )
        region = PRICING_REGION if service == "pricing" else None  # None: the session's
        try:
            with self._making:
                client: Any = self.session.create_client(service, region_name=region, config=config)
                self._made.append(client)
        except (ValueError, boto_errors.BotoCoreError) as error:
            raise UsageError(
                f"no client for {service} can be created with the AWS settings: {error}",
                next_step="Check the variables that begin with AWS_, and the profile.",
            ) from error
        noted = partial(self._note_caller, client.meta.region_name)
        client.meta.events.register("after-call", noted)
        self.observer.watch(client, service)
        if self._call_log is not None:
            log_calls(client.meta.events, service, self._call_log)
        return client

    def _check_fence(self, event_name: str, **_: Any) -> None:
        """Before each attempt of each call that changes something: is the lock held now?"""
        reads = event_name.rpartition(".")[2].startswith(READS)
        fence.pass_through(None if reads else self.fence)

    def _note_change(
        self, service: str, /, event_name: str, http_response: Any = None, **_: Any
    ) -> None:
        """After each call that changed something, or may have: what was read before is old now."""
        reads = event_name.rpartition(".")[2].startswith(READS)
        refused = http_response is not None and http_response.status_code in REFUSALS
        if not reads and not refused:
            self.shared.changed(service)

    def _note_caller(
        self, region: str, /, http_response: Any, parsed: Any, model: Any, **_: Any
    ) -> None:
        """Add to an error's answer who called where, for the advice (advice.py)."""
        if http_response.status_code < FIRST_ERROR or not isinstance(parsed, dict):
            return
        credentials = self.session.get_credentials()
        parsed.setdefault("ResponseMetadata", {})[CALLER] = CallContext(
            service=model.service_model.service_id,
            region=region,
            method=getattr(credentials, "method", None) or "",
            profile=self.session.profile or "",
            ahead=ahead_of(http_response.headers.get("date")),
        )

    @cached_property
    def identity(self) -> Identity:
        """Who is calling; asked once. Raises CredentialsError, UnreachableError or AwsCallError."""
        with self._asking:
            if self._who is None:
                try:
                    self._who = self._ask_who()
                except ProvisionError as error:
                    self._who = error
        if isinstance(self._who, ProvisionError):
            raise self._who
        return self._who

    def begin(self) -> None:
        """Begin to read the caller's identity. Returns at once; `identity` raises what fails."""
        self._readers.submit(lambda: self.identity)

    def _ask_who(self) -> Identity:
        try:
            with calling(""):
                answer = self.sts.get_caller_identity()
        except UnsureError as error:
            if isinstance(error.__cause__, boto_errors.ClientError):
                raise
            raise UnreachableError(error.answer.message, next_step=REACH) from error
        arn = answer["Arn"]
        return Identity(account=answer["Account"], partition=arn.split(":")[1], arn=arn)

    def arn(self, service: str, resource: str, *, account: str | None = None) -> str:
        """Return the ARN of `resource` in this region and account (`account=""` for none)."""
        who = self.identity
        owner = who.account if account is None else account
        return f"arn:{who.partition}:{service}:{self.region}:{owner}:{resource}"

    def listed(
        self, service: str, operation: str, key: str, *, lasting: bool = False, **params: Any
    ) -> list[dict[str, Any]]:
        """Return all items of a paged list call, shared with all threads that send the same."""

        def read() -> list[dict[str, Any]]:
            return pages(self.client(service), operation, key, **params)

        return self.shared.ask(service, f"{operation} {params}", read, lasting=lasting)

    def together(self, *reads: Callable[[], Any], at_once: bool = True) -> list[Any]:
        """Return what each of `reads` returns, all asked at the same time; the first one here.

        Without `at_once` the others are asked when the first has answered; when it has found
        nothing they are not, and None stands for what they return.
        """
        if not at_once:
            found = reads[0]()
            return [found, *(self.together(*reads[1:]) if found else [None] * (len(reads) - 1))]
        others = [self._readers.submit(read) for read in reads[1:]]
        return [*(read() for read in reads[:1]), *(other.result() for other in others)]

    @property
    def models(self) -> Models:
        """The loader of AWS's service models."""
        return self.session.get_component("data_loader")  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the threads and close the connections."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        with self._making:
            for client in self._made:
                client.close()


def max_attempts(session: botocore.session.Session) -> int:
    """Return how often a call may be sent: AWS's max_attempts setting, else MAX_ATTEMPTS."""
    try:
        return session.get_config_variable("max_attempts") or MAX_ATTEMPTS
    except ValueError:  # set to nothing
        return MAX_ATTEMPTS


def ahead_of(date: str | None) -> float | None:
    """Return by how many seconds this machine's clock is ahead of an HTTP date."""
    try:
        return time.time() - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def repeat_safely(
    most_attempts: int,
    speed: float,
    *,
    attempts: int,
    operation: Any,
    response: tuple[Any, dict[str, Any]] | None = None,
    caught_exception: Exception | None = None,
    **_: Any,
) -> float | None:
    """Retry only reads and what AWS certainly did not do: botocore's `needs-retry` handler.

    Returns the seconds to wait before the next attempt, or None to give up.
    """
    if attempts >= most_attempts or not is_safe(operation.name, response, caught_exception):
        return None
    longest: float = min(0.3 * 2 ** (attempts - 1), 10.0)
    return longest * random.uniform(0.5, 1.0) / speed  # noqa: S311


def is_safe(
    operation: str, response: tuple[Any, dict[str, Any]] | None, error: Exception | None
) -> bool:
    """Return whether a call with this outcome may be sent again."""
    is_read = operation.startswith(READS)
    if response is None:
        broken = boto_errors.HTTPClientError, ResponseParserError
        return is_read and isinstance(error, broken)
    http, parsed = response
    if (
        parsed.get("Error", {}).get("Code") in THROTTLED
        or http.status_code == HTTPStatus.TOO_MANY_REQUESTS
    ):
        return True
    return is_read and http.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR


def log_calls(events: Any, service: str, log: CallLog) -> None:
    """Call `log` for every call of a client, by botocore's own events."""

    def began(model: Any, context: dict[str, Any], **_: Any) -> None:
        context["provision_call"] = (model.name, time.monotonic())

    def ended(context: dict[str, Any], parsed: Any = None, exception: Any = None, **_: Any) -> None:
        operation, start = context.get("provision_call", ("?", time.monotonic()))
        refused = type(exception).__name__ if exception else parsed.get("Error", {}).get("Code")
        log(service, operation, refused or "ok", time.monotonic() - start)

    events.register("before-call", began)
    events.register("after-call", ended)
    events.register("after-call-error", ended)


def code_of(error: boto_errors.ClientError) -> str:
    """Return AWS's own error code."""
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def absent(*codes: str) -> Iterator[None]:
    """Let these error codes end the block silently: most say that a resource does not exist."""
    try:
        yield
    except boto_errors.ClientError as error:
        if code_of(error) not in codes:
            raise


@contextmanager
def calling(step: str) -> Iterator[None]:
    """Raise what botocore raises in the block as our errors, with the step's name.

    Raises CredentialsError, UnreachableError, UnsureError (the call may have taken effect) or
    AwsCallError (AWS refused it).
    """
    where = f"{step}: " if step else ""
    try:
        yield
    except boto_errors.ClientError as error:
        raise from_client_error(step, error) from error
    except boto_errors.NoCredentialsError as error:
        raise none_found() from error
    except (
        boto_errors.EndpointConnectionError,
        boto_errors.ConnectTimeoutError,
        boto_errors.ProxyConnectionError,
    ) as error:
        raise UnreachableError(f"{where}{error}", next_step=REACH) from error
    except (boto_errors.HTTPClientError, ResponseParserError) as error:
        refused = getattr(error, "kwargs", {}).get("error")
        if isinstance(refused, ProvisionError):  # by the fence: it was not sent
            raise refused from None
        answer = AwsAnswer("the call", type(error).__name__, str(error))
        raise UnsureError(
            step, answer, next_step="Run the same command again: it looks first for what exists."
        ) from error
    except boto_errors.BotoCoreError as error:
        raise ProvisionError(f"{where}{error}") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # A member of AWS's answer that is missing, or of a kind that no model tells of.
        raise OddAnswer(step, error) from error


def from_client_error(step: str, error: boto_errors.ClientError) -> ProvisionError:
    """Return our error for one that AWS answered."""
    answer = aws_answer(error)
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    advice = advise(answer, metadata.get(CALLER, CallContext()))
    if advice.cause in CALLERS_FAULT:
        where = f"{step}: " if step else ""
        return CALLERS_FAULT[advice.cause](
            f"{where}{answer.operation} answered {answer.code}: {answer.message}",
            next_step=advice.next_step,
        )
    kind = UnsureError if advice.cause is Trouble.AWS else AwsCallError
    return kind(step, answer, next_step=advice.next_step)


def pages(client: Any, operation: str, key: str, **params: Any) -> list[dict[str, Any]]:
    """Return all items of a list call, of all its pages; some lists are not paged."""
    if not client.can_paginate(operation):
        return list(getattr(client, operation)(**params).get(key, ()))
    result = client.get_paginator(operation).paginate(**params).build_full_result()
    return list(result.get(key, ()))


def tag_list(tags: Mapping[str, str]) -> Any:
    """Return tags in the form that EC2, RDS, IAM and Secrets Manager accept."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_map(tags: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    """Return a dict of the tags that EC2, RDS, IAM or Secrets Manager answered."""
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}
