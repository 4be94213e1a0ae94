"""Findings that the probes of both APIs share."""

from __future__ import annotations

import pytest

from evtransport.probing import find_compression


@pytest.mark.parametrize(
    ("responses", "value", "reason"),
    [
        ([(60, ""), (2_000_000, "gzip")], "gzip", ""),
        ([(60, "gzip"), (4096, "")], "identity", ""),
        ([], None, "no response"),
        # Many servers leave small responses as they are.
        ([(60, "")], None, "no large response"),
        ([(60, "identity")], None, "no large response"),
        ([(60, "br")], None, "the responses have another encoding"),
    ],
)
def test_the_compression_is_that_of_the_largest_response(
    responses: list[tuple[int, str]], value: str | None, reason: str
) -> None:
    finding = find_compression(responses)
    assert (finding.value, finding.reason) == (value, reason)
