"""Scans and evidence of a case, kept by their hash outside the database."""

import hashlib
import os
import secrets
from pathlib import Path

from django.conf import settings


def keep(content: bytes) -> bytes:
    """Keep these bytes for good and return their SHA-256. The same bytes again change nothing."""
    sha256 = hashlib.sha256(content).digest()
    path = path_of(sha256)
    if path.exists():
        return sha256
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(half, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    return sha256


def path_of(sha256: bytes) -> Path:
    """Where bytes of that hash are kept."""
    name = bytes(sha256).hex()
    return Path(settings.ARCHIVE_DIR) / "scans" / name[:2] / name


def read(sha256: bytes) -> bytes:
    """The kept bytes; a file that is not what its name says is an error, not an answer."""
    content = path_of(sha256).read_bytes()
    if hashlib.sha256(content).digest() != bytes(sha256):
        raise ValueError(f"The archive's file {bytes(sha256).hex()} has changed.")
    return content
