"""Ids that an answer repeats from its request."""

from __future__ import annotations

from evtransport.errors import MisdirectedResponse
from evtransport.http import one_line

__all__ = ["check_echo", "connector_number"]


def connector_number(connector_id: str) -> str:
    """Return a connector id without leading zeros: `01` and `1` are one connector."""
    is_number = connector_id.isascii() and connector_id.isdecimal()
    return (connector_id.lstrip("0") or "0") if is_number else connector_id


def check_echo(name: str, asked: str, echoed: str) -> None:
    """Check that an answer belongs to a request. The case of letters does not matter.

    Args:
        name: Name of the id in the answer.
        asked: The id in the request.
        echoed: The id in the answer.

    Raises:
        MisdirectedResponse: The ids differ.
    """
    if echoed.casefold() != asked.casefold():
        difference = f"asked for {name} {asked!r}, got {one_line(repr(echoed))}"
        raise MisdirectedResponse(f"the answer belongs to another request: {difference}")
