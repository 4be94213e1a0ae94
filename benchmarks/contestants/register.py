"""Finds a contestant by name and imports nothing of the others, whose modules would cost memory."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType

from benchmarks.contestants.interface import Contestant

PLACES = MappingProxyType(
    {
        "ours": "ours:FULL",
        "ours-into": "ours:INTO",
        "ours, keys": "ours:KEYS",
        "ours, get_analytics_many()": "ours:MANY",
        "ours-parquet": "ours_parquet:OURS",
        "json": "plain:PLAIN",
        "aiohttp-json": "plain:PLAIN",
        "pydantic": "aiohttp_pydantic:PYDANTIC",
        "aiohttp-pydantic": "aiohttp_pydantic:PYDANTIC",
        "httpx-pydantic": "httpx_pydantic:PYDANTIC",
        "generated": "generated:GENERATED",
        "json, from_pylist()": "pylist:PYLIST",
        "json, from_pylist(), cast()": "pylist:CAST_PYLIST",
        "msgspec-struct": "limits:STRUCT",
        "msgspec-raw": "limits:RAW",
        "raw-aiohttp": "limits:RAW",
    }
)
"""Where each contestant stands: module and object."""


def contestant_named(name: str) -> Contestant:
    """The contestant of that name."""
    module, _, attribute = PLACES[name].partition(":")
    found = getattr(import_module(f"benchmarks.contestants.{module}"), attribute)
    if not isinstance(found, Contestant):
        raise TypeError(f"{PLACES[name]} is no contestant")
    return found
