"""
The tables of a handover package: every file, column and allowed word, in one place for all who read or make one.

HANDOVER.md beside this file says the same for people.
"""

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """How a column's text is to be read. Everything else is refused, never repaired."""

    TEXT = "text"
    INT = "int"  # ASCII digits
    AMOUNT = "amount"  # plain decimal text, at most as many places as the row's asset has; may be negative
    DATE = "date"  # 2026-09-30
    INSTANT = "instant"  # 2026-09-30T15:00:00+09:00; the offset is required
    ENUM = "enum"
    SHA256 = "sha256"  # 64 lower-case hex digits


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: Type = Type.TEXT
    required: bool = True
    choices: tuple[str, ...] = ()
    length_max: int = 255
    meaning: str = ""
    form: str = ""  # what a text usually looks like; another one is taken as it is, with a remark
    plain: bool = False  # a number of the exchange's own: no spaces, and nothing that cannot be seen


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file: its columns in order, the columns no two rows share, and what one row is."""

    file: str
    key: tuple[str, ...]
    one_row: str
    columns: tuple[Column, ...]
    optional: bool = False  # a package may leave it out

    @property
    def header(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


ENTITY_TYPES = ("individual", "corporate")
KYC_STATUSES = ("verified", "expired", "pending", "unverified")
LANGUAGES = ("ja", "en")
CAPACITIES = ("own", "sole_trader", "joint", "trustee", "guardian")
ACCOUNT_STATUSES = ("active", "dormant", "restricted", "closed")
PRODUCTS = ("spot", "pending_withdrawal", "open_order", "margin", "staking", "lending")
ENTRY_KINDS = ("deposit", "withdrawal", "transfer", "fee", "interest", "lending", "correction")
BANK_ACCOUNT_KINDS = ("1", "2", "4", "9")  # 普通, 当座, 貯蓄, その他
PLACE_KINDS = ("wallet", "bank", "trust")
TEMPERATURES = ("hot", "cold")
TAGS = ("segregated", "guarantee", "own")
ACCESS = ("proved", "partial", "unproved")
HOLD_KINDS = ("attachment", "dispute", "sanctions", "deceased", "str")
ASSET_KINDS = ("fiat", "coin", "token")

# What of a text is usual enough to be remarked on where it is otherwise. Written for `re`, without groups.
_COUNTRY = r"[A-Z]{2}"
_PHONE = r"\+[1-9][0-9]{6,14}"
_EMAIL = r"[^@\s\",]{1,64}@[^@\s\",]{1,185}\.[^@\s\",.]{2,63}"
_KANA = r"[ァ-ヶー・ 　.’'\-()（）0-9A-Za-z]{1,255}"
_CORPORATE_NUMBER = r"[1-9][0-9]{12}"

_ACCOUNT = Column("account_id", length_max=40, meaning="as in accounts.csv", plain=True)
_ASSET = Column("asset", length_max=16, meaning="code of an asset in the manifest")

CUSTOMERS = Table(
    "customers.csv",
    ("customer_id",),
    "One customer as the exchange registered them. All personal data is here and in bank_accounts.csv.",
    (
        Column("customer_id", length_max=40, meaning="the exchange's own number", plain=True),
        Column("entity_type", Type.ENUM, choices=ENTITY_TYPES),
        Column("name", meaning="as registered, in the script it was registered in"),
        Column("kana", required=False, meaning="full-width katakana; surname, space, given name", form=_KANA),
        Column("romaji", required=False, meaning="as in the passport, where known"),
        Column("birth_or_founding_date", Type.DATE),
        Column("nationality", length_max=2, meaning="ISO 3166-1 alpha-2", form=_COUNTRY),
        Column("residence_country", length_max=2, meaning="ISO 3166-1 alpha-2", form=_COUNTRY),
        Column("postcode", required=False, length_max=16),
        Column("address"),
        Column("address_kana", required=False),
        Column("phone", required=False, length_max=32, meaning="E.164", form=_PHONE),
        Column("email", required=False, length_max=254, form=_EMAIL),
        Column("corporate_number", required=False, length_max=13, meaning="13 digits; corporate customers only", form=_CORPORATE_NUMBER),
        Column("kyc_status", Type.ENUM, choices=KYC_STATUSES),
        Column("language", Type.ENUM, choices=LANGUAGES, meaning="for letters and screens"),
    ),
)

ACCOUNTS = Table(
    "accounts.csv",
    ("account_id",),
    "One account. A customer may have several.",
    (
        Column("account_id", length_max=40, meaning="the exchange's own number", plain=True),
        Column("customer_id", length_max=40, meaning="as in customers.csv", plain=True),
        Column("capacity", Type.ENUM, choices=CAPACITIES),
        Column("status", Type.ENUM, choices=ACCOUNT_STATUSES),
        Column("opened_on", Type.DATE),
    ),
)

BALANCES = Table(
    "balances.csv",
    ("account_id", "asset", "product"),
    "What one account holds of one asset in one product at the cut-off. No row means nothing.",
    (
        _ACCOUNT,
        _ASSET,
        Column("product", Type.ENUM, choices=PRODUCTS),
        Column("amount", Type.AMOUNT, meaning="negative where the customer owes the exchange"),
    ),
)

BANK_ACCOUNTS = Table(
    "bank_accounts.csv",
    ("account_id",),
    "The bank account to which the exchange paid out the customer's yen.",
    (
        _ACCOUNT,
        Column("bank_code", length_max=4, meaning="4 digits"),
        Column("branch_code", length_max=3, meaning="3 digits"),
        Column("kind", Type.ENUM, choices=BANK_ACCOUNT_KINDS, meaning="1 普通, 2 当座, 4 貯蓄, 9 その他"),
        Column("number", length_max=7, meaning="7 digits"),
        Column("holder_kana", length_max=60, meaning="half-width kana as the bank has it, at most 30 bytes there"),
    ),
)

WITHDRAWAL_ADDRESSES = Table(
    "withdrawal_addresses.csv",
    ("account_id", "asset", "network", "address", "memo"),
    "An address the customer had allowed for withdrawals.",
    (
        _ACCOUNT,
        _ASSET,
        Column("network", length_max=24, meaning="the network, or `book`: an account at the estate's custodian"),
        Column("address", length_max=128),
        Column("memo", required=False, length_max=64, meaning="destination tag; empty is none, 0 is a tag"),
        Column("whitelisted_on", Type.DATE),
    ),
)

WALLETS = Table(
    "wallets.csv",
    ("place_id",),
    "One wallet, bank account or trust account, and what was in it.",
    (
        Column("place_id", length_max=40, plain=True),
        _ASSET,
        Column("place_kind", Type.ENUM, choices=PLACE_KINDS),
        Column("network", length_max=24),
        Column("address", length_max=128, meaning="address or account number"),
        Column("temperature", Type.ENUM, required=False, choices=TEMPERATURES, meaning="wallets only"),
        Column("tag", Type.ENUM, choices=TAGS, meaning="whose it is meant to be"),
        Column("controller", meaning="who can move it"),
        Column("custodian", required=False, meaning="who keeps it, if another"),
        Column("amount", Type.AMOUNT),
        Column("as_of", Type.INSTANT),
        Column("evidence_file", length_max=128, meaning="path in this package, below evidence/"),
        Column("evidence_sha256", Type.SHA256, length_max=64),
        Column("access", Type.ENUM, choices=ACCESS, meaning="whether control was shown, and how far"),
        Column("proof", required=False, meaning="how control was shown; empty only where it was not"),
    ),
)

HOLDS = Table(
    "holds.csv",
    ("account_id", "kind", "reference"),
    "A reason not to pay an account for now.",
    (
        _ACCOUNT,
        Column("kind", Type.ENUM, choices=HOLD_KINDS, meaning="str: a suspicious-transaction report, confidential"),
        Column("since", Type.DATE),
        Column("reference", length_max=64),
    ),
)

PRICES = Table(
    "prices.csv",
    ("asset", "at"),
    "What one whole coin was worth in yen: jpy_num / jpy_den, as two whole numbers.",
    (
        _ASSET,
        Column("jpy_num", Type.INT, length_max=40),
        Column("jpy_den", Type.INT, length_max=40),
        Column("at", Type.INSTANT),
        Column("source"),
    ),
)

TABLES: tuple[Table, ...] = (
    CUSTOMERS,
    ACCOUNTS,
    BALANCES,
    BANK_ACCOUNTS,
    WITHDRAWAL_ADDRESSES,
    WALLETS,
    HOLDS,
    PRICES,
)
_ENTRY = (
    Column("entry_id", length_max=64, plain=True, meaning="the exchange's own number"),
    _ACCOUNT,
    Column("at", Type.INSTANT, meaning="when it was booked"),
    Column("kind", Type.ENUM, choices=ENTRY_KINDS),
    _ASSET,
    Column("amount", Type.AMOUNT, meaning="what the account gained; negative where it lost"),
    Column("balance", Type.AMOUNT, required=False, meaning="of the account afterwards, where the book has it"),
    Column("reference", required=False, meaning="of the bank, or the transaction's hash"),
)

FIAT_LEDGER = Table(
    "fiat_ledger.csv",
    ("entry_id",),
    "One entry of the customers' money: everything that moved it but trades, from the account's beginning.",
    _ENTRY,
    optional=True,
)

CRYPTO_LEDGER = Table(
    "crypto_ledger.csv",
    ("entry_id",),
    "One entry of the customers' coins: everything that moved them but trades, from the account's beginning.",
    (*_ENTRY, Column("address", required=False, length_max=128), Column("manager", required=False, meaning="who kept the coins")),
    optional=True,
)

TRADES = Table(
    "trades.csv",
    ("trade_id", "account_id"),
    "One trade of one account. A trade between two customers is two rows.",
    (
        Column("trade_id", length_max=64, plain=True, meaning="the exchange's own number"),
        _ACCOUNT,
        Column("at", Type.INSTANT, meaning="when it was executed"),
        _ASSET,
        Column("quantity", Type.AMOUNT, meaning="what the account gained of the asset; negative where it sold"),
        Column("against", length_max=16, meaning="code of the asset it was paid in"),
        Column("paid", Type.AMOUNT, meaning="what the account gained of that; negative where it bought"),
        Column("fee_asset", required=False, length_max=16, meaning="code of the asset of the fee; empty where there is none"),
        Column("fee", Type.AMOUNT, required=False, meaning="what was taken as a fee, positive"),
    ),
    optional=True,
)

# What a package may carry besides: from these the balances at the cut-off are put together anew.
ENTRIES: tuple[Table, ...] = (FIAT_LEDGER, CRYPTO_LEDGER, TRADES)
BY_FILE = {table.file: table for table in (*TABLES, *ENTRIES)}

# A package that carries one of these is refused at once: the law forbids us to hold it (個人番号).
FORBIDDEN_COLUMNS = ("my_number", "individual_number", "kojin_bango", "個人番号", "マイナンバー", "まいなんばー", "ﾏｲﾅﾝﾊﾞｰ")
