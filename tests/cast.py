"""
The standing cast: Aoki holds the office, Baba approves, Goto is the case officer and prepares, Chiba
audits, Doi and Endo claim, Fujii is a stranger and must see nothing.
"""

import datetime
import hashlib
from dataclasses import dataclass

import pytest

from administration.books.models import Asset
from administration.cases.models import Appointment, AppointmentKind, Case
from administration.people.models import User

JST = datetime.timezone(datetime.timedelta(hours=9))
NOON = datetime.datetime(2026, 11, 2, 12, 0, tzinfo=JST)
LONG_AGO = datetime.datetime(2026, 10, 1, 9, 0, tzinfo=JST)
CUTOFF = datetime.datetime(2026, 9, 30, 15, 0, tzinfo=JST)
EVERY_POWER = [
    "cases.secure", "ledger.take_over", "custody.record", "claims.schedule", "claims.decide", "distribution.plan",
    "returns.schedule", "returns.batch", "returns.export", "returns.evidence", "returns.stop", "orders.register",
    "deadlines.set", "appointments.grant", "destinations.verify",
]  # fmt: skip


@dataclass(frozen=True)
class Cast:
    aoki: User
    baba: User
    goto: User
    chiba: User
    fujii: User


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def open_sample_case(reference: str = "T-1") -> Case:
    """A sample case as it stands after step 1, made by rows: acts of other rooms are tested in those rooms."""
    return Case.objects.create(
        reference=reference, name="Sample Exchange K.K.", regime="JP-PSA-2020", proceeding="bankruptcy",
        trigger="INSOLVENCY_PETITION", court="Tokyo District Court", court_number="2026 (fu) 118", cutoff_at=CUTOFF,
        cooling_off_hours=0, is_sample=True, salt=sha("salt"), opened_at=LONG_AGO,
    )  # fmt: skip


def gather(case: Case | None = None) -> Cast:
    """The people, appointed in `case` if one is given."""
    people = {name: User.objects.get_or_create(username=name)[0] for name in ("aoki", "baba", "goto", "chiba", "fujii")}
    kinds = {
        "aoki": AppointmentKind.OFFICE_HOLDER,
        "baba": AppointmentKind.APPROVER,
        "goto": AppointmentKind.CASE_OFFICER,
        "chiba": AppointmentKind.AUDITOR,
    }
    if case is not None:
        for name, kind in kinds.items():
            Appointment.objects.create(
                case=case, user=people[name], kind=kind, authority="Tokyo District Court",
                instrument="appointing order", instrument_sha256=sha("instrument"), from_at=LONG_AGO,
                granted_by=None if name == "aoki" else people["aoki"],
                powers=["audit.pull"] if name == "chiba" else EVERY_POWER,
            )  # fmt: skip
    return Cast(**people)


@pytest.fixture
def case(db: None) -> Case:
    return open_sample_case()


@pytest.fixture
def assets(case: Case) -> dict[str, Asset]:
    rows = {"JPY": (0, 1, "bank", "fiat"), "BTC": (8, 1, "bitcoin", "coin"), "ETH": (18, 10**10, "ethereum", "coin")}
    return {
        code: Asset.objects.create(case=case, code=code, name=code, scale=s, payable_step=p, network=n, kind=k)
        for code, (s, p, n, k) in rows.items()
    }


@pytest.fixture
def cast(case: Case) -> Cast:
    return gather(case)


@pytest.fixture
def aoki(cast: Cast) -> User:
    return cast.aoki


@pytest.fixture
def baba(cast: Cast) -> User:
    return cast.baba


@pytest.fixture
def goto(cast: Cast) -> User:
    return cast.goto


@pytest.fixture
def chiba(cast: Cast) -> User:
    return cast.chiba


@pytest.fixture
def fujii(cast: Cast) -> User:
    return cast.fujii
