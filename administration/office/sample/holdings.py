"""What the invented exchange is found to hold: where, by what proof, and less than it owes in two assets."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from administration import amounts
from administration.office.sample import codecs
from administration.office.sample.assets import ASSETS, CODECS, SampleAsset

EXCHANGE = "あさぎり取引所株式会社"
_TRUSTS = ("武蔵信託銀行（架空）", "木曽信託銀行（架空）")
_CUSTODIAN = "星影カストディ株式会社（架空）"


@dataclass(frozen=True, slots=True)
class Place:
    """One row of wallets.csv with the paper behind it."""

    asset: SampleAsset
    place_id: str
    kind: str
    network: str
    address: str
    temperature: str
    tag: str
    controller: str
    custodian: str
    units: int
    access: str
    proof: str

    @property
    def evidence_file(self) -> str:
        return f"evidence/{self.place_id}.txt"

    def evidence(self, as_of: str) -> bytes:
        """A stand-in for the bank's certificate or the signed message."""
        return (
            f"Statement of holding (sample, invented)\n"
            f"Place: {self.place_id}, {self.kind}, {self.network}, {self.address}\n"
            f"Asset: {self.asset.code}\n"
            f"Amount: {amounts.show(self.units, self.asset.scale)}\n"
            f"As of: {as_of}\n"
            f"Control: {self.access}{'; ' + self.proof if self.proof else ''}\n"
        ).encode()

    def line(self, as_of: str) -> str:
        return ",".join(
            (
                self.place_id, self.asset.code, self.kind, self.network, self.address, self.temperature, self.tag,
                self.controller, self.custodian, amounts.show(self.units, self.asset.scale), as_of,
                self.evidence_file, sha256(self.evidence(as_of)).hexdigest(), self.access, self.proof,
            )
        )  # fmt: skip


def found(owed: dict[str, int], random: Random) -> Iterator[Place]:
    """The places that hold, for each thousand units owed of an asset, as many as its sample says."""
    for asset in ASSETS:
        total = -(-owed.get(asset.code, 0) * asset.held // 1000) if asset.held >= 1000 else (
            owed.get(asset.code, 0) * asset.held // 1000
        )  # fmt: skip
        for place in _trusts(asset, total) if asset.kind == "fiat" else _wallets(asset, total, random):
            if place.units > 0:
                yield place


def _trusts(asset: SampleAsset, total: int) -> Iterator[Place]:
    first = total * 3 // 5
    for number, (bank, units) in enumerate(zip(_TRUSTS, (first, total - first), strict=True), start=1):
        yield Place(
            asset, f"{asset.code}-TRUST-{number}", "trust", "bank", f"信託契約 2021-{number:03d}", "", "segregated",
            bank, "", units, "proved", "信託銀行の残高証明書",
        )  # fmt: skip
    yield Place(
        asset, f"{asset.code}-OWN-1", "bank", "bank", "9999-999-1-0000001", "", "own",
        EXCHANGE, "", 12_345_678, "proved", "基準時の銀行残高証明書",
    )  # fmt: skip


def _wallets(asset: SampleAsset, total: int, random: Random) -> Iterator[Place]:
    hot = total * 4 // 100
    guarantee = hot  # what is kept hot must be matched in cold coins of the exchange's own
    cold = total - hot - guarantee
    parts = [("HOT-1", "hot", "segregated", hot), ("GUARANTEE-1", "cold", "guarantee", guarantee)]
    if asset.network in CODECS:
        keeper, custodian, proof = EXCHANGE, "", "アドレスの鍵による署名付きメッセージ"
        parts += [("COLD-1", "cold", "segregated", cold // 2), ("COLD-2", "cold", "segregated", cold - cold // 2)]
    else:
        keeper, custodian, proof = _CUSTODIAN, _CUSTODIAN, "送付と返送の試験"
        parts += [("COLD-1", "cold", "segregated", cold)]
    for name, temperature, tag, units in parts:
        yield Place(
            asset, f"{asset.code}-{name}", "wallet", asset.network, _address(asset, name, random), temperature, tag,
            keeper, custodian, units, "proved", proof,
        )  # fmt: skip
    if asset.code == "ETH":
        yield Place(
            asset, "ETH-OWN-1", "wallet", asset.network, _address(asset, "OWN-1", random), "hot", "own",
            EXCHANGE, "", 3 * 10**18 + 141_592_653_589_793, "proved", "アドレスの鍵による署名付きメッセージ",
        )  # fmt: skip
    if asset.code == "BTC":
        yield Place(
            asset, "BTC-OLD-1", "wallet", asset.network, _address(asset, "OLD-1", random), "cold", "segregated",
            "元従業員", "", total // 1000, "unproved", "",
        )  # fmt: skip


def _address(asset: SampleAsset, name: str, random: Random) -> str:
    key = random.randbytes(32)
    if asset.network == "bitcoin":
        return codecs.p2tr(key) if name == "HOT-1" else codecs.p2sh(key[:20])
    if asset.network == "ethereum":
        return codecs.eip55(key[:20])
    if asset.network == "xrpl":
        return codecs.classic(key[:20])
    return f"保管口座 {asset.code}-{name}"
