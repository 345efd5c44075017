"""
Receiving what an exchange delivers in its own form: files come whole or in pieces, and are kept as they came.

    begin → add / append + finish (resumable) → confirm_encoding → complete

    NotDelivered   the file or the delivery cannot be received so

Files lie under their number, never under their name. Archives are looked at before they are unpacked; what they hold is
received as files of their own. Nothing received is edited; destroying a delivery takes a reason, and keeps hashes and reason.
"""

import os
import re
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, securing
from administration.cases.models import Case
from administration.errors import Refused
from administration.ledger import archives, encodings
from administration.ledger.converting import Delivered
from administration.ledger.delivered import DeliveredFile, Delivery, DeliveryState
from administration.people.models import User
from administration.record import log
from administration.work.models import Job, JobState

POWER = "ledger.take_over"
FILES_MAX = 1_000
FILE_BYTES_MAX = 64 * 2**30
UNPACKED_MAX = 64 * 2**30
PIECE_MAX = 16 * 2**20  # one piece of an upload
RATIO_MAX = 100  # unpacked to packed
RATIO_FREE = 16 * 2**20  # small archives may be as dense as they like
NAME_MAX = 240
CONVERT = "ledger.convert"

_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]|(?:^|/)\.{1,2}(?:/|$)|^/|/$|//|^$")


class NotDelivered(Refused):
    """The file or the delivery cannot be received so."""


@transaction.atomic
def begin(case: Case, *, deliverer: str, by: User, at: datetime) -> Delivery:
    """Begin to receive files from somebody."""
    appointments.require(case, by, POWER, at=at)
    securing.require_completed(case)
    if not deliverer.strip():
        raise NotDelivered(_("Say who delivers the files."))
    kept = Path(str(case.pk)) / "delivery" / secrets.token_hex(8)
    folder_of(kept).mkdir(parents=True, mode=0o700)
    return Delivery.objects.create(case=case, deliverer=deliverer.strip(), directory=str(kept), received_by=by, received_at=at)


def folder_of(kept: Path | str) -> Path:
    return Path(settings.ARCHIVE_DIR) / kept


def path_of(file: DeliveredFile) -> Path:
    return folder_of(file.delivery.directory) / str(file.pk)


# --- files, whole or in pieces ------------------------------------------------------------------


@transaction.atomic
def announce(delivery: Delivery, *, name: str, size: int, by: User, at: datetime) -> DeliveredFile:
    """A file is about to come in pieces. Announced again after a break, it goes on where it stopped."""
    row = _arriving(delivery, by, at)
    found = row.files.filter(name=name).first()
    if found is not None:
        if found.bytes != size or found.sha256 is not None:
            raise NotDelivered(_("This delivery has a file “%(name)s” already, and it is another one.") % {"name": name})
        return found
    return _file(row, name, size, at)


@transaction.atomic
def append(file: DeliveredFile, *, offset: int, piece: bytes, piece_sha256: str, by: User, at: datetime) -> int:
    """
    Take the next piece of a file and say how many bytes are here.

    A piece that begins elsewhere than the last ended is not taken: the answer says where to go on. So a piece sent twice
    counts once, whatever was lost on the way.
    """
    row = DeliveredFile.objects.select_for_update(of=("self",)).select_related("delivery__case").get(pk=file.pk)
    _arriving(row.delivery, by, at)
    if row.sha256 is not None or offset != row.received:
        return row.received
    if len(piece) > PIECE_MAX or row.received + len(piece) > row.bytes:
        raise NotDelivered(_("The piece is larger than what was announced of “%(name)s”.") % {"name": row.name})
    if piece_sha256 and sha256(piece).hexdigest() != piece_sha256.lower():
        raise NotDelivered(_("The piece of “%(name)s” was damaged on its way. Send it again.") % {"name": row.name})
    with path_of(row).open("r+b") as kept:
        kept.truncate(row.received)  # whatever stands behind was written by a piece that did not count
        kept.seek(row.received)
        kept.write(piece)
        kept.flush()
        os.fsync(kept.fileno())
    row.received += len(piece)
    DeliveredFile.objects.filter(pk=row.pk).update(received=row.received)
    return row.received


@transaction.atomic
def finish(file: DeliveredFile, *, by: User, at: datetime, announced_sha256: str = "") -> DeliveredFile:
    """All pieces of a file are here: take its hash, and what is in it if it is an archive."""
    row = DeliveredFile.objects.select_for_update(of=("self",)).select_related("delivery__case").get(pk=file.pk)
    _arriving(row.delivery, by, at)
    if row.sha256 is not None:
        return row
    if row.received != row.bytes:
        raise NotDelivered(
            _("Of “%(name)s” %(here)s of %(all)s bytes are here. Go on with the rest.")
            % {"name": row.name, "here": f"{row.received:,}", "all": f"{row.bytes:,}"}
        )
    with path_of(row).open("rb") as kept:
        digest = file_digest(kept, "sha256")
    if announced_sha256 and digest.hexdigest() != announced_sha256.lower():
        raise NotDelivered(_("“%(name)s” is not what was announced: its SHA-256 is another.") % {"name": row.name})
    row.sha256 = digest.digest()
    DeliveredFile.objects.filter(pk=row.pk).update(sha256=row.sha256)
    with _no_file_without_its_row(row.delivery):
        _unpack(row, at)
    return row


def add(delivery: Delivery, *, name: str, source: BinaryIO | Iterable[bytes], by: User, at: datetime) -> DeliveredFile:
    """Receive a file whole."""
    pieces: Iterable[bytes] = iter(lambda: source.read(1 << 20), b"") if hasattr(source, "read") else source
    with transaction.atomic():
        arriving = _arriving(delivery, by, at)
        with _no_file_without_its_row(arriving):
            row = _file(arriving, name, 0, at)
            size = _keep(row, pieces)
            DeliveredFile.objects.filter(pk=row.pk).update(bytes=size, received=size)
            return finish(row, by=by, at=at)


def from_directory(case: Case, directory: Path, *, deliverer: str, by: User, at: datetime) -> Delivery:
    """Receive every file below a directory. Links and devices are refused: a delivery carries its own bytes."""
    with transaction.atomic():
        delivery = begin(case, deliverer=deliverer, by=by, at=at)
        try:
            found = sorted(_files_below(Path(directory)))
            if not found:
                raise NotDelivered(_("There is no file in %(directory)s.") % {"directory": directory})
            for path in found:
                with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source:
                    add(delivery, name=path.relative_to(directory).as_posix(), source=source, by=by, at=at)
            complete(delivery, by=by, at=at)
        except BaseException:
            shutil.rmtree(folder_of(delivery.directory), ignore_errors=True)
            raise
    return delivery


def _files_below(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if path.is_symlink() or not (path.is_dir() or stat.S_ISREG(path.stat().st_mode)):
            raise NotDelivered(_("%(name)s is not a plain file. Take it away, or put the file itself there.") % {"name": path.name})
        if path.is_file():
            yield path


def _arriving(delivery: Delivery, by: User, at: datetime) -> Delivery:
    row = Delivery.objects.select_for_update(of=("self",)).select_related("case").get(pk=delivery.pk)
    appointments.require(row.case, by, POWER, at=at)
    if row.state != DeliveryState.ARRIVING:
        raise NotDelivered(_("This delivery is closed. Begin another one for more files."))
    return row


def _file(delivery: Delivery, name: str, size: int, at: datetime, parent: DeliveredFile | None = None) -> DeliveredFile:
    if _BAD_NAME.search(name) or len(name) > NAME_MAX:
        raise NotDelivered(_("“%(name)s” is no name for a file here. Give it a plain one.") % {"name": name[:80]})
    if not 0 <= size <= FILE_BYTES_MAX:
        raise NotDelivered(_("“%(name)s” is larger than %(most)s GB.") % {"name": name, "most": FILE_BYTES_MAX >> 30})
    if delivery.files.filter(name=name).exists():
        raise NotDelivered(_("This delivery has a file “%(name)s” already, and it is another one.") % {"name": name})
    if delivery.files.count() >= FILES_MAX:
        raise NotDelivered(_("A delivery has at most %(most)s files.") % {"most": FILES_MAX})
    row = DeliveredFile.objects.create(delivery=delivery, parent=parent, name=name, bytes=size, received_at=at)
    with open(path_of(row), "wb", opener=_private):
        pass
    return row


@contextmanager
def _no_file_without_its_row(delivery: Delivery) -> Iterator[None]:
    """
    What is refused here rolls its rows back; the files written for them go too.

    Under the delivery's lock, so nobody else adds any.
    """
    folder = folder_of(delivery.directory)
    before = set(folder.iterdir())
    try:
        yield
    except BaseException:
        for path in set(folder.iterdir()) - before:
            path.unlink(missing_ok=True)
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _keep(row: DeliveredFile, pieces: Iterable[bytes], most: int = FILE_BYTES_MAX) -> int:
    size = 0
    with path_of(row).open("wb") as kept:
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise NotDelivered(_("Unpacked, “%(name)s” is larger than what may come out of its archive.") % {"name": row.name})
            kept.write(piece)
        kept.flush()
        os.fsync(kept.fileno())
    return size


# --- archives -----------------------------------------------------------------------------------


def _unpack(row: DeliveredFile, at: datetime) -> None:
    """Receive what an archive holds. Everything is looked at before anything is written; then bytes are counted."""
    path = path_of(row)
    with path.open("rb") as file:
        first = file.read(4)
    if first[:2] == b"\x1f\x8b" and row.parent_id is None:
        name = row.name.removesuffix(".gz")
        _member(row, name if name != row.name else f"{row.name}.unpacked", _gunzipped(path, row.name), _room(row.bytes), at)
    elif first == b"PK\x03\x04" and row.parent_id is None and not row.name.lower().endswith((".xlsx", ".xlsm")):
        _unzip(row, path, at)


def _room(packed: int) -> int:
    return min(UNPACKED_MAX, max(RATIO_FREE, RATIO_MAX * packed))


def _member(row: DeliveredFile, name: str, pieces: Iterable[bytes], most: int, at: datetime) -> int:
    member = _file(row.delivery, name, 0, at, parent=row)
    size = _keep(member, pieces, most)
    with path_of(member).open("rb") as kept:
        digest = file_digest(kept, "sha256").digest()
    DeliveredFile.objects.filter(pk=member.pk).update(bytes=size, received=size)
    DeliveredFile.objects.filter(pk=member.pk).update(sha256=digest)
    return size


def _gunzipped(path: Path, name: str) -> Iterator[bytes]:
    """The contents of a gzip file, of all its parts, a piece at a time."""
    with path.open("rb") as file:
        unpacker, rest = zlib.decompressobj(wbits=31), b""
        try:
            while piece := rest or file.read(1 << 18):
                rest = b""
                made = unpacker.decompress(piece, 1 << 20)
                yield made
                while unpacker.unconsumed_tail:
                    yield unpacker.decompress(unpacker.unconsumed_tail, 1 << 20)
                if unpacker.eof:
                    rest = unpacker.unused_data or file.read(1 << 18)
                    if rest:
                        unpacker = zlib.decompressobj(wbits=31)
            if not unpacker.eof:
                raise NotDelivered(_("“%(name)s” ends before its end. Ask for it again.") % {"name": name})
        except zlib.error as wrong:
            raise NotDelivered(_("“%(name)s” cannot be unpacked (%(error)s). Ask for it again.") % {"name": name, "error": wrong}) from None


def _opened(path: Path) -> zipfile.ZipFile:
    """Names without the mark of UTF-8 are CP932, as archives from Japan have them."""
    try:
        return zipfile.ZipFile(path, metadata_encoding="cp932")
    except UnicodeDecodeError:
        return zipfile.ZipFile(path)


def _unzip(row: DeliveredFile, path: Path, at: datetime) -> None:
    try:
        with archives.reading(), _opened(path) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            size = sum(one.file_size for one in entries)
            if len(entries) > FILES_MAX or size > _room(row.bytes):
                raise NotDelivered(
                    _("“%(name)s” would unpack into %(files)s files and %(size)s MB. That is no delivery; it was not unpacked.")
                    % {"name": row.name, "files": len(entries), "size": f"{size >> 20:,}"}
                )
            starts = sorted(one.header_offset for one in entries)
            for one in entries:
                if stat.S_ISLNK(one.external_attr >> 16) or one.flag_bits & 1 or _BAD_NAME.search(one.filename):
                    raise NotDelivered(
                        _("“%(member)s” in “%(name)s” is a link, encrypted, or has a name that leads elsewhere. It was not unpacked.")
                        % {"member": one.filename[:80], "name": row.name}
                    )
            if len(set(starts)) != len(starts) or sum(one.compress_size for one in entries) > row.bytes:
                raise NotDelivered(_("Files in “%(name)s” overlap. It was not unpacked.") % {"name": row.name})
            left = _room(row.bytes)
            for one in entries:
                with archive.open(one) as packed:
                    left -= _member(row, one.filename, iter(lambda packed=packed: packed.read(1 << 20), b""), left, at)  # type: ignore[misc]
    except archives.Damaged as wrong:
        raise NotDelivered(_("“%(name)s” cannot be unpacked (%(error)s). Ask for it again.") % {"name": row.name, "error": wrong}) from None


# --- encodings, completion, destruction -----------------------------------------------------------


@transaction.atomic
def confirm_encoding(file: DeliveredFile, *, encoding: str, by: User, at: datetime) -> DeliveredFile:
    """A person has looked at the candidates and says how a file reads. It must decode to its end that way."""
    row = DeliveredFile.objects.select_for_update(of=("self",)).select_related("delivery__case").get(pk=file.pk)
    appointments.require(row.delivery.case, by, POWER, at=at)
    name = encodings.named(encoding)
    chosen = encodings.tried(path_of(row), name) if row.sha256 and name else None
    if chosen is None:
        raise NotDelivered(_("“%(encoding)s” is not among the candidates.") % {"encoding": encoding})
    if not chosen.possible:
        raise NotDelivered(
            _("“%(name)s” is not %(encoding)s: its byte %(offset)s has no meaning there.")
            % {"name": row.name, "encoding": chosen.encoding, "offset": chosen.wrong_at}
        )
    DeliveredFile.objects.filter(pk=row.pk).update(encoding=chosen.encoding, encoding_by=by, encoding_at=at)
    log.append(row.delivery.case, "ledger.encoding_confirmed", subject=row.delivery, by=by, at=at,
               body={"file": row.name, "encoding": chosen.encoding})  # fmt: skip
    row.refresh_from_db()
    return row


@transaction.atomic
def complete(delivery: Delivery, *, by: User, at: datetime) -> Delivery:
    """Nothing more comes. What is here is in the record with its hashes."""
    row = _arriving(delivery, by, at)
    require_whole(row)
    files = list(row.files.order_by("name"))
    Delivery.objects.filter(pk=row.pk).update(state=DeliveryState.COMPLETE, completed_at=at)
    hashes = {file.name: bytes(file.sha256 or b"").hex() for file in files}  # not who delivered them: the record holds no names
    log.append(row.case, "ledger.delivered", subject=row, by=by, at=at, body={"files": hashes})
    delivery.refresh_from_db()
    return delivery


def require_whole(delivery: Delivery) -> None:
    """Every file that was announced is here."""
    if not delivery.files.exists() or delivery.files.filter(sha256__isnull=True).exists():
        raise NotDelivered(_("Not all files of this delivery are here yet. Go on with the rest, or take them out."))


@transaction.atomic
def take_out(file: DeliveredFile, *, by: User, at: datetime) -> None:
    """Take a file that never came whole out again."""
    row = DeliveredFile.objects.select_related("delivery__case").get(pk=file.pk)
    _arriving(row.delivery, by, at)
    if row.sha256 is not None:
        raise NotDelivered(_("“%(name)s” is received; it is kept with its delivery.") % {"name": row.name})
    path = path_of(row)
    row.delete()
    transaction.on_commit(lambda: path.unlink(missing_ok=True))


@transaction.atomic
def destroy(delivery: Delivery, *, reason: str, by: User, at: datetime) -> None:
    """
    Destroy the files of a delivery that must not be held (My Number, another's data), and all that was made of them.

    Hashes and reason stay.
    """
    row = Delivery.objects.select_for_update(of=("self",)).select_related("case").get(pk=delivery.pk)
    appointments.require(row.case, by, POWER, at=at)
    if not reason.strip():
        raise NotDelivered(_("Say why the files are destroyed."))
    if row.state == DeliveryState.DESTROYED or row.intakes.exclude(state="cancelled").exists():
        raise NotDelivered(_("This delivery is destroyed already, or a package made of it is in the case."))
    if Job.objects.filter(kind=CONVERT, subject_id=row.pk, state=JobState.WAITING).exists():
        raise NotDelivered(_("This delivery is being converted. Wait until that has ended, or give the conversion up."))
    files = {file.name: bytes(file.sha256 or b"").hex() for file in row.files.order_by("name")}
    Delivery.objects.filter(pk=row.pk).update(state=DeliveryState.DESTROYED, destroyed_because=reason.strip())
    log.append(row.case, "ledger.delivery_destroyed", subject=row, by=by, at=at, body={"reason": reason.strip(), "files": files})
    transaction.on_commit(lambda: remove_what_is_destroyed(row))  # killed before it: the sweep does it


def remove_what_is_destroyed(delivery: Delivery) -> None:
    """The files of a destroyed delivery, its packages that were given up, and whatever its conversions left."""
    kept = [Path(delivery.directory)]
    kept += [Path(one.directory).parent if one.mapping_id else Path(one.directory) for one in delivery.intakes.all()]
    kept += [Path(job.params["folder"]) for job in Job.objects.filter(kind=CONVERT, subject_id=delivery.pk)]
    for folder in kept:
        shutil.rmtree(folder_of(folder), ignore_errors=True)


def files_to_convert(delivery: Delivery) -> list[Delivered]:
    """What a conversion reads: every file but the archives that were unpacked."""
    archives = set(delivery.files.filter(parent__isnull=False).values_list("parent_id", flat=True))
    return [
        Delivered(file.name, path_of(file), file.encoding)
        for file in delivery.files.select_related("delivery").order_by("name")
        if file.pk not in archives
    ]
