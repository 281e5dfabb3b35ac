"""botocore's models, read quicker: the same as botocore reads, for every service in use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader

from provision.aws.service_models import Files, Models
from tests.support.commands import ROOT

SERVICES = ("apigatewayv2", "iam", "lambda", "logs", "pricing", "rds", "secretsmanager", "sts")


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(Loader().search_paths)


@pytest.mark.parametrize("service", SERVICES)
def test_a_model_is_botocores(models: Models, service: str) -> None:
    assert models.load_service_model(service, "service-2") == Loader().load_service_model(
        service, "service-2"
    )


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
