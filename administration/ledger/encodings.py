"""
Which encodings a delivered file could be in. A person chooses among them; nothing is guessed silently.

Each candidate decodes the whole file, strictly and in one pass. What decodes to signs that nobody writes counts against it.

    Undecodable   a byte has no meaning in the encoding that was declared; it says where
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from administration.errors import Refused

PIECE = 1 << 20
SAMPLES = 12
SHOWN = 160

# Name → codec and its byte order mark. Shift_JIS is read as CP932, which is what “Shift_JIS” files are: ①, ㈱, 髙 are in it.
ENCODINGS: dict[str, tuple[str, bytes]] = {
    "utf-8": ("utf-8", codecs.BOM_UTF8),
    "cp932": ("cp932", b""),
    "euc-jp": ("euc_jp", b""),
    "utf-16-le": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-16-be": ("utf-16-be", codecs.BOM_UTF16_BE),
}
ALSO = {"shift_jis": "cp932", "sjis": "cp932", "windows-31j": "cp932", "ms932": "cp932", "utf8": "utf-8", "utf-8-sig": "utf-8",
        "euc_jp": "euc-jp", "eucjp": "euc-jp", "utf16le": "utf-16-le", "utf16be": "utf-16-be"}  # fmt: skip

# Bytes that the CP932 codec lets through although they stand for nothing (80, A0, FD-FF).
_NOTHING_IN_CP932 = re.compile("[\x80\xa0\uf8f1-\uf8f3]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc]")
_KANJI = re.compile("[\u4e00-\u9fff]")
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\uffff]")  # controls, private use, replacements
_HALF_KANA = re.compile("[\uff61-\uff9f]+")


class Undecodable(Refused):
    """A byte that has no meaning in the declared encoding."""

    def __init__(self, encoding: str, offset: int, byte: int) -> None:
        self.encoding, self.offset, self.byte = encoding, offset, byte
        super().__init__(f"Byte {offset} (hex {byte:02x}) has no meaning in {encoding}.")


@dataclass
class Candidate:
    """One encoding, whether the whole file is valid in it, and how it would read."""

    encoding: str
    wrong_at: int | None = None  # the first byte that has no meaning in it
    marked: bool = False  # a byte order mark says so
    kana: int = 0
    kanji: int = 0
    half_kana: int = 0
    odd: int = 0
    signs: int = 0
    samples: list[str] = field(default_factory=list)  # lines that are not plain ASCII first

    @property
    def possible(self) -> bool:
        return self.wrong_at is None

    @property
    def likeness(self) -> tuple[int, int, int]:
        """For the order in which candidates are shown, nothing more."""
        strange = 20 * self.odd + self.half_kana
        return (int(self.marked), -1000 * strange // max(1, self.signs), self.kana)


def named(text: str) -> str | None:
    """The encoding a person means."""
    name = text.strip().lower()
    name = ALSO.get(name, name)
    return name if name in ENCODINGS else None


def candidates(path: Path, most: int | None = None) -> list[Candidate]:
    """
    Every encoding with what becomes of the file in it; those that decode it come first, likelier ones before.

    With `most`, no more than so many bytes are looked at: enough to choose by, not to confirm.
    """
    found = [tried(path, name, most) for name in ENCODINGS]
    plain = [one for one in found if one.possible]
    if len(plain) > 1 and all(not (one.kana or one.kanji or one.half_kana) for one in plain if one.encoding[:5] != "utf-1"):
        plain = [one for one in plain if one.encoding[:5] != "utf-1" or one.marked]  # plain ASCII reads as rare kanji in UTF-16
    hopeless = [one for one in found if one not in plain]
    return sorted(plain, key=lambda one: one.likeness, reverse=True) + hopeless


def tried(path: Path, name: str, most: int | None = None) -> Candidate:
    """One encoding, and what becomes of the file in it."""
    codec, mark = ENCODINGS[name]
    one = Candidate(name)
    size = path.stat().st_size
    with path.open("rb") as file:
        if mark and file.read(len(mark)) == mark:
            one.marked = True
        else:
            file.seek(0)
        if name.startswith("utf-16") and size % 2:
            one.wrong_at = size - 1
            return one
        tail = ""
        try:
            for text in decoded(file, codec, most):
                _judge(one, text)
                tail = _collect(one, tail + text)
        except Undecodable as wrong:
            one.wrong_at = wrong.offset
            return one
    if tail and len(one.samples) < SAMPLES:
        one.samples.append(tail[:SHOWN])
    return one


def _judge(one: Candidate, text: str) -> None:
    one.signs += len(text)
    one.odd += len(_ODD.findall(text))
    if not text.isascii():
        one.kana += len(_KANA.findall(text))
        one.kanji += len(_KANJI.findall(text))
        one.half_kana += sum(map(len, _HALF_KANA.findall(text)))


def _collect(one: Candidate, text: str) -> str:
    """Keep the header and the first lines that show the encoding; what is left of the last line."""
    if len(one.samples) >= SAMPLES:
        return ""
    lines = text.split("\n")
    for nth, line in enumerate(lines[:-1]):
        if len(one.samples) < SAMPLES and (not line.isascii() or (not one.samples and nth == 0)):
            one.samples.append(line.rstrip("\r")[:SHOWN])
    return lines[-1][: PIECE * 2]


def decoded(file: BinaryIO, codec: str, most: int | None = None) -> Iterator[str]:
    """The text of a file from where it stands, piece by piece, strictly. Raises Undecodable with the byte's offset."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    at = file.tell()
    while most is None or at < most:
        piece = file.read(PIECE)
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as wrong:
            raise Undecodable(codec, at - pending + wrong.start, wrong.object[wrong.start]) from None
        if codec == "cp932":
            check_cp932(text, at - pending)
        at += len(piece)
        if text:
            yield text
        if not piece:
            return


def check_cp932(text: str, at: int) -> None:
    """Refuse bytes that stand for nothing in CP932 although its codec lets them through."""
    wrong = None if text.isascii() else _NOTHING_IN_CP932.search(text)
    if wrong is not None:
        before = len(text[: wrong.start()].encode("cp932"))
        raise Undecodable("cp932", at + before, wrong[0].encode("cp932")[0])


def without_mark(path: Path, encoding: str) -> int:
    """Where the text begins: after the byte order mark, if there is one."""
    mark = ENCODINGS[encoding][1]
    with path.open("rb") as file:
        return len(mark) if mark and file.read(len(mark)) == mark else 0
