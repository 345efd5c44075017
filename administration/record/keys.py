"""The key that signs record heads. It is not in the database, and it moves nothing."""

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.utils.translation import gettext as _

from administration.errors import Refused

ONLY_THE_OWNER = 0o600
OTHERS = 0o077


class NoHeadKey(Refused):
    """Heads cannot be signed: the key is missing, unreadable or open to others."""


def signing_key() -> Ed25519PrivateKey:
    """The key of HEAD_KEY_FILE. Only the embedded stack makes one when it is missing."""
    if not settings.HEAD_KEY_FILE:
        raise NoHeadKey(_("Heads cannot be signed: HEAD_KEY_FILE is not set. Name a file with an Ed25519 key in PEM."))
    path = Path(settings.HEAD_KEY_FILE)
    if not path.exists():
        if not (settings.EMBEDDED or settings.DEBUG):
            raise NoHeadKey(
                _(
                    "Heads cannot be signed: HEAD_KEY_FILE names %(path)s, which is not there. "
                    "Make an Ed25519 key (openssl genpkey -algorithm ed25519) on a host that holds no database."
                )
                % {"path": path}
            )
        _make(path)
    if path.stat().st_mode & OTHERS:
        raise NoHeadKey(
            _("Heads cannot be signed: others can read %(path)s. Make it readable by its owner only (0600).")
            % {"path": path}
        )
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoHeadKey(_("Heads cannot be signed: %(path)s holds no Ed25519 key.") % {"path": path})
    return key


def _make(path: Path) -> None:
    """Two processes at once end up with the same key: the first to link its file wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, ONLY_THE_OWNER)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()[:16]


def is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
