"""What the database itself refuses about deliveries, mappings and rows set aside, whoever asks."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, transaction

from administration.cases.models import Case
from administration.ledger.delivered import DeliveredFile, Delivery, LedgerMapping, RowSetAside
from administration.ledger.models import Intake
from tests.cast import NOON, Cast, sha


@pytest.fixture
def rows(case: Case, cast: Cast) -> dict[str, Any]:
    open_ = Delivery.objects.create(case=case, deliverer="d", directory="x", received_by=cast.goto, received_at=NOON)
    closed = Delivery.objects.create(case=case, deliverer="d", directory="y", received_by=cast.goto, received_at=NOON)
    file = DeliveredFile.objects.create(delivery=closed, name="a.csv", bytes=1, received=1, received_at=NOON)
    DeliveredFile.objects.filter(pk=file.pk).update(sha256=sha("a"))
    Delivery.objects.filter(pk=closed.pk).update(state="complete", completed_at=NOON)
    mapping = LedgerMapping.objects.create(case=case, version=1, text="x", sha256=sha("x"), by=cast.goto, at=NOON)
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=sha("p"), directory="z", cutoff_at=NOON, received_by=cast.goto, received_at=NOON, mapping=mapping
    )
    aside = RowSetAside.objects.create(intake=intake, file="balances.csv", row=2, kind="bad_date", reason="r")
    return {"open": open_, "closed": closed, "file": file, "mapping": mapping, "intake": intake, "aside": aside, "case": case, "goto": cast.goto}


def late(r: dict[str, Any]) -> None:
    for state in ("inspecting", "inspected"):
        Intake.objects.filter(pk=r["intake"].pk).update(state=state)
    RowSetAside.objects.create(intake=r["intake"], file="balances.csv", row=3, kind="bad_date", reason="r")


MISUSES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "append only: UPDATE on ledger_ledgermapping": lambda r: LedgerMapping.objects.update(text="y"),
    "append only: DELETE on ledger_rowsetaside": lambda r: RowSetAside.objects.all()._raw_delete("default"),
    "append only: DELETE on ledger_delivery": lambda r: Delivery.objects.filter(pk=r["open"].pk)._raw_delete("default"),
    "delivery_stays_as_received": lambda r: Delivery.objects.filter(pk=r["closed"].pk).update(state="arriving"),
    "delivery_stays_as_received: ": lambda r: Delivery.objects.filter(pk=r["closed"].pk).update(deliverer="somebody else"),
    "delivery_is_destroyed_for_a_reason": lambda r: Delivery.objects.filter(pk=r["closed"].pk).update(state="destroyed"),
    "delivered_file_is_kept": lambda r: DeliveredFile.objects.filter(pk=r["file"].pk)._raw_delete("default"),
    "delivery_is_closed": lambda r: DeliveredFile.objects.create(delivery=r["closed"], name="b", bytes=0, received_at=NOON),
    "delivered_file_stays_as_received": lambda r: DeliveredFile.objects.filter(pk=r["file"].pk).update(sha256=sha("b")),
    "delivered_file_with_a_hash_is_whole": lambda r: DeliveredFile.objects.create(
        delivery=r["open"], name="b", bytes=2, received=1, sha256=sha("b"), received_at=NOON
    ),
    "an_encoding_was_confirmed_by_somebody": lambda r: DeliveredFile.objects.filter(pk=r["file"].pk).update(encoding="cp932"),
    "delivered_file_has_its_own_name": lambda r: [
        DeliveredFile.objects.create(delivery=r["open"], name="b", bytes=0, received_at=NOON) for _ in "12"
    ],
    "mapping_version_is_used_once": lambda r: LedgerMapping.objects.create(
        case=r["case"], version=1, text="y", sha256=sha("y"), by=r["goto"], at=NOON
    ),
    "row_is_set_aside_once": lambda r: RowSetAside.objects.create(intake=r["intake"], file="balances.csv", row=2, kind="empty", reason="r"),
    "rows_are_set_aside_at_inspection": late,
    "intake_stays_what_was_received": lambda r: Intake.objects.filter(pk=r["intake"].pk).update(outcomes={"bad_date": {}}),
    "intake_stays_what_was_received: ": lambda r: Intake.objects.filter(pk=r["intake"].pk).update(mapping=None),
}


def test_the_database_refuses_what_would_change_what_was_delivered(rows: dict[str, Any]):
    wrong = []
    for message, misuse in MISUSES.items():
        try:
            with transaction.atomic():
                misuse(rows)
            wrong.append(message)
        except Error as refused:
            if message.rstrip(": ") not in str(refused) and "permission denied" not in str(refused):
                wrong.append(f"{message}: {refused}")
    assert not wrong
    assert LedgerMapping.objects.get().text == "x" and RowSetAside.objects.count() == 1
