"""Log in to RDS Proxy with the database user's password.

The proxy compares it with the secret in Secrets Manager (IAMAuth DISABLED).
"""

import http_api
from database import Database, setting


def password(_database: Database) -> str:
    """Return the password from the function's environment variables."""
    return setting("DB_PASSWORD")


lambda_handler = http_api.handler("password", password)
