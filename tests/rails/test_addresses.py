"""What an address check must know. The Bitcoin cases are the published vectors of BIP-173, BIP-350 and BIP-341."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.rails import addresses
from administration.rails.addresses import check

P2WPKH = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
P2WSH = "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"
P2TR = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
P2PKH = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
P2SH = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG"
EIP55 = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
CLASSIC = "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf"
X_WITHOUT_TAG = "XVLhHMPHU98es4dbozjVtdWzVrDjtV5fdx1mHp98tDMoQXb"
X_WITH_TAG_0 = "XVLhHMPHU98es4dbozjVtdWzVrDjtV8AqEL4xcZj5whKbmc"
SEED_WORDS = "abandon " * 11 + "about"


def codes(found: addresses.Check) -> list[str]:
    return [remark.code for remark in found.errors]


@pytest.mark.parametrize(
    ("address", "kind"),
    [(P2PKH, "p2pkh"), (P2SH, "p2sh"), (P2WPKH, "p2wpkh"), (P2WSH, "p2wsh"), (P2TR, "p2tr")],
)
def test_every_kind_of_bitcoin_address_in_use_passes(address, kind):
    found = check("BTC", "bitcoin", address)

    assert found.ok
    assert found.kind == kind
    assert found.normalized == {"network": "bitcoin", "address": address, "memo": ""}


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum"),
        ("bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqaayh03", "wrong_checksum_kind"),  # v0, bech32m
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "checksum"),  # a letter bech32 has not
        ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "wrong_checksum_kind"),  # v16, bech32
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4"[:-1], "checksum"),
        ("bc1pw5dgrnzv", "length"),  # program of one byte
        ("BC1SW50QGDZ25J", "unknown_version"),  # valid by its checksum; nobody's
        ("bc1qW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "mixed_case"),
        ("bc1", "checksum"),
        ("bc1gmk9yu", "checksum"),  # no data at all
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "wrong_network"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "wrong_network"),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "wrong_network"),
        ("LhK2kQwiaAvhjWY799cZvMyYwnQAcxkarr", "wrong_network"),
        (EIP55, "wrong_network"),
        (CLASSIC, "wrong_network"),
        (P2PKH[:-1] + "b", "checksum"),
        (f"bitcoin:{P2WPKH}?amount=1", "link"),
        (f"{P2WPKH} {P2TR}", "several"),
        (f"{P2WPKH[:20]}\u200b{P2WPKH[20:]}", "strange_character"),
        (P2PKH.replace("A", "\u0410", 1), "strange_character"),  # the Cyrillic letter
        (f"\u202e{P2PKH}", "strange_character"),
        ("vitalik.eth", "wrong_network"),
        ("lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypq", "wrong_network"),
        ("hello", "no_address"),
        ("", "missing"),
        ("   ", "missing"),
    ],
)
def test_what_is_no_bitcoin_address_is_refused_for_its_reason(address, code):
    found = check("BTC", "bitcoin", address)

    assert codes(found) == [code]
    assert not found.normalized


def test_a_capital_bech32_address_is_kept_in_small_letters():
    assert check("BTC", "bitcoin", P2WPKH.upper()).normalized["address"] == P2WPKH


def test_spaces_around_an_address_are_left_out_and_said():
    found = check("BTC", "bitcoin", f" {P2WPKH}\n")

    assert found.normalized["address"] == P2WPKH
    assert [remark.code for remark in found.warnings] == ["spaces"]


def test_an_ethereum_address_is_kept_in_its_checksum_spelling():
    lower = check("ETH", "ethereum", EIP55.lower())
    upper = check("JPYC", "ethereum", "0x" + EIP55[2:].upper())

    assert lower.normalized == upper.normalized == check("ETH", "ethereum", EIP55).normalized
    assert lower.normalized["address"] == EIP55
    assert [remark.code for remark in lower.warnings] == ["no_checksum"]
    assert not check("ETH", "ethereum", EIP55).warnings


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "checksum"),  # a library's is_address() takes this one
        ("0x" + "0" * 40, "zero_address"),
        ("0x000000000000000000000000000000000000dEaD", "reserved_address"),
        ("0x0000000000000000000000000000000000000001", "reserved_address"),
        (EIP55[:-1], "length"),
        (EIP55[2:], "no_prefix"),
        (EIP55.replace("0x", "0X"), "no_prefix"),
        ("0xE7C3D8C9a439feDe00D2600032D5dB0Be71C3c29", "token_contract"),
        ("XE7338O073KYGTWWZN0F2WZ0R8PX5ZPPZS", "wrong_network"),
        ("henkan.eth", "wrong_network"),
        (P2WPKH, "wrong_network"),
    ],
)
def test_what_is_no_ethereum_address_is_refused_for_its_reason(address, code):
    assert codes(check("JPYC", "ethereum", address)) == [code]


def test_a_tag_is_part_of_an_xrp_destination_and_zero_is_a_tag():
    without, zero = check("XRP", "xrpl", CLASSIC), check("XRP", "xrpl", CLASSIC, "0")

    assert without.normalized == {"network": "xrpl", "address": CLASSIC, "memo": ""}
    assert zero.normalized["memo"] == "0"
    assert [remark.code for remark in without.warnings] == ["no_tag"]
    assert not zero.warnings


def test_an_x_address_is_kept_as_address_and_tag():
    assert check("XRP", "xrpl", X_WITHOUT_TAG).normalized["address"] == CLASSIC
    assert check("XRP", "xrpl", X_WITH_TAG_0).normalized == {"network": "xrpl", "address": CLASSIC, "memo": "0"}
    assert check("XRP", "xrpl", X_WITHOUT_TAG, "12").normalized["memo"] == "12"


@pytest.mark.parametrize(
    ("address", "memo", "code"),
    [
        (CLASSIC, "-1", "tag"),
        (CLASSIC, "4294967296", "tag"),
        (CLASSIC, "１２", "tag"),
        (CLASSIC, "my name", "tag"),
        (X_WITH_TAG_0, "1", "two_tags"),
        (CLASSIC[:-1] + "2", "", "checksum"),
        (X_WITH_TAG_0[:-1] + "d", "", "checksum"),
        ("TVE26TYGhfLC7tQDno7G8dGtxSkYQn49b3qD26PK7FcGSKE", "", "wrong_network"),
        ("rrrrrrrrrrrrrrrrrrrrrhoLvTp", "", "zero_address"),
        (P2PKH, "", "wrong_network"),
    ],
)
def test_what_is_no_xrp_destination_is_refused_for_its_reason(address, memo, code):
    assert codes(check("XRP", "xrpl", address, memo)) == [code]


def test_a_memo_where_none_can_travel_is_refused_and_not_dropped():
    assert codes(check("BTC", "bitcoin", P2WPKH, "12")) == ["memo_not_used"]
    assert codes(check("ETH", "ethereum", EIP55, "12")) == ["memo_not_used"]


@pytest.mark.parametrize(
    "pasted",
    [
        SEED_WORDS,
        "あいこくしん　" * 12,
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
        "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617",
        "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg",
        "0x" + "1f" * 32,
        "sEdTM1uX8pu2do5XvTnutH6HsouMaM2",
        "snoPBrXtMeMyMHUVTgbuqAfg1SUTb",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQ",
    ],
)
def test_a_pasted_secret_is_refused_and_never_repeated(pasted):
    for network in ("bitcoin", "ethereum", "xrpl", "nowhere"):
        found = check("BTC", network, f" {pasted} ")

        assert codes(found) == ["secret"]
        assert not found.normalized
        assert pasted.strip() not in str(found)
        assert pasted.split()[-1] not in str(found)


def test_a_secret_in_the_memo_is_refused_too():
    assert codes(check("XRP", "xrpl", CLASSIC, SEED_WORDS)) == ["secret"]


def test_an_asset_is_not_sent_on_a_network_that_is_not_its_own():
    assert codes(check("BTC", "ethereum", EIP55)) == ["wrong_network"]
    assert codes(check("XRP", "bitcoin", P2PKH)) == ["wrong_network"]
    assert codes(check("SOL", "solana", "whatever")) == ["unknown_network"]


def test_an_account_in_the_custodians_books_will_do_for_any_asset():
    assert check("SOL", "book", "KB00000001").ok
    assert check("BTC", "book", "KB00000001").ok
    assert codes(check("SOL", "book", "=cmd()")) == ["no_account"]


@given(st.text(max_size=60), st.sampled_from(["bitcoin", "ethereum", "xrpl", "book"]), st.text(max_size=12))
def test_no_text_at_all_makes_the_check_fail(text, network, memo):
    found = check("USDC", network, text, memo)

    assert found.ok == bool(found.normalized)


@given(st.binary(min_size=20, max_size=20), st.integers(0, 33), st.sampled_from("2345678"))
def test_one_wrong_character_of_a_bitcoin_address_is_always_seen(key, place, other):
    from administration.office.sample import codecs

    address = codecs.p2wpkh(key)
    place += 4
    broken = address[:place] + other + address[place + 1 :]

    assert check("BTC", "bitcoin", address).ok
    assert broken == address or not check("BTC", "bitcoin", broken).ok
