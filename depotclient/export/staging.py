"""Staging folder of an export: incomplete files, where no reader of the lake sees them."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

import attrs

__all__ = ["INNER_STAGING", "Staging"]

INNER_STAGING: Final = ".depotclient"
"""Name of the staging folder inside the lake, if the folder next to it can't be used."""

ABANDONED_SECONDS: Final = 24 * 3600
"""Age after which a staging file counts as left by a killed run."""


@attrs.frozen
class Staging:
    """Staging folder of one run.

    Attributes:
        folder: The folder.
        keeper: Empty file of the run, so that another run does not remove the folder.
    """

    folder: Path
    keeper: Path

    @classmethod
    def prepare(cls, root: Path) -> Staging:
        """Create the staging folder of a lake. Delete old files of killed runs.

        The folder `.lake.depotclient` is next to `lake`, because some readers fail on a lake with
        other files. It is inside the lake if that place is on another disk or not writable.

        Args:
            root: Folder of the export, which exists.

        Raises:
            NotADirectoryError: A link or a file is in the place of the staging folder.
            OSError: The folder of the export can't be written to.
        """
        inner, resolved = root / INNER_STAGING, root.resolve()
        if inner.is_dir() and not inner.is_symlink():
            _clean(inner)
        outer = resolved.parent / f".{resolved.name}{INNER_STAGING}"
        _require_folder(outer)
        with suppress(OSError):
            return cls(outer, _create(outer, root))
        _require_folder(inner)
        return cls(inner, _create(inner, root))

    def remove(self) -> None:
        """Remove the folder, unless another run uses it."""
        self.keeper.unlink(missing_ok=True)
        _remove_empty(self.folder)


def _require_folder(staging: Path) -> None:
    if staging.is_symlink() or (staging.exists() and not staging.is_dir()):
        raise NotADirectoryError(
            f"{staging} is a link or a file: an export needs a folder there, to create and delete"
            " files; move it away"
        )


def _create(staging: Path, root: Path) -> Path:
    """Create the staging folder and the keeper of a run.

    Raises:
        OSError: The folder can't be created, or files can't be renamed from there into the lake.
    """
    if staging.exists():
        _clean(staging)
    staging.mkdir(exist_ok=True)
    name = f".{secrets.token_hex(8)}.part"
    keeper, probe = staging / name, root / name
    try:
        keeper.touch()
        keeper.replace(probe)  # Readers ignore the empty file.
        probe.replace(keeper)
    except OSError:
        keeper.unlink(missing_ok=True)
        _remove_empty(staging)
        raise
    return keeper


def _remove_empty(staging: Path) -> None:
    with suppress(OSError):
        staging.rmdir()


def _clean(staging: Path) -> None:
    """Delete what killed runs have left."""
    for file in staging.glob("*.part"):
        with suppress(OSError):  # Another run may delete the same file.
            found = file.lstat()
            if S_ISREG(found.st_mode) and time.time() - found.st_mtime > ABANDONED_SECONDS:
                file.unlink()
    _remove_empty(staging)
