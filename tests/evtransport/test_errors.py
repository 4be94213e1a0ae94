"""Error tree: parents, copies and pickles, and the texts of a `SchemaError`."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import thorclient
from evtransport import ApiError, Cursor, SchemaError, StatusError, errors

PARENTS: dict[type[ApiError], type[Exception]] = {
    errors.ApiError: Exception,
    errors.TransportError: errors.ApiError,
    errors.ConnectionFailed: errors.TransportError,
    errors.DeadlineExceeded: errors.TransportError,
    errors.StatusError: errors.ApiError,
    errors.RedirectError: errors.StatusError,
    errors.AuthError: errors.StatusError,
    errors.NotFoundError: errors.StatusError,
    errors.RateLimitedError: errors.StatusError,
    errors.ServerError: errors.StatusError,
    errors.ResponseError: errors.ApiError,
    errors.DecodeError: errors.ResponseError,
    errors.SchemaError: errors.ResponseError,
    errors.MisdirectedResponse: errors.ResponseError,
    errors.ResponseTooLarge: errors.ResponseError,
    errors.PaginationError: errors.ApiError,
    thorclient.APIKeyNotFound: errors.AuthError,
    thorclient.RestAPINotEnabled: errors.AuthError,
    thorclient.InvalidSourceIPAddr: errors.AuthError,
    thorclient.ChargeboxNotFound: errors.NotFoundError,
    thorclient.InternalServerError: errors.ServerError,
}


def example(kind: type[ApiError]) -> ApiError:
    """Return an error of a class with all attributes set."""
    error: ApiError
    if issubclass(kind, StatusError):
        error = kind("no", status=418, code="Teapot", body=b"short, stout", retry_after=1.5)
    elif issubclass(kind, SchemaError):
        error = kind(("$.a: expected int, got str", "$.b: required field missing"))
    else:
        error = kind("no")
    error.method, error.path, error.label = "GET", "r/1", "GET r/1"
    error.context = {"id": "1"}
    error.attempts, error.elapsed = 3, 4.06
    error.source, error.hint = "the token URL", "check token (TOKEN)"
    error.cursor = Cursor(query={"chargerId": "c"}, limit=10, recent=(1, 2))
    error.add_note("requested with limit=10")
    return error


def test_each_error_has_the_designed_parent() -> None:
    assert {kind: kind.__bases__ for kind in PARENTS} == {
        kind: (parent,) for kind, parent in PARENTS.items()
    }
    here = {kind.__name__ for kind in PARENTS if kind.__module__ == errors.__name__}
    assert here == set(errors.__all__)


@pytest.mark.parametrize(
    "transfer",
    [
        copy.copy,
        copy.deepcopy,
        lambda error: pickle.loads(pickle.dumps(error, 2)),  # noqa: S301
        lambda error: pickle.loads(pickle.dumps(error)),  # noqa: S301
    ],
)
@pytest.mark.parametrize("kind", PARENTS, ids=lambda kind: kind.__name__)
def test_copies_and_pickles_keep_all_attributes(
    kind: type[ApiError], transfer: Callable[[ApiError], ApiError]
) -> None:
    error = example(kind)

    received = transfer(error)

    assert type(received) is kind
    assert received is not error
    assert (str(received), received.args) == (str(error), error.args)
    assert vars(received) == vars(error)
    assert received.__notes__ == ["requested with limit=10"]
    received.cursor = None
    assert error.cursor is not None


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({}, "503 Service Unavailable"),
        ({"label": "GET r/1"}, "GET r/1: 503 Service Unavailable"),
        (
            {"label": "GET r/1", "attempts": 3, "elapsed": 4.06},
            "GET r/1: 503 Service Unavailable (3 attempts, 4.1 s)",
        ),
        (
            {"source": "the token URL", "hint": "check token (TOKEN)", "attempts": 1},
            "the token URL: 503 Service Unavailable; check token (TOKEN) (1 attempt, 0.0 s)",
        ),
    ],
)
def test_the_text_names_the_request_the_reason_and_the_cost(
    attributes: dict[str, Any], text: str
) -> None:
    error = ApiError("503 Service Unavailable")
    assert (error.method, error.path, error.context) == ("", "", {})
    for name, value in attributes.items():
        setattr(error, name, value)

    assert str(error) == text
    assert error.reason == error.args[0] == "503 Service Unavailable"


@pytest.mark.parametrize(
    ("count", "complete", "text", "last"),
    [
        (1, True, "$.0: bad", "$.0: bad"),
        (3, True, "$.0: bad (and 2 more)", "$.2: bad"),
        (1_101, True, "$.0: bad (and 1,100 more)", "and 1,001 more"),
        (1, False, "$.0: bad (and perhaps more)", "and perhaps more"),
        (101, False, "$.0: bad (and more)", "and more"),
    ],
)
def test_a_schema_error_names_100_problems_and_counts_the_others(
    count: int, complete: bool, text: str, last: str
) -> None:
    error = SchemaError([f"$.{index}: bad" for index in range(count)], complete=complete)

    assert str(error) == text
    assert error.problems[-1] == last
    assert len(error.problems) <= 101


def test_the_names_and_values_of_the_context_are_redacted() -> None:
    error = ApiError("reset")
    error.context = {"t0k3n": "1", "key": "t0k3n"}

    error.redact(lambda text: text.replace("t0k3n", "***"))

    assert error.context == {"***": "1", "key": "***"}


def test_the_problems_of_a_schema_error_are_redacted() -> None:
    error = SchemaError(["$.a: got t0k3n", "$.b: got t0k3n"])

    error.redact(lambda text: text.replace("t0k3n", "***"))

    assert str(error) == "$.a: got *** (and 1 more)"
    assert error.problems == ("$.a: got ***", "$.b: got ***")
