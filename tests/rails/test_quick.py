"""The fast look says nothing that the proper look would not say."""

from random import Random

import pytest

from administration.office.sample import codecs
from administration.rails import addresses, quick

RANDOM = Random(20260930)
MAKERS = {
    ("BTC", "bitcoin"): (codecs.p2pkh, codecs.p2sh, codecs.p2wpkh, lambda _h: codecs.p2tr(RANDOM.randbytes(32))),
    ("XRP", "xrpl"): (codecs.classic,),
    ("ETH", "ethereum"): (codecs.eip55, lambda h: "0x" + h.hex(), lambda h: "0x" + h.hex().upper()),
    ("LTC", "book"): (lambda h: "KB" + h.hex()[:8],),
}


def some() -> list[tuple[str, str, str]]:
    return [
        (asset, network, maker(RANDOM.randbytes(20)))
        for (asset, network), makers in MAKERS.items()
        for maker in makers
        for _ in range(25)
    ]


def test_common_good_addresses_are_seen_to_be_good_at_once():
    for asset, network, address in some():
        assert quick.plainly_good(asset, network, address, ""), address
        assert addresses.check(asset, network, address).ok


def test_what_looks_good_at_once_is_good_at_a_proper_look_too():
    letters = "0123456789ABCDEFabcdefxyzqrQ1 lO"
    for asset, network, address in some():
        for _ in range(4):
            at = RANDOM.randrange(len(address))
            for changed in (
                address[:at] + RANDOM.choice(letters) + address[at + 1 :],
                address[:at] + address[at + 1 :],
                address[:at] + RANDOM.choice(letters) + address[at:],
                address.upper(),
            ):
                if quick.plainly_good(asset, network, changed, ""):
                    assert addresses.check(asset, network, changed).ok, changed


@pytest.mark.parametrize(
    ("asset", "network", "address", "memo"),
    [
        ("BTC", "ethereum", "0x" + "ab" * 20, ""),
        ("ETH", "ethereum", "0x" + "0" * 40, ""),
        ("ETH", "ethereum", "0x" + "0" * 36 + "dead", ""),
        ("JPYC", "ethereum", "0xE7C3D8C9a439feDe00D2600032D5dB0Be71C3c29", ""),
        ("ETH", "bitcoin", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", ""),
        ("BTC", "bitcoin", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "7"),
        ("XRP", "xrpl", "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe", "4294967296"),
        ("XRP", "xrpl", "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe", "007"),
        ("XRP", "xrpl", "rrrrrrrrrrrrrrrrrrrrrhoLvTp", ""),
        ("BTC", "bitcoin", "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", ""),
        ("LTC", "litecoin", "LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", ""),
    ],
)  # fmt: skip
def test_whatever_is_not_plain_gets_a_proper_look(asset: str, network: str, address: str, memo: str):
    assert not quick.plainly_good(asset, network, address, memo)
