"""
What reading a ZIP file or a workbook can end in when it is damaged: one place, for all who read them.

    Damaged   the archive cannot be read (on); says how it was told
"""

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from administration.errors import Refused

NAME_BYTES_MAX = 255  # of one file in a folder: no file system here takes more

# What Python's unpackers raise for bytes that are none of theirs. ValueError: names that are not in the encoding they claim.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError, IndexError, NotImplementedError, RuntimeError, ValueError,
    struct.error, OverflowError,
)  # fmt: skip


class Damaged(Refused):
    """The archive cannot be read, or not on."""


@contextmanager
def reading() -> Iterator[None]:
    """Whatever a damaged archive raises is Damaged; a disk that is full or gone stays what it is."""
    try:
        yield
    except DAMAGE as wrong:
        raise Damaged(str(wrong) or type(wrong).__name__) from wrong
    except OSError as wrong:
        if wrong.errno not in (None, errno.EINVAL):  # bz2 has none; EINVAL: it says that it begins before its beginning
            raise
        raise Damaged(str(wrong)) from wrong


def is_name(name: str) -> bool:
    """Whether a file of this name can lie in a folder: 90 kanji are 270 bytes."""
    return len(name.encode("utf-8", "surrogatepass")) <= NAME_BYTES_MAX
