"""Structuring of JSON: bytes to attrs objects, and explanations of data that does not fit.

No HTTP and no vendor model belongs here.
"""

from evtransport.structure.converter import (
    EpochMillis,
    JsonValue,
    ScalarCodec,
    Structurer,
    Structures,
    decode,
)

__all__ = ["EpochMillis", "JsonValue", "ScalarCodec", "Structurer", "Structures", "decode"]
