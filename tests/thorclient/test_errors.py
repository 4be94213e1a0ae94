"""Documented errors of the Thor API and their classes."""

from __future__ import annotations

import pytest

import thorclient
from evtransport.http import Response, raise_for_status
from thorclient import (
    APIKeyNotFound,
    AuthError,
    ChargeboxNotFound,
    InternalServerError,
    InvalidSourceIPAddr,
    NotFoundError,
    RestAPINotEnabled,
    ServerError,
    StatusError,
)
from thorclient.errors import ERROR_NAMES


@pytest.mark.parametrize(
    ("status", "kind", "parent"),
    [
        (403, APIKeyNotFound, AuthError),
        (403, RestAPINotEnabled, AuthError),
        (403, InvalidSourceIPAddr, AuthError),
        (404, ChargeboxNotFound, NotFoundError),
        (500, InternalServerError, ServerError),
    ],
)
def test_a_documented_error_is_a_class_of_its_own_below_the_class_of_its_status(
    status: int, kind: type[StatusError], parent: type[StatusError]
) -> None:
    body = f'{{"message": "{kind.__name__}"}}'.encode()

    with pytest.raises(parent) as caught:
        raise_for_status(Response(status, {}, body), ERROR_NAMES, now=0)

    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, kind.__name__)


def test_all_documented_errors_are_public() -> None:
    assert len(ERROR_NAMES) == 5
    assert set(ERROR_NAMES) <= set(thorclient.__all__)
