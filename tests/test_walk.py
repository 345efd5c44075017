"""
The whole way once, as design §1 has it: each step reads what earlier steps froze and leaves its own behind.

The acts are those of administration/office/demo.py, which `up --check` uses too. Work is done by whoever
waits; tests/test_kills.py has Celery workers do it, and kills them.
"""

import subprocess
import sys

import pytest
from django.conf import settings
from django.db.models import Sum

from administration.audit import pulls
from administration.audit.models import Pull
from administration.cases.models import ApprovalRequest, RequestState
from administration.custody.models import Holding, Reconciliation
from administration.distribution.models import Entitlement, PoolLine, RunState
from administration.ledger.models import Intake, IntakeState, LedgerAccount, LedgerBalance
from administration.office import demo
from administration.office import sample as handover
from administration.record import verify
from administration.record.models import Head
from administration.returns.models import AssetReturn, Attempt, Batch, BatchState, ReturnState
from claims.register import tie_out
from claims.register.models import Claim, ClaimLine, Position

ACCOUNTS = 150
VERIFIER = settings.PROJECT / "administration" / "audit" / "henkan_verify.py"


@pytest.fixture
def way(committed, rehearsal, tmp_path):
    handover.write(tmp_path / "package", accounts=ACCOUNTS, seed=11)
    return demo.Way(ACCOUNTS, 11, package=tmp_path / "package")


def test_the_whole_way_once(way, tmp_path):
    # 1  The case is opened under its profile; nothing is taken over before the exchange is secured.
    way.secure()
    assert way.case.securing_completed_at is not None
    assert way.case.deadlines.get().provenance == "決定 R8-9999-1"

    # 2  The ledger is taken over as delivered, accepted by a second person, and frozen.
    way.take_over()
    intake = Intake.objects.get()
    assert intake.state == IntakeState.ACCEPTED
    assert LedgerAccount.objects.count() == intake.accounts == ACCOUNTS
    assert all(total.declared == total.computed + total.suspense for total in intake.control_totals.all())

    # 3  What is held is proved and compared with what is owed: two assets fall short.
    way.prove()
    assert Holding.objects.exclude(evidence_name="").count() == Holding.objects.count() > 12
    assert Reconciliation.objects.filter(difference__lt=0).count() == 2

    # 4  Every account is one claim; silence lets it stand, some are confirmed, disputed, decided.
    way.settle_claims()
    assert Claim.objects.count() == ACCOUNTS
    recorded = ClaimLine.objects.aggregate(sum=Sum("recorded"))["sum"]
    assert recorded >= LedgerBalance.objects.aggregate(sum=Sum("amount"))["sum"]

    # 5  The plan is computed to the last unit and approved by two, the office-holder among them.
    way.plan()
    assert way.run.state == RunState.DECLARED
    for pool in PoolLine.objects.all():
        given = Entitlement.objects.filter(run=way.run, asset=pool.asset).aggregate(sum=Sum("amount"))["sum"] or 0
        assert given == pool.distributed <= pool.amount

    # 6  Returns are scheduled from what was given, and grouped in a batch that two people sign by its hash.
    way.schedule()
    batch = Batch.objects.get()
    assert batch.state == BatchState.APPROVED
    assert ApprovalRequest.objects.get(act="returns.batch").content_sha256 == batch.manifest_sha256

    # 7  They leave the house once each: an attempt holds its return before anything is sent.
    way.carry_out()
    assert Attempt.objects.count() == AssetReturn.objects.filter(batch=batch).count() == batch.items

    # 8  Only evidence settles. What the rail refused goes out again in a new batch; what came back is open again.
    way.confirm()
    assert AssetReturn.objects.filter(state=ReturnState.SETTLED).count() > ACCOUNTS
    assert AssetReturn.objects.filter(state=ReturnState.RETURNED).exists()
    assert Position.objects.aggregate(sum=Sum("in_flight"))["sum"] == 0

    # 9  Everything is accounted for: both statements tie, the record verifies, and so does a stranger's pull.
    way.account()
    statements = tie_out.tie_out(way.case)
    assert statements["ok"]
    assert {row["difference"] for row in statements["assets"] + statements["claims"]} == {"0"}
    assert verify.verify(way.case)["first_bad"] is None
    pull = Pull.objects.get(format="jsonl")
    stranger = subprocess.run([sys.executable, "-I", VERIFIER, pulls.path_of(pull)], check=False)
    assert stranger.returncode == 0
    assert Head.objects.filter(size=pull.head_size).exists()
    assert not ApprovalRequest.objects.exclude(state=RequestState.GRANTED).exists()
