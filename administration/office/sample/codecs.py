"""
Addresses from raw bytes, fast: a sample of a million accounts wants as many distinct, checksum-valid addresses.

Only encoding, from invented key hashes to which nobody has a key. Checking what others send us is the business of
`administration.rails.addresses`, with the proven libraries; a test holds the two against each other.
"""

from functools import cache
from hashlib import sha256
from typing import Any, cast

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE = str.maketrans(_BASE58, "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz")
_PAIRS = tuple(a + b for a in _BASE58 for b in _BASE58)
_58_TO_10 = 58**10

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_TENS = tuple(a + b for a in _BECH32 for b in _BECH32)
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def base58check(version: int, payload: bytes) -> str:
    """Bitcoin's base58 with its checksum over one version byte and a payload of 20 bytes."""
    body = bytes((version,)) + payload
    body += sha256(sha256(body).digest()).digest()[:4]
    rest, text = int.from_bytes(body, "big"), ""
    while rest:
        rest, ten = divmod(rest, _58_TO_10)
        ten, a = divmod(ten, 3364)
        ten, b = divmod(ten, 3364)
        ten, c = divmod(ten, 3364)
        e, d = divmod(ten, 3364)
        text = _PAIRS[e] + _PAIRS[d] + _PAIRS[c] + _PAIRS[b] + _PAIRS[a] + text
    return "1" * (len(body) - len(body.lstrip(b"\0"))) + text.lstrip("1")


def p2pkh(key_hash: bytes) -> str:
    return base58check(0, key_hash)


def p2sh(script_hash: bytes) -> str:
    return base58check(5, script_hash)


def classic(account: bytes) -> str:
    """An XRP Ledger classic address."""
    return base58check(0, account).translate(_RIPPLE)


def _step(state: int) -> int:
    top = state >> 25
    state = (state & 0x1FFFFFF) << 5
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            state ^= generator
    return state


@cache
def _segwit_tables(version: int, size: int) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """
    The checksum of a witness program as a XOR of table entries.

    The checksum is linear in the bits of the program, so each group of ten bits contributes a number that depends
    only on where it stands. Tables are built bit by bit, once for each kind of address.
    """
    symbols = -(-size * 8 // 5)
    groups = -(-symbols // 2)
    constant = 1
    for symbol in (3, 3, 0, 2, 3, version):  # "bc", expanded, and the version
        constant = _step(constant) ^ symbol
    for _ in range(symbols + 6):
        constant = _step(constant)
    constant ^= 0x2BC830A3 if version else 1  # bech32m, bech32

    tables = []
    for group in range(groups):
        low = 0  # what the lowest bit of this group does to the checksum
        low_basis = []
        for bit in range(10):
            after = symbols - 2 * group - 1 - (0 if bit >= 5 else 1)
            low = 1 << bit % 5
            for _ in range(after + 6):
                low = _step(low)
            low_basis.append(low)
        table = [0] * 1024
        for value in range(1, 1024):
            rest = value & (value - 1)
            table[value] = table[rest] ^ low_basis[(value ^ rest).bit_length() - 1]
        tables.append(tuple(table))
    return constant, tuple(tables)


def _segwit(version: int, program: bytes) -> str:
    size = len(program)
    constant, tables = _segwit_tables(version, size)
    symbols = 2 * len(tables)
    rest = int.from_bytes(program, "big") << (symbols * 5 - size * 8)
    parts = []
    for table in reversed(tables):
        group = rest & 1023
        rest >>= 10
        constant ^= table[group]
        parts.append(_TENS[group])
    parts.reverse()
    check = _TENS[constant >> 20] + _TENS[constant >> 10 & 1023] + _TENS[constant & 1023]
    return f"bc1{_BECH32[version]}{''.join(parts)}{check}"


def p2wpkh(key_hash: bytes) -> str:
    return _segwit(0, key_hash)


def p2tr(output_key: bytes) -> str:
    return _segwit(1, output_key)


@cache
def _keccak() -> Any:
    from eth_hash.auto import keccak  # a heavy import, wanted only when addresses are made

    return keccak


def eip55(account: bytes) -> str:
    """An Ethereum address with its checksum in the case of its letters."""
    plain = account.hex()
    digest = cast(bytes, _keccak()(plain.encode())).hex()
    return "0x" + "".join([c.upper() if d > "7" else c for c, d in zip(plain, digest, strict=False)])


def corporate_number(base: int) -> str:
    """A Japanese corporate number: twelve digits after their check digit."""
    digits = f"{base:012d}"
    total = sum(int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return f"{9 - total % 9}{digits}"
