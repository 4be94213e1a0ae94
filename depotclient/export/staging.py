"""Staging folder of an export: incomplete files, where no reader of the lake sees them."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

from depotclient.atomic import AtomicWriter

__all__ = ["INNER_STAGING", "prepare_staging", "remove_staging"]

INNER_STAGING: Final = ".depotclient"
"""Name of the staging folder inside the lake, if the folder beside it can't be used."""

ABANDONED_SECONDS: Final = 24 * 3600
"""Age after which a staging file counts as left by a killed run."""


def prepare_staging(root: Path) -> Path:
    """Return the staging folder of a lake. Delete old files of killed runs.

    The folder `.lake.depotclient` is beside `lake`, because some readers fail on a lake with other
    files. It is inside the lake if it can't be beside it: on another disk, or without the
    permission to write there.

    Args:
        root: Folder of the export, which exists.

    Raises:
        NotADirectoryError: A link or a file is in the place of the staging folder.
        OSError: The folder of the export can't be written to.
    """
    inner, resolved = root / INNER_STAGING, root.resolve()
    if inner.is_dir() and not inner.is_symlink():
        _clean(inner)
        remove_staging(inner)
    beside = resolved.parent / f".{resolved.name}{INNER_STAGING}"
    if resolved.name:
        _require_folder(beside)
        with suppress(OSError):
            _probe(beside, root)
            _clean(beside)
            return beside
    _require_folder(inner)
    _probe(inner, root)
    return inner


def remove_staging(staging: Path) -> None:
    """Remove the staging folder, unless another run has files in it."""
    with suppress(OSError):
        staging.rmdir()


def _require_folder(staging: Path) -> None:
    if staging.is_symlink() or (staging.exists() and not staging.is_dir()):
        raise NotADirectoryError(
            f"{staging} is a link or a file: an export needs a folder there, to create and delete"
            " files; move it away"
        )


def _probe(staging: Path, root: Path) -> None:
    """Create the staging folder, and check that a file can be renamed from there into the lake.

    Raises:
        OSError: It can't.
    """
    staging.mkdir(exist_ok=True)
    probe = AtomicWriter(root / f".{secrets.token_hex(8)}.part", staging)
    try:
        probe.staging.touch()
        probe.staging.replace(probe.path)  # Readers ignore the empty file.
        probe.path.unlink()
    finally:
        probe.discard()


def _clean(staging: Path) -> None:
    for file in staging.glob("*.part"):
        with suppress(OSError):  # Another run may delete the same file.
            found = file.lstat()
            if S_ISREG(found.st_mode) and time.time() - found.st_mtime > ABANDONED_SECONDS:
                file.unlink()
