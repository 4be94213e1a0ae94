"""Ids in answers: equal ones are accepted, others belong to another request."""

from __future__ import annotations

import pytest

from evtransport import MisdirectedResponse
from evtransport.http import check_echo
from evtransport.validation import connector_number


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [("TB-1", "TB-1"), ("TB-1", "tb-1"), ("tb-1", "TB-1"), ("MÜ-É", "mü-é"), ("straße", "STRASSE")],
)
def test_an_id_in_another_case_is_the_same(asked: str, echoed: str) -> None:
    check_echo("id", asked, echoed)


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [("TB-1", "TB-2"), ("TB-1", ""), ("0012", "12"), ("TB-1", "TB-01"), ("TB-1", " TB-1")],
)
def test_another_id_is_another_request(asked: str, echoed: str) -> None:
    with pytest.raises(MisdirectedResponse, match=f"asked for id '{asked}', got '{echoed}'"):
        check_echo("id", asked, echoed)


def test_a_very_long_id_is_quoted_in_part() -> None:
    with pytest.raises(MisdirectedResponse) as caught:
        check_echo("id", "TB-1", "x" * 10**6)

    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("connector_id", "number"),
    [
        ("1", "1"),
        ("01", "1"),
        ("0010", "10"),
        ("0", "0"),
        ("000", "0"),
        ("A01", "A01"),
        ("-01", "-01"),
        ("", ""),
    ],
)
def test_leading_zeros_of_a_connector_number_do_not_count(connector_id: str, number: str) -> None:
    assert connector_number(connector_id) == number
