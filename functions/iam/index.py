"""Log in to RDS Proxy with a token of the function's own role; no password is stored here.

The proxy checks the token's signature and the role's `rds-db:connect` (IAMAuth REQUIRED).
"""

import os

import boto3

import http_api
from database import Database

# The C connector sends a token in clear text, inside TLS, only if this is set; the pure connector
# does not need it.
os.environ["LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN"] = "1"

rds = boto3.client("rds", region_name=os.environ.get("REGION"))  # once, while the function starts


def password(database: Database) -> str:
    """Return a token that is valid for 15 minutes; it is signed here, without a call to AWS."""
    return rds.generate_db_auth_token(
        DBHostname=database.host,
        Port=database.port,
        DBUsername=database.user,
        Region=database.region,
    )


lambda_handler = http_api.handler("iam", password)
