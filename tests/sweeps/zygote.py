"""A process that has imported everything and forks a child for each run of a command.

A run then costs what its calls cost, and no imports. It stays single-threaded, so forking is safe.
Started by `ForkedCommands` (world.py), it takes requests on a socket, a line of JSON each:

    run    {"module", "argv", "environ", "cwd", "speed", "file_bytes", "humble"} and three
           descriptors: stdout, stderr and a gate, which the child reads to its end before it
           begins. Answers {"pid"}.
    reap   {"pid"} of a child whose output has ended. Answers {"code"}, negative for a signal.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
from typing import Any

import botocore.session

from provision.aws import account
from provision.cli import process
from provision.packaging.zips import function_package, layer_package

CHUNK = 1 << 16  # bytes
MODULES = {"provision": "provision.__main__", "teardown": "teardown.__main__"}
LAZY = (
    "provision.commands.dry_run",
    "provision.commands.plan",
    "provision.commands.up",
    "provision.verify.doctor.preflight",
    "provision.engine.converge",
    "provision.views.json_lines",
    "provision.views.plain",
    "provision.engine.delete",
    "provision.context",
    "teardown.command",
    "tenacity",
)
SERVICES = ("apigatewayv2", "ec2", "iam", "lambda", "logs", "rds", "secretsmanager", "sts")


def main() -> None:
    """Serve requests until the socket closes."""
    for name in (*MODULES.values(), *LAZY):
        importlib.import_module(name)
    share_service_models()
    layer_package(), function_package("password"), function_package("iam")  # checked and cached
    gc.freeze()
    requests = socket.socket(fileno=int(sys.argv[1]))
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, CHUNK, 3)
        if not message:
            return
        while not message.endswith(b"\n"):
            message += requests.recv(CHUNK)
        request = json.loads(message)
        if request["do"] == "reap":
            _, status = os.waitpid(request["pid"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                requests.close()
                run(request, *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            answer = {"pid": pid}
        requests.sendall(json.dumps(answer).encode() + b"\n")


def share_service_models() -> None:
    """Let every session read botocore's descriptions of services with one loader, filled here."""
    session = account.make_session(None, "us-east-1")
    session.set_credentials("AKIAZYGOTE", "none")
    loader = session.get_component("data_loader")
    setattr(account, "Models", lambda *_: loader)  # noqa: B010 - not exported
    setattr(botocore.session, "create_loader", lambda *_: loader)  # noqa: B010 - not exported
    for service in SERVICES:
        client = session.create_client(service)
        for operation in client.meta.method_to_api_mapping:
            client.can_paginate(operation)
        client.close()


def run(request: dict[str, Any], out: int, err: int, gate: int) -> None:
    """Be the command: this process's end is the command's end."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    while os.read(gate, 1):
        pass
    os.close(gate)
    if request["file_bytes"] is not None:
        limit = request["file_bytes"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    if request["humble"] and os.geteuid() == 0:
        be_humble()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    at_speed(request["speed"])
    sys.argv = [request["module"], *request["argv"]]
    sys.exit(importlib.import_module(MODULES[request["module"]]).main())


def be_humble() -> None:
    """Give up root's powers over files, so that their permissions hold for us too (Linux)."""
    version_3, us, no_capabilities = 0x20080522, 0, (ctypes.c_uint32 * 6)()
    header = (ctypes.c_uint32 * 2)(version_3, us)
    if ctypes.CDLL(None, use_errno=True).capset(header, no_capabilities):
        raise OSError(ctypes.get_errno(), "capset")


def at_speed(speed: float) -> None:
    """Let polls and budgets run as fast as in a rehearsal of this speed."""
    options = process.make_options
    process.make_options = lambda *given: dataclasses.replace(options(*given), speed=speed)


if __name__ == "__main__":
    main()
