"""The network as a rehearsed function sees it: stand-in proxies, and beyond them nothing.

Patches name resolution and `connect` of this process. A proxy's endpoint leads to its stand-in; a
connection that security groups do not let through ends as a time-out, only sooner; any other AWS
name does not resolve, which proves that the function needs no NAT and no VPC endpoint.
"""

import errno
import socket
from typing import Any

UNROUTED = "192.0.2.1"  # TEST-NET-1 (RFC 5737): where dropped packets go
AWS_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn")
INTERNET = (socket.AF_INET, socket.AF_INET6)


class Network:
    """Says where names lead, and keeps what was refused."""

    def __init__(self) -> None:
        self.routes: dict[str, int] = {}  # "endpoint:port" -> the stand-in's port on 127.0.0.1
        self.endpoints: set[str] = set()  # every proxy's, whether reachable or not
        self.refused: list[list[Any]] = []  # host and port of each refusal since `use`
        self._getaddrinfo = socket.getaddrinfo
        self._connect = socket.socket.connect
        self._connect_ex = socket.socket.connect_ex

    def install(self) -> None:
        """Patch this process's sockets."""
        network = self

        def connect(sock: socket.socket, address: Any) -> None:
            error = network.check(sock, address)
            if error:
                raise error
            network._connect(sock, address)

        def connect_ex(sock: socket.socket, address: Any) -> int:
            error = network.check(sock, address)
            return errno.ETIMEDOUT if error else network._connect_ex(sock, address)

        socket.getaddrinfo = self.getaddrinfo
        setattr(socket.socket, "connect", connect)  # noqa: B010 - mypy forbids the assignment
        setattr(socket.socket, "connect_ex", connect_ex)  # noqa: B010

    def use(self, routes: dict[str, int], endpoints: list[str]) -> None:
        """Take over what is reachable from now on."""
        self.routes, self.endpoints, self.refused = routes, set(endpoints), []

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Resolve a name as the function's VPC would; see the module."""
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str) or name == "localhost" or _is_address(name):
            return self._getaddrinfo(host, port, *args, **kwargs)
        name = name.lower().rstrip(".")
        if name in self.endpoints:
            stand_in = self.routes.get(f"{name}:{port}")
            if stand_in is None:
                self.refused.append([name, port])
                return self._getaddrinfo(UNROUTED, port, *args, **kwargs)
            return self._getaddrinfo("127.0.0.1", stand_in, *args, **kwargs)
        self.refused.append([name, port])
        if name.endswith(AWS_SUFFIXES):
            raise socket.gaierror(socket.EAI_NONAME, f"{name} is not part of the rehearsal")
        return self._getaddrinfo(UNROUTED, port, *args, **kwargs)

    def check(self, sock: socket.socket, address: Any) -> OSError | None:
        """Return the error that a connection ends with, or None if it may go on."""
        if sock.family not in INTERNET:
            return None
        if address[0] == "127.0.0.1" and address[1] in self.routes.values():
            return None
        if address[0] != UNROUTED:  # a name's refusal is noted already
            self.refused.append([address[0], address[1]])
        return TimeoutError(errno.ETIMEDOUT, "Connection timed out")


def _is_address(name: str) -> bool:
    for family in INTERNET:
        try:
            socket.inet_pton(family, name)
            return True
        except OSError:
            pass
    return False
