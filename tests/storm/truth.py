"""
What really happened, read from the rail simulator's own file, and what was owed, known by who made the estate.

Nothing here asks the engine about a payment: whom the rail paid is read from where the money went.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from tests.returns.world import ASSETS
from tests.storm.estate import holder
from tests.storm.plant import Plant

Obligation = tuple[str, str]  # claim, asset


@dataclass(slots=True)
class Paid:
    """One line of the truth file: what the rail did with one item."""

    desk: str
    key: str
    reference: str
    kind: str
    asset: str
    amount: int
    at: datetime
    destination: dict[str, str]
    memo: str

    @property
    def to(self) -> Obligation:
        claim, asset, _version = self.destination["to"].rsplit("/", 2)
        return claim, asset


@dataclass(slots=True)
class Booking:
    """One request the rail took: under which key, which bytes, and when by the wall clock."""

    desk: str
    key: str
    body: str
    at: datetime


@dataclass(slots=True)
class Truth:
    """The whole file."""

    bookings: list[Booking] = field(default_factory=list)
    events: list[Paid] = field(default_factory=list)

    @property
    def settled(self) -> Iterator[Paid]:
        return (paid for paid in self.events if paid.kind != "returned")

    def net(self) -> dict[Obligation, int]:
        """What each holds in the end, in units: paid and not come back."""
        sums: dict[Obligation, int] = defaultdict(int)
        for paid in self.events:
            sums[paid.to] += {"settled": paid.amount, "returned": -paid.amount}.get(paid.kind, 0)
        return sums


def read(plant: Plant) -> Truth:
    found, day = Truth(), 0
    where: dict[tuple[str, str], tuple[dict[str, str], str]] = {}
    for record in plant.truth():
        day = record.get("day", day)
        if "lines" not in record:
            continue
        desk = record.get("desk", "r1")
        if "key" in record:
            at = datetime.fromisoformat(record["lines"][0]["at"]) - timedelta(days=day)
            found.bookings.append(Booking(desk, record["key"], record["body"], at))
            for line, (destination, memo) in zip(record["lines"], record["to"], strict=True):
                where[line["key"], line["reference"]] = destination, memo
        for line in record["lines"]:
            key, reference = line["key"], line["reference"]
            found.events.append(
                Paid(
                    desk, key, reference, line["kind"], line["asset"], int(line["amount"]),
                    datetime.fromisoformat(line["at"]), *where[key, reference],
                )
            )  # fmt: skip
    return found


def owed() -> dict[Obligation, int]:
    """What each claim is owed in each asset, as the estate was made: of it, what a rail can pay."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.number, i.customer_ref FROM register_claim c
               JOIN register_claimant w ON w.id = c.claimant_id JOIN ledger_identity i ON i.id = w.identity_id"""
        )
        claims = cursor.fetchall()
    found = {}
    for number, customer in claims:
        for code, units in holder(int(customer[1:])).items():
            step = ASSETS[code][1]
            found[number, code] = units - units % step
    return found
