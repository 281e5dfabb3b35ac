"""The whole environment, top to bottom.

    client -> HTTP API -+- GET /, /func1 -> function "password" -> proxy "password" -+-> DB instance
                        +- GET /func2    -> function "iam"      -> proxy "iam"      -+

Read this file as a template: each resource stands here once, with every value it takes from the
configuration and from the resources before it. `vpc.id` is a reference: a resource that has one is
created when what it refers to exists, and in a teardown it is deleted first.
"""

from __future__ import annotations

from typing import Any

from provision.config import ARCHITECTURES, RUNTIMES, Config
from provision.packaging.zips import Package, function_package, layer_package
from provision.resources.apigateway import Api, Integration, Route, Stage
from provision.resources.ec2 import (
    MYSQL_PORT,
    AvailabilityZones,
    FunctionInterfaces,
    SecurityGroup,
    SecurityGroupRules,
    Subnet,
    Vpc,
)
from provision.resources.iam import Role, ServiceLinkedRole, allow
from provision.resources.lambda_ import Function, LayerVersion
from provision.resources.logs import LogGroup
from provision.resources.permissions import via_service
from provision.resources.rds.db_instance import DBInstance
from provision.resources.rds.db_proxy import DBProxy
from provision.resources.rds.db_proxy_target import DBProxyTarget
from provision.resources.rds.db_subnet_group import DBSubnetGroup
from provision.resources.secretsmanager import Secret
from provision.resources.template import Login, RouteName, Template, Tier

# What every value may refer to beside the resources, as in CloudFormation's pseudo parameters.
ACCOUNT, REGION, PARTITION = "${aws.account}", "${aws.region}", "${aws.partition}"

UNPACKED = Package(sha256="", build=bytes)
VPC_ACCESS = f"arn:{PARTITION}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"


def environment(config: Config, *, packed: bool = True, final_snapshot: str = "") -> Template:
    """Return every resource by name, and in order: each after those that it refers to.

    `packed` builds the functions' and the layer's zips, which a teardown does without;
    `final_snapshot` names a snapshot that deleting the DB instance leaves behind.
    """
    name, region = config.environment.name, config.environment.region
    network, database = config.network, config.database
    boundary = config.environment.permissions_boundary

    # --- network ---------------------------------------------------------------------------------
    # No internet gateway and no NAT: the functions need nothing but the proxies.
    vpc = Vpc("vpc", cidr_block=network.vpc_cidr)
    zones = AvailabilityZones(
        "availability-zones",
        engine_version=database.engine_version,
        instance_class=database.instance_class,
        wanted=tuple(network.availability_zones),
    )
    function_subnet = Subnet(
        "subnet-function",
        vpc_id=vpc.id,
        cidr_block=network.function_subnet_cidr,
        availability_zone=zones.first,
    )
    first_cidr, second_cidr = network.database_subnet_cidrs
    database_subnets = (
        Subnet(
            "subnet-database-1",
            vpc_id=vpc.id,
            cidr_block=first_cidr,
            availability_zone=zones.first,
        ),
        Subnet(
            "subnet-database-2",
            vpc_id=vpc.id,
            cidr_block=second_cidr,
            availability_zone=zones.second,
        ),
    )
    database_subnet_ids = tuple(subnet.id for subnet in database_subnets)

    # --- security groups: function -> proxy -> database, on 3306 and no wider --------------------
    purposes: dict[Tier, str] = {
        "function": "the functions, to the proxies",
        "proxy": "the proxies, from the functions and to the database",
        "database": "the database, from the proxies",
    }
    groups = {
        tier: SecurityGroup(
            f"security-group-{tier}",
            vpc_id=vpc.id,
            group_name=f"{name}-{tier}",
            description=f"{name}: {purpose}",
        )
        for tier, purpose in purposes.items()
    }
    peer = {tier: f"tcp {MYSQL_PORT} {group.id}" for tier, group in groups.items()}
    rules: dict[Tier, SecurityGroupRules] = {
        "function": SecurityGroupRules(
            "rules-function", group_id=groups["function"].id, egress=(peer["proxy"],)
        ),
        "proxy": SecurityGroupRules(
            "rules-proxy",
            group_id=groups["proxy"].id,
            ingress=(peer["function"],),
            egress=(peer["database"],),
        ),
        "database": SecurityGroupRules(
            "rules-database", group_id=groups["database"].id, ingress=(peer["proxy"],)
        ),
    }

    # --- database --------------------------------------------------------------------------------
    rds_role = ServiceLinkedRole("service-linked-role", service="rds.amazonaws.com")
    secret = Secret(
        "secret",
        secret_name=f"{name}/database",
        description=f"{name}: the database's user and password, for the proxies",
        username=database.username,
    )
    subnet_group = DBSubnetGroup(
        "db-subnet-group",
        subnet_group_name=f"{name}-database",
        description=f"{name}: the database's two zones",
        subnet_ids=database_subnet_ids,
        service_linked_role=rds_role.arn,
    )
    db_instance = DBInstance(
        "db-instance",
        instance_identifier=f"{name}-database",
        engine_version=database.engine_version,
        instance_class=database.instance_class,
        allocated_storage=database.allocated_storage_gib,
        database=database.name,
        master_username=database.username,
        master_user_password=secret.password,
        subnet_group=subnet_group.group,
        security_group_ids=(groups["database"].id,),
        backup_retention_days=database.backup_retention_days,
        deletion_protection=database.deletion_protection,
        region=region,
        final_snapshot=final_snapshot,
    )

    # --- the two proxies: they differ in how a client logs in, and in nothing else ---------------
    proxy_role = Role(
        "role-proxy",
        role_name=f"{name}-proxy-{region}",
        description=f"{name}: the proxies read the database's secret",
        trusts="rds.amazonaws.com",
        permissions_boundary=boundary,
        policies={
            "read-secret": allow("secretsmanager:GetSecretValue", on=secret.arn),
            "decrypt-secret": allow(
                "kms:Decrypt",
                on=f"arn:{PARTITION}:kms:{REGION}:{ACCOUNT}:key/*",
                StringEquals={"kms:ViaService": via_service("secretsmanager", region)},
            ),
        },
    )
    proxy_logs: dict[Login, LogGroup] = {}
    proxies: dict[Login, DBProxy] = {}
    targets: dict[Login, DBProxyTarget] = {}
    settings: dict[Login, tuple[str, bool]] = {
        "password": ("DISABLED", False),
        "iam": ("REQUIRED", True),
    }
    for login, (iam_auth, require_tls) in settings.items():
        proxy_logs[login] = LogGroup(
            f"log-group-proxy-{login}",
            log_group_name=f"/aws/rds/proxy/{name}-{login}",
            retention_in_days=config.function.log_retention_days,
        )
        proxies[login] = DBProxy(
            f"proxy-{login}",
            proxy_name=f"{name}-{login}",
            iam_auth=iam_auth,
            require_tls=require_tls,
            secret_arn=secret.arn,
            role_arn=proxy_role.arn,
            role_granted=proxy_role.granted,
            subnet_ids=database_subnet_ids,
            security_group_ids=(groups["proxy"].id,),
            idle_client_timeout=config.proxy.idle_client_timeout_seconds,
            debug_logging=config.proxy.debug_logging,
            log_group=proxy_logs[login].log_group,
            service_linked_role=rds_role.arn,
        )
        targets[login] = DBProxyTarget(
            f"target-{login}",
            proxy_name=proxies[login].proxy,
            instance_identifier=db_instance.id,
            connection_borrow_timeout=config.proxy.connection_borrow_timeout_seconds,
            max_connections_percent=config.proxy.max_connections_percent,
            max_idle_connections_percent=config.proxy.max_idle_connections_percent,
        )

    # --- the two functions -----------------------------------------------------------------------
    layer = LayerVersion(
        "layer",
        layer_name=f"{name}-mysql-connector",
        package=layer_package() if packed else UNPACKED,
        runtimes=RUNTIMES,
        architectures=ARCHITECTURES,
    )
    may_connect = allow(
        "rds-db:connect",
        on=f"arn:{PARTITION}:rds-db:{REGION}:{ACCOUNT}:dbuser:"
        f"{proxies['iam'].resource_id}/{database.username}",
    )
    function_roles: dict[Login, Role] = {}
    function_logs: dict[Login, LogGroup] = {}
    functions: dict[Login, Function] = {}
    own_policies: dict[Login, dict[str, Any]] = {
        "password": {},
        "iam": {"connect-to-proxy": may_connect},
    }
    for login, policies in own_policies.items():
        function_roles[login] = Role(
            f"role-function-{login}",
            role_name=f"{name}-function-{login}-{region}",
            description=f"{name}: the function that logs in by {login}",
            trusts="lambda.amazonaws.com",
            permissions_boundary=boundary,
            policies=policies,
            managed_policies=(VPC_ACCESS,),
        )
        function_logs[login] = LogGroup(
            f"log-group-{login}",
            log_group_name=f"/aws/lambda/{name}-{login}",
            retention_in_days=config.function.log_retention_days,
        )
    interfaces = FunctionInterfaces(
        "function-interfaces",
        subnet_id=function_subnet.id,
        group_id=groups["function"].id,
        role_names=tuple(role.role for role in function_roles.values()),
    )
    credentials: dict[Login, dict[str, str]] = {
        "password": {"DB_PASSWORD": secret.password},
        "iam": {"SSLCERTIFICATE": "AmazonRootCA1.pem"},
    }
    for login, credential in credentials.items():
        functions[login] = Function(
            f"function-{login}",
            function_name=f"{name}-{login}",
            description=f"{name}: logs in by {login}, stores the time, returns all times",
            package=function_package(login) if packed else UNPACKED,
            handler="index.lambda_handler",
            runtime=config.function.runtime,
            architecture=config.function.architecture,
            memory=config.function.memory_mib,
            timeout=config.function.timeout_seconds,
            role_arn=function_roles[login].arn,
            layer_arn=layer.arn,
            subnet_ids=(function_subnet.id,),
            security_group_ids=(groups["function"].id,),
            environment={
                "DB_ENDPOINT_PORT": str(MYSQL_PORT),
                "DB_NAME": database.name,
                "DB_PROXY_ENDPOINT_ADDRESS": proxies[login].endpoint,
                "DB_TABLENAME": database.table,
                "DB_USER": database.username,
                "REGION": REGION,
            }
            | credential,
            log_group=function_logs[login].log_group,
            interfaces=interfaces.ids,
        )

    # --- the HTTP API ----------------------------------------------------------------------------
    api = Api(
        "api", api_name=name, description=f"{name}: two ways to log in to RDS Proxy, side by side"
    )
    api_role = Role(
        "role-api",
        role_name=f"{name}-api-{region}",
        description=f"{name}: the HTTP API may invoke these two functions",
        trusts="apigateway.amazonaws.com",
        permissions_boundary=boundary,
        policies={
            "invoke-functions": allow(
                "lambda:InvokeFunction",
                on=[
                    f"arn:{PARTITION}:lambda:{REGION}:{ACCOUNT}:function:{name}-{login}"
                    for login in functions
                ],
            )
        },
    )
    stage = Stage(
        "stage",
        api_id=api.id,
        throttle_rate=config.api.throttle_rate_per_second,
        throttle_burst=config.api.throttle_burst,
    )
    integrations = {
        login: Integration(
            f"integration-{login}",
            api_id=api.id,
            function_arn=function.arn,
            credentials_arn=api_role.arn,
            timeout=min(30000, 1000 * config.function.timeout_seconds + 1000),
        )
        for login, function in functions.items()
    }
    ways: dict[RouteName, tuple[str, Login]] = {
        "root": ("GET /", "password"),
        "func1": ("GET /func1", "password"),
        "func2": ("GET /func2", "iam"),
    }
    routes = {
        path: Route(
            f"route-{path}", api_id=api.id, route_key=key, integration_id=integrations[login].id
        )
        for path, (key, login) in ways.items()
    }

    return Template(
        vpc=vpc,
        availability_zones=zones,
        function_subnet=function_subnet,
        database_subnets=database_subnets,
        security_groups=groups,
        rules=rules,
        service_linked_role=rds_role,
        secret=secret,
        db_subnet_group=subnet_group,
        db_instance=db_instance,
        proxy_role=proxy_role,
        proxy_logs=proxy_logs,
        proxies=proxies,
        targets=targets,
        layer=layer,
        function_roles=function_roles,
        function_logs=function_logs,
        interfaces=interfaces,
        functions=functions,
        api=api,
        api_role=api_role,
        stage=stage,
        integrations=integrations,
        routes=routes,
    )
