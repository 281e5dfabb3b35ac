"""botocore's models, read quicker: the same as botocore reads, for every service in use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader

from provision.aws.service_models import OPERATIONS, REDUCED, Files, Models
from provision.config import Config
from provision.environment import environment
from tests.support.commands import ROOT

CONFIG = Config()
SERVICES = ("pricing", "secretsmanager", "sts")


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(Loader().search_paths)


def names_of(model: dict[str, Any]) -> dict[str, Any]:
    """What a model is made of: botocore changes details of a model in place, once it is in use."""
    return {
        "parts": set(model),
        "operations": set(model["operations"]),
        "metadata": model["metadata"],
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_model_is_botocores(models: Models, service: str) -> None:
    here, botocores = (each.load_service_model(service, "service-2") for each in (models, Loader()))
    assert names_of(here) == names_of(botocores)


@pytest.mark.parametrize("service", sorted(REDUCED))
def test_a_model_is_botocores_but_for_operations_that_nobody_calls(
    models: Models, service: str
) -> None:
    here, botocores = (each.load_service_model(service, "service-2") for each in (models, Loader()))
    called = {name for name in botocores["operations"] if name in OPERATIONS}
    assert len(called) >= 8
    assert names_of(here) == {**names_of(botocores), "operations": called}


def test_every_operation_that_the_policy_allows_can_be_called() -> None:
    """A whole life shows that the policy has every call: so each of its actions is here."""
    statements = chain.from_iterable(each.permissions() for each in environment(CONFIG))
    allowed = {tuple(action.split(":")) for each in statements for action in each.actions}
    named = {name for service, name in allowed if service in REDUCED}
    by_aws_itself = {"CreateDBSnapshot", "DescribeVpcAttribute", "PassRole"}
    assert named - by_aws_itself <= OPERATIONS


def test_every_operation_that_the_code_names_can_be_called() -> None:
    """Each word of the code that is the name of a method of a client."""
    files = [path for top in ("provision", "teardown") for path in (ROOT / top).rglob("*.py")]
    sources = [path.read_text() for path in files if "rehearsal" not in path.parts]
    words = {word for text in sources for word in re.findall(r"[a-z]+_[a-z_]+", text)}
    for service in REDUCED:
        operations = Loader().load_service_model(service, "service-2")["operations"]
        named = {name for name in operations if xform_name(name) in words}
        assert named <= OPERATIONS, f"put them into OPERATIONS: {sorted(named - OPERATIONS)}"


def test_what_there_is_no_model_of_is_refused_as_botocore_does(models: Models) -> None:
    with pytest.raises(UnknownServiceError):
        models.load_service_model("no-such-service", "service-2")
    with pytest.raises(DataNotFoundError):
        models.load_service_model("sts", "no-such-type-1")


def test_services_that_log_in_a_person_are_there(models: Models) -> None:
    assert {"sso", "sso-oidc", "sts"} <= set(models.list_available_services("service-2"))


def test_a_file_is_read_plain_before_packed_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "plain.json").write_text('{"b": 1, "a": 2}')
    assert list(Files().load_file(str(tmp_path / "plain"))) == ["b", "a"]
    assert Files().load_file(str(tmp_path / "missing")) is None


@pytest.mark.parametrize("arguments", [("--help",), ("up", "--set", "wait.poll_seconds=x")])
def test_an_answer_without_aws_loads_nothing_of_it(arguments: tuple[str, ...]) -> None:
    """Help, and a bad value: told before anything slow is imported."""
    code = (
        "import json, sys\n"
        "from provision.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert "provision.cli.parser" in loaded
    assert not {"boto3", "botocore", "rich", "tenacity", "moto"} & set(loaded)
