"""Where the AWS Management Console shows a resource: its page, in its region and partition."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from urllib.parse import quote

from provision.aws.regions import partition_of

# The console's host by partition ("Service endpoints" in the user guides of each); isolated
# partitions publish none. GovCloud's takes no region before it.
HOSTS = {
    "aws": "{region}.console.aws.amazon.com",
    "aws-cn": "{region}.console.amazonaws.cn",
    "aws-eusc": "{region}.console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
EC2_GROUP = "ec2/home?region={region}#SecurityGroup:groupId={group_id}"
PROXY = "rds/home?region={region}#proxy:id={proxy_name}"
ROLE = "iam/home?region={region}#/roles/details/{identity}"
# By CloudFormation's name of the type. A place is a field of the resource, or its identity.
PATHS = {
    "AWS::ApiGatewayV2::Api": "apigateway/main/develop/routes?api={identity}&region={region}",
    "AWS::ApiGatewayV2::Integration": (
        "apigateway/main/develop/integrations?api={api_id}&region={region}"
    ),
    "AWS::ApiGatewayV2::Route": "apigateway/main/develop/routes?api={api_id}&region={region}",
    "AWS::ApiGatewayV2::Stage": "apigateway/main/deploy/stages?api={api_id}&region={region}",
    "AWS::EC2::SecurityGroup": EC2_GROUP.replace("group_id}", "identity}"),
    "AWS::EC2::SecurityGroupRules": EC2_GROUP,
    "AWS::EC2::Subnet": "vpcconsole/home?region={region}#SubnetDetails:subnetId={identity}",
    "AWS::EC2::VPC": "vpcconsole/home?region={region}#VpcDetails:VpcId={identity}",
    "AWS::IAM::Role": ROLE,
    "AWS::IAM::ServiceLinkedRole": ROLE,
    "AWS::Lambda::Function": "lambda/home?region={region}#/functions/{identity}",
    "AWS::Lambda::LayerVersion": "lambda/home?region={region}#/layers/{identity}",
    "AWS::Logs::LogGroup": (
        "cloudwatch/home?region={region}#logsV2:log-groups/log-group/{identity}"
    ),
    "AWS::RDS::DBInstance": "rds/home?region={region}#database:id={identity};is-cluster=false",
    "AWS::RDS::DBProxy": PROXY,
    "AWS::RDS::DBProxyTargetGroup": PROXY,
    "AWS::RDS::DBSubnetGroup": "rds/home?region={region}#db-subnet-group:id={identity}",
    "AWS::SecretsManager::Secret": "secretsmanager/secret?name={identity}&region={region}",
}


def console_url(kind: str, identity: str, fields: Mapping[str, object], region: str) -> str:
    """Return the URL of a resource's console page; "" if it has none, or its id is not known.

    `identity` is its id or name, `fields` what else is known of it, such as `api_id`.
    """
    host, path = HOSTS.get(partition_of(region)), PATHS.get(kind)
    if host is None or path is None:
        return ""
    values = {name: str(value) for name, value in {**fields, "identity": identity}.items()}
    needed = {name for _, name, _, _ in Formatter().parse(path) if name} - {"region"}
    if any("${" in values.get(name, "${") or not values[name] for name in needed):
        return ""  # what it refers to does not exist yet
    quoted = {name: quote(values[name], safe="") for name in needed}
    if kind == "AWS::Logs::LogGroup":  # CloudWatch's page takes it quoted twice, with $ for %
        quoted["identity"] = quote(quoted["identity"], safe="").replace("%", "$")
    return f"https://{host}/{path}".format(**quoted, region=quote(region, safe=""))
