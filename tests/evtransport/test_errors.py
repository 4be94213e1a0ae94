"""The error tree: what catches what, and what an error still knows after a journey."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from evtransport import (
    ApiError,
    AuthError,
    ConnectionFailed,
    Cursor,
    DeadlineExceeded,
    DecodeError,
    MisdirectedResponse,
    NotFoundError,
    PaginationError,
    RateLimitedError,
    RedirectError,
    ResponseError,
    ResponseTooLarge,
    SchemaError,
    ServerError,
    StatusError,
    TransportError,
    errors,
)
from thorclient import (
    APIKeyNotFound,
    ChargeboxNotFound,
    InternalServerError,
    InvalidSourceIPAddr,
    RestAPINotEnabled,
)

PARENTS: dict[type[ApiError], type[Exception]] = {
    ApiError: Exception,
    TransportError: ApiError,
    ConnectionFailed: TransportError,
    DeadlineExceeded: TransportError,
    StatusError: ApiError,
    RedirectError: StatusError,
    AuthError: StatusError,
    NotFoundError: StatusError,
    RateLimitedError: StatusError,
    ServerError: StatusError,
    ResponseError: ApiError,
    DecodeError: ResponseError,
    SchemaError: ResponseError,
    MisdirectedResponse: ResponseError,
    ResponseTooLarge: ResponseError,
    PaginationError: ApiError,
    APIKeyNotFound: AuthError,
    RestAPINotEnabled: AuthError,
    InvalidSourceIPAddr: AuthError,
    ChargeboxNotFound: NotFoundError,
    InternalServerError: ServerError,
}

JOURNEYS: dict[str, Callable[[ApiError], ApiError]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda error, protocol=protocol: pickle.loads(  # type: ignore[misc]  # noqa: S301
            pickle.dumps(error, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


def example(kind: type[ApiError]) -> ApiError:
    """One of the class, with everything in it that it can hold."""
    error: ApiError
    if issubclass(kind, StatusError):
        error = kind("no", status=418, code="Teapot", body=b"short, stout", retry_after=1.5)
    elif issubclass(kind, SchemaError):
        error = kind(("$.a: expected int, got str", "$.b: required field missing"))
    else:
        error = kind("no")
    error.attempts = 3
    error.cursor = Cursor(query={"chargerId": "c"}, limit=10, recent=(1, 2))
    error.add_note("asked for with limit=10")
    return error


@pytest.mark.parametrize(("child", "parent"), PARENTS.items(), ids=lambda kind: kind.__name__)
def test_each_error_stands_where_the_design_puts_it(
    child: type[ApiError], parent: type[Exception]
) -> None:
    assert child.__bases__ == (parent,)


def test_the_tree_holds_every_class_of_its_module_and_no_other() -> None:
    here = {kind.__name__ for kind in PARENTS if kind.__module__ == errors.__name__}

    assert here == set(errors.__all__)


@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_no_error_is_a_value_error_since_those_are_wrong_arguments(kind: type[ApiError]) -> None:
    assert not issubclass(kind, ValueError)


@pytest.mark.parametrize("journey", JOURNEYS.values(), ids=JOURNEYS.keys())
@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_an_error_keeps_all_it_knows_on_the_way_through(
    kind: type[ApiError], journey: Callable[[ApiError], ApiError]
) -> None:
    error = example(kind)

    arrived = journey(error)

    assert type(arrived) is kind
    assert arrived is not error
    assert (str(arrived), arrived.args) == (str(error), error.args)
    assert vars(arrived) == vars(error)
    assert arrived.__notes__ == ["asked for with limit=10"]


def test_a_copy_of_an_error_can_be_given_another_cursor() -> None:
    error = example(ServerError)

    copied = copy.copy(error)
    copied.cursor = None

    assert error.cursor is not None


def test_an_error_outside_a_walk_has_no_cursor_and_no_attempts() -> None:
    assert (ApiError("no").attempts, ApiError("no").cursor) == (0, None)


def test_a_status_error_knows_at_least_its_status() -> None:
    error = StatusError("the server answered 418", status=418)

    assert str(error) == "the server answered 418"
    assert (error.status, error.code, error.body, error.retry_after) == (418, None, b"", None)


def test_a_schema_error_says_its_first_problem_and_counts_the_others() -> None:
    assert str(SchemaError(("$.a: bad",))) == "$.a: bad"
    assert str(SchemaError(("$.a: bad", "$.b: bad", "$.c: bad"))) == "$.a: bad (and 2 more)"
