"""Responses of a probe: the page split into reports, and the ids that it echoes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
import msgspec

from depotclient.keys import compute_digest, compute_session_key, read_session_id
from depotclient.pages import MAX_REPORTS, Envelope, check_echoed_ids, decode_envelope
from depotclient.probe.experiment import SeenReport
from depotclient.probe.fields import FieldCounts
from depotclient.profile import Echo
from depotclient.sessions import Session
from evtransport.errors import SchemaError
from evtransport.measurements import Finding, compare_letters
from evtransport.pauses import Pauses

__all__ = ["ProbedPage", "ReportReader", "find_echo", "split_probed_page"]


class _ProbedEnvelope(Envelope, kw_only=True):
    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET


_DECODER: Final = msgspec.json.Decoder(_ProbedEnvelope)


@attrs.frozen
class ProbedPage:
    """Response of a probe.

    Attributes:
        items: JSON texts of the reports. None if they are null, UNSET if they are missing.
        echo: How the response names the connector.
    """

    items: list[msgspec.Raw] | msgspec.UnsetType | None
    echo: Finding[Echo]


def split_probed_page(charger_id: str, connector_id: str, body: bytes) -> ProbedPage:
    """Split a response into its reports. Unlike a walk, accept a page without a list.

    Raises:
        DecodeError: The response is not JSON in UTF-8.
        SchemaError: It is not an object of the documented shape, or has too many reports.
        MisdirectedResponse: It belongs to another connector.
    """
    envelope, _ = decode_envelope(body, _DECODER)
    if isinstance(envelope.items, list) and len(envelope.items) > MAX_REPORTS:
        raise SchemaError((f"$.items: more than {MAX_REPORTS:,} reports",))
    pairs = check_echoed_ids(charger_id, connector_id, envelope)
    return ProbedPage(envelope.items, _find_form(pairs))


def _find_form(pairs: list[tuple[str, str]]) -> Finding[Echo]:
    """Return the form of the echoed ids. A pair is an id as sent and as echoed."""
    match len(pairs):
        case 0:
            return Finding("absent")
        case 1:
            return Finding.unknown("one of the two ids is absent")
    found = compare_letters(pairs)
    return Finding(found.value, found.reason)


def find_echo(echoes: Iterable[Finding[Echo]]) -> Finding[Echo]:
    """Return how the responses name the connector."""
    forms = set(echoes)
    if len(forms) == 1:
        return forms.pop()
    return Finding.unknown("the ids differ from response to response" if forms else "no response")


@attrs.define(eq=False)
class ReportReader:
    """Reader of reports, which counts the fields of each report once.

    Attributes:
        counts: Counts of the fields.
        reports: All different reports.
    """

    counts: FieldCounts = attrs.field(factory=FieldCounts)
    reports: dict[bytes, SeenReport] = attrs.field(factory=dict[bytes, SeenReport], init=False)

    async def read(self, items: Iterable[msgspec.Raw]) -> tuple[SeenReport, ...]:
        """Return the reports of a page, with pauses for the event loop."""
        pauses, seen = Pauses(), list[SeenReport]()
        for item in items:
            text = bytes(item)
            digest = compute_digest(text)
            if digest not in self.reports:
                self.reports[digest] = _read_report(item, text, digest)
                await self.counts.add(text)
            seen.append(self.reports[digest])
            await pauses.pause_if_needed()
        return tuple(seen)


def _read_report(item: msgspec.Raw, text: bytes, digest: bytes) -> SeenReport:
    session_id = read_session_id(text)
    session = Session.read(item, session_id, compute_session_key(session_id, text))
    return SeenReport(session.key, digest, session.start, session.end, len(text))
