"""
Crypto addresses: can this asset be sent there, on this network, judged from the text alone?

The codecs are those of proven libraries; which network an address belongs to, and which checksum goes with which
version, is checked here, because a library may take any. Whoever pastes seed words or a private key by mistake is told
so, and no message ever repeats what was pasted.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from administration.rails.interface import Check, Remark

EVM_NETWORKS = {"ethereum": "Ethereum", "polygon": "Polygon", "avalanche": "Avalanche C-Chain"}
BOOK = "book"  # an account in the books of the estate's custodian

# Where an asset lives that lives in one place only.
_HOME = {"BTC": "bitcoin", "XRP": "xrpl", "ETH": "ethereum"}

# Tokens sent to their own contract are lost. The addresses are the issuers' published ones.
CONTRACTS = {
    ("JPYC", "ethereum"): "0xE7C3D8C9a439feDe00D2600032D5dB0Be71C3c29",
    ("JPYC", "polygon"): "0xE7C3D8C9a439feDe00D2600032D5dB0Be71C3c29",
    ("JPYC", "avalanche"): "0xE7C3D8C9a439feDe00D2600032D5dB0Be71C3c29",
    ("USDC", "ethereum"): "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
}

_B58 = "[1-9A-HJ-NP-Za-km-z]"

# What an address that is not of the wanted network most likely is. The first that fits names it.
_SHAPES = (
    (r"0x[0-9a-fA-F]{40}", "an Ethereum-type address"),
    (r"(?i:bc1)[0-9a-zA-Z]{6,87}", "a Bitcoin address"),
    (r"(?i:tb1|bcrt1)[0-9a-zA-Z]{6,87}", "an address of a Bitcoin test network"),
    (r"(?i:ltc1)[0-9a-zA-Z]{6,87}", "a Litecoin address"),
    (r"(?i:lnbc|lntb|lnurl)[0-9a-zA-Z]+", "a Lightning invoice"),
    (r"(?i:q|p)[0-9a-zA-Z]{41}", "a Bitcoin Cash address"),
    (r"addr1[0-9a-z]{50,110}", "a Cardano address"),
    (r"cosmos1[0-9a-z]{38}", "a Cosmos address"),
    (rf"r{_B58}{{24,34}}", "an XRP Ledger address"),
    (rf"X{_B58}{{45,47}}", "an XRP Ledger X-address"),
    (rf"T{_B58}{{33}}", "a Tron address"),
    (rf"[LM]{_B58}{{25,33}}", "a Litecoin address"),
    (rf"[DA9]{_B58}{{33}}", "a Dogecoin address"),
    (rf"[mn2]{_B58}{{25,34}}", "an address of a Bitcoin test network"),
    (rf"[13]{_B58}{{25,34}}", "a Bitcoin address"),
    (r"[GM][A-Z2-7]{55,68}", "a Stellar address"),
    (r"XE[0-9]{2}[0-9A-Z]{30,31}", "an ICAP code"),
    (r"[^\s]+\.(?:eth|crypto|x|nft|sol)", "a name, which can change hands"),
    (rf"{_B58}{{43,44}}", "a Solana address"),
)

_SECRETS = (
    (rf"[5KL9c]{_B58}{{50,51}}", "a private key"),  # WIF
    (rf"6P{_B58}{{56}}", "an encrypted private key"),  # BIP-38
    (rf"[a-zA-Z]prv{_B58}{{100,112}}", "a private key"),  # BIP-32
    (r"(?:0x|0X)?[0-9a-fA-F]{64}", "a private key, or a transaction's number"),
    (rf"s(?:Ed)?{_B58}{{27,29}}", "a secret of the XRP Ledger"),
    (r"S[A-Z2-7]{55}", "a secret of Stellar"),
    (r"-----BEGIN [A-Z ]+[\s\S]*", "a key file"),
    (r"\{[\s\S]*(?:crypto|cipher)[\s\S]*", "a key file"),
)


@dataclass(slots=True)
class _Reading:
    """What is found on the way through one address."""

    errors: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)
    kind: str = "address"
    address: str = ""
    memo: str = ""

    def wrong(self, code: str, text: str) -> None:
        self.errors.append(Remark(code, text))

    def odd(self, code: str, text: str) -> None:
        self.warnings.append(Remark(code, text))


def check(asset_code: str, network: str, address: str, memo: str = "") -> Check:
    """
    Whether `asset_code` can be sent to `address` on `network`, with `memo` as its destination tag ("" is none).

    `normalized` is {"network", "address", "memo"} in the spelling we keep. Nothing is asked of any node, and nothing
    here can tell whose address it is.
    """
    reading = _Reading()
    text = address.strip()
    if text != address:
        reading.odd("spaces", "Spaces or line ends around the address were left out.")
    secret = _secret(text) or _secret(memo.strip())
    if secret:
        reading.errors = [
            Remark(
                "secret",
                f"This is not an address. It looks like {secret}. Whoever sees it can take the coins: nothing was kept. "
                "Move those coins to a new wallet, and give only an address to receive at.",
            )
        ]
        return Check("secret", errors=tuple(reading.errors))
    if _plain(text, reading) and _asset_fits(asset_code, network, reading):
        _NETWORKS.get(network, _unknown_network)(asset_code, network, text, memo, reading)

    if reading.errors:
        return Check(reading.kind, errors=tuple(reading.errors), warnings=tuple(reading.warnings))
    normalized = {"network": network, "address": reading.address, "memo": reading.memo}
    return Check(reading.kind, normalized, warnings=tuple(reading.warnings))


def _secret(text: str) -> str | None:
    """What kind of secret this looks like, if any."""
    words = text.split()
    if len(words) >= 11 and all(word.isalpha() for word in words):
        return "the seed words of a wallet"
    for shape, what in _SECRETS:
        if re.fullmatch(shape, text, re.ASCII):
            return what
    return None


def _plain(text: str, reading: _Reading) -> bool:
    """Whether the text is one word of visible ASCII, as every address is."""
    if not text:
        reading.wrong("missing", "The address is missing.")
    elif strange := next((char for char in text if not ("!" <= char <= "~" or char.isspace())), None):
        name = unicodedata.name(strange, "a character without a name").title()
        reading.wrong(
            "strange_character",
            f"The address contains U+{ord(strange):04X}, {name}, which no address has. Copy it from the wallet again.",
        )
    elif any(char.isspace() for char in text):
        reading.wrong("several", "There is a space or a line end inside the address. Give one address, whole.")
    elif "?" in text or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", text):
        reading.wrong("link", "This is a payment link. Give the address alone, without amount or label.")
    else:
        return True
    return False


def _asset_fits(asset_code: str, network: str, reading: _Reading) -> bool:
    home = _HOME.get(asset_code)
    if home and network not in (home, BOOK):
        reading.wrong("wrong_network", f"{asset_code} is not sent on the network {network!r}. Its network is {home!r}.")
        return False
    return True


def _not_of(network: str, text: str, reading: _Reading) -> None:
    """Say what the text is instead, if that can be told from its shape."""
    for shape, what in _SHAPES:
        if re.fullmatch(shape, text, re.ASCII):
            reading.wrong("wrong_network", f"This is {what}, not one of {network}. What is sent there is lost.")
            return
    reading.wrong("no_address", f"This is no address of {network}. Copy it from the wallet again.")


def _no_memo(what: str, memo: str, reading: _Reading) -> None:
    if memo.strip():
        reading.wrong(
            "memo_not_used", f"{what} carries no memo or tag. If the recipient demands one, it is not this network."
        )


def _unknown_network(asset: str, network: str, text: str, memo: str, reading: _Reading) -> None:
    reading.wrong("unknown_network", f"Addresses of the network {network!r} cannot be checked. Ask for another way.")


# ----------------------------------------------------------------------------------------------------- Bitcoin


def _bitcoin(asset: str, network: str, text: str, memo: str, reading: _Reading) -> None:
    _no_memo("Bitcoin", memo, reading)
    if text[:3].lower() == "bc1":
        _segwit(text, reading)
    elif text[0] in "13" and 26 <= len(text) <= 35 and re.fullmatch(f"{_B58}+", text, re.ASCII):
        _base58(text, reading)
    else:
        _not_of("Bitcoin", text, reading)


def _segwit(text: str, reading: _Reading) -> None:
    from embit import bech32

    if text not in (text.lower(), text.upper()):
        reading.wrong("mixed_case", "The address mixes capital and small letters; its letters were changed on the way.")
        return
    text = text.lower()
    encoding, prefix, data = bech32.bech32_decode(text)
    if encoding is None or prefix != "bc" or not data:
        reading.wrong("checksum", "The address has a typing error: its checksum does not fit.")
        return
    version, program = data[0], bech32.convertbits(data[1:], 5, 8, False)
    wanted = bech32.Encoding.BECH32 if version == 0 else bech32.Encoding.BECH32M
    size = len(program) if program is not None else 0
    kind = {(0, 20): "p2wpkh", (0, 32): "p2wsh", (1, 32): "p2tr"}.get((version, size))
    if encoding != wanted:
        reading.wrong(
            "wrong_checksum_kind", f"The checksum is not the kind that goes with version {version} addresses."
        )
    elif kind is None and version in (0, 1):
        reading.wrong("length", "The address is not of a length that exists.")
    elif kind is None:
        reading.wrong(
            "unknown_version", f"Nobody can own an address of version {version} yet: anyone could take the coins."
        )
    else:
        reading.kind, reading.address = kind, text


def _base58(text: str, reading: _Reading) -> None:
    from embit import base58

    try:
        body = base58.decode_check(text)
    except ValueError:
        reading.wrong("checksum", "The address has a typing error: its checksum does not fit.")
        return
    kind = {0: "p2pkh", 5: "p2sh"}.get(body[0]) if len(body) == 21 else None
    if kind is None:
        reading.wrong(
            "wrong_network", "This is an address of another network than Bitcoin. What is sent there is lost."
        )
    else:
        reading.kind, reading.address = kind, text


# ---------------------------------------------------------------------------------------------------- Ethereum


def _evm(asset: str, network: str, text: str, memo: str, reading: _Reading) -> None:
    name = EVM_NETWORKS[network]
    _no_memo(name, memo, reading)
    if re.fullmatch(r"[0-9a-fA-F]{40}", text, re.ASCII) or re.fullmatch(r"0X[0-9a-fA-F]{40}", text, re.ASCII):
        reading.wrong("no_prefix", "The address does not begin with 0x. Copy it from the wallet again.")
        return
    if re.fullmatch(r"0x[0-9a-fA-F]+", text, re.ASCII) and len(text) != 42:
        reading.wrong("length", f"The address has {len(text) - 2} digits after 0x; it needs 40.")
        return
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text, re.ASCII):
        _not_of(name, text, reading)
        return
    from eth_utils.address import is_checksum_address, to_checksum_address

    letters = text[2:]
    if letters in (letters.lower(), letters.upper()):
        if not letters.isdigit():
            reading.odd(
                "no_checksum", "The address carries no checksum (its letters are all of one case). Compare it twice."
            )
    elif not is_checksum_address(text):
        reading.wrong(
            "checksum", "The address has a typing error: its checksum (the case of its letters) does not fit."
        )
        return
    number = int(letters, 16)
    if number == 0:
        reading.wrong("zero_address", "This is the zero address. What is sent there is lost.")
        return
    if number <= 0xFFFF:
        reading.wrong("reserved_address", "This is a reserved or burn address. What is sent there is lost.")
        return
    spelled = str(to_checksum_address(text))
    if spelled == CONTRACTS.get((asset, network)):
        reading.wrong("token_contract", f"This is the contract of {asset} itself. What is sent there is lost.")
        return
    reading.kind, reading.address = "evm", spelled


# --------------------------------------------------------------------------------------------------- XRP Ledger


def _xrpl(asset: str, network: str, text: str, memo: str, reading: _Reading) -> None:
    from xrpl.core import addresscodec  # a heavy import, wanted only here

    tag = _tag(memo.strip(), reading)
    kind, classic, inner = "classic", text, None
    try:
        if re.fullmatch(rf"[XT]{_B58}{{45,47}}", text, re.ASCII):
            kind = "x-address"
            classic, inner, test = addresscodec.xaddress_to_classic_address(text)
            if addresscodec.classic_address_to_xaddress(classic, inner, test) != text:
                raise ValueError("not the one spelling of this address")
            if test:
                reading.wrong("wrong_network", "This is an address of an XRP test network. What is sent there is lost.")
                return
        elif not re.fullmatch(rf"r{_B58}{{24,34}}", text, re.ASCII):
            _not_of("the XRP Ledger", text, reading)
            return
        account = addresscodec.decode_classic_address(classic)
    except (ValueError, IndexError, addresscodec.XRPLAddressCodecException):
        reading.wrong("checksum", "The address has a typing error: its checksum does not fit.")
        return
    if int.from_bytes(account, "big") <= 1:
        reading.wrong("zero_address", "This is an address nobody owns. What is sent there is lost.")
        return
    if inner is not None and tag not in ("", str(inner)):
        reading.wrong("two_tags", f"The X-address holds the tag {inner}, but the tag given is {tag}. Which is right?")
        return
    tag = tag if inner is None else str(inner)
    if not tag and not reading.errors:
        reading.odd(
            "no_tag",
            "There is no destination tag. An exchange does not credit coins without one: is this their own wallet?",
        )
    reading.kind, reading.address, reading.memo = kind, classic, tag


def _tag(memo: str, reading: _Reading) -> str:
    """The destination tag in its one spelling; "" is no tag, which is not tag 0."""
    if not memo:
        return ""
    if not re.fullmatch(r"[0-9]{1,20}", memo, re.ASCII) or int(memo) >= 2**32:
        reading.wrong("tag", "A destination tag is a whole number from 0 to 4294967295.")
        return ""
    if str(int(memo)) != memo:
        reading.odd("tag_respelled", f"The tag was read as {int(memo)}.")
    return str(int(memo))


# ------------------------------------------------------------------------------------------- a custodian's books


def _book(asset: str, network: str, text: str, memo: str, reading: _Reading) -> None:
    _no_memo("A transfer in the custodian's books", memo, reading)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text, re.ASCII):
        reading.kind, reading.address = "book", text
    else:
        reading.wrong("no_account", "An account in the custodian's books has up to 64 letters, digits and . _ -")


_NETWORKS: dict[str, Callable[[str, str, str, str, _Reading], None]] = {
    "bitcoin": _bitcoin,
    **dict.fromkeys(EVM_NETWORKS, _evm),
    "xrpl": _xrpl,
    BOOK: _book,
}
