"""A measurement in words: each value measured, or unknown and why."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from depotclient.probe import Advice, Measurement
from depotclient.probe.words import describe_measurement, describe_setting
from depotclient.profile import Profile
from evtransport.measurements import Line
from tests.support.probing import COMPLETE

LINES = """\
Credentials          client id and secret
Token lifetime       3,600 s
Smallest limit       1
Smaller limits       raised to the smallest limit
Largest limit        2,000
Larger limits        status 400
Limits such as 11    honoured
Order of reports     descending by start
Page number          honoured
Page after the last  null instead of a list
Page 0               status 422
Windows select by    any overlap with a session
Time equal to from   in the window
Time equal to to     outside of the window
Ids in responses     in upper case
Missing fields       deviceStatus[].errorCodes 12.5%
                     ocppStatus[].value < 0.1%
Null fields          vehicleId 100.0%
Unknown fields       phase1Voltage 50.0%
Unknown enum values  none
Compression          gzip
Latency              41.5 ms
Time of a page       0.050 s for 1 report
                     1.250 s for 10 reports
Speed                2.50 MB/s
Size of a report     208.0 kB (median)
Longest session      at most 5 h
"""


def test_a_complete_measurement_has_a_line_for_each_value() -> None:
    lines = list(describe_measurement(Measurement(COMPLETE, {}, 30)))
    assert "".join(f"{line.title:21}{line.text}\n" for line in lines) == LINES
    assert {line.result for line in lines} == {"measured", ""}
    assert len([line for line in lines if line.title]) == len(attrs.fields(Profile))


def test_an_unknown_value_is_explained() -> None:
    reasons = dict.fromkeys(attrs.fields_dict(Profile), "no session in the window")
    lines = list(describe_measurement(Measurement(Profile(), reasons, 3)))
    assert lines[0] == Line("Credentials", "unknown", "no session in the window")
    assert {line.result for line in lines} == {"unknown"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (True, "yes"),
        (False, "no"),
        (2000, "2,000"),
        (timedelta(), "0 h"),
        (timedelta(hours=10), "10 h"),
        (timedelta(days=3), "3 d"),
    ],
)
def test_a_setting_is_a_short_text(value: int | timedelta | None, text: str) -> None:
    assert describe_setting(Advice(value, "")) == text
