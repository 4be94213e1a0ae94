"""Documented errors of the Thor API: their causes in the sandbox, and their classes."""

from __future__ import annotations

from typing import Any

import pytest

import thorclient
from thorclient import AuthError, NotFoundError, ServerError, StatusError, ThorClient
from thorclient.errors import ERROR_NAMES
from thorclient.sandbox import ThorSandbox


@pytest.mark.parametrize(
    ("settings", "key", "name", "parent", "status"),
    [
        ({}, "wrong", "APIKeyNotFound", AuthError, 403),
        ({"enabled": False}, None, "RestAPINotEnabled", AuthError, 403),
        ({"allowed_address": "192.0.2.1"}, None, "InvalidSourceIPAddr", AuthError, 403),
        ({"chargeboxes": ["other"]}, None, "ChargeboxNotFound", NotFoundError, 404),
        ({"broken": ["TB-0001"]}, None, "InternalServerError", ServerError, 500),
    ],
)
async def test_a_documented_error_is_a_class_of_its_own_below_the_class_of_its_status(
    settings: dict[str, Any],
    key: str | None,
    name: str,
    parent: type[StatusError],
    status: int,
) -> None:
    async with (
        ThorSandbox(**settings) as sandbox,
        ThorClient(api_key=key or sandbox.api_key, base_url=sandbox.base_url) as thor,
    ):
        with pytest.raises(parent) as caught:
            await thor.get_analytics("TB-0001")

    assert type(caught.value) is ERROR_NAMES[name] is getattr(thorclient, name)
    assert (caught.value.status, caught.value.code) == (status, name)


async def test_the_sandbox_serves_the_allowed_address_and_chargeboxes_that_do_not_fail() -> None:
    async with (
        ThorSandbox(allowed_address="127.0.0.1", broken=["TB-0002"]) as sandbox,
        ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor,
    ):
        await thor.get_analytics("TB-0001")
