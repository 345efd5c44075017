"""
The customers and accounts of the invented exchange, block by block.

Everything is drawn from one generator of whole numbers in the order of the accounts, so an account is the same
whether 2,000 or 2,000,000 are made. Rows are made as finished CSV lines: what could need quoting is quoted here.
"""

import struct
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from random import Random

from administration.office.sample import codecs, names
from administration.office.sample.assets import ASSETS, BOOK, CODECS, decimal_format
from administration.rails import accounts as bank_accounts

CUTOFF_DAY = date(2026, 9, 30)
OPENED = tuple((date(2016, 4, 1) + timedelta(days=day)).isoformat() for day in range(3_834))
LAST_DAY = len(OPENED) - 1
BORN = tuple((date(1936, 1, 1) + timedelta(days=day)).isoformat() for day in range(26_000))
FOUNDED = tuple((date(1950, 1, 1) + timedelta(days=day)).isoformat() for day in range(26_000))

U16, U32 = 1 << 16, 1 << 32
PARETO_MAX = 10_000_000  # the largest balance is this many times the least

# What is drawn for a person, and for an account: chances in 65,536ths, then wide numbers, then key material.
_PERSON = struct.Struct(">24H4I")
_ACCOUNT = struct.Struct(">10H12H12I4I20s32s")


def _chance(per_thousand: int) -> int:
    """As a bound for a 16-bit draw; reckoned once, since the loop below asks millions of times."""
    return U16 * per_thousand // 1000


TWO_MORE, ONE_MORE = _chance(2), _chance(17)  # 1.7 % have more than one account,
AGAIN = _chance(5)  # and 0.5 % registered a second time
COMPANY, FOREIGNER = _chance(30), _chance(90)
KYC_NOT_DONE = _chance(60)
HELD = _chance(5)
DORMANT = _chance(60)
NOT_OWN = _chance(25)
EMPTY = _chance(5)
OVERDRAWN = _chance(1)
WAITING, LENT = U16 - _chance(20), U16 - _chance(45)


@dataclass(slots=True)
class Totals:
    """What the balances of each asset add up to as they are written: the exchange's general ledger."""

    by_product: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # signed sum, rows
    owed: dict[str, int] = field(default_factory=dict)  # positive balances only
    accounts: int = 0

    def add(self, asset: str, product: str, units: int) -> None:
        line = self.by_product.get((asset, product))
        if line is None:
            line = self.by_product[asset, product] = [0, 0]
        line[0] += units
        line[1] += 1
        if units > 0:
            self.owed[asset] = self.owed.get(asset, 0) + units


@dataclass(slots=True)
class Block:
    """The lines of some accounts, table by table."""

    customers: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    balances: list[str] = field(default_factory=list)
    bank_accounts: list[str] = field(default_factory=list)
    withdrawal_addresses: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Person:
    """Who the next account belongs to."""

    customer: str
    name: str
    kana: str
    romaji: str
    born: str
    nationality: str
    residence: str
    where: str  # postcode, address, its kana: three finished fields
    phone: str
    email: str
    language: str
    holder: str  # half-width kana
    corporate_number: str = ""
    kyc: str = "verified"

    def line(self) -> str:
        kind = "corporate" if self.corporate_number else "individual"
        return (
            f"{self.customer},{kind},{self.name},{self.kana},{self.romaji},{self.born},{self.nationality},"
            f"{self.residence},{self.where},{self.phone},{self.email},{self.corporate_number},{self.kyc},{self.language}"
        )


@cache
def _holder_names() -> dict[str, str]:
    """Every kana of the name tables as the bank file has it."""
    kana = {k for table in (names.SURNAMES, names.GIVEN_NAMES, names.COMPANIES, names.TRADES) for _, k, _ in table}
    kana |= {k for _, family, given in names.FOREIGN for _, k in (*family, *given)}
    return {name: bank_accounts.party_name(name) for name in kana}


@cache
def _branches() -> tuple[tuple[str, str], ...]:
    """Real branches; those of the largest banks come up more often, as customers do."""
    large = {"0001", "0005", "0009", "0010", "0033", "0036", "0038", "9900"}
    every = bank_accounts.branches()
    favoured = tuple(pair for pair in every if pair[0] in large)
    return every + favoured * (len(every) // len(favoured))


class Book:
    """The accounts of one seed, made in order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"henkan handover {seed}")
        self.totals = Totals()
        self._customers = 0
        self._accounts = 0
        self._more = 0  # accounts still to open for the same customer
        self._person: _Person | None = None
        self._exchanges = tuple(codecs.classic(self.random.randbytes(20)) for _ in range(14))

    def block(self, accounts: int) -> Block:
        """The next `accounts` accounts with all that belongs to them."""
        block = Block()
        for _ in range(accounts):
            if self._more and self._person:
                self._more -= 1
            else:
                self._person = self._next_person(self._person)
                block.customers.append(self._person.line())
            self._account(block, self._person)
        return block

    def _next_person(self, last: _Person | None) -> _Person:
        draw = _PERSON.unpack(self.random.randbytes(_PERSON.size))
        self._customers += 1
        customer = f"C{self._customers:08d}"
        luck = draw[0]
        self._more = 0 if luck >= ONE_MORE else 2 if luck < TWO_MORE else 1

        if last and not last.corporate_number and draw[1] < AGAIN:
            return self._registered_again(customer, last)
        if draw[2] < COMPANY:
            person = self._company(customer, draw)
        elif draw[2] < FOREIGNER:
            person = self._foreigner(customer, draw)
        else:
            person = self._japanese(customer, draw)
        person.kyc = "verified" if draw[3] >= KYC_NOT_DONE else ("expired", "pending", "unverified")[draw[3] % 3]
        return person

    @staticmethod
    def _registered_again(customer: str, last: _Person) -> _Person:
        other = last.name.translate(names.OTHER_SPELLING)
        return _Person(
            customer, other, last.kana, last.romaji, last.born, last.nationality, last.residence, last.where,
            last.phone, f"{customer.lower()}@example.net", last.language, last.holder,
        )  # fmt: skip

    @staticmethod
    def _home(draw: tuple[int, ...]) -> tuple[str, str, str]:
        """Postcode, address, its kana of somebody in Japan."""
        postcode, area, kana, _ = names.PLACES[draw[4] % len(names.PLACES)]
        lot = f"{draw[5] % 9 + 1}-{draw[6] % 28 + 1}-{draw[7] % 20 + 1}"
        building = names.BUILDINGS[draw[8] % len(names.BUILDINGS)]
        room = f"{building}{draw[9] % 9 + 1}0{draw[9] % 8 + 1}" if building else ""
        return postcode, f"{area}{lot}{'　' + room if room else ''}", f"{kana}{lot}"

    @staticmethod
    def _phone(draw: tuple[int, ...]) -> str:
        """A Japanese mobile number from a range that is not given out: 090-0…"""
        return f"+81900{draw[25] % 10_000_000:07d}"

    def _japanese(self, customer: str, draw: tuple[int, ...]) -> _Person:
        # The tables begin with the commonest names; the smaller of two draws favours them.
        surname, surname_kana, surname_romaji = names.SURNAMES[min(draw[10], draw[11]) * len(names.SURNAMES) >> 16]
        given, given_kana, given_romaji = names.GIVEN_NAMES[draw[12] * len(names.GIVEN_NAMES) >> 16]
        half = _holder_names()
        postcode, address, kana = self._home(draw)
        gap = "　" if draw[13] % 4 else ""
        return _Person(
            customer=customer,
            name=f"{surname}{gap}{given}",
            kana=f"{surname_kana}　{given_kana}",
            romaji=f"{surname_romaji} {given_romaji}" if draw[14] % 3 else "",
            born=BORN[draw[15] * len(BORN) >> 16],
            nationality="JP",
            residence="JP",
            where=f"{postcode},{address},{kana}",
            phone=self._phone(draw),
            email=f"{given_romaji.lower()}.{customer.lower()}@{names.MAIL_HOSTS[draw[16] % len(names.MAIL_HOSTS)]}",
            language="ja",
            holder=f"{half[surname_kana]} {half[given_kana]}",
        )

    def _foreigner(self, customer: str, draw: tuple[int, ...]) -> _Person:
        country, families, givens = names.FOREIGN[draw[10] % len(names.FOREIGN)]
        family, family_kana = families[draw[11] % len(families)]
        given, given_kana = givens[draw[12] % len(givens)]
        half = _holder_names()
        if country == "ID" and draw[13] % 2:  # people with one name
            name, kana, holder = given, given_kana, half[given_kana]
        else:
            name, kana = f"{family} {given}", f"{family_kana}　{given_kana}"
            holder = f"{half[family_kana]} {half[given_kana]}"
        if draw[14] % 3:
            postcode, _, _, area = names.PLACES[draw[4] % len(names.PLACES)]
            residence, phone = "JP", self._phone(draw)
            where = f'{postcode},"{draw[5] % 9 + 1}-{draw[6] % 28 + 1}-{draw[7] % 20 + 1} {area}",'
        else:
            residence, street = names.CITIES[draw[4] % len(names.CITIES)]
            phone = f"+1{200 + draw[5] % 700}55501{draw[25] % 100:02d}"
            where = f',"{draw[5] % 980 + 1} {street}",'
        return _Person(
            customer=customer,
            name=name,
            kana=kana,
            romaji=name,
            born=BORN[draw[15] * len(BORN) >> 16],
            nationality=country,
            residence=residence,
            where=where,
            phone=phone,
            email=f"{customer.lower()}@{names.MAIL_HOSTS[draw[16] % len(names.MAIL_HOSTS)]}",
            language="ja" if draw[17] % 3 == 0 else "en",
            holder=bank_accounts.cut(holder),
        )

    def _company(self, customer: str, draw: tuple[int, ...]) -> _Person:
        first, first_kana, first_romaji = names.COMPANIES[draw[10] % len(names.COMPANIES)]
        trade, trade_kana, trade_romaji = names.TRADES[draw[11] % len(names.TRADES)]
        form, form_kana, form_romaji, head, tail = names.FORMS[draw[12] % len(names.FORMS)]
        half = _holder_names()
        body, body_kana, body_half = first + trade, first_kana + trade_kana, half[first_kana] + half[trade_kana]
        in_front = draw[13] % 2
        postcode, address, kana = self._home(draw)
        number = codecs.corporate_number(9999_01_000000 + self._customers % 1_000_000)  # no registry has number 9999
        return _Person(
            customer=customer,
            name=form + body if in_front else body + form,
            kana=f"{form_kana}　{body_kana}" if in_front else f"{body_kana}　{form_kana}",
            romaji=f'"{first_romaji} {trade_romaji} {form_romaji}"',
            born=FOUNDED[draw[15] * len(FOUNDED) >> 16],
            nationality="JP",
            residence="JP",
            where=f"{postcode},{address},{kana}",
            phone=f"+81300{draw[25] % 1_000_000:06d}",
            email=f"keiri.{customer.lower()}@example.co.jp",
            language="ja",
            holder=bank_accounts.cut(head + body_half if in_front else body_half + tail),
            corporate_number=number,
        )

    def _account(self, block: Block, person: _Person) -> None:
        self._accounts += 1
        self.totals.accounts += 1
        draw = _ACCOUNT.unpack(self.random.randbytes(_ACCOUNT.size))
        account = f"A{self._accounts:08d}"
        opened = draw[0] * LAST_DAY >> 16
        held_back = draw[1] < HELD
        if held_back:
            status = "restricted"
            kind = ("attachment", "dispute", "sanctions", "deceased", "str")[draw[1] % 5]
            since = OPENED[opened + draw[2] * (LAST_DAY - opened) // U16]
            block.holds.append(f"{account},{kind},{since},{kind[:3].upper()}-{self._accounts}")
        else:
            status = "dormant" if draw[2] < DORMANT else "active"
        capacity = "own"
        if not person.corporate_number and draw[3] < NOT_OWN:
            capacity = ("sole_trader", "sole_trader", "joint", "trustee", "guardian")[draw[3] % 5]
        block.accounts.append(f"{account},{person.customer},{capacity},{status},{OPENED[opened]}")
        if draw[4] < EMPTY:
            return  # an account that was opened and never used

        listed = OPENED[opened + draw[5] * (LAST_DAY - opened) // U16]
        ethereum = ""
        for place, asset in enumerate(_SHAPES):
            if draw[10 + place] >= asset.chance:
                continue
            units = self._balance(block, account, asset, draw[22 + place], draw[6] ^ place * 0x3D4D & 0xFFFF)
            if asset.code == "JPY" or units <= 0 or draw[22 + place] % 100 < 3:
                continue  # three in a hundred never named an address
            network, address, memo = asset.network, "", ""
            if network == "ethereum":
                ethereum = ethereum or (codecs.eip55(draw[38]) if draw[7] % 3 else "0x" + draw[38].hex())
                address = ethereum
            elif network == "bitcoin":
                address = _bitcoin(draw[8], draw[38], draw[39])
            elif network == "xrpl":
                if draw[9] % 5 < 3:  # at another exchange: its address, and a tag that says whose it is
                    address, memo = self._exchanges[draw[9] % 14], str(draw[34])
                else:
                    address = codecs.classic(draw[39][:20])
            else:
                address = f"KB{self._accounts:08d}"
            block.withdrawal_addresses.append(f"{account},{asset.code},{network},{address},{memo},{listed}")

        if draw[10] < _SHAPES[0].chance or draw[9] & 1:
            bank, branch = _branches()[draw[35] % len(_branches())]
            kind = "1" if draw[9] % 50 else "2"
            block.bank_accounts.append(
                f"{account},{bank},{branch},{kind},{draw[36] % 9_999_999 + 1:07d},{person.holder}"
            )

    def _balance(self, block: Block, account: str, asset: "_Shape", luck: int, product: int) -> int:
        """Write the balance of one asset, by products; the spot units."""
        code = asset.code
        units = min(asset.least * U32 // (luck + 1), asset.least * PARETO_MAX - luck)
        if luck % 9 == 0:
            units = 1 + units % asset.dust  # the long tail
        if code == "JPY" and product < OVERDRAWN:
            units = -(100 + units % 40_000)  # a fee or a margin call nobody covered
        text = asset.text % divmod(units, asset.one) if units > 0 else str(units)
        block.balances.append(f"{account},{code},spot,{text}")
        self.totals.add(code, "spot", units)
        if units > 0 and product > WAITING:
            waiting = units // 5 + 1
            block.balances.append(f"{account},{code},pending_withdrawal,{asset.text % divmod(waiting, asset.one)}")
            self.totals.add(code, "pending_withdrawal", waiting)
        elif units > 0 and asset.lends and product > LENT:
            lent = units * 3 + product
            block.balances.append(f"{account},{code},lending,{asset.text % divmod(lent, asset.one)}")
            self.totals.add(code, "lending", lent)
        return units


@dataclass(frozen=True, slots=True)
class _Shape:
    """An asset as the inner loop wants it."""

    code: str
    network: str
    chance: int
    least: int
    dust: int
    one: int
    text: str
    lends: bool


_SHAPES = tuple(
    _Shape(
        code=asset.code,
        network=asset.network if asset.network in CODECS else BOOK,
        chance=_chance(asset.common),
        least=asset.least,
        dust=max(asset.least // 100, 2),
        one=10**asset.scale,
        text=decimal_format(asset.scale),
        lends=asset.code in ("BTC", "ETH", "USDC"),
    )
    for asset in ASSETS
)


def _bitcoin(luck: int, key_hash: bytes, output_key: bytes) -> str:
    """Mostly native segwit, as of 2026; old kinds are still about."""
    kind = luck % 20
    if kind < 12:
        return codecs.p2wpkh(key_hash)
    if kind < 15:
        return codecs.p2pkh(key_hash)
    return codecs.p2sh(key_hash) if kind < 18 else codecs.p2tr(output_key)
