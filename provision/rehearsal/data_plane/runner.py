"""Runs the rehearsed account's functions: the uploaded zips, with the uploaded layers.

As Lambda does, under the credentials of the function's own role, in execution environments that
are kept warm until code, configuration or layers change; with its log lines, in its log group; and
with its errors. Where Lambda would start ever more environments, this waits for one of a few.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import shutil
import tempfile
import threading
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.data_plane.function_process import (
    FunctionProcess,
    ProcessExitError,
    ProcessTimeoutError,
    Reply,
    Routes,
)
from provision.rehearsal.data_plane.proxy.certificates import CertificateAuthority, trust_in_folder
from provision.rehearsal.data_plane.proxy.token import SessionKey
from provision.rehearsal.data_plane.rehearsed_aws import REFRESH, RehearsedAws, code_bytes
from provision.rehearsal.data_plane.report import Report

ENVIRONMENTS = 4
"""Of one function at a time; each takes about 40 MiB."""
ANSWER_LIMIT = 6 * 1024 * 1024 + 100  # bytes, as Lambda words it in its error
LOG_TAIL = 4096  # bytes, in LogResult
_DEFAULT_TIMEOUT, _DEFAULT_MEMORY = 3, 128  # seconds, MiB

Configuration = Mapping[str, Any]
Network = Callable[[Configuration], Routes]
"""Says where a function can connect to."""


class InvokeError(AwsError):
    """Lambda refuses the invocation itself."""


@dataclass(frozen=True)
class Wanted:
    """What an environment must have been made from, reach, and have credentials for."""

    version: str
    ports: frozenset[int]
    until: datetime


@dataclass
class ExecutionEnvironment:
    """An execution environment, and what it was made from."""

    process: FunctionProcess
    version: str
    credentials: SessionKey
    stream: str
    failure: Reply | None = None
    init_seconds: float | None = None  # told once, in the first request's log

    def usable(self, wanted: Wanted) -> bool:
        """Whether it can still serve such requests."""
        reaches = wanted.ports <= self.process.ports
        lasts = self.credentials.lasts(wanted.until)
        return self.version == wanted.version and reaches and lasts


class Runner:
    """Invokes functions; safe to use from many threads."""

    def __init__(
        self,
        aws: RehearsedAws,
        report: Report,
        authority: CertificateAuthority,
        network: Network,
    ) -> None:
        self._aws, self._report, self._authority = aws, report, authority
        self._network = network
        self._folder = tempfile.TemporaryDirectory(prefix="rehearsal-functions-")
        self._lock = threading.Lock()
        self._pools: dict[str, Pool] = {}
        self._running: Counter[str] = Counter()
        self._unpacked: dict[str, Path] = {}
        self._closed = False

    def invoke(self, function_name: str, payload: bytes) -> dict[str, Any]:
        """Call a function and wait for its answer, as Invoke with RequestResponse does.

        Returns StatusCode, ExecutedVersion, Payload (bytes), LogResult (base64 of the log's last
        4 KiB), and FunctionError when it failed. Raises InvokeError.
        """
        configuration, reserved = self._configuration(function_name)
        call = Invocation(self._aws, self._report, configuration, payload)
        pool = self._pool(configuration["FunctionArn"])
        with self._counted(configuration["FunctionArn"], reserved):
            routes = self._network(configuration)
            ports, until = frozenset(routes.open.values()), self._aws.now() + REFRESH
            wanted = Wanted(_version(configuration), ports, until)
            start = functools.partial(self._start, configuration, wanted)
            with pool.environment(wanted, start) as environment:
                return call.run(environment, routes)

    @contextlib.contextmanager
    def _counted(self, arn: str, reserved: int | None) -> Iterator[None]:
        """Counts the calls that run. Raises InvokeError for one beyond the reserved concurrency."""
        with self._lock:
            if reserved is not None and self._running[arn] >= reserved:
                reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
                extra = {"Reason": reason, "Type": "User"}
                raise InvokeError("TooManyRequestsException", "Rate Exceeded.", 429, extra)
            self._running[arn] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[arn] -= 1

    def close(self) -> None:
        """End every process. Twice is once."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()
        with contextlib.suppress(FileNotFoundError):
            self._folder.cleanup()

    def _configuration(self, function_name: str) -> tuple[Configuration, int | None]:
        """The function's configuration, and its reserved concurrency, if it has one."""
        name = {"FunctionName": function_name}
        try:
            answer = self._aws.read("lambda", "get_function", **name)
        except ClientError as error:
            given = error.response["Error"]
            raise InvokeError(given["Code"], given["Message"], 404) from error
        configuration: Configuration = answer["Configuration"]
        if configuration.get("State") in ("Pending", "Failed"):
            text = (
                "The operation cannot be performed at this time. The function is currently in the "
                f"following state: {configuration['State']}"
            )
            raise InvokeError("ResourceConflictException", text, 409)
        # moto's GetFunction hides 0.
        reserved = self._aws.read("lambda", "get_function_concurrency", **name)
        return configuration, reserved.get("ReservedConcurrentExecutions")

    def _pool(self, arn: str) -> Pool:
        with self._lock:
            if self._closed:
                raise InvokeError("ServiceException", "The rehearsal has ended", 500)
            return self._pools.setdefault(arn, Pool())

    def _start(self, configuration: Configuration, wanted: Wanted) -> ExecutionEnvironment:
        name, role = configuration["FunctionName"], configuration["Role"]
        trusted = self._aws.trusts(role, "lambda.amazonaws.com")
        if not trusted.allowed:
            self._report.refused(f"function {name}", "AccessDeniedException", trusted.reason)
            text = "The role defined for the function cannot be assumed by Lambda."
            raise InvokeError("AccessDeniedException", text, 403)
        credentials = self._aws.credentials(role, name)
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        task, layers = self._unpack(configuration)
        variables = environment_variables(configuration, credentials, stream, self._aws.region)
        handler = configuration.get("Handler", "")
        variables["LAMBDA_TASK_ROOT"] = str(task)
        process = FunctionProcess(task, layers, handler, variables, wanted.ports)
        environment = ExecutionEnvironment(process, wanted.version, credentials, stream)
        try:
            environment.failure, environment.init_seconds = process.wait_ready()
        except (ProcessTimeoutError, ProcessExitError) as error:
            environment.failure = _broken(error, "The function did not start in time")
        return environment

    def _unpack(self, configuration: Configuration) -> tuple[Path, list[Path]]:
        """Unpack code and layers, once for each content; Lambda puts `python/` of layers on path.

        The Amazon root certificate, where the code has it, is replaced by the rehearsal's own.
        """
        arns = [layer["Arn"] for layer in configuration.get("Layers") or []]
        key = sha256(json.dumps([configuration["CodeSha256"], arns]).encode()).hexdigest()[:24]
        with self._lock:
            folder = self._unpacked.get(key)
            if folder is None:
                folder = Path(self._folder.name) / key
                self._extract(folder, code_bytes(configuration["FunctionArn"], arns))
                self._unpacked[key] = folder
        return folder / "task", [folder / "opt" / "python"] if arns else []

    def _extract(self, folder: Path, zips: list[bytes]) -> None:
        try:
            for n, content in enumerate(zips):
                # All layers are unpacked over each other, in their order, as in Lambda's /opt.
                target = folder / ("opt" if n else "task")
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    archive.extractall(target)
        except zipfile.BadZipFile as error:
            shutil.rmtree(folder, ignore_errors=True)
            text = (
                "Could not unzip uploaded file. Please check your file, then try to upload again."
            )
            raise InvokeError("InvalidZipFileException", text, 502) from error
        trust_in_folder(folder, self._authority)


class Pool:
    """The environments of one function: at most so many, each for one request at a time."""

    def __init__(self) -> None:
        self._free: list[ExecutionEnvironment] = []
        self._all: list[ExecutionEnvironment] = []
        self._starting = 0
        self._changed = threading.Condition()
        self._closed = False

    @contextlib.contextmanager
    def environment(
        self, wanted: Wanted, start: Callable[[], ExecutionEnvironment]
    ) -> Iterator[ExecutionEnvironment]:
        """Lend an environment, a warm one if there is one; it is given up if it broke."""
        environment = self._take(wanted) or self._add(start)
        kept = False
        try:
            yield environment
            kept = environment.failure is None
        finally:
            self._give_back(environment, kept)

    def close(self) -> None:
        """End all environments, those at work too."""
        with self._changed:
            self._closed = True
            ending, self._all, self._free = self._all, [], []
            self._changed.notify_all()
        for environment in ending:
            environment.process.close()

    def _take(self, wanted: Wanted) -> ExecutionEnvironment | None:
        """Return a warm environment, or None when a new one may be started (it is counted)."""
        with self._changed:
            while True:
                if self._closed:
                    raise InvokeError("ServiceException", "The rehearsal has ended", 500)
                for stale in [e for e in self._free if not e.usable(wanted)]:
                    self._drop(stale)
                if self._free:
                    return self._free.pop()
                if len(self._all) + self._starting < ENVIRONMENTS:
                    self._starting += 1
                    return None
                self._changed.wait()

    def _add(self, start: Callable[[], ExecutionEnvironment]) -> ExecutionEnvironment:
        environment = None
        try:
            environment = start()
            return environment
        finally:
            with self._changed:
                self._starting -= 1
                if environment is not None:
                    self._all.append(environment)
                self._changed.notify()

    def _give_back(self, environment: ExecutionEnvironment, kept: bool) -> None:
        with self._changed:
            if kept and not self._closed:
                self._free.append(environment)
            else:
                self._drop(environment)
            self._changed.notify()

    def _drop(self, environment: ExecutionEnvironment) -> None:
        for environments in (self._free, self._all):
            if environment in environments:
                environments.remove(environment)
        environment.process.close()


class Invocation:
    """One invocation in an environment that is lent to it."""

    def __init__(
        self, aws: RehearsedAws, report: Report, configuration: Configuration, payload: bytes
    ) -> None:
        self._aws, self._report, self._configuration = aws, report, configuration
        self._payload = payload.decode("utf-8", "replace")
        self._id = str(uuid.uuid4())
        self._name = configuration["FunctionName"]
        self._seconds = configuration.get("Timeout") or _DEFAULT_TIMEOUT

    def run(self, environment: ExecutionEnvironment, routes: Routes) -> dict[str, Any]:
        """Return what Invoke answers; a broken environment has its `failure` set afterwards."""
        started = time.monotonic()
        failure = environment.failure  # of the start, which took the handler's place
        reply = failure or self._ask(environment, routes)
        seconds = time.monotonic() - started
        if not reply.failed and len(reply.payload.encode()) > ANSWER_LIMIT:
            reply = _too_large(reply)
        self._report_refused(reply, routes)
        log = self._log(environment, reply, seconds)
        self._write(environment.stream, log)
        answer = {
            "StatusCode": 200,
            "ExecutedVersion": "$LATEST",
            "Payload": reply.payload.encode(),
            "LogResult": base64.b64encode(log.encode()[-LOG_TAIL:]).decode(),
        }
        if reply.failed:
            answer["FunctionError"] = "Unhandled"
            told = json.loads(reply.payload)
            reason = f"{told.get('errorType', 'error')}: {told.get('errorMessage', '')}"
            self._report.refused(f"function {self._name}", "FunctionError", reason)
        return answer

    def _ask(self, environment: ExecutionEnvironment, routes: Routes) -> Reply:
        arn = self._configuration["FunctionArn"]
        try:
            return environment.process.invoke(self._id, arn, self._payload, self._seconds, routes)
        except (ProcessTimeoutError, ProcessExitError) as error:
            request = f"RequestId: {self._id} Error: "
            late = f"{request}Task timed out after {self._seconds:.2f} seconds"
            environment.failure = _broken(error, late, request)
            return environment.failure

    def _report_refused(self, reply: Reply, routes: Routes) -> None:
        for host, port in reply.refused:
            reason = routes.closed.get(host) or "nothing in its VPC leads there"
            where = f"function {self._name}"
            self._report.refused(where, "ETIMEDOUT", f"{host}:{port} is out of reach: {reason}")

    def _log(self, environment: ExecutionEnvironment, reply: Reply, seconds: float) -> str:
        milliseconds = seconds * 1000
        memory = self._configuration.get("MemorySize") or _DEFAULT_MEMORY
        init, environment.init_seconds = environment.init_seconds, None
        facts = [
            f"REPORT RequestId: {self._id}",
            f"Duration: {milliseconds:.2f} ms",
            f"Billed Duration: {int(milliseconds) + 1} ms",
            f"Memory Size: {memory} MB",
            f"Max Memory Used: {reply.peak_mib} MB",
            *([f"Init Duration: {init * 1000:.2f} ms"] if init is not None else []),
        ]
        printed = environment.process.take_log()
        if printed and not printed.endswith("\n"):
            printed += "\n"
        if reply.failed and "Task timed out" in reply.payload:
            when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
            printed += f"{when}Z {self._id} Task timed out after {self._seconds:.2f} seconds\n"
        return (
            f"START RequestId: {self._id} Version: $LATEST\n{printed}"
            f"END RequestId: {self._id}\n" + "\t".join(facts) + "\n"
        )

    def _write(self, stream: str, log: str) -> None:
        """Put the log where Lambda puts it, making group and stream, if the role may write it."""
        group = _log_group(self._configuration)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in log.splitlines(keepends=True)]
        logs = self._aws.client("logs")
        names = {"logGroupName": group, "logStreamName": stream}
        with contextlib.suppress(ClientError):  # of a stream that is not there yet
            logs.put_log_events(**names, logEvents=events)
            return
        _, partition, _, region, account, *_ = self._configuration["FunctionArn"].split(":")
        arn = f"arn:{partition}:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"
        if not self._aws.may(self._configuration["Role"], "logs:PutLogEvents", arn).allowed:
            return
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(**names)
        logs.put_log_events(**names, logEvents=events)


def environment_variables(
    configuration: Configuration, key: SessionKey, stream: str, region: str
) -> dict[str, str]:
    """Return a function's environment: its own variables, and those that Lambda sets.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    runtime = configuration.get("Runtime", "")
    reserved = {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.get("MemorySize") or _DEFAULT_MEMORY),
        "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": _log_group(configuration),
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_REGION": region,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_SESSION_TOKEN": key.session_token,
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONUTF8": "1",
        "TZ": ":UTC",
        "_HANDLER": configuration.get("Handler", ""),
    }
    own: Mapping[str, str] = configuration.get("Environment", {}).get("Variables", {})
    return {**own, **reserved}


def _log_group(configuration: Configuration) -> str:
    given = configuration.get("LoggingConfig", {}).get("LogGroup")
    return str(given or f"/aws/lambda/{configuration['FunctionName']}")


def _version(configuration: Configuration) -> str:
    """Return a digest of all that an environment is made from."""
    told = {key: value for key, value in configuration.items() if key != "ResponseMetadata"}
    return sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _failed(kind: str, message: str) -> Reply:
    payload = json.dumps({"errorType": kind, "errorMessage": message})
    return Reply(payload, failed=True, refused=[], peak_mib=0)


def _broken(error: ProcessTimeoutError | ProcessExitError, late: str, request: str = "") -> Reply:
    """What the caller of a process that broke hears; `late`: of one that did not answer in time."""
    if isinstance(error, ProcessTimeoutError):
        return _failed("Sandbox.Timedout", late)
    return _failed("Runtime.ExitError", f"{request}Runtime exited with error: {error}")


def _too_large(reply: Reply) -> Reply:
    text = f"Response payload size exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes)."
    failed = _failed("Function.ResponseSizeTooLarge", text)
    return replace(failed, refused=reply.refused, peak_mib=reply.peak_mib)
