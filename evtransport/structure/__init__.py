"""Structuring of JSON: bytes to objects, and the problems of data that does not fit.

No HTTP and no vendor model belongs here.
"""

from evtransport.structure.converter import Into, Structurer, Structures
from evtransport.structure.decoding import decode
from evtransport.structure.types import EpochMillis, JsonValue, ScalarCodec

__all__ = ["EpochMillis", "Into", "JsonValue", "ScalarCodec", "Structurer", "Structures", "decode"]
