"""Argument `folder` of an export."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final

__all__ = ["folder_path"]

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# A path object has lost the second slash. Other names before a colon may be those of folders.
_SCHEME_IN_PATH: Final = re.compile(
    r"(s3|gs|gcs|az|abfs|abfss|hdfs|https?|s?ftp|file|postgres|postgresql|sqlite|duckdb):/"
)


def folder_path(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of an export as a path.

    Raises:
        ValueError: The argument is an address with a scheme, such as `s3://bucket/lake`, or not a
            path that the file system accepts. The message quotes no part of an address.

    Example:
        >>> folder_path("lake:2026").name
        'lake:2026'
    """
    with suppress(TypeError, UnicodeEncodeError):
        text = os.fspath(folder)
        if isinstance(text, str):
            pattern = _SCHEME_IN_PATH if isinstance(folder, PurePath) else _SCHEME
            if address := pattern.match(text):
                raise ValueError(
                    f"folder must be a path on this machine, got an address with {address[1]}://;"
                    " `depotclient load` writes to a database, and depotclient.dlt to a bucket"
                )
            if text.strip() and b"\0" not in os.fsencode(text):
                return Path(text)
    raise ValueError(f"folder must be a path, such as 'lake' or '.', got {folder!r}")
