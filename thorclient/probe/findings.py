"""Profile of an account from the responses to a probe, without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final, get_args

import attrs
import msgspec

from evtransport.measurements import Finding, compare_letters, separate
from evtransport.probing import find_compression
from evtransport.retry import RETRYABLE_STATUSES
from evtransport.telemetry import Attempt
from thorclient.errors import ERROR_NAMES
from thorclient.probe.fields import FieldCounts, JsonObject, is_known
from thorclient.profile import Echo, ElementType, ErrorShape, Profile

__all__ = ["Evidence", "Measurement", "Refusal", "find_error_shape", "summarize"]

_NAME: Final = re.compile("|".join(ERROR_NAMES))
_TYPES: Final[Mapping[type, ElementType]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
    type(None): "null",
}


@attrs.frozen
class Measurement:
    """Result of a probe.

    Attributes:
        profile: Profile of the account. None stands for unknown values.
        reasons: Why a value is unknown, by its name in `Profile`.
        requests: Number of requests sent, with retries.
        chargeboxes: Number of chargeboxes whose fields were counted.
        analytics: Number of analytics whose fields were counted.

    Example:
        >>> from thorclient.probe import measure
        >>> async with ThorClient.from_env() as thor:
        ...     measurement = await measure(thor, "TB-0001")
        >>> measurement.profile.case_sensitive, measurement.chargeboxes
        (True, 20)
    """

    profile: Profile
    reasons: Mapping[str, str]
    requests: int
    chargeboxes: int
    analytics: int


@attrs.frozen
class Refusal:
    """Error response of the API."""

    status: int
    body: bytes


@attrs.frozen(kw_only=True)
class Evidence:
    """Everything that the responses of a probe show.

    Attributes:
        requested_id: Id of the chargebox.
        box: The chargebox.
        everything: List with `onlyactive=false`.
        active: List with `onlyactive=true`.
        unknown_box: Response of "Get chargebox" for an id that does not exist.
        unknown_analytics: Response of "Get analytics" for an id that does not exist.
        other_case: Response of "Get chargebox" for an existing id in other letters. True if there
            was a chargebox.
        counts: Counts of the fields.
        attempts: Requests sent.
    """

    requested_id: str
    box: JsonObject
    everything: Finding[Sequence[JsonObject]]
    active: Finding[Sequence[JsonObject]]
    unknown_box: Finding[Refusal]
    unknown_analytics: Finding[Refusal]
    other_case: Finding[Refusal | bool]
    counts: FieldCounts
    attempts: Sequence[Attempt]


def summarize(evidence: Evidence) -> Measurement:
    """Return the profile, and the reasons for what is unknown."""
    counts, boxes = evidence.counts, evidence.everything.value or [evidence.box]
    complete = [each for each in evidence.attempts if each.status == 200 and not each.error]
    found: dict[str, Finding[Any]] = {
        "analytics_not_found": _find_status(evidence.unknown_analytics),
        "chargebox_not_found": _find_status(evidence.unknown_box),
        "error_shape": _find_common_shape(evidence.unknown_analytics, evidence.unknown_box),
        "case_sensitive": _find_case_sensitive(evidence.other_case, evidence.unknown_box),
        "echo": _find_echo(evidence.requested_id, evidence.box),
        **counts.findings("" if counts.documents["analytics"] else "no analytics could be read"),
        "occupied_type": _find_occupied_type(boxes),
        "filters_active": _find_filters_active(evidence.everything, evidence.active),
        "compression": find_compression((each.body_bytes, each.encoding) for each in complete),
        "latency": Finding(round(median(each.elapsed for each in complete), 4)),
    }
    values, reasons = separate(found)
    return Measurement(
        Profile(**values),
        reasons,
        requests=len(evidence.attempts),
        chargeboxes=counts.documents["chargebox"],
        analytics=counts.documents["analytics"],
    )


def _find_status(refusal: Finding[Refusal]) -> Finding[int]:
    if refusal.value is None:
        return Finding.unknown(refusal.reason)
    status, body = refusal.value.status, refusal.value.body
    if not 400 <= status < 600 or status == 401:  # 401: the key was revoked.
        return Finding.unknown(f"the response has status {status}")
    if status in RETRYABLE_STATUSES and b"ChargeboxNotFound" not in body:
        return Finding.unknown(f"the server failed: status {status}")
    return Finding(status)


def _find_common_shape(*refusals: Finding[Refusal]) -> Finding[ErrorShape]:
    """Return the place of an error's name, if all responses have it there."""
    found = [
        find_error_shape(refusal.value.body)
        if refusal.value is not None and _find_status(refusal).value is not None
        else Finding[ErrorShape].unknown(_find_status(refusal).reason)
        for refusal in refusals
    ]
    if len({finding.value for finding in found}) > 1 and all(each.value for each in found):
        return Finding.unknown("the errors of the two calls differ")
    return next((finding for finding in found if finding.value is None), found[0])


def find_error_shape(body: bytes) -> Finding[ErrorShape]:
    """Return the place of a documented error name in the body of an error.

    Example:
        >>> find_error_shape(b'{"error": {"message": "ChargeboxNotFound"}}').value
        'error.message'
    """
    text = body.decode(errors="replace")
    if not _NAME.search(text):
        return Finding("none")
    try:
        content = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Finding("text")
    if isinstance(content, str):
        return Finding("string")
    paths: tuple[ErrorShape, ...] = get_args(ErrorShape)
    for path in paths:
        value = _value_at(content, path)
        if isinstance(value, str) and _NAME.search(value):
            return Finding(path)
    return Finding.unknown("the name is in another place of the JSON body")


def _value_at(content: object, path: str) -> object:
    for name in path.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _find_case_sensitive(
    other_case: Finding[Refusal | bool], unknown_box: Finding[Refusal]
) -> Finding[bool]:
    response, not_found = other_case.value, _find_status(unknown_box)
    if response is None or not_found.value is None:
        return Finding.unknown(other_case.reason or not_found.reason)
    if not isinstance(response, Refusal):
        return Finding(False)
    if response.status != not_found.value:
        return Finding.unknown(f"the response has status {response.status}")
    return Finding(True)


def _find_echo(requested: str, box: JsonObject) -> Finding[Echo]:
    match echoed := box.get("id"):
        case None if is_known("chargebox", box):
            return Finding("absent")
        case None:
            return Finding.unknown("the response is no chargebox")
        case str() if echoed.casefold() == requested.casefold():
            found = compare_letters([(requested, echoed)])
            return Finding(found.value, found.reason)
    return Finding.unknown("the response has another id")


def _find_occupied_type(boxes: Iterable[JsonObject]) -> Finding[ElementType]:
    found = set[ElementType]()
    for box in boxes:
        for name in ("occupied_connectors", "reserved_connectors"):
            elements = box.get(name)
            if isinstance(elements, list):
                found.update(_TYPES[type(element)] for element in elements)
    if len(found) > 1:
        return Finding.unknown(f"several types: {', '.join(sorted(found))}")
    if not found:
        return Finding.unknown("no connector is occupied or reserved")
    return Finding(found.pop())


def _find_filters_active(
    everything: Finding[Sequence[JsonObject]], active: Finding[Sequence[JsonObject]]
) -> Finding[bool]:
    if everything.value is None or active.value is None:
        return Finding.unknown(everything.reason or active.reason)
    if not any(box.get("active") is False for box in everything.value):
        return Finding.unknown("no chargebox is inactive, or the server never lists it")
    return Finding(not any(box.get("active") is False for box in active.value))
