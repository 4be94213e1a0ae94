"""Compares both clients with what users would write instead: `python benchmarks/run.py`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The folder above, not this one: the modules here have names that other packages have as well.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.command import main

    sys.exit(main())
