"""
What in a readable package is unlikely: days to come, numbers that fail their check digit, addresses many share.

Nothing here refuses anything. Each is a remark, signed with the acceptance, and somebody looks at it later.
"""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

from administration.ledger import package
from administration.ledger.findings import WARN, Findings
from administration.ledger.package import Table
from administration.ledger.staging import TABLES, Package

OLDEST = 120  # years a living person has at most
ASKED = "Nothing to do here: the customer will be asked."

# The first digit is 9 less the remainder by 9 of the other twelve, every second of them doubled, from the right.
_BAD_CORPORATE_NUMBER = """
SELECT "row", corporate_number AS shown FROM ledger_staging_customers
WHERE intake = %s AND corporate_number <> '' AND corporate_number ~ '^[1-9][0-9]{12}$' AND left(corporate_number, 1)::int <> 9 - (
    SELECT sum(substr(corporate_number, 14 - n, 1)::int * (2 - n %% 2)) FROM generate_series(1, 12) n) %% 9
"""

_DAYS: tuple[tuple[Table, str], ...] = (
    (package.CUSTOMERS, "birth_or_founding_date"),
    (package.ACCOUNTS, "opened_on"),
    (package.WITHDRAWAL_ADDRESSES, "whitelisted_on"),
    (package.HOLDS, "since"),
)
_INSTANTS: tuple[tuple[Table, str], ...] = ((package.WALLETS, "as_of"), (package.PRICES, "at"))


def look(this: Package) -> None:
    """Remark on what is unlikely."""
    findings = Findings(this.key)
    for table, column in _DAYS:
        findings.add_rows(
            table, column, "future_date",
            f"""SELECT "row", {column}::text AS shown FROM {TABLES[table.file]}
                WHERE intake = %s AND {column} > (%s AT TIME ZONE 'Asia/Tokyo')::date""",
            [this.key, this.manifest.cutoff_at], severity=WARN,
            reason="%s is after the cut-off.", remedy="Find the right day; this one stays until somebody corrects it.",
        )  # fmt: skip
    findings.add_rows(
        package.CUSTOMERS, "birth_or_founding_date", "unlikely_date",
        f"""SELECT "row", birth_or_founding_date::text AS shown FROM ledger_staging_customers
            WHERE intake = %s AND entity_type = 'individual'
              AND birth_or_founding_date < (%s - interval '{OLDEST} years')::date""",
        [this.key, this.manifest.cutoff_at], severity=WARN,
        reason=f"Born on %s, the customer would be over {OLDEST} years old.", remedy=ASKED,
    )  # fmt: skip
    findings.add_rows(
        package.CUSTOMERS, "corporate_number", "corporate_number_digit", _BAD_CORPORATE_NUMBER, [this.key], severity=WARN,
        reason="The check digit of %s is wrong.", remedy="Look the company up in the register.",
    )  # fmt: skip
    findings.add_rows(
        package.CUSTOMERS, "corporate_number", "corporate_number_of_person",
        """SELECT "row", corporate_number AS shown FROM ledger_staging_customers
           WHERE intake = %s AND corporate_number <> '' AND entity_type = 'individual'""",
        [this.key], severity=WARN, reason="A person cannot have the corporate number %s.", remedy="Find out who the customer is.",
    )  # fmt: skip
    for table, column in _INSTANTS:
        findings.add_rows(
            table, column, "other_instant",
            f"""SELECT "row", to_char("{column}" AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS') AS shown
                FROM {TABLES[table.file]} WHERE intake = %s AND "{column}" <> %s""",
            [this.key, this.manifest.cutoff_at], severity=WARN,
            reason="This stood at %s (Japan), not at the cut-off.", remedy="See what moved in between.",
        )  # fmt: skip
    _shared(this, findings)
    findings.add_rows(
        package.WITHDRAWAL_ADDRESSES, "address", "estate_address",
        """SELECT "row", w.place_id AS shown FROM ledger_staging_withdrawal_addresses a
           JOIN (SELECT DISTINCT ON (network, address) network, address, place_id FROM ledger_staging_wallets
                 WHERE intake = %s AND place_kind = 'wallet' ORDER BY network, address, "row") w USING (network, address)
           WHERE a.intake = %s""",
        [this.key, this.key], severity=WARN,
        reason="This is an address of the exchange itself (%s).", remedy="Nothing is sent there. The customer will be asked.",
    )  # fmt: skip
    findings.add_rows(
        package.PRICES, "jpy_num", "zero_price",
        'SELECT "row", asset AS shown FROM ledger_staging_prices WHERE intake = %s AND jpy_num = 0', [this.key],
        severity=WARN, reason="A whole %s is priced at nothing.", remedy="See whether that is meant.",
    )  # fmt: skip


def _shared(this: Package, findings: Findings) -> None:
    """Destinations that belong to several customers. Hashes first: most packages have none."""
    for table, column, key, where in (
        (package.WITHDRAWAL_ADDRESSES, "address", ("network", "address", "memo"), "network <> 'book'"),
        (package.BANK_ACCOUNTS, "number", ("bank_code", "branch_code", "kind", "number"), "true"),
    ):
        name, keys = TABLES[table.file], ", ".join(key)
        own, hashed = ", ".join(f"d.{part}" for part in key), "0"
        for part in key:
            hashed = f"hashtextextended({part}, {hashed})"
        findings.add_rows(
            table, column, f"shared_{column if column == 'address' else 'bank_account'}",
            f"""WITH often AS (
                    SELECT {hashed} AS hash FROM {name} WHERE intake = %s AND {where}
                    GROUP BY 1 HAVING count(*) > 1 AND min(account_id) <> max(account_id)
                ), whose AS (
                    SELECT d."row", {own}, min(a.customer_id) AS customer_id FROM {name} d
                    JOIN ledger_staging_accounts a ON a.intake = d.intake AND a.account_id = d.account_id
                    WHERE d.intake = %s AND {where} AND {hashed} IN (SELECT hash FROM often) GROUP BY d."row", {own}
                )
                SELECT "row", many::text AS shown FROM (
                    SELECT "row", count(*) OVER same AS many, min(customer_id) OVER same AS one,
                           max(customer_id) OVER same AS other
                    FROM whose WINDOW same AS (PARTITION BY {keys})
                ) shared WHERE one <> other""",
            [this.key, this.key], severity=WARN, reason="It stands at %s accounts, of more than one customer.", remedy=ASKED,
        )  # fmt: skip
