"""The database's password is in AWS, and in nothing that this program writes, whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import pytest

from provision.rehearsal import Fault, Remote
from provision.resources.base import Seen
from provision.resources.lambda_ import Function
from provision.resources.rds.db_instance import DBInstance
from provision.state import local
from tests.support.account import Account
from tests.support.commands import Commands, Result
from tests.support.names import NAME


@dataclass
class Listener:
    """Everything that the commands have written so far, by what it is."""

    commands: Commands
    account: Account
    written: dict[str, str] = field(default_factory=dict)
    passwords: set[str] = field(default_factory=set)

    def run(self, *words: str) -> Result:
        """Run a command with -v, keep what it told, and learn the password of the moment."""
        result = self.commands.run(*words, "-v")
        name = f"{len(self.written)} {' '.join(words)}"
        self.written |= {f"{name}: stdout": result.stdout, f"{name}: stderr": result.stderr}
        for each in self.account.all("secretsmanager", "list_secrets", "SecretList"):
            assert each["Name"] == f"{NAME}/database"
            self.passwords.add(self.account.secret(each["Name"])["password"])
        return result

    def leaks(self) -> list[str]:
        """Where a password stands."""
        files = {
            str(path): path.read_text(errors="replace")
            for path in self.commands.folder.rglob("*")
            if path.is_file()
        }
        return [
            name
            for name, text in {**self.written, **files}.items()
            if any(password in text for password in self.passwords)
        ]


@pytest.fixture
def listener(commands: Commands, account: Account, tmp_path: Path) -> Iterator[Listener]:
    """The commands, with every version of the state file, and with no process of their own."""
    environ = {**commands.environ, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    listening = Listener(replace(commands, environ=environ), account)
    write = local.replace_file

    def keep(path: Path, text: str) -> None:
        listening.written[f"{len(listening.written)} {path.name}"] = text
        write(path, text)

    with (
        mock.patch.object(local, "replace_file", keep),
        mock.patch.object(subprocess, "Popen", side_effect=AssertionError("arguments are public")),
    ):
        yield listening


@pytest.mark.slow
def test_no_password_is_told_or_kept(listener: Listener, rehearsal: Remote) -> None:
    up = ("provision", "up", "--no-check", "--output")
    rehearsal.set_faults(Fault("denied", "CreateDBInstance"))
    assert listener.run(*up, "plain", "--explain").code == 1
    rehearsal.set_faults(Fault("denied", "CreateFunction", times=2))
    assert listener.run(*up, "json").code == 1
    rehearsal.set_faults()
    assert listener.run(*up, "rich").code == 0
    assert listener.run("provision", "plan", "--explain").code == 0
    assert listener.run("provision", "status", "--output", "json").code == 0
    for output in ("plain", "json", "rich"):
        assert listener.run(*up, output, "--reset-password", "--explain").code == 0
    variables = listener.account.lambda_.get_function(FunctionName=f"{NAME}-password")
    held = variables["Configuration"]["Environment"]["Variables"]["DB_PASSWORD"]
    assert held in listener.passwords
    assert len(listener.passwords) == 4
    listener.account.lambda_.update_function_configuration(
        FunctionName=f"{NAME}-password", Environment={"Variables": {"DB_PASSWORD": "by hand"}}
    )
    for command in (("plan", "--explain"), ("status",)):
        assert listener.run("provision", *command, "--output", "plain").code == 0
    assert listener.run("teardown", "--plan", "--explain").code == 0
    assert listener.run("teardown", "--yes", "--output", "plain").code == 0
    assert listener.leaks() == []
    told = "".join(listener.written.values())
    assert "CreateSecret" in told
    assert "by hand" not in told
    assert any(name.endswith(f"{NAME}.json") for name in listener.written)


def test_what_is_secret_is_not_in_the_text_of_a_resource() -> None:
    """An exception or a log that names a resource must not tell what it holds."""
    word = "hunter2hunter2"
    instance = DBInstance(
        "db-instance", "demo", "8.4", "db.t4g.micro", 20, "testdb", "testdb", word, "demo", (),
        0, False,
    )  # fmt: skip
    assert word not in repr(instance)
    assert instance.master_user_password == word
    assert Function.__dataclass_fields__["environment"].repr is False
    seen = Seen({}, secrets={"password": word})
    assert word not in repr(seen)
    assert seen.secrets["password"] == word
