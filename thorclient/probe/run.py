"""Requests of a probe, through a client."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import attrs
import msgspec

from evtransport.errors import ApiError, StatusError
from evtransport.measurements import Finding
from evtransport.pauses import Pauses
from evtransport.probing import MAX_ATTEMPTS, MAX_REQUESTS, ProbeTelemetry
from evtransport.query import encode_query
from evtransport.validation import encode_segment
from thorclient.client import ThorClient
from thorclient.models import STRUCTURES
from thorclient.probe.fields import FieldCounts, JsonObject
from thorclient.probe.findings import Evidence, Measurement, Refusal, summarize
from thorclient.profile import Profile
from thorclient.selection import Selection

__all__ = ["measure", "probe"]

T = TypeVar("T")

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_structure_object = STRUCTURES.of(_OBJECT.decode)


@attrs.define(eq=False)
class _Prober:
    """Sender of the requests of one probe."""

    thor: ThorClient
    telemetry: ProbeTelemetry

    def client(self) -> ThorClient:
        """Return a client that sends at most as many requests as remain."""
        own = self.thor._transport.retry
        attempts = min(own.attempts, MAX_ATTEMPTS, MAX_REQUESTS - len(self.telemetry.attempts))
        retry = attrs.evolve(own, attempts=attempts)
        return self.thor.with_options(retry=retry, telemetry=self.telemetry)

    async def ask(self, call: Callable[[ThorClient], Awaitable[T]]) -> Finding[T | Refusal]:
        """Return the result of a call, its refusal, or why there is neither."""
        if len(self.telemetry.attempts) >= MAX_REQUESTS:
            return Finding.unknown(f"the {MAX_REQUESTS} requests are used up")
        try:
            return Finding(await call(self.client()))
        except StatusError as error:
            return Finding(Refusal(error.status, error.body))
        except ApiError as error:  # Its message may name ids.
            return Finding.unknown(f"the server failed: {type(error).__name__}")

    async def list_boxes(self, *, only_active: bool) -> Finding[Sequence[JsonObject]]:
        """Return the list of chargeboxes, or why there is none."""
        query = encode_query(Selection.validated(only_active, None, None).query())
        found = await self.ask(
            lambda client: client._get_list(("chargeboxes",), query, _structure_object)
        )
        if isinstance(found.value, Refusal):
            return Finding.unknown(f"the list of chargeboxes has status {found.value.status}")
        return Finding(found.value, found.reason)

    async def ask_unknown(self, call: str) -> Finding[Refusal]:
        """Return the error of a call for an id that does not exist."""
        unknown_id = secrets.token_hex(8)
        found = await self.ask(lambda client: client.get(call, unknown_id))
        if found.value is None or isinstance(found.value, Refusal):
            return Finding(found.value, found.reason)
        return Finding.unknown("an id that does not exist has a response with status 200")

    async def ask_other_case(self, ids: Iterable[str]) -> Finding[Refusal | bool]:
        """Return the response for an existing id in other letters. True is a chargebox."""
        others = {name.swapcase() for name in ids} - set(ids)
        if not others:
            return Finding.unknown("no id has letters")
        found = await self.ask(lambda client: client.get("chargeboxes", min(others)))
        if found.value is None or isinstance(found.value, Refusal):
            return Finding(found.value, found.reason)
        return Finding(True)

    async def get_analytics(self, chargebox_id: str) -> Finding[JsonObject | Refusal]:
        """Return the analytics of a chargebox, their refusal, or why there is neither."""
        return await self.ask(
            lambda client: client.get("analytics", chargebox_id, into=_OBJECT.decode)
        )

    async def count_fields(self, boxes: Sequence[JsonObject], ids: Sequence[str]) -> FieldCounts:
        """Count the fields of the chargeboxes, and of as many analytics as requests remain."""
        counts, pauses = FieldCounts(), Pauses()
        for box in boxes:
            counts.add("chargebox", box)
            await pauses.pause_if_needed()
        size = min(len(ids), MAX_REQUESTS - len(self.telemetry.attempts))
        sample = [ids[index * len(ids) // size] for index in range(size)]
        found = [await self.get_analytics(chargebox_id) for chargebox_id in sample]
        for analytics in [each.value for each in found if isinstance(each.value, Mapping)]:
            counts.add("analytics", analytics)
        return counts


async def measure(
    thor: ThorClient,
    chargebox_id: str,
    *,
    on_request: Callable[[int], object] | None = None,
) -> Measurement:
    """Measure how the API of an account behaves, and say why something is unknown.

    Args:
        thor: As in `probe`.
        chargebox_id: As in `probe`.
        on_request: Function that receives the number of each request, from 1, before it is sent.

    The errors are those of `probe`.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     measurement = await measure(thor, "TB-0001")
        >>> measurement.requests <= 40, measurement.chargeboxes
        (True, 20)
    """
    prober = _Prober(thor, ProbeTelemetry(thor._transport.telemetry, on_request))
    box = await prober.client().get("chargeboxes", chargebox_id, into=_OBJECT.decode)
    everything = await prober.list_boxes(only_active=False)
    active = await prober.list_boxes(only_active=True)
    boxes = everything.value or active.value or [box]
    ids = list(dict.fromkeys([*_usable_ids(boxes), chargebox_id]))
    return summarize(
        Evidence(
            requested_id=chargebox_id,
            box=box,
            everything=everything,
            active=active,
            unknown_box=await prober.ask_unknown("chargeboxes"),
            unknown_analytics=await prober.ask_unknown("analytics"),
            other_case=await prober.ask_other_case(ids),
            counts=await prober.count_fields(boxes, ids),
            attempts=prober.telemetry.attempts,
        )
    )


def _usable_ids(boxes: Iterable[JsonObject]) -> Iterator[str]:
    """Yield the ids that can be part of a path."""
    for box in boxes:
        with suppress(ValueError):
            encode_segment("id", chargebox_id := box.get("id"))
            yield str(chargebox_id)


async def probe(thor: ThorClient, chargebox_id: str) -> Profile:
    """Measure how the API of an account behaves where the vendor documents nothing.

    A probe sends at most 40 GET requests. They pass through the client, with its limiter. A failed
    request is sent up to three times. A value stays unknown if its request still fails, or if no
    chargebox shows it: for example, without an inactive chargebox, `filters_active` is unknown.

    Args:
        thor: Client of the account.
        chargebox_id: Id of a chargebox. The list of all chargeboxes and the analytics of some show
            which fields may be missing.

    Returns:
        The profile, in which None stands for unknown. Use `measure` for the reasons.

    Raises:
        ValueError: The id is invalid.
        ChargeboxNotFound: No chargebox has this id.
        AuthError: The API rejected the key.
        ApiError: The chargebox could not be read.

    The vendor documents none of this (Thor: "Get analytics", "Get chargebox", "Get chargeboxes").

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     profile = await probe(thor, "TB-0001")
        >>> profile.error_shape, profile.case_sensitive, profile.occupied_type
        ('message', True, 'integer')
    """
    return (await measure(thor, chargebox_id)).profile
