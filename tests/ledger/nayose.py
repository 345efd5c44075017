"""What the tests of name aggregation share: customers of an accepted ledger, and a run over them."""

import datetime
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from administration.cases.models import Case
from administration.ledger import nayose
from administration.ledger.models import Aggregation, Identity, Intake, PersonLink, SourceFile
from administration.office.benchmarks.nayose import register
from administration.office.sample.doubles import Registered
from administration.people.models import User
from tests.cast import CUTOFF, LONG_AGO, NOON, sha
from tests.ledger.helpers import work

BORN = datetime.date(1980, 1, 2)
SHOTA = Registered(
    person=1, entity_type="individual", name="高崎 翔太", kana="タカサキ ショウタ", romaji="", born=BORN, nationality="JP",
    postcode="100-0005", address="東京都千代田区丸の内1-2-3", phone="+819012345678", email="shota@example.com",
)  # fmt: skip


def accepted_ledger_of(case: Case, customers: Iterable[Registered], *, by: User) -> list[Identity]:
    """These customers in an accepted ledger, made past the triggers: how a ledger is accepted is tested elsewhere."""
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=sha(f"package of {case.reference}"), directory="", cutoff_at=CUTOFF,
        received_by=by, received_at=LONG_AGO,
    )  # fmt: skip
    file = SourceFile.objects.create(
        case=case, intake=intake, name="customers.csv", sha256=sha("customers"), bytes=1, rows=1, received_at=LONG_AGO
    )
    register(case, file, iter(customers))
    with past_the_triggers() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted' WHERE id = %s", [intake.pk])
    return list(Identity.objects.filter(case=case).order_by("pk"))


class past_the_triggers:  # noqa: N801 - reads as what it is for
    """`with past_the_triggers() as cursor`: rows of earlier steps."""

    def __enter__(self) -> Any:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.cursor = connection.cursor()
        self.cursor.execute("SELECT current_user")
        self.before = self.cursor.fetchone()[0]
        self.cursor.execute("SET LOCAL ROLE NONE")
        self.cursor.execute("SET LOCAL session_replication_role = replica")
        return self.cursor

    def __exit__(self, *trouble: Any) -> None:
        if trouble[0] is None:
            self.cursor.execute("SET LOCAL session_replication_role = origin")
            self.cursor.execute(f"SET LOCAL ROLE {self.before}")
        self.atomic.__exit__(*trouble)


def aggregate(case: Case, *, by: User) -> Aggregation:
    return Aggregation.objects.get(pk=work(nayose.run(case, by=by, at=NOON)).subject_id)


def who_is_whom(case: Case) -> dict[str, int]:
    """Customer → number of its person, now."""
    live = PersonLink.objects.filter(case=case, followed_by__isnull=True).select_related("identity", "person")
    return {link.identity.customer_ref: link.person.number for link in live}
