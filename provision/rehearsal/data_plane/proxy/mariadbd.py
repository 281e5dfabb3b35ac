"""Starts a MariaDB server of our own, in a temporary folder, on a free loopback port.

Debian's `mariadb-server-core` is enough: it has no `mariadb-install-db` that works, so the system
tables are made by hand, in the server's own bootstrap mode. For DB instances whose data need not
outlive the rehearsal.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from provision.rehearsal.data_plane.proxy.databases import DatabaseDownError, ProxyCredentials
from provision.rehearsal.data_plane.proxy.server_database import ServerDatabase

START_SECONDS = 60.0
STOP_SECONDS = 10.0
_UNTIL_INPUT_ENDS = '"$@" & read -r _; kill $!; wait $!'
"""For `sh -c`: the server ends with us, however we end, since then our end of its input closes."""
_ENVIRON = {"PATH": os.defpath, "LANG": "C.UTF-8"}  # nothing of ours
_SYSTEM_TABLES = "mysql_system_tables.sql"


class MariaDb(ServerDatabase):
    """A server process with one schema and one user, who may do everything."""

    def __init__(self, schema: str, user: ProxyCredentials) -> None:
        """Make the data folder (about 1.3 s) and start. Raises DatabaseDownError."""
        program, share = find_program()
        self._folder = tempfile.TemporaryDirectory(prefix="rehearsal-mariadb-")
        folder = Path(self._folder.name)
        self._arguments = [
            str(program),
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            "--character-set-server=utf8mb4",
            "--innodb-log-file-size=8M",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",  # nothing here outlives the rehearsal
            *(["--user=root"] if os.geteuid() == 0 else []),
        ]
        (folder / "data").mkdir(mode=0o700)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._bootstrap(share, schema, user)
            super().__init__("127.0.0.1", _free_port())
            self._start(folder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the server and throw its data away. Twice is once."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None  # noqa: S101 - it was asked for
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        with contextlib.suppress(FileNotFoundError):
            self._folder.cleanup()

    def _bootstrap(self, share: Path, schema: str, user: ProxyCredentials) -> None:
        name, password = _quoted(user.username), _quoted(user.password)
        statements = [
            "CREATE DATABASE mysql;",
            "USE mysql;",
            (share / _SYSTEM_TABLES).read_text(),
            "FLUSH PRIVILEGES;",
            f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY {password};",
            f"GRANT ALL ON *.* TO {name}@'127.0.0.1';",
        ]
        if schema:
            statements.append("CREATE DATABASE `{}`;".format(schema.replace("`", "``")))
        done = subprocess.run(
            [*self._arguments, "--bootstrap"],
            input="\n".join(statements),
            env=_ENVIRON,
            text=True,
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise DatabaseDownError(f"mariadbd cannot make its tables: {done.stderr[-500:]}")

    def _start(self, folder: Path) -> None:
        log = (folder / "log").open("wb")
        with log:
            self._process = subprocess.Popen(
                [
                    "/bin/sh",
                    "-c",
                    _UNTIL_INPUT_ENDS,
                    "sh",
                    *self._arguments,
                    "--bind-address=127.0.0.1",
                    f"--port={self._address[1]}",
                    f"--socket={folder / 's'}",
                    "--skip-name-resolve",
                    "--skip-log-bin",
                    "--default-time-zone=+00:00",
                ],
                stdin=subprocess.PIPE,
                env=_ENVIRON,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we end it ourselves
            )
        self._wait(self._process, folder / "log")

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.traits()
                return
            except DatabaseDownError as error:
                ended = process.poll() is not None
                if ended or time.monotonic() > end:
                    words = log.read_text(errors="replace")[-500:]
                    raise DatabaseDownError(f"mariadbd does not start: {words}") from error
            time.sleep(0.02)  # a poll; it takes about 0.1 s


def find_program() -> tuple[Path, Path]:
    """Return mariadbd and the folder of its SQL scripts. Raises DatabaseDownError without."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mariadbd", path=path)
    if found is None:
        raise DatabaseDownError("no mariadbd on this machine (Debian: mariadb-server-core)")
    program = Path(found).resolve()
    for name in ("mysql", "mariadb"):
        share = program.parent.parent / "share" / name
        if (share / _SYSTEM_TABLES).exists():
            return program, share
    raise DatabaseDownError(f"{_SYSTEM_TABLES} is not beside {program}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
