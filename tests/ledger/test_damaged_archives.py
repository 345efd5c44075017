"""A damaged ZIP, or one with names no folder takes, is refused in a sentence wherever it is read; nothing of it is kept."""

import bz2
import io
import json
import random
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from administration.cases.models import Case
from administration.ledger import archives, conversions, deliveries, package, unpacking
from tests.cast import NOON, Cast

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
TEXT = b"".join(b"%d,BTC,%d\n" % (n, n * n) for n in range(3_000))
KANJI = "残高" * 45 + ".csv"  # 94 characters, 274 bytes


def packed(method: int = zipfile.ZIP_DEFLATED, **more: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in {package.MANIFEST: b"{}", "balances.csv": TEXT, **more}.items():
            archive.writestr(name, content)
    return out.getvalue()


def damaged(content: bytes) -> list[bytes]:
    """The archive with one to three bits flipped, at many places; and with the whole middle of it spoilt."""
    chance, spoilt = random.Random(2), []
    for _n in range(60):
        one = bytearray(content)
        for _flip in range(chance.choice((1, 3))):
            one[chance.randrange(len(one))] ^= 1 << chance.randrange(8)
        spoilt.append(bytes(one))
    middle = len(content) // 2
    return [*spoilt, content[:middle] + b"\xff" * 40 + content[middle + 40 :]]


def with_a_name_that_is_not_utf8() -> bytes:
    """The entry says that its name is UTF-8, and it is not."""
    return packed(**{"残.csv": b"1\n"}).replace("残".encode(), b"\xff\xff\xff")


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_package_in_a_zip_is_refused(tmp_path: Path, method: int):
    refused = 0
    for n, content in enumerate(damaged(packed(method))):
        (tmp_path / "p.zip").write_bytes(content)
        try:
            unpacking.unpack(tmp_path / "p.zip", tmp_path / f"{n}")
        except unpacking.NotUnpacked:
            refused += 1
            assert not (tmp_path / f"{n}").exists()
    assert refused > 5


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_zip_in_a_delivery_is_refused(secured: Case, cast: Cast, method: int):
    refused = 0
    for content in damaged(packed(method))[::8]:
        delivery = deliveries.begin(secured, deliverer="somebody", by=cast.goto, at=NOON)
        try:
            deliveries.add(delivery, name="p.zip", source=BytesIO(content), by=cast.goto, at=NOON)
        except deliveries.NotDelivered:
            refused += 1
            assert not delivery.files.exists()
    assert refused


def test_a_name_that_is_not_in_the_encoding_it_claims_is_refused(secured: Case, cast: Cast, tmp_path: Path):
    (tmp_path / "p.zip").write_bytes(with_a_name_that_is_not_utf8())
    with pytest.raises(unpacking.NotUnpacked):
        unpacking.unpack(tmp_path / "p.zip", tmp_path / "out")
    delivery = deliveries.begin(secured, deliverer="somebody", by=cast.goto, at=NOON)
    with pytest.raises(deliveries.NotDelivered):
        deliveries.add(delivery, name="p.zip", source=BytesIO(with_a_name_that_is_not_utf8()), by=cast.goto, at=NOON)


def test_a_name_longer_than_a_folder_takes_is_refused(secured: Case, cast: Cast, tmp_path: Path):
    (tmp_path / "p.zip").write_bytes(packed(**{KANJI: b"1\n"}))
    with pytest.raises(unpacking.NotUnpacked, match="not a file of a package"):
        unpacking.unpack(tmp_path / "p.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()

    delivery = deliveries.begin(secured, deliverer="somebody", by=cast.goto, at=NOON)
    for name, content in ((package.MANIFEST, json.dumps({}).encode()), (KANJI, b"1\n")):
        deliveries.add(delivery, name=name, source=BytesIO(content), by=cast.goto, at=NOON)
    deliveries.complete(delivery, by=cast.goto, at=NOON)
    with pytest.raises(conversions.NotConverted):
        conversions.take_in_package(delivery, by=cast.goto, at=NOON)


def test_a_full_disk_is_no_damage():
    with pytest.raises(OSError, match="No space"), archives.reading():
        raise OSError(28, "No space left on device")
    with pytest.raises(archives.Damaged), archives.reading():
        bz2.decompress(b"BZh9" + bytes(40))
