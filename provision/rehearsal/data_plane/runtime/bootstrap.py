"""Lambda's Python runtime, as much of it as a function can notice; run as a script.

Loads the handler and calls it once for each request, and reports errors in Lambda's own words:
https://github.com/aws/aws-lambda-python-runtime-interface-client is the original's source. Talks
to the runner over its first two file descriptors in frames: 4 bytes length, then JSON. Run it with
`-I -S -B`, so that only the standard library can be imported at first.
"""

import contextlib
import importlib
import importlib.machinery
import json
import logging
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Handler = Callable[[Any, Any], Any]
NO_BREAK_SPACE = "\u00a0"


class RuntimeFailure(Exception):
    """An error of the runtime's own, with its type as Lambda names it."""

    def __init__(self, kind: str, message: str, trace: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.kind, self.trace = kind, list(trace)


class Channel:
    """Frames from and to the runner. Takes fd 0 and 1 away from the function, which logs to 2."""

    def __init__(self) -> None:
        self._requests, self._replies = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def receive(self) -> Any:
        """Return the next frame, or None when the runner is gone."""
        header = self._read(4)
        return json.loads(self._read(int.from_bytes(header, "big"))) if header else None

    def send(self, message: dict[str, Any]) -> None:
        """Send a frame."""
        data = json.dumps(message).encode()
        data = len(data).to_bytes(4, "big") + data
        while data:
            data = data[os.write(self._replies, data) :]

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = os.read(self._requests, size - len(data))
            if not part:
                return b""
            data += part
        return data


class RuntimePackages:
    """Finds what Lambda's runtime brings, and nothing else of this machine's packages."""

    def __init__(self, folders: dict[str, str]) -> None:
        self._folders = folders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if path is None and name in self._folders:
            return importlib.machinery.PathFinder.find_spec(name, [self._folders[name]], target)
        return None


class LogHandler(logging.Handler):
    """Writes log records as Lambda does, with the request's id."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        when = f"{moment}.{int(record.msecs):03d}Z"
        text = self.format(record)
        sys.stdout.write(f"[{record.levelname}]\t{when}\t{self.request_id}\t{text}\n")


class Context:
    """The second argument of a handler."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id = request["id"]
        self.invoked_function_arn = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = self.identity = None
        self._deadline = time.monotonic() + request["seconds"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left to this invocation."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def load_handler(name: str) -> Handler:
    """Return the handler `module.function`. Raises RuntimeFailure in Lambda's words."""
    module_name, dot, function = name.rpartition(".")
    if not dot:
        text = f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        raise RuntimeFailure("Runtime.MalformedHandlerName", text)
    if module_name.split(".")[0] in sys.builtin_module_names:
        text = f"Cannot use built-in module {module_name} as a handler module"
        raise RuntimeFailure("Runtime.BuiltInModuleConflict", text)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        text = f"Unable to import module '{module_name}': {error}"
        raise RuntimeFailure("Runtime.ImportModuleError", text) from error
    except SyntaxError as error:
        text = f"Syntax error in module '{module_name}': {error}"
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        raise RuntimeFailure("Runtime.UserCodeSyntaxError", text, [where]) from error
    try:
        handler: Handler = getattr(module, function)
        return handler
    except AttributeError:
        text = f"Handler '{function}' missing on module '{module_name}'"
        raise RuntimeFailure("Runtime.HandlerNotFound", text) from None


def failure(error: Exception, request_id: str = "") -> dict[str, Any]:
    """Return an error as the invoker sees it, and log it as Lambda does."""
    if isinstance(error, RuntimeFailure):
        kind, frames = error.kind, error.trace
    else:
        calls = traceback.extract_tb(error.__traceback__)
        kind = type(error).__name__
        frames = traceback.format_list([call for call in calls if call.filename != __file__])
    told = {
        "errorMessage": str(error),
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": frames,
    }
    lines = [line for frame in frames for line in frame.splitlines()]
    lines = [NO_BREAK_SPACE * (len(line) - len(line.lstrip())) + line.lstrip() for line in lines]
    text = "\r".join([f"[ERROR] {kind}: {error}", "Traceback (most recent call last):", *lines])
    print(text, flush=True)
    return told


def answer(handler: Handler, request: dict[str, Any]) -> dict[str, Any]:
    """Call the handler; return its answer, or its error, as JSON text."""
    try:
        try:
            event = json.loads(request["event"])
        except ValueError as error:
            text = f"Unable to unmarshal input: {error}"
            raise RuntimeFailure("Runtime.UnmarshalError", text) from error
        result = handler(event, Context(request))
        try:
            return {"payload": json.dumps(result)}
        except (TypeError, ValueError) as error:
            text = f"Unable to marshal response: {error}"
            raise RuntimeFailure("Runtime.MarshalError", text) from error
    except Exception as error:
        return {"error": json.dumps(failure(error, request["id"]))}


def start(setup: dict[str, Any]) -> tuple[Handler, LogHandler]:
    """Prepare this process as Lambda's and load the handler. Raises whatever that raises."""
    sys.path[:0] = [setup["task"], *setup["layers"]]
    sys.meta_path.append(RuntimePackages(setup["packages"]))
    logs = LogHandler()
    logging.getLogger().addHandler(logs)
    return load_handler(setup["handler"]), logs


def load(name: str) -> Any:
    """Import a module from beside this script, which is on no path."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - keep it light
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


def confine(setup: dict[str, Any]) -> None:
    """Give up what the function needs not. Raises OSError where that should be possible."""
    readable = [setup["task"], *setup["layers"], *setup["packages"].values()]
    with contextlib.suppress(ImportError):  # a Python without ctypes
        load("_rehearsal_confinement").confine(readable, setup["writable"], setup["ports"])


def peak_mib() -> int:
    """Return the most memory that this process ever had, MiB."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123
            found = [line.split()[1] for line in status if line.startswith("VmHWM:")]
        return int(found[0]) // 1024
    except (OSError, IndexError):  # not Linux; where ru_maxrss also counts the starting process
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2


def main() -> None:
    """Serve requests until the runner closes its end."""
    with contextlib.suppress(ImportError):  # a Python without ctypes
        load("_rehearsal_guardian").guard(0)
    channel = Channel()
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    network = load("_rehearsal_network").Network()
    network.install()
    try:
        setup = channel.receive()
        confine(setup)
        handler, logs = start(setup)
    except Exception as error:
        channel.send({"error": json.dumps(failure(error)), "refused": network.refused})
        return
    channel.send({"ready": True})
    while (request := channel.receive()) is not None:
        network.use(request["routes"], request["endpoints"])
        logs.request_id = request["id"]
        reply = answer(handler, request)
        sys.stdout.flush()
        channel.send({**reply, "refused": network.refused, "peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
    os._exit(0)  # whatever threads the function has left behind
