"""Stand-ins on loopback for what hands out credentials: instance and container metadata, SSO."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config

ROLE = "arn:aws:iam::123456789012:role/admin"

Answer = tuple[int, Any]  # HTTP status; a text, or what becomes JSON


def in_hours(hours: float) -> str:
    """A time so many hours from now, as AWS writes it."""
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Keys:
    """Credentials that a rehearsed AWS takes, as each source words them."""

    id: str
    secret: str
    token: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Keys:
        """Temporary ones of the account whose own keys are in `environ`."""
        client = boto3.client(
            "sts",
            region_name="us-east-1",
            aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=environ["AWS_ENDPOINT_URL"],
            config=Config(proxies={}),
        )
        given = client.assume_role(RoleArn=ROLE, RoleSessionName="tests")["Credentials"]
        return cls(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def metadata(self, hours: float = 1.0) -> dict[str, str]:
        """Return them as instance and container metadata give them."""
        return {
            "Code": "Success",
            "AccessKeyId": self.id,
            "SecretAccessKey": self.secret,
            "Token": self.token,
            "Expiration": in_hours(hours),
        }

    def sso(self) -> dict[str, Any]:
        """Return them as the portal of IAM Identity Center gives them."""
        given = {"accessKeyId": self.id, "secretAccessKey": self.secret}
        far = 4_000_000_000_000  # milliseconds
        return {"roleCredentials": given | {"sessionToken": self.token, "expiration": far}}

    def sts(self, operation: str) -> str:
        """Return them as STS gives them."""
        return f"""\
<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result>
<Credentials><AccessKeyId>{self.id}</AccessKeyId><SecretAccessKey>{self.secret}</SecretAccessKey>
<SessionToken>{escape(self.token)}</SessionToken><Expiration>{in_hours(1)}</Expiration></Credentials>
</{operation}Result></{operation}Response>"""


CALLER = """\
<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/admin/x</Arn>
<UserId>x</UserId><Account>123456789012</Account></GetCallerIdentityResult>
</GetCallerIdentityResponse>"""


def sts_error(code: str, message: str) -> str:
    """Return a refusal of STS."""
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    )


class Source:
    """Answers by method and path, or by STS's operation: `answers["GET /x"] = 200, {...}`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []


@contextlib.contextmanager
def credential_source(answers: Mapping[str, Answer]) -> Iterator[Source]:
    """Serve answers for the block."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            action = re.search(r"Action=(\w+)", sent)
            request = f"{self.command} {self.path.partition('?')[0]}"
            request = action[1] if action else request
            source.asked.append(request)
            status, content = source.answers.get(request, (404, ""))
            body = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            if status >= 400 and isinstance(content, dict) and "__type" in content:
                self.send_header("x-amzn-ErrorType", content["__type"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        source = Source(f"http://127.0.0.1:{server.server_port}")
        source.answers.update(answers)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield source
        finally:
            server.shutdown()
            thread.join()
