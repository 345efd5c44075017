"""
Where uploads lie between the look at their effect and the act, and how they go.

What an act keeps of a file it keeps elsewhere, under its own rules. Here nothing outlives the token that names it.
"""

import os
import shutil
import time
from pathlib import Path
from uuid import uuid4

from django.conf import settings

KEPT_SECONDS = 24 * 3600  # how long the token of an upload counts
STILL_READ_SECONDS = 3600  # whoever came in time may still be reading


def folder() -> Path:
    return Path(settings.ARCHIVE_DIR) / "uploads"


def claimed(unpacked: Path) -> Path:
    """An unpacked upload under a name of one's own: nobody else reads it, or takes it away while it is read."""
    own = unpacked.with_name(f"{unpacked.name}-{uuid4()}")
    unpacked.rename(own)
    os.utime(own)  # read from now on
    return own


def sweep() -> int:
    """Remove what was uploaded and never used, or left by somebody who was killed. How many files and folders went."""
    if not folder().is_dir():
        return 0
    before, gone = time.time() - KEPT_SECONDS - STILL_READ_SECONDS, 0
    for path in folder().iterdir():
        try:
            if path.lstat().st_mtime >= before:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        except FileNotFoundError:  # an act was done with it this moment
            continue
        gone += 1
    return gone
