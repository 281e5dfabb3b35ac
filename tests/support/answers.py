"""An `Aws` whose answers stand in a table: for tests of what is made of each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from provision.aws.account import Aws, make_session
from tests.support.names import ACCOUNT, REGION

# By service and operation (`"rds.describe_db_instances"`): what is answered to each call, what is
# raised, or what returns the one or the other for the parameters of the call.
Answers = Mapping[str, Any]
CALLER: Answers = {
    "sts.get_caller_identity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"}
}


def refusal(code: str, operation: str = "Call") -> ClientError:
    """Return the exception of a call that AWS refused."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def to(answer: Any, **wanted: Any) -> Callable[..., Any]:
    """Return what answers a call with just these parameters, and fails for others."""

    def answered(**given: Any) -> Any:
        assert given == wanted
        return answer

    return answered


@cache
def session() -> Any:
    """Return one session for all: it takes a while to make, and nothing is changed in it."""
    return make_session(None, REGION)


class AnsweringAws(Aws):
    """Sends nothing. What the table does not have is answered with nothing in it.

    `asked` are the calls so far, in their order, each with its parameters.
    """

    def __init__(self, environment: str, answers: Answers) -> None:
        super().__init__(session(), environment=environment)
        self._answers = {**CALLER, **answers}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def client(self, service: str) -> Any:
        """Return a client that answers from the table."""
        return _Client(service, self._answers, self.asked)

    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the calls so far that change something."""
        reads = ("describe_", "filter_", "get_", "list_")
        return [
            (call, given)
            for call, given in self.asked
            if not call.partition(".")[2].startswith(reads)
        ]


class _Client:
    def __init__(self, service: str, answers: Answers, asked: list[Any]) -> None:
        self._service, self._answers, self._asked = service, answers, asked

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**given: Any) -> Any:
            name = f"{self._service}.{operation}"
            self._asked.append((name, given))
            answer = self._answers.get(name, {})
            answer = answer(**given) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def can_paginate(self, _operation: str) -> bool:
        return True

    def get_paginator(self, operation: str) -> _Paginator:
        return _Paginator(getattr(self, operation))


class _Paginator:
    """All that is asked of botocore's: one result of all pages."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(self, **given: Any) -> _Paginator:
        self._given = given
        return self

    def build_full_result(self) -> Any:
        return self._call(**self._given)
