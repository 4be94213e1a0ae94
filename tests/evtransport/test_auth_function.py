"""Tokens from the caller's function: when it is called, and which errors its callers get."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from traceback import extract_tb

import pytest

from evtransport import AuthError
from evtransport.auth import TokenFunction
from evtransport.http import Response
from tests.support.error_dump import chain_of, dump_error
from tests.support.tokens import SECRET, Clock, TokenServer, header
from tests.support.waiting import iterate_loop

FORBIDDEN = Response(403, {}, b'{"message": "Forbidden"}')


class Vault:
    """Async function that returns or raises its results in order."""

    def __init__(self, *results: object) -> None:
        self.results = list(results)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        await asyncio.sleep(0)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result from LookupError("no lease")
        return result  # type: ignore[return-value]


async def test_a_function_is_called_on_first_use_and_after_the_api_rejected_its_token(
    clock: Clock,
) -> None:
    vault, server = Vault("t0k3n-1", "t0k3n-2", "t0k3n-3"), TokenServer()
    auth = TokenFunction(vault, clock=clock)
    assert (auth.secrets, vault.calls) == ((), 0)
    assert "Vault" not in repr(auth)

    headers = await asyncio.gather(*(header(auth, server) for _ in range(5)))
    assert (headers, vault.calls) == (["Bearer t0k3n-1"] * 5, 1)
    credential = await auth.get_credential(server)
    assert auth.secrets == (credential.secret,)

    assert auth.invalidate(credential)
    credential = await auth.get_credential(server)
    assert not await auth.renew_forbidden(credential, FORBIDDEN, server)
    clock.now += 60
    assert await auth.renew_forbidden(credential, FORBIDDEN, server)
    assert (await header(auth, server), vault.calls) == ("Bearer t0k3n-3", 3)


async def test_an_api_error_of_the_function_is_shared_by_all_waiting_calls() -> None:
    vault = Vault(AuthError("sealed", status=403, body=b"t0k3n"), "t0k3n")
    auth, server = TokenFunction(vault), TokenServer()

    errors = await asyncio.gather(*(header(auth, server) for _ in range(5)), return_exceptions=True)

    assert [str(error) for error in errors] == ["the token function: sealed"] * 5
    assert "t0k3n" not in dump_error(errors[0])  # type: ignore[arg-type]
    assert (await header(auth, server), vault.calls) == ("Bearer t0k3n", 2)


async def test_another_error_of_the_function_passes_without_the_functions_frames() -> None:
    original = RuntimeError("sealed")
    auth = TokenFunction(Vault(original))

    with pytest.raises(RuntimeError) as caught:
        await header(auth, TokenServer())

    assert caught.value is original
    assert original.__notes__ == ["raised by the function that was passed as token"]
    frames = [frame.name for link in chain_of(original) for frame in extract_tb(link.__traceback__)]
    assert "_fetch" in frames
    assert "__call__" not in frames


async def raise_in_a_group() -> str:
    async def read_lease() -> None:
        lease = SECRET
        raise LookupError(f"no lease of {len(lease)} characters")

    async with asyncio.TaskGroup() as group:
        group.create_task(read_lease())
    return ""


async def raise_from_itself() -> str:
    lease = SECRET
    error = LookupError(f"no lease of {len(lease)} characters")
    raise error from error


async def raise_with_a_cause_and_a_context() -> str:
    async def read_lease() -> None:
        lease = SECRET
        raise LookupError(f"no lease of {len(lease)} characters")

    try:
        await read_lease()
    except LookupError:
        raise RuntimeError("sealed") from OSError("timed out")
    return ""


@pytest.mark.parametrize(
    "function", [raise_in_a_group, raise_from_itself, raise_with_a_cause_and_a_context]
)
async def test_no_error_of_a_chain_or_a_group_keeps_the_functions_frames(
    function: Callable[[], Awaitable[str]],
) -> None:
    with pytest.raises((ExceptionGroup, LookupError, RuntimeError)) as caught:
        await header(TokenFunction(function), TokenServer())

    links = chain_of(caught.value)
    names = [frame.name for link in links for frame in extract_tb(link.__traceback__)]
    assert not {"read_lease", function.__name__} & {*names}


async def test_a_cancellation_of_the_function_passes(clock: Clock) -> None:
    auth, server = TokenFunction(asyncio.Event().wait, clock=clock), TokenServer()  # type: ignore[arg-type]
    call = asyncio.create_task(header(auth, server))
    await iterate_loop(2)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "must be a string, not NoneType"),
        (SECRET.encode(), "must be a string, not bytes"),
        ("", "must not be empty"),
        (f"{SECRET}\n", "must not contain control characters"),
    ],
)
async def test_a_result_that_is_not_a_token_is_an_error_that_hides_the_result(
    result: object, message: str
) -> None:
    auth = TokenFunction(Vault(result))

    with pytest.raises(ValueError, match=f"the function that was passed as token {message}") as bad:
        await header(auth, TokenServer())

    assert SECRET not in dump_error(bad.value)
