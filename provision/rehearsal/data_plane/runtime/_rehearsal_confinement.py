"""Takes from a function's process what Linux lets a process give up by itself: Landlock.

Files beyond its code, the interpreter and a scratch folder; TCP but to the stand-in proxies, by
port; signals to, and a look into, processes that are not its own.
https://docs.kernel.org/userspace-api/landlock.html
"""

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterable

FILES_SINCE, TCP_SINCE, SIGNALS_SINCE = 1, 4, 6  # versions of Landlock's interface
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on every architecture
_MACHINES = ("x86_64", "aarch64")
_NO_NEW_PRIVILEGES = 38  # prctl's
_BENEATH, _PORT = 1, 2  # kinds of rule
_EXECUTE, _WRITE, _READ, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights each version knows; later ones: 16
_TRUNCATE, _DEVICE_CONTROL = 1 << 14, 1 << 15
_OF_A_FILE = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE_CONTROL
_BIND, _CONNECT = 1 << 0, 1 << 1
_SCOPES = 0b11  # abstract Unix sockets, signals
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/nix/store", "/gnu/store")
_DETAILS = (
    "/dev/random", "/dev/urandom", "/dev/zero", "/etc/group", "/etc/hosts", "/etc/ld.so.cache",
    "/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf", "/etc/passwd", "/etc/resolv.conf",
    "/etc/ssl", "/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/proc/stat",
)  # fmt: skip


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """Return the version of Landlock that this kernel has; 0 where it has none."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return 0
    try:
        return _call(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def words(found: int) -> str:
    """Return what a function's process is kept from by this version, in words."""
    if found < FILES_SINCE:
        return "function code runs as you, unconfined: this system has no Landlock"
    kept = ["files"]
    kept += ["TCP"] if found >= TCP_SINCE else []
    kept += ["signals"] if found >= SIGNALS_SINCE else []
    return f"function code is confined by Landlock ({', '.join(kept)})"


def confine(readable: Iterable[str], writable: Iterable[str], ports: Iterable[int]) -> int:
    """Confine this process and all that it starts. Returns the version that did it, 0 for none.

    `ports` are those of 127.0.0.1 that it may connect to; a rule knows no addresses.
    Raises OSError where the kernel has Landlock and refuses all the same.
    """
    found = version()
    if not found:
        return 0
    every_right = (1 << _FILE_RIGHTS.get(found, 16)) - 1
    net = _BIND | _CONNECT if found >= TCP_SINCE else 0
    scoped = _SCOPES if found >= SIGNALS_SINCE else 0
    attributes = _Ruleset(every_right, net, scoped)
    size = 24 if scoped else 16 if net else 8
    ruleset = _call(_CREATE, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        read = _EXECUTE | _READ | _READ_FOLDER
        for path in {*_SYSTEM, *_DETAILS, *_interpreter(), *readable}:
            _allow(ruleset, path, read)
        for path in writable:
            _allow(ruleset, path, every_right & ~_EXECUTE)
        _allow(ruleset, "/dev/null", every_right)
        for port in ports if net else ():
            rule = _Port(_CONNECT, port)
            _call(_ADD, ruleset, _PORT, ctypes.byref(rule), ctypes.c_uint32(0))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        _call(_RESTRICT, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return found


def _interpreter() -> set[str]:
    """Return the folders of this Python, and of the libraries that it has loaded."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    folders |= {os.path.dirname(os.path.realpath(sys.executable))}  # noqa: PTH120
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:  # noqa: PTH123
        paths = {line.split(None, 5)[-1].strip() for line in maps if "/" in line}
        folders |= {os.path.dirname(path) for path in paths if ".so" in path}  # noqa: PTH120
    return folders - {"", "/"}


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it does not exist here
        return
    try:
        folder = os.path.isdir(path)  # noqa: PTH112 - keep it light
        every = (1 << _FILE_RIGHTS.get(version(), 16)) - 1
        rule = _Beneath((rights if folder else rights & _OF_A_FILE) & every, parent)
        _call(_ADD, ruleset, _BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    answer: int = libc.syscall(ctypes.c_long(number), *arguments)
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer
