"""`provision check`, through the public command, on a rehearsed environment with its data plane.

Each test breaks one thing of an environment that works, as somebody with boto3 could, and wants the
cause named. Afterwards `up` repairs it.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from provision.cli.options import Options, Stop
from provision.commands.check import check, prove_logins
from provision.context import opened
from provision.engine.events import Display as Silent
from provision.errors import CheckFailed, Interrupted
from provision.packaging.zips import certificate, function_package
from provision.rehearsal import Behaviours, Rehearsal
from provision.state.local import LocalStore
from tests.support.built import commands_at
from tests.support.commands import Commands, Result
from tests.support.names import NAME, REGION

pytestmark = pytest.mark.sweep

USER = "testdb"
IMPATIENT = ("--set", "wait.timeout_minutes=0.02")  # for what AWS does not explain: 1.2 s
BY_THE_FRONT = {"rds"}  # whose ModifyDBProxy moto lacks
TRUSTS_NOBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
OTHER_CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIBtjCCAVugAwIBAgITBmyf1XSXNmY/Owua2eiedgPySjAKBggqhkjOPQQDAjA5
MQswCQYDVQQGEwJVUzEPMA0GA1UEChMGQW1hem9uMRkwFwYDVQQDExBBbWF6b24g
Um9vdCBDQSAzMB4XDTE1MDUyNjAwMDAwMFoXDTQwMDUyNjAwMDAwMFowOTELMAkG
A1UEBhMCVVMxDzANBgNVBAoTBkFtYXpvbjEZMBcGA1UEAxMQQW1hem9uIFJvb3Qg
Q0EgMzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCmXp8ZBf8ANm+gBG1bG8lKl
ui2yEujSLtf6ycXYqm0fc4E7O5hrOXwzpcVOho6AF2hiRVd9RFgdszflZwjrZt6j
QjBAMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgGGMB0GA1UdDgQWBBSr
ttvXBp43rDCGB5Fwx5zEGbF4wDAKBggqhkjOPQQDAgNJADBGAiEA4IWSoxe3jfkr
BqWTrBqYaGFy+uGh0PsceGCmQ5nFuMQCIQCcAu/xlJyzlvnrxir4tiz+OpAUFteM
YyRIHN8wfdVoOw==
-----END CERTIFICATE-----
"""


@dataclass
class Environment:
    """An environment that works, until a test breaks it with these."""

    rehearsal: Rehearsal
    commands: Commands
    mend: list[Callable[[], object]] = field(default_factory=list)  # what `up` does not put right

    def check(self, *flags: str) -> Result:
        """Run `python -m provision check`."""
        return self.commands.run("provision", "check", "--output", "json", *flags)

    def causes(self, *flags: str) -> dict[str, dict[str, Any]]:
        """Run it, expecting a login to fail and no secret to be told. Returns failures by login."""
        secret = self.secret()
        result = self.check(*flags)
        assert result.code == 1, result.stdout[-2000:] + result.stderr[-2000:]
        assert secret not in result.stdout + result.stderr
        assert result.error["type"] == "CheckFailed"
        records = {each["route"]: each for each in result.of("check")}
        failed = {
            login: records[path]
            for login, path in (("password", "/func1"), ("iam", "/func2"))
            if not records[path]["ok"]
        }
        for record in failed.values():
            assert record["cause"] in result.error["message"]
            assert record["next"] in result.error["next"]
        assert next(iter(failed.values()))["proof"] in result.error["message"]
        return failed

    def cause(self, login: str, *flags: str) -> dict[str, Any]:
        """The same, where the other login works."""
        failed = self.causes(*flags)
        assert list(failed) == [login]
        return failed[login]

    def __getattr__(self, service: str) -> Any:
        return self.rehearsal.client(service.rstrip("_"), inside=service not in BY_THE_FRONT)

    # --- functions ---

    def upload(self, login: str, change: Callable[[dict[str, bytes]], object]) -> None:
        """Upload a function's zip with something changed in its files."""
        with zipfile.ZipFile(io.BytesIO(function_package(login).content)) as archive:  # type: ignore[arg-type]
            files = {name: archive.read(name) for name in archive.namelist()}
        change(files)
        content = zipped(files)
        self.lambda_.update_function_code(FunctionName=f"{NAME}-{login}", ZipFile=content)

    def configure(self, login: str, **settings: Any) -> None:
        """Change a function's configuration."""
        self.lambda_.update_function_configuration(FunctionName=f"{NAME}-{login}", **settings)

    def set_variables(self, login: str, **variables: str) -> None:
        """Change some of a function's environment variables."""
        about = self.lambda_.get_function_configuration(FunctionName=f"{NAME}-{login}")
        variables = about["Environment"]["Variables"] | variables
        self.configure(login, Environment={"Variables": variables})

    # --- database ---

    def proxy(self, login: str) -> dict[str, Any]:
        """A proxy as RDS describes it."""
        answer = self.rds.describe_db_proxies(DBProxyName=f"{NAME}-{login}")
        proxy: dict[str, Any] = answer["DBProxies"][0]
        return proxy

    def secret(self) -> str:
        """The database's password."""
        variables = self.lambda_.get_function_configuration(FunctionName=f"{NAME}-password")
        password: str = variables["Environment"]["Variables"]["DB_PASSWORD"]
        return password

    def write_secret(self, text: str) -> None:
        """Change the secret; it is put back afterwards."""
        name = f"{NAME}/database"
        before = self.secretsmanager.get_secret_value(SecretId=name)["SecretString"]
        put = self.secretsmanager.put_secret_value
        put(SecretId=name, SecretString=text)
        self.mend.append(lambda: put(SecretId=name, SecretString=before))

    def set_proxy_clock_fast(self, by: timedelta) -> None:
        """Let the proxies think that it is later; the clock is put back afterwards."""
        clock = self.rehearsal.data_plane.clock
        clock.shift(by)
        self.mend.append(lambda: clock.shift(-by))

    def connect_policy(self, resource: str) -> None:
        """Let the IAM function connect on this resource alone."""
        statement = {"Effect": "Allow", "Action": "rds-db:connect", "Resource": resource}
        self.iam.put_role_policy(
            RoleName=f"{NAME}-function-iam-{REGION}",
            PolicyName="connect-to-proxy",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )

    # --- network and API ---

    def revoke(self, part: str, *, egress: bool) -> None:
        """Take the rules of a security group away."""
        filters = [{"Name": "group-name", "Values": [f"{NAME}-{part}"]}]
        (group,) = self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        filters = [{"Name": "group-id", "Values": [group["GroupId"]]}]
        rules = self.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        ids = [rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"] is egress]
        assert ids
        way = "egress" if egress else "ingress"
        revoke = getattr(self.ec2, f"revoke_security_group_{way}")
        revoke(GroupId=group["GroupId"], SecurityGroupRuleIds=ids)

    @property
    def api_id(self) -> str:
        """The API's id."""
        (api,) = self.apigatewayv2.get_apis()["Items"]
        identity: str = api["ApiId"]
        return identity

    def route(self, path: str) -> dict[str, Any]:
        """One of the API's routes."""
        routes = self.apigatewayv2.get_routes(ApiId=self.api_id)["Items"]
        (route,) = (each for each in routes if each["RouteKey"] == f"GET {path}")
        found: dict[str, Any] = route
        return found


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The environment; it is built by the command that everybody uses."""
    with Rehearsal(Behaviours(speed=600)) as rehearsal:
        commands = commands_at(rehearsal, tmp_path_factory.mktemp("check"))
        made = commands.up()
        assert made.code == 0, made.stdout[-2000:] + made.stderr[-2000:]
        yield Environment(rehearsal, commands)


@pytest.fixture
def environment(whole: Environment) -> Iterator[Environment]:
    """The environment as it should be; afterwards it is repaired."""
    whole.mend.clear()
    yield whole
    for mend in reversed(whole.mend):
        mend()
    mended = whole.commands.up()
    assert mended.code == 0, mended.stdout[-2000:] + mended.stderr[-2000:]


# --- both work ------------------------------------------------------------------------------------


def test_both_logins_are_proven(whole: Environment) -> None:
    result = whole.check()
    assert result.code == 0, result.stderr
    records = {each["route"]: each for each in result.of("check")}
    assert list(records) == ["/func1", "/", "/func2"]
    assert [each["login"] for each in records.values()] == ["password", "password", "iam"]
    for record in records.values():
        assert record["ok"] is True
        assert record["tls"] == "TLSv1.3"
        assert 0 < record["login_ms"] < record["ms"]
        assert record["cause"] is record["proof"] is record["next"] is None
    rows = [each["rows"] for each in records.values()]
    assert rows == [rows[0], rows[0] + 1, rows[0] + 2]
    assert result.summary["ok"] is True
    assert result.summary["url"].startswith("http://127.0.0.1:")
    kept = whole.commands.state()["runs"][-1]["check"]["logins"]  # for the timeline's page
    assert {login: (each["works"], each["tls"]) for login, each in kept.items()} == {
        "password": (True, "TLSv1.3"),
        "iam": (True, "TLSv1.3"),
    }
    assert all(0 < each["login_ms"] < each["ms"] for each in kept.values())


def test_a_check_of_a_state_that_another_run_holds_leaves_it(whole: Environment) -> None:
    before = whole.commands.state()
    with LocalStore(whole.commands.state_path()).lock("up", lambda: None):
        assert whole.check().code == 0
    assert whole.commands.state() == before


def test_a_person_sees_a_table(whole: Environment) -> None:
    result = whole.commands.run("provision", "check", "--output", "plain")
    assert result.code == 0
    lines = result.stdout.splitlines()
    (header,) = (n for n, line in enumerate(lines) if line.startswith("route "))
    table = [line.split() for line in lines[header + 1 : header + 4]]
    assert [(row[1], row[2], row[3], row[-1]) for row in table] == [
        ("/func1", "password", "TLSv1.3", "works"),
        ("/", "password", "TLSv1.3", "works"),
        ("/func2", "iam", "TLSv1.3", "works"),
    ]
    assert "each sees the rows that the other stores" in result.stderr


def test_a_check_changes_nothing_at_aws(whole: Environment) -> None:
    before = len(whole.rehearsal.journal)
    assert whole.check().code == 0
    calls = whole.rehearsal.journal[before:]
    assert calls
    assert [call.operation for call in calls if call.mutating] == []


def test_up_ends_with_the_check(whole: Environment) -> None:
    result = whole.commands.run("provision", "up", "--output", "json")
    assert result.code == 0, result.stderr
    assert [each["ok"] for each in result.of("check")] == [True, True, True]


def test_up_tells_what_it_made_although_a_login_does_not_work(environment: Environment) -> None:
    environment.set_proxy_clock_fast(timedelta(minutes=20))
    environment.configure("iam", MemorySize=512)
    result = environment.commands.run("provision", "up", "--output", "json", *IMPATIENT)
    assert result.code == 1
    assert result.error["type"] == "CheckFailed"
    assert result.counts(updated=1)
    assert result.summary["url"].startswith("http://127.0.0.1:")


def test_without_an_environment_there_is_nothing_to_call(whole: Environment) -> None:
    result = whole.check("--set", "environment.name=another", "--state", "another.json")
    assert result.code == 1
    assert "no HTTP API to call" in result.error["message"]
    assert "environment another" in result.error["message"]
    assert "provision up" in result.error["next"]


# --- patience -------------------------------------------------------------------------------------


def test_what_passes_by_itself_is_waited_for(environment: Environment) -> None:
    report, clock = environment.rehearsal.data_plane.report, environment.rehearsal.data_plane.clock
    before = len(report)
    clock.shift(timedelta(minutes=20))

    def pass_when_refused_twice() -> None:
        while len(report) < before + 2:
            time.sleep(0.01)
        clock.shift(-timedelta(minutes=20))

    passing = threading.Thread(target=pass_when_refused_twice)
    passing.start()
    try:
        result = environment.check()
    finally:
        passing.join()
    assert result.code == 0, result.stdout
    refused = [each for each in result.of("status") if each["step"] == "route-func2"]
    assert "1045" in refused[0]["reason"]
    assert refused[-1]["status"] == "answers"


def test_a_target_that_warms_up_is_waited_for(environment: Environment) -> None:
    named = {"DBProxyName": f"{NAME}-iam", "DBInstanceIdentifiers": [f"{NAME}-database"]}
    environment.rds.deregister_db_proxy_targets(**named)
    environment.rehearsal.set_manners(speed=60)  # two seconds of PENDING_PROXY_CAPACITY
    environment.mend.append(lambda: environment.rehearsal.set_manners(speed=600))
    environment.rds.register_db_proxy_targets(**named)
    result = environment.check()
    assert result.code == 0, result.stdout
    told = [each for each in result.of("status") if each["step"] == "target-iam"]
    assert any("PENDING_PROXY_CAPACITY" in each["reason"] for each in told)
    assert told[-1]["status"] == "AVAILABLE"


def test_an_interrupted_check_ends_at_once(whole: Environment) -> None:
    stop = Stop()
    stop.set()
    options = Options(config=whole.commands.folder / "config.toml", stop=stop)
    with whole.rehearsal.applied(), pytest.raises(Interrupted):
        check(options, Silent())


def test_an_api_that_cannot_be_reached(whole: Environment) -> None:
    options = Options(
        config=whole.commands.folder / "config.toml", overrides=("wait.timeout_minutes=0.01",)
    )
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with whole.rehearsal.applied(), opened(options, "check", Silent()) as run:
        run.url = f"http://127.0.0.1:{port}"
        with pytest.raises(CheckFailed, match="does not reach the API") as failed:
            prove_logins(run)
    assert "ConnectionRefusedError" in failed.value.message


# --- the secret -----------------------------------------------------------------------------------


def test_wrong_password_in_the_secret(environment: Environment) -> None:
    environment.write_secret(json.dumps({"username": USER, "password": "something-else"}))
    failed = environment.causes()
    assert list(failed) == ["password", "iam"]
    for record in failed.values():
        assert record["kind"] == "database-refuses-secret"
        assert "the password in the secret is not the database's" in record["cause"]
        assert "AUTH_FAILURE" in record["proof"]
        assert "something-else" not in record["proof"]
        assert record["next"].endswith("up --reset-password")


def test_resetting_the_password_repairs_it(environment: Environment) -> None:
    environment.write_secret(json.dumps({"username": USER, "password": "something-else"}))
    environment.mend.clear()
    assert environment.commands.up("--reset-password").code == 0
    assert environment.check().code == 0


def test_secret_that_is_not_json(environment: Environment) -> None:
    environment.write_secret("only-the-password")
    failed = environment.causes()
    assert list(failed) == ["password", "iam"]
    for record in failed.values():
        assert record["kind"] == "secret-unusable"
        assert "not JSON" in record["cause"]
        assert "only-the-password" not in json.dumps(record)


def test_secret_of_another_user(environment: Environment) -> None:
    password = environment.secret()
    environment.write_secret(json.dumps({"username": "somebody", "password": password}))
    record = environment.causes()["iam"]
    assert record["kind"] == "secret-unusable"
    assert "another user" in record["cause"]
    assert "'somebody'" in record["proof"]


def test_function_with_another_password(environment: Environment) -> None:
    password = environment.secret()
    environment.set_variables("password", DB_PASSWORD="an-older-one")
    result = environment.check()
    assert result.code == 1
    record = result.of("check")[0]
    assert record["kind"] == "function-has-another-password"
    assert result.of("check")[2]["ok"] is True
    for secret in (password, "an-older-one"):
        assert secret not in result.stdout + result.stderr


# --- the connect policy ---------------------------------------------------------------------------


def connect_arn(part: str, *, user: str = USER, region: str = REGION) -> str:
    return f"arn:aws:rds-db:{region}:123456789012:dbuser:{part}/{user}"


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        pytest.param(lambda e: connect_arn(f"{NAME}-iam"), "the proxy's name", id="name"),
        pytest.param(lambda e: connect_arn("db-ABCDEFGHIJ"), "the DB instance", id="resource-id"),
        pytest.param(lambda e: connect_arn(f"{NAME}-database"), "the DB instance", id="instance"),
        pytest.param(lambda e: connect_arn("prx-0123456789abcdef0"), "another proxy", id="proxy"),
        pytest.param(lambda e: connect_arn(prx(e, "password")), "the password proxy", id="other"),
        pytest.param(lambda e: connect_arn(prx(e), user="admin"), "as the user admin", id="user"),
        pytest.param(lambda e: connect_arn(prx(e), region="eu-west-1"), "region", id="region"),
        pytest.param(lambda e: e.proxy("iam")["DBProxyArn"], "not the ARN of a database", id="arn"),
    ],
)
def test_connect_policy_on_the_wrong_resource(
    environment: Environment, resource: Callable[[Environment], str], words: str
) -> None:
    environment.connect_policy(resource(environment))
    record = environment.cause("iam")
    assert record["kind"] == "may-not-connect"
    assert words in record["cause"]
    assert f"is {resource(environment)}; should be" in record["proof"]
    assert connect_arn(prx(environment)) in record["proof"]
    assert record["next"].endswith("provision up")


def prx(environment: Environment, login: str = "iam") -> str:
    arn: str = environment.proxy(login)["DBProxyArn"]
    return arn.rpartition(":")[2]


def test_no_connect_policy(environment: Environment) -> None:
    environment.iam.delete_role_policy(
        RoleName=f"{NAME}-function-iam-{REGION}", PolicyName="connect-to-proxy"
    )
    record = environment.cause("iam")
    assert record["kind"] == "may-not-connect"
    assert "no policy" in record["cause"]


# --- the function ---------------------------------------------------------------------------------


def without_tls(files: dict[str, bytes]) -> None:
    source = files["database.py"]
    kept = [line for line in source.splitlines() if not line.strip().startswith(b"ssl_")]
    text = b"\n".join(kept).replace(b"use_pure=True,", b"use_pure=True, ssl_disabled=True,")
    assert text != source
    files["database.py"] = text


def test_iam_function_without_tls(environment: Environment) -> None:
    environment.upload("iam", without_tls)
    record = environment.cause("iam")
    assert record["kind"] == "proxy-refuses"
    assert "connects without TLS" in record["cause"]
    assert "3159" in record["proof"]
    assert "CodeSha256" in record["proof"]


def test_iam_proxy_that_does_not_require_tls(environment: Environment) -> None:
    environment.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", RequireTLS=False)
    result = environment.check()
    assert result.code == 1
    assert "the IAM proxy does not require TLS" in result.error["message"]
    assert "RequireTLS is False; should be True" in result.error["message"]


def test_functions_that_point_at_each_others_proxies(environment: Environment) -> None:
    for login, other in (("password", "iam"), ("iam", "password")):
        endpoint = environment.proxy(other)["Endpoint"]
        environment.set_variables(login, DB_PROXY_ENDPOINT_ADDRESS=endpoint)
    failed = environment.causes()
    for login, other in (("password", "iam"), ("iam", "password")):
        record = failed[login]
        assert record["kind"] == "points-at-another-proxy"
        assert record["cause"] == f"the {login} function points at the {other} proxy"
        assert environment.proxy(login)["Endpoint"] in record["proof"]


def test_certificate_missing_from_the_zip(environment: Environment) -> None:
    environment.upload("iam", lambda files: files.pop("AmazonRootCA1.pem"))
    record = environment.cause("iam")
    assert record["kind"] == "certificate-missing"
    assert "CodeSha256" in record["proof"]


def test_wrong_certificate_in_the_zip(environment: Environment) -> None:
    assert certificate() != OTHER_CERTIFICATE
    environment.upload("iam", lambda files: files.update({"AmazonRootCA1.pem": OTHER_CERTIFICATE}))
    record = environment.cause("iam")
    assert record["kind"] == "certificate-wrong"
    assert "CERTIFICATE_VERIFY_FAILED" in record["proof"]


def test_expired_token(environment: Environment) -> None:
    environment.set_proxy_clock_fast(timedelta(minutes=20))
    record = environment.cause("iam", *IMPATIENT)
    assert record["kind"] == "proxy-refuses"
    assert "older than 15 minutes" in record["cause"]
    assert "1045" in record["proof"]


def test_what_the_proxys_log_says_is_told(environment: Environment) -> None:
    group = {"logGroupName": f"/aws/rds/proxy/{NAME}-iam", "logStreamName": "0123"}
    reason = "Proxy authentication with IAM authentication failed for user testdb. Reason: expired"
    environment.logs.create_log_stream(**group)
    event = {"timestamp": int(time.time() * 1000), "message": reason}
    environment.logs.put_log_events(**group, logEvents=[event])
    environment.mend.append(lambda: environment.logs.delete_log_stream(**group))
    environment.set_proxy_clock_fast(timedelta(minutes=20))
    assert reason in environment.cause("iam", *IMPATIENT)["proof"]


def test_layer_missing(environment: Environment) -> None:
    environment.configure("iam", Layers=[])
    record = environment.cause("iam")
    assert record["kind"] == "layer-missing"
    assert "No module named 'mysql'" in record["proof"]


def test_layer_without_its_python_folder(environment: Environment) -> None:
    layer = f"{NAME}-mysql-connector"
    published = environment.lambda_.publish_layer_version(
        LayerName=layer, Content={"ZipFile": zipped({"mysql/connector/__init__.py": b""})}
    )
    version = published["Version"]
    delete = environment.lambda_.delete_layer_version
    environment.mend.append(lambda: delete(LayerName=layer, VersionNumber=version))
    environment.configure("iam", Layers=[published["LayerVersionArn"]])
    record = environment.cause("iam")
    assert record["kind"] == "layer-wrong"
    assert "below python/" in record["cause"]
    assert record["next"] == "python -m provision up"  # ours is there beside it
    assert environment.commands.up().changed == {"function-iam": "updated"}
    assert environment.check().code == 0


@pytest.mark.parametrize("handler", ["index.handler", "main.lambda_handler"])
def test_wrong_handler(environment: Environment, handler: str) -> None:
    environment.configure("iam", Handler=handler)
    record = environment.cause("iam")
    assert record["kind"] == "handler-wrong"
    assert f"Handler is {handler}; should be index.lambda_handler" in record["proof"]


def test_role_that_lambda_may_not_assume(environment: Environment) -> None:
    environment.iam.update_assume_role_policy(
        RoleName=f"{NAME}-function-iam-{REGION}", PolicyDocument=json.dumps(TRUSTS_NOBODY)
    )
    environment.upload("iam", lambda files: files.update(note=b"a new environment is started"))
    assert environment.cause("iam")["kind"] == "function-role-unusable"


# --- network and database -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "egress", "kind"),
    [
        ("function", True, "function-cannot-reach-proxy"),
        ("proxy", False, "function-cannot-reach-proxy"),
        ("proxy", True, "proxy-cannot-reach-database"),
        ("database", False, "proxy-cannot-reach-database"),
    ],
)
def test_security_group_without_its_rule(
    environment: Environment, part: str, egress: bool, kind: str
) -> None:
    environment.revoke(part, egress=egress)
    failed = environment.causes()
    assert list(failed) == ["password", "iam"]
    for record in failed.values():
        assert record["kind"] == kind
        assert f"the security group of the {part}" in record["cause"]
        assert "is nothing; should be tcp 3306 sg-" in record["proof"]


def test_target_that_is_not_registered(environment: Environment) -> None:
    environment.rds.deregister_db_proxy_targets(
        DBProxyName=f"{NAME}-iam", DBInstanceIdentifiers=[f"{NAME}-database"]
    )
    result = environment.check()
    records = {each["route"]: each for each in result.of("check")}
    assert records["/func2"]["kind"] == "target-not-registered"
    assert records["/func1"]["ok"] is True


def test_proxy_role_that_may_not_read_the_secret(environment: Environment) -> None:
    environment.iam.delete_role_policy(RoleName=f"{NAME}-proxy-{REGION}", PolicyName="read-secret")
    assert environment.causes()["iam"]["kind"] == "proxy-cannot-read-secret"


# --- the API --------------------------------------------------------------------------------------


def test_route_missing(environment: Environment) -> None:
    route = environment.route("/func2")
    environment.apigatewayv2.delete_route(ApiId=environment.api_id, RouteId=route["RouteId"])
    record = environment.cause("iam")
    assert record["kind"] == "route-missing"
    assert "404" in record["proof"]


def test_integration_missing(environment: Environment) -> None:
    integration = environment.route("/func2")["Target"].removeprefix("integrations/")
    environment.apigatewayv2.delete_integration(ApiId=environment.api_id, IntegrationId=integration)
    assert environment.cause("iam")["kind"] == "integration-missing"


def test_route_to_the_other_function(environment: Environment) -> None:
    other = environment.route("/func1")["Target"]
    environment.apigatewayv2.update_route(
        ApiId=environment.api_id, RouteId=environment.route("/func2")["RouteId"], Target=other
    )
    record = environment.cause("iam")
    assert record["kind"] == "route-wrong"
    assert record["login"] == "password"


def test_stage_missing(environment: Environment) -> None:
    environment.apigatewayv2.delete_stage(ApiId=environment.api_id, StageName="$default")
    assert environment.causes()["iam"]["kind"] == "stage-missing"


def test_api_that_may_not_invoke_the_functions(environment: Environment) -> None:
    environment.iam.delete_role_policy(
        RoleName=f"{NAME}-api-{REGION}", PolicyName="invoke-functions"
    )
    record = environment.causes()["iam"]
    assert record["kind"] == "api-may-not-invoke"
    assert "lambda:InvokeFunction" in record["proof"]


def test_api_role_that_api_gateway_may_not_assume(environment: Environment) -> None:
    environment.iam.update_assume_role_policy(
        RoleName=f"{NAME}-api-{REGION}", PolicyDocument=json.dumps(TRUSTS_NOBODY)
    )
    assert environment.causes()["iam"]["kind"] == "api-may-not-invoke"


# --- an API that is closed ------------------------------------------------------------------------


def close_endpoint(environment: Environment, api: Any) -> None:
    """Switch the API's own address off."""
    api.update_api(ApiId=environment.api_id, DisableExecuteApiEndpoint=True)


def ask_for(kind: str) -> Callable[[Environment, Any], None]:
    """Let the IAM login's route ask for authorization."""

    def change(environment: Environment, api: Any) -> None:
        route = environment.route("/func2")["RouteId"]
        api.update_route(ApiId=environment.api_id, RouteId=route, AuthorizationType=kind)

    return change


def throttle(environment: Environment, api: Any) -> None:
    """Let no request through the stage."""
    settings = {"ThrottlingRateLimit": 0.0001, "ThrottlingBurstLimit": 0}
    api.update_stage(ApiId=environment.api_id, StageName="$default", DefaultRouteSettings=settings)


def undeploy(environment: Environment, api: Any) -> None:
    """Make the stage anew, with its tags, but without AutoDeploy."""
    stage = {"ApiId": environment.api_id, "StageName": "$default"}
    tags = api.get_stage(**stage)["Tags"]
    api.delete_stage(**stage)
    api.create_stage(**stage, Tags=tags)


CLOSED: dict[str, tuple[Callable[[Environment, Any], None], str, str, str]] = {
    "endpoint": (
        close_endpoint, "endpoint-disabled", "DisableExecuteApiEndpoint is True; should be False",
        "api",
    ),
    "AWS_IAM": (
        ask_for("AWS_IAM"), "route-wrong", "AuthorizationType is AWS_IAM; should be NONE",
        "route-func2",
    ),
    "JWT": (
        ask_for("JWT"), "route-wrong", "AuthorizationType is JWT; should be NONE", "route-func2",
    ),
    "throttled": (
        throttle, "stage-throttles", "ThrottlingRateLimit is 0.0001; should be", "stage",
    ),
    "not deployed": (
        undeploy, "stage-not-deployed", "AutoDeploy is False; should be True", "stage",
    ),
}  # fmt: skip


def test_a_route_with_a_throttle_of_its_own_is_named(environment: Environment) -> None:
    api = environment.rehearsal.somebody_else("apigatewayv2")
    stage = {"ApiId": environment.api_id, "StageName": "$default"}
    limits = {"ThrottlingRateLimit": 0.0001, "ThrottlingBurstLimit": 0}
    api.update_stage(**stage, RouteSettings={"GET /func2": limits})
    causes = environment.causes()
    assert list(causes) == ["iam"]
    assert causes["iam"]["kind"] == "route-throttles"
    assert causes["iam"]["next"] == (
        f"aws apigatewayv2 delete-route-settings --api-id {environment.api_id} "
        "--stage-name '$default' --route-key 'GET /func2'"
    )


@pytest.mark.parametrize("closed", CLOSED)
def test_a_closed_api_is_diagnosed_and_up_opens_it(environment: Environment, closed: str) -> None:
    close, kind, proof, step = CLOSED[closed]
    close(environment, environment.rehearsal.somebody_else("apigatewayv2"))
    record = environment.causes()["iam"]
    assert record["kind"] == kind
    assert proof in record["proof"]
    assert record["next"] == "python -m provision up"
    doctor = environment.commands.run("provision", "doctor", "--output", "json")
    assert (doctor.code, proof in doctor.stdout) == (1, True)
    assert environment.commands.up().changed == {step: "updated"}


def test_a_stage_of_somebodys_that_was_never_deployed_has_to_go_first(
    environment: Environment,
) -> None:
    api = environment.rehearsal.somebody_else("apigatewayv2")
    stage = {"ApiId": environment.api_id, "StageName": "$default"}
    api.delete_stage(**stage)
    api.create_stage(**stage)
    environment.mend.append(lambda: api.delete_stage(**stage))
    record = environment.causes()["iam"]
    assert record["kind"] == "stage-not-deployed"
    assert f"delete-stage --api-id {environment.api_id} --stage-name" in record["next"]


def test_a_function_that_somebody_switched_off_is_diagnosed_and_left(
    environment: Environment,
) -> None:
    name = f"{NAME}-iam"
    others = environment.rehearsal.somebody_else("lambda")
    others.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    environment.mend.append(lambda: others.delete_function_concurrency(FunctionName=name))
    record = environment.cause("iam")
    assert record["kind"] == "function-has-no-concurrency"
    assert f"ReservedConcurrentExecutions of {name} is 0; HTTP 503" in record["proof"]
    assert f"delete-function-concurrency --function-name {name}" in record["next"]
    doctor = environment.commands.run("provision", "doctor", "--output", "json")
    assert (doctor.code, "is switched off" in doctor.stdout) == (1, True)
    assert environment.commands.up().counts()


# --- both at once, and AWS that tells nothing -----------------------------------------------------


def test_rows_that_the_other_login_does_not_see(environment: Environment) -> None:
    environment.set_variables("iam", DB_TABLENAME="elsewhere")
    result = environment.check()
    assert result.code == 1
    assert "do not use the same table" in result.error["message"]
    assert [each["ok"] for each in result.of("check")] == [True, True, True]


def test_evidence_that_may_not_be_read_is_said(environment: Environment) -> None:
    environment.configure("iam", Handler="index.handler")
    allowed = [f"{service}:*" for service in ("rds", "apigateway", "logs", "sts")]
    environment.rehearsal.policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}],
    }
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, environment.rehearsal, "policy", None)
        record = environment.cause("iam", *IMPATIENT)
    assert "HandlerNotFound" in record["proof"]
