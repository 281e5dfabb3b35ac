"""The file and `--set`: what is no configuration is refused in a line; a bad value is placed."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.config import load
from provision.errors import ConfigError
from tests.support.commands import Commands
from tests.support.refusals import plan, refused, with_environ

# --- odd files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_of_another_systems_editor_is_read(tmp_path: Path, encoding: str, end: str) -> None:
    text = f'[environment]{end}tags = {{ team = "blü" }}{end}[database]{end}name = "shop"{end}'
    (tmp_path / "config.toml").write_bytes(text.encode(encoding))
    config = load(tmp_path / "config.toml")
    assert (config.environment.tags, config.database.name) == ({"team": "blü"}, "shop")


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)


def put_loop(path: Path) -> None:
    path.symlink_to(path.name)


def put_much(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(17 * 1024 * 1024)


@pytest.mark.parametrize(
    ("put", "words"),
    [
        (put_pipe, "is a pipe, not a file"),
        (put_link_to_device, "is a device, not a file"),
        (put_socket, "o such device"),
        (put_loop, "symbolic links"),
        (put_much, "larger than 16 MiB"),
        (Path.mkdir, "is a folder, not a file"),
    ],
)
def test_what_is_no_file_is_refused_and_nothing_hangs(
    unheard: Commands, put: Callable[[Path], None], words: str
) -> None:
    (unheard.folder / "config.toml").unlink()
    put(unheard.folder / "config.toml")
    message = refused(unheard, plan(unheard))
    assert "--config config.toml: " in message
    assert words in message


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "config.toml/below", ""])
def test_a_name_that_no_file_can_have_is_refused(unheard: Commands, name: str) -> None:
    result = unheard.run("provision", "plan", "--output", "json", "--config", name)
    assert "--config" in refused(unheard, result)


# --- where a bad value stands ---------------------------------------------------------------------

PLACED = """\
# a comment = "with a key"
title = 1
[environment]
name = "Demo"   # line 4
tags = { team = "blue", Name = "x", "rds:y" = "z" }

[ network ]
database_subnet_cidrs = [
    "10.0.2.0/24",  # ] not the end
    "home",
]
"vpc_cidr" = "nowhere"

[database]
name = \"\"\"
two
lines\"\"\"
table = 'it = [a] {table}'
engine_version = "8.0"
[proxy]
max_connections_percent = 60
max_idle_connections_percent = 61
[api]
throttle_burst = 1979-05-27
[function]
memory_mib = 1.5e3
"""


def test_each_bad_value_is_told_with_its_line_in_the_order_of_the_file(unheard: Commands) -> None:
    (unheard.folder / "config.toml").write_text(PLACED)
    message = refused(unheard, plan(unheard, "api.throttle_rate_per_second=0"))
    assert re.findall(r"^  ([^:]+): (\S+) = ", message, re.MULTILINE) == [
        ("line 2", "title"),
        ("line 4", "environment.name"),
        ("line 5", "environment.tags.Name"),
        ("line 5", 'environment.tags."rds:y"'),
        ("line 10", "network.database_subnet_cidrs[1]"),
        ("line 12", "network.vpc_cidr"),
        ("line 15", "database.name"),
        ("line 18", "database.table"),
        ("line 19", "database.engine_version"),
        ("line 22", "proxy.max_idle_connections_percent"),
        ("line 24", "api.throttle_burst"),
        ("line 26", "function.memory_mib"),
        ("--set", "api.throttle_rate_per_second"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("environment.name = 'X'", 1),
        ("\n\nenvironment = { region = 'eu-west-1', name = 'X' }", 3),
        ("[environment]\nregion = 'eu-west-1'\n\n  'name'='X'", 4),
        ("['environment']\r\n\"na\\u006de\" = 'X'\r\n", 2),
        ("environment.tags.a = '''\n=\n'''\nenvironment.name = 'X'", 4),
        ("[environment]\ntags = { a = 'x', b = '=@' } # name = 'Y'\nname = 'X'", 3),
        ('environment.region = """\\\n   eu-west-1"""\nenvironment.name = "\\""', 3),
        ("[wait]\n[environment] # [\nname = ''", 3),
    ],
)
def test_a_key_is_found_in_every_way_of_toml_to_write_it(
    tmp_path: Path, text: str, line: int
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.replace("=\n'''", "= \n'''").encode())
    with pytest.raises(ConfigError) as caught:
        load(path)
    found = {each.key: each.place for each in caught.value.problems}
    assert found["environment.name"] == f"line {line}"


def test_a_flag_or_a_variable_that_gives_the_bad_value_is_named(unheard: Commands) -> None:
    (unheard.folder / "config.toml").write_text("")
    in_tokyo = with_environ(unheard, AWS_REGION="tokyo")
    assert "AWS_REGION: environment.region = 'tokyo'" in refused(unheard, plan(in_tokyo))
    by_default = with_environ(unheard, AWS_REGION=None, AWS_DEFAULT_REGION="osaka")
    assert "AWS_DEFAULT_REGION: environment.region = 'osaka'" in refused(unheard, plan(by_default))
    flag = unheard.run("provision", "plan", "--output", "json", "--region", "kyoto")
    assert "--region: environment.region = 'kyoto'" in refused(unheard, flag)


ODD = {
    "5,000 digits": "9" * 5000,
    "a hexadecimal of 5,000": "0x" + "f" * 5000,
    "minus 5,000 digits": "-" + "9" * 5000,
    "infinity": "1e999999",
    "deep lists": "[" * 5000,
    "deep tables": "{a=" * 5000,
    "two keys": "'x'\nname = 'y'",
    "two lines": "1\nother = 2",
    "long": "#" * 5000,
    "no Unicode": "\udcff",
    "NUL": "\0",
    "a date": "1979-05-27",
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "key", ["database.name", "function.memory_mib", "environment.tags", "wait.poll_seconds"]
)
def test_whatever_is_set_is_refused_in_a_line(unheard: Commands, key: str, value: str) -> None:
    message = refused(unheard, plan(unheard, f"{key}={value}"))
    assert f"--set: {key} = " in message
    assert len(message) < 400
