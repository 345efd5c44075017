"""What the invented exchange dealt in: twelve assets of scales 0 to 18, how common each is, how large balances are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SampleAsset:
    """
    One asset and the shape of its balances.

    Balances follow a Pareto law from `least` (whole units): half are below twice that, one in a thousand is above a
    thousand times that. `held` is what is found for each thousand owed. `price` is yen for one whole coin, in
    thousandths.
    """

    code: str
    name: str
    scale: int
    payable_step: int
    network: str
    kind: str
    common: int  # of 1,000 accounts, how many hold it
    least: int
    held: int
    price: int


ASSETS = (
    SampleAsset("JPY", "Japanese yen", 0, 1, "bank", "fiat", 850, 3_000, 1008, 1_000),
    SampleAsset("BTC", "Bitcoin", 8, 1, "bitcoin", "coin", 640, 60_000, 920, 14_382_511_250),
    SampleAsset("ETH", "Ether", 18, 10**9, "ethereum", "coin", 480, 9 * 10**15, 1_013, 512_604_875),
    SampleAsset("XRP", "XRP", 6, 1, "xrpl", "coin", 520, 11 * 10**6, 970, 341_207),
    SampleAsset("JPYC", "JPYC", 18, 10**16, "ethereum", "token", 120, 700 * 10**18, 1_000, 1_000),
    SampleAsset("USDC", "USD Coin", 6, 1, "ethereum", "token", 110, 8 * 10**6, 1_002, 148_930),
    SampleAsset("LTC", "Litecoin", 8, 1, "litecoin", "coin", 140, 12_000_000, 1_021, 17_204_400),
    SampleAsset("DOGE", "Dogecoin", 8, 1, "dogecoin", "coin", 230, 900 * 10**7, 1_005, 31_072),
    SampleAsset("SOL", "Solana", 9, 1, "solana", "coin", 180, 40 * 10**6, 1_030, 24_611_050),
    SampleAsset("XLM", "Lumen", 7, 1, "stellar", "coin", 200, 35 * 10**7, 1_011, 48_119),
    SampleAsset("DOT", "Polkadot", 10, 1, "polkadot", "coin", 90, 15 * 10**9, 1_000, 623_418),
    SampleAsset("AGR", "Asagiri Token", 2, 1, "ethereum", "token", 260, 1_500, 1_017, 2_750),
)

# Networks whose addresses we can make and check. Coins of other networks go to an account in a custodian's own books.
CODECS = frozenset({"bitcoin", "ethereum", "xrpl"})
BOOK = "book"


def decimal_format(scale: int) -> str:
    """How divmod(units, 10**scale) is written: "%d.%08d" for bitcoin."""
    return f"%d.%0{scale}d" if scale else "%d%.0s"  # the second, always 0, is not shown
