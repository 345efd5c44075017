"""What nobody answered for has its place in the queue, with owner, age and next step, and is ended on a page of its own."""

from django.core.files.uploadedfile import SimpleUploadedFile

from administration.cases.models import ApprovalRequest
from administration.office.pages.approving import describe
from administration.rails.custodian import Custodian
from administration.returns import corrections, tasks
from administration.returns.models import Attempt, Correction, Submission
from tests.office.estate import _estate, aoki_at, estate, goto_at  # noqa: F401
from tests.returns.test_zengin_way import banks, carried, house, yen  # noqa: F401
from tests.returns.world import sign


def in_doubt(world, tmp_path, as_superuser):
    """A custodian's manifest that nobody answered in time."""
    banks(world)
    carried(world, tmp_path, "custodian", "JPY")
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET sent_at = sent_at - %s", [Custodian().quiet_period * 2])
    tasks.tick()
    return Submission.objects.get()


def waiting(goto_at):  # noqa: F811
    kinds = goto_at.see("exceptions/").context["kinds"]
    return next(found for key, _heading, found in kinds if key == "unknown")


def letter():
    return SimpleUploadedFile("letter.pdf", b"the custodian's letter")


def test_what_nobody_answered_waits_in_the_queue_with_owner_age_and_next_step(goto_at, house, tmp_path, as_superuser):  # noqa: F811
    part = in_doubt(goto_at.world, tmp_path, as_superuser)

    [one] = waiting(goto_at)

    assert part.rail_key in str(one.what) and "4" in str(one.what)
    assert one.owner and one.since == part.sent_at and one.age != "–"
    assert "find out whether it was paid" in one.step
    assert (one.detail, [str(words) for words, _address in one.acts][:2]) == ("no answer", ["Receive its statement", "Batch"])
    assert goto_at.at(f"reversals/submission/{part.pk}/found/") in [address for _words, address in one.acts]


def test_a_finding_is_proposed_on_its_page_and_its_signers_see_what_it_does(goto_at, house, tmp_path, as_superuser):  # noqa: F811
    world = goto_at.world
    part = in_doubt(world, tmp_path, as_superuser)
    address = f"reversals/submission/{part.pk}/found/"
    shown = goto_at.look(address, finding="not_paid", reason="the letter says so", paper=letter()).content.decode()
    assert "is scheduled again and goes out anew" in shown and next(iter(yen(world))) in shown

    goto_at.do(address, finding="not_paid", reason="the letter says so", paper=letter())

    request = ApprovalRequest.objects.get(act=corrections.ACT)
    effect = describe(request, world.case)
    assert "counts as not paid" in str(effect.sentence) and effect.tables[0].rows and effect.warnings
    for signer in (world.people.aoki, world.people.baba):
        sign(request, signer)
    assert waiting(goto_at) == []
    assert set(yen(world).values()) == {"scheduled"}
    assert "the letter says so" in goto_at.see("reversals/").content.decode()


def test_one_return_of_a_part_is_told_apart_on_its_own_story(goto_at, house, tmp_path, as_superuser):  # noqa: F811
    world = goto_at.world
    in_doubt(world, tmp_path, as_superuser)
    attempt = Attempt.objects.earliest("pk")
    reference = attempt.asset_return.reference
    address = f"reversals/attempt/{attempt.pk}/found/"
    assert goto_at.at(address) in goto_at.see(f"returns/{reference}/").content.decode()

    goto_at.do(address, finding="paid", reason="the chain has it", paper=letter())
    for signer in (world.people.aoki, world.people.baba):
        sign(ApprovalRequest.objects.get(act=corrections.ACT), signer)

    assert yen(world)[reference] == "settled"
    assert Correction.objects.get().finding == "paid"
    assert "3" in str(waiting(goto_at)[0].what)
    assert "Corrected under two signatures" in goto_at.see(f"returns/{reference}/").content.decode()


def test_what_is_not_there_or_not_in_doubt_has_no_such_page(goto_at, house, tmp_path):  # noqa: F811
    world = goto_at.world
    banks(world)
    carried(world, tmp_path, "custodian", "JPY")
    part = Submission.objects.get()

    assert goto_at.see("reversals/submission/999999/found/").status_code == 404
    assert goto_at.see("reversals/return/1/found/").status_code == 404
    answer = goto_at.see(f"reversals/submission/{part.pk}/found/")
    assert "is not unknown" in answer.content.decode()
