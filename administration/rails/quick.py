"""
The plainly good, at once: for ledgers with hundreds of thousands of addresses.

`plainly_good` says True only of the common spellings whose checksum fits; `addresses.check` would find nothing wrong
with them. Of anything else it says False, which means: look properly. A test holds the two together. The checksums of
bech32 are linear: each of its bits is a sum, modulo two, of bits of the address's characters.
"""

import re
import threading
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import import_module
from typing import Any

from administration.rails.addresses import CONTRACTS

_BITCOIN = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_REST, _BECH32M_REST = 1, 0x2BC830A3

_EVM = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_TAG = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_ABOVE_SEVEN = bytes(0x20 if chr(code) in "89abcdef" else 0 for code in range(256))
_BIT_FIVE = int.from_bytes(b"\x20" * 40)
_TOKENS = frozenset(address.lower() for address in CONTRACTS.values())


def plainly_good(asset: str, network: str, address: str, memo: str) -> bool:
    """True: `asset` can be sent there. False: not known without a proper look."""
    look = _LOOKS.get((asset, network)) or _LOOKS.get(("", network))
    return look is not None and look(asset, address, memo)


def _bitcoin(asset: str, address: str, memo: str) -> bool:
    if memo:
        return False
    if address.startswith("bc1q") and len(address) == 42:
        return _bech32_fits(address, _BECH32_REST)
    if address.startswith("bc1p") and len(address) == 62:
        return _bech32_fits(address, _BECH32M_REST) and address[-7] in "qs"  # four bits of padding, all zero
    return address[:1] in ("1", "3") and _version(address, _digits(_BITCOIN), "1") in (0, 5)


def _xrpl(asset: str, address: str, memo: str) -> bool:
    tag_fits = not memo or (_TAG.fullmatch(memo) is not None and int(memo) < 2**32)
    return tag_fits and address[:1] == "r" and _version(address, _digits(_RIPPLE), "r") == 0


def _evm(asset: str, address: str, memo: str) -> bool:
    if memo or asset in ("BTC", "XRP") or not _EVM.fullmatch(address):
        return False
    letters, plain = address[2:], address[2:].lower()
    if plain.startswith("0" * 36) or "0x" + plain in _TOKENS:
        return False
    if letters in (plain, plain.upper()):
        return True  # carries no checksum
    # A letter is a capital where the hash of all has a digit above 7: bit 6 says that it is one, bit 5 that it is small.
    large = int.from_bytes(_keccak()(plain.encode()).hex()[:40].encode().translate(_ABOVE_SEVEN))
    written = int.from_bytes(letters.encode())
    are_letters = written >> 1 & _BIT_FIVE
    return (written ^ large) & are_letters == are_letters


def _book(asset: str, address: str, memo: str) -> bool:
    return not memo and len(address) < 20 and bool(_ACCOUNT.fullmatch(address))


_LOOKS: dict[tuple[str, str], Callable[[str, str, str], bool]] = {
    ("BTC", "bitcoin"): _bitcoin,
    ("XRP", "xrpl"): _xrpl,
    ("", "ethereum"): _evm,
    ("", "book"): _book,
}


def _version(text: str, digits: bytes, zero: str) -> int | None:
    """The version byte of a base58 text of 25 bytes whose checksum fits, or None."""
    if not 26 <= len(text) <= 35:
        return None
    spelled = text.encode("latin-1", "replace").translate(digits)
    if b"\xff" in spelled:
        return None
    number = int.from_bytes(spelled)
    for width, low, base in _HALVES:  # each digit in a byte; then two by two, until all are one number
        number = (number & low) + base * (number >> width & low)
    try:
        body = number.to_bytes(25)
    except OverflowError:
        return None
    if len(text) - len(text.lstrip(zero)) != 25 - len(body.lstrip(b"\0")):
        return None  # a leading zero byte is spelled by one character, no more and no less
    if int.from_bytes(body[1:21]) <= 1 or sha256(sha256(body[:21]).digest()).digest()[:4] != body[21:]:
        return None
    return body[0]


# Of a number of up to 64 bytes: the lower halves of its parts of 2, 4, … 64 bytes, and what the upper ones count.
_HALVES = tuple(
    (width, sum(((1 << width) - 1) << at for at in range(0, 512, 2 * width)), 58 ** (width // 8))
    for width in (8, 16, 32, 64, 128, 256)
)


@cache
def _digits(alphabet: str) -> bytes:
    return bytes(alphabet.index(chr(code)) if chr(code) in alphabet else 255 for code in range(256))


def _step(state: int, value: int) -> int:
    top = state >> 25
    state = (state & 0x1FFFFFF) << 5 ^ value
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            state ^= generator
    return state


@cache
def _bech32_parities(size: int, wanted: int) -> tuple[tuple[int, int], ...]:
    """For each of the checksum's 30 bits: which bits of the characters it adds up, and what that sum must be."""
    rest = 1
    for value in (3, 3, 0, 2, 3):  # "bc", expanded
        rest = _step(rest, value)
    for _ in range(size):
        rest = _step(rest, 0)
    masks = [0] * 30
    for place in range(size):
        for bit in range(5):
            state = 1 << bit
            for _ in range(size - place - 1):
                state = _step(state, 0)
            for at in range(30):
                if state >> at & 1:
                    masks[at] |= 1 << (8 * (size - place - 1) + bit)
    return tuple((mask, (rest ^ wanted) >> at & 1) for at, mask in enumerate(masks))


_BECH32_VALUES = bytes(_BECH32.index(chr(code)) if chr(code) in _BECH32 else 255 for code in range(256))


def _bech32_fits(address: str, wanted: int) -> bool:
    data = address[3:].encode("latin-1", "replace").translate(_BECH32_VALUES)
    if b"\xff" in data:
        return False
    number = int.from_bytes(data, "big")
    return all((number & mask).bit_count() & 1 == odd for mask, odd in _bech32_parities(len(data), wanted))


class _Own(threading.local):
    keccak: Callable[[bytes], bytes] | None = None


_own = _Own()


def _keccak() -> Callable[[bytes], bytes]:
    """Keccak-256, for this thread alone: what it reckons in is its own."""
    if _own.keccak is None:
        _own.keccak = _keccak_at_once()
    return _own.keccak


def _keccak_at_once() -> Callable[[bytes], bytes]:
    """
    The library's own function, without the objects that it makes around each call: they cost more than the hash.

    Where it has none to be called so, or it gives another answer, it is asked as usual.
    """
    from eth_hash.auto import keccak  # a heavy import, wanted only where addresses are checked

    try:
        library: Any = import_module("Crypto.Hash.keccak")._raw_keccak_lib  # noqa: SLF001
        raw: Any = import_module("Crypto.Util._raw_api")
        kept = raw.VoidPointer()  # for as long as the process lives; nothing frees it
        library.keccak_init(kept.address_of(), raw.c_size_t(64), raw.c_ubyte(24))
        state, out, size, padding = kept.get(), raw.create_string_buffer(32), raw.c_size_t(32), raw.c_ubyte(1)

        def at_once(data: bytes) -> bytes:
            library.keccak_reset(state)
            library.keccak_absorb(state, raw.c_uint8_ptr(data), raw.c_size_t(len(data)))
            library.keccak_digest(state, out, size, padding)
            found: bytes = raw.get_raw_buffer(out)
            return found

        if all(at_once(data) == keccak(data) for data in (b"", b"henkan", b"0" * 40, b"f" * 200)):
            return at_once
    except (ImportError, AttributeError, TypeError):
        pass
    return keccak
