"""Steps 1 to 5 of a second case by the office's pages alone, as Goto, Aoki and Baba would press them."""

import csv
import io
import zipfile

import pytest

from administration.cases.models import Case, CourtOrder, Deadline
from administration.custody.models import Holding, Movement, Reconciliation
from administration.distribution import plans
from administration.distribution.models import Plan, Run, RunState
from administration.ledger import takeover
from administration.ledger.models import Adjustment, Intake, IntakeState, LedgerAccount, ScopeDecision
from administration.office import demo
from administration.office import sample as handover
from administration.people.models import User
from administration.record import verify
from administration.record.models import Event
from administration.work.models import Job
from claims.destinations.models import Destination
from claims.notices.models import Notice
from claims.register import tie_out
from claims.register.models import Claim, ClaimLine, Decision, Dispute, Hold
from tests.office.pressing import did, look, paper, press, said, sign, work
from tests.office.test_pages import signed_in

ACCOUNTS = 40
OPENING = {
    "reference": "SECOND-2", "name": "夕凪取引所株式会社", "trigger": "JP-PSA-2020/INSOLVENCY_PETITION",
    "proceeding": "civil_rehabilitation", "court": "東京地方裁判所", "court_number": "令和8年（再）第2号",
    "cutoff_at": "2026-09-30T15:00", "cooling_off_hours": "0", "authority": "Tokyo District Court",
    "instrument": "2026 (sai) 2, appointing order", "is_sample": "on",
}  # fmt: skip


@pytest.fixture
def house(committed):
    """A first case, so that somebody may open the second; sessions of the cast."""
    demo.Way(1, 1).secure()
    return {name: signed_in(User.objects.get(username=name)) for name in demo.CAST}


@pytest.fixture
def opened(house):
    ids = {user.username: str(user.pk) for user in User.objects.all()}
    did(
        house["goto"], "/admin/open-case/", **OPENING, scan=paper(), office_holders=[ids["aoki"]], approvers=[ids["baba"]],
        case_officers=[ids["goto"]], auditors=[ids["chiba"]],
    )  # fmt: skip
    return Case.objects.get(reference="SECOND-2")


def package(folder, name="package", **options):
    handover.write(folder / name, accounts=ACCOUNTS, seed=5, **options)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and path.name != "dirty.json":
                archive.write(path, f"{name}/{path.relative_to(folder / name)}")
    return paper("package.zip", out.getvalue())


def secure(house, base):
    for item in demo.securing.ITEMS:
        goto = str(User.objects.get(username="goto").pk)
        did(house["goto"], f"{base}securing/{item}/", owner=goto, evidence=paper(f"{item}.txt", item.encode()))
    did(house["goto"], f"{base}securing-complete/")


def test_the_way_from_opening_to_a_declared_run_by_pages_alone(opened, house, tmp_path):
    case, base = opened, "/admin/case/SECOND-2/"
    goto, aoki, baba = house["goto"], house["aoki"], house["baba"]

    # 1  secured, an order, a deadline, a stricter policy
    refused = look(goto, f"{base}takeover/receive/", zipped=package(tmp_path, "early"), differences="refuse")
    assert refused.status_code == 409 and "not secured" in said(refused)
    secure(house, base)
    did(goto, f"{base}orders/register/", number="R8-2-1", issuer="Tokyo District Court", issued_date="2026-10-02",
        served_date="2026-10-03", permits=["destinations.verify_handover"], scan=paper())  # fmt: skip
    order = CourtOrder.objects.get(case=case)
    did(goto, f"{base}deadlines/set/", kind="filing", counted_from="2026-10-03", order=str(order.pk))
    did(goto, f"{base}deadlines/set/", kind="filing", counted_from="2026-10-03", period="P2M", order=str(order.pk))
    assert [row.rule[:3] for row in Deadline.objects.filter(case=case).order_by("pk")] == ["P4W", "P2M"]
    assert Deadline.objects.filter(case=case, superseded_by__isnull=True).count() == 1
    did(aoki, f"{base}policy/more/", act_name="ledger.accept", signers="1", office_holder="on")

    # 2  received as a ZIP, inspected, accepted by the office-holder as the policy asks now
    did(goto, f"{base}takeover/receive/", zipped=package(tmp_path), differences="refuse")
    assert goto.get(f"{base}takeover/").context["running"]
    work(case)
    page = goto.get(f"{base}takeover/")
    assert not page.context["running"] and "every control total is met" in page.context["sentence"]
    refused = look(goto, f"{base}takeover/audited/", asset="JPY", as_of="2026-03-31", amount="1,000", auditor="Asagiri Audit LLC", paper=paper())
    shown_first = [value for _label, value in refused.context["effect"].figures]
    assert "1,000 JPY" in shown_first
    did(goto, f"{base}takeover/audited/", asset="JPY", as_of="2026-03-31", amount="1,000", auditor="Asagiri Audit LLC", paper=paper(),
        explanation="Deposits of the half-year.")  # fmt: skip
    assert [section.title for section in goto.get(f"{base}takeover/").context["sections"]].count("Beside the last audited accounts") == 1
    did(goto, f"{base}takeover/accept/", negative_policy="exclude", remark="Seen with the exchange's officer.")
    asked = goto.get(f"{base}approvals/{case.approvals.get(act='ledger.accept', state='open').pk}/").content.decode()
    assert "officer" in asked and "Deposits of the half-year." in asked
    sign(aoki, case)
    assert Intake.objects.get(case=case).state == IntakeState.ACCEPTED
    assert LedgerAccount.objects.filter(case=case).count() == ACCOUNTS

    # 3  what is held, a movement, owed beside held
    did(goto, f"{base}holdings/handover/")
    held = Holding.objects.filter(case=case, access="proved", place__tag="segregated", asset__code="BTC").first()
    did(goto, f"{base}movements/record/", place=str(held.place_id), kind="fee", amount="0.00010000", reason="Network fee.",
        evidence=paper())  # fmt: skip
    assert Movement.objects.get(case=case).amount == -10_000
    did(goto, f"{base}reconciliation/run/")
    board = goto.get(f"{base}reconciliation/")
    short = Reconciliation.objects.filter(case=case, difference__lt=0).count()
    assert [kind for kind, _words in board.context["notices"]].count("refusal") == short > 0

    # 4  claims, what customers say on paper, decisions, holds, corrections, destinations, a notice
    did(goto, f"{base}claims-schedule/")
    work(case)
    first, second = Claim.objects.filter(case=case).order_by("pk")[:2]
    did(goto, f"{base}claims/{first.number}/confirm/")
    line = ClaimLine.objects.filter(claim=second, asset__code="BTC").first() or ClaimLine.objects.filter(claim=second).first()
    more = "".join(demo_amount(line.recorded + 5, line.asset.scale))
    did(goto, f"{base}claims/{second.number}/lines/{line.pk}/dispute/", claimed=more, ground="A deposit is missing.")
    did(goto, f"{base}claims/{second.number}/lines/{line.pk}/decide/", admitted=more, reason_code="deposit_found", evidence=paper())
    line.refresh_from_db()
    assert line.admitted == line.recorded + 5 and Dispute.objects.get(claim_line=line).decision is not None
    did(goto, f"{base}claims/{first.number}/hold/", kind="str", reason="Report no. 7.", next_look="2027-12-01")
    hold = Hold.objects.get(claim=first, placed_by__isnull=False)
    assert "Report no. 7." not in house["chiba"].get(f"{base}claims/{first.number}/").content.decode()
    assert "Report no. 7." in goto.get(f"{base}claims/{first.number}/").content.decode()
    did(goto, f"{base}holds/{hold.pk}/lift/", reason="Answered.")
    account = first.ledger_account.account_ref
    other = ClaimLine.objects.filter(claim=first).exclude(recorded=0).first()
    did(goto, f"{base}corrections/adjust/", account=account, asset=str(other.asset_id), product="spot",
        amount=demo_amount(1, other.asset.scale), reason="error", note="One unit short.")  # fmt: skip
    sign(aoki, case)
    sign_more(baba, case)
    assert Adjustment.objects.filter(case=case, reason="error").count() == 1
    third = Claim.objects.filter(case=case).order_by("pk")[2].ledger_account.account_ref
    did(goto, f"{base}corrections/scope/", account=third, product="", in_scope="no", ground="Held for the exchange itself.")
    did(goto, f"{base}corrections/follow/")
    assert ScopeDecision.objects.get(case=case).in_scope is False
    assert Decision.objects.filter(case=case, reason_code="ledger_corrected").exists()
    did(goto, f"{base}destinations-by-order/", order=str(order.pk))
    did(goto, f"{base}destinations-release/")
    assert Destination.objects.filter(case=case, state="usable").exists()
    did(goto, f"{base}notices/issue/", kind="schedule", channel="gazette", title="Claims", text="They stand.", proof="p. 3")
    assert Notice.objects.get(case=case).number == 1

    # 5  what-if leaves nothing; a draft, a run, signatures, the declaration
    text = plans.EXAMPLE.read_text()
    tried = goto.post(f"{base}plan/draft/", {"body": text, "stage": "what-if"})
    assert tried.status_code == 200, said(tried)
    assert tried.context["would"]["sections"][0].rows and not Plan.objects.filter(case=case).exists()
    mistaken = look(goto, f"{base}plan/draft/", body=text.replace('kind = "interim"', 'kind = "sometimes"'))
    assert mistaken.status_code == 409 and mistaken.context["line"] == 1 + text.split("\n").index('kind = "interim"')
    did(goto, f"{base}plan/draft/", body=text)
    did(goto, f"{base}plan/1/compute/")
    work(case)
    assert goto.get(f"{base}runs/1/").context["boards"]
    handed = did(aoki, f"{base}runs/1/inputs/")
    assert b"henkan-run-inputs/1" in b"".join(aoki.get(handed).streaming_content)
    assert baba.get(handed).status_code == 404
    did(goto, f"{base}runs/1/approve/")
    sign(aoki, case)
    sign(baba, case)
    assert Run.objects.get(case=case).state == RunState.DECLARED
    again = goto.post(f"{base}plan/draft/", {"body": text, "stage": "what-if"})
    assert [section.title for section in again.context["would"]["sections"]][1:]

    assert tie_out.tie_out(case)["ok"] and verify.verify(case)["ok"]


def test_a_dirty_package_is_shown_finding_by_finding_and_leaves_nothing(opened, house, tmp_path):
    case, base, goto = opened, "/admin/case/SECOND-2/", house["goto"]
    secure(house, base)
    did(goto, f"{base}takeover/receive/", zipped=package(tmp_path, dirty=0.05), differences="refuse")
    work(case)

    page = goto.get(f"{base}takeover/")
    assert "refused" in page.context["sentence"] and page.context["groups"]
    assert not Intake.objects.filter(case=case).exists()
    text = b"".join(goto.get(f"{base}takeover/findings.csv").streaming_content).decode()
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    job = takeover.refused(case)
    assert len(rows) == 1 + len(job.result["findings"])
    assert not any(cell[:1] in "=+-@" for row in rows for cell in row if cell)

    did(goto, f"{base}takeover/forget/")
    assert not Job.objects.filter(pk=job.pk).exists()
    assert goto.get(f"{base}takeover/findings.csv").status_code == 404


def test_a_difference_goes_into_suspense_under_two_signatures(opened, house, tmp_path):
    case, base, goto = opened, "/admin/case/SECOND-2/", house["goto"]
    secure(house, base)
    from tests.ledger.test_takeover import off_by

    folder = tmp_path / "package"
    handover.write(folder, accounts=ACCOUNTS, seed=5)
    off_by(folder, 1)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    folder.rename(inbox / "delivered")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.HANDOVER_INBOX", str(inbox))
        did(goto, f"{base}takeover/receive/", folder="delivered", differences="suspend")
    work(case)
    page = goto.get(f"{base}takeover/")
    assert any("Unexplained" in sentence for _kind, sentence in page.context["notices"])
    assert press(goto, f"{base}takeover/accept/", negative_policy="exclude").status_code == 409
    total = next(row for row in Intake.objects.get(case=case).control_totals.all() if row.difference)
    did(goto, f"{base}takeover/suspense/{total.pk}/", name="Unknown of the last day")
    sign(house["aoki"], case)
    sign_more(house["baba"], case)
    total.refresh_from_db()
    assert total.difference == 0 and total.suspense_name == "Unknown of the last day"
    did(goto, f"{base}takeover/cancel/", reason="A better package comes.")
    assert Intake.objects.get(case=case).state == IntakeState.CANCELLED


def sign_more(client, case):
    """A second signature, if the first was not the last."""
    from administration.cases.models import ApprovalRequest

    if ApprovalRequest.objects.filter(case=case, state="open").exists():
        sign(client, case)


def demo_amount(units, scale):
    from administration.amounts import show

    return show(units, scale)


def test_nothing_is_recorded_by_looking(opened, house):
    before = Event.objects.count()
    for name in ("securing", "orders", "deadlines", "appointments", "policy", "succession", "stops", "takeover", "holdings",
                 "movements", "reconciliation", "claims", "corrections", "notices", "plan"):  # fmt: skip
        for person in house.values():
            answer = person.get(f"/admin/case/SECOND-2/{name}/", headers={"accept-language": "ja"})
            assert answer.status_code == 200, name
    assert Event.objects.count() == before
