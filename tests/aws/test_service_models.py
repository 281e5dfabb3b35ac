"""botocore's models, read quicker: the same as botocore reads, for every service in use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore import xform_name
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel

from provision.aws.service_models import (
    OPERATIONS,
    REDUCED,
    Files,
    Models,
    without_documentation,
)
from provision.config import Config
from provision.environment import environment
from tests.support.commands import ROOT

CONFIG = Config()
SERVICES = ("pricing", "s3", "secretsmanager", "sts")


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(Loader().search_paths)


@pytest.fixture
def read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read models from their files: who has used one that all tests share may have changed it."""
    shared: Any = JSONFileLoader.load_file
    monkeypatch.setattr(JSONFileLoader, "load_file", shared.__wrapped__)


def names_of(model: dict[str, Any]) -> dict[str, Any]:
    """What a model is made of: botocore changes details of a model in place, once it is in use."""
    return {
        "parts": set(model),
        "operations": set(model["operations"]),
        "metadata": model["metadata"],
    }


@pytest.mark.usefixtures("read_anew")
@pytest.mark.parametrize("service", SERVICES)
def test_a_model_is_botocores(models: Models, service: str) -> None:
    here, botocores = (each.load_service_model(service, "service-2") for each in (models, Loader()))
    assert names_of(here) == names_of(botocores)


@pytest.mark.usefixtures("read_anew")
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


@pytest.mark.parametrize("service", sorted(REDUCED))
def test_every_shape_that_an_operation_needs_is_there(models: Models, service: str) -> None:
    model = ServiceModel(models.load_service_model(service, "service-2"), service)
    for name in model.operation_names:
        operation = model.operation_model(name)
        shapes = [operation.input_shape, operation.output_shape, *operation.error_shapes]
        assert all(each is None or deeply(each) for each in shapes)


def deeply(shape: Any, seen: tuple[str, ...] = ()) -> int:
    """How many shapes there are in a shape. Raises NoShapeFoundError for one that is missing."""
    if shape.name in seen:
        return 0
    parts = [*getattr(shape, "members", {}).values()]
    parts += [getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)]
    return 1 + sum(deeply(each, (*seen, shape.name)) for each in parts)


# --- what is kept of them -------------------------------------------------------------------------


def kept(folder: Path) -> tuple[Models, Path]:
    """Models that were read once, and the file that keeps what was needed."""
    path = folder / "demo.models"
    first = Models(Loader().search_paths, path)
    first.load_service_model("logs", "service-2")
    path.write_text(first.to_keep())
    return Models(Loader().search_paths, path), path


def test_what_is_kept_is_read_in_place_of_botocores_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, _ = kept(tmp_path)
    read = Models(Loader().search_paths).load_service_model("logs", "service-2")
    monkeypatch.setattr(Loader, "load_service_model", None)
    found = later.load_service_model("logs", "service-2")
    assert found == without_documentation(read)
    assert "documentation" not in json.dumps(found)
    assert later.to_keep() == ""  # nothing is news


def test_a_service_that_was_not_kept_is_read_and_kept_beside_the_others(tmp_path: Path) -> None:
    later, path = kept(tmp_path)
    later.load_service_model("lambda", "service-2")
    assert set(json.loads(later.to_keep())["models"]) == {"lambda", "logs"}
    assert json.loads(path.read_text())["models"].keys() == {"logs"}


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: '{"made_from": null, "models": {"logs": {}}}',
        lambda text: text.replace(f'"{botocore.__version__}"', '"0.0.1"'),
        lambda text: text.replace('"models": {', '"models": 7, "was": {'),
    ],
)
def test_what_does_not_fit_is_not_used(tmp_path: Path, spoiled: Callable[[str], str]) -> None:
    """Another botocore, a file that is cut off or somebody's own: botocore's files are read."""
    _, path = kept(tmp_path)
    path.write_text(spoiled(path.read_text()))
    again = Models(Loader().search_paths, path)
    found = again.load_service_model("logs", "service-2")
    assert "CreateLogGroup" in found["operations"]
    assert again.to_keep()


def test_a_users_own_model_ends_what_was_kept(tmp_path: Path) -> None:
    _, path = kept(tmp_path)
    (tmp_path / "own" / "logs").mkdir(parents=True)
    again = Models([*Loader().search_paths, str(tmp_path / "own")], path)
    again.load_service_model("logs", "service-2")
    assert again.to_keep()


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
