"""Rounds of returns as pages: what would be scheduled is said before it is, and what is held back is explained."""

from administration.returns.models import AssetReturn, ReturnState
from administration.work.models import Job
from tests.office.estate import _estate, aoki_at, estate, goto_at  # noqa: F401
from tests.returns.world import done


def form_of(world, **changed):
    return {"run": str(world.run.pk), "rail_JPY": "rehearsal", "rail_BTC": "rehearsal", "rail_ETH": "rehearsal", **changed}


def test_scheduling_a_round_says_how_much_of_each_asset_and_what_is_carried_to_the_next(goto_at):  # noqa: F811
    shown = goto_at.look("rounds/schedule/", **form_of(goto_at.world))

    page = shown.content.decode()
    assert "12 returns are scheduled" in page
    assert "4,000 JPY" in page and "8.000\u202f000\u202f00 BTC" in page
    assert not AssetReturn.objects.exists()


def test_one_press_schedules_the_round_as_a_job_and_a_second_press_does_nothing(goto_at):  # noqa: F811
    entered = form_of(goto_at.world)
    shown = goto_at.look("rounds/schedule/", **entered)
    press = {"stage": "do", "shown": shown.context["shown"], **entered}

    first = goto_at.client.post(goto_at.at("rounds/schedule/"), press)
    again = goto_at.client.post(goto_at.at("rounds/schedule/"), press)

    job = Job.objects.get(kind="returns.schedule")
    assert first.status_code == again.status_code == 302
    assert first["Location"] == again["Location"] == goto_at.at(f"jobs/{job.pk}/")
    done(job)
    assert AssetReturn.objects.count() == 12
    page = goto_at.see("rounds/1/").content.decode()
    assert "4,000" in page and "Draft a batch" in page
    assert goto_at.see("rounds/").status_code == goto_at.see("returns/").status_code == 200


def test_an_asset_without_a_rail_is_said_before_the_round_is_scheduled(goto_at):  # noqa: F811
    shown = goto_at.look("rounds/schedule/", **form_of(goto_at.world, rail_ETH=""))

    assert "ETH has no rail" in shown.content.decode()


def test_what_is_held_back_is_counted_by_gate_with_its_sentence_and_whose_move_it_is(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    AssetReturn.objects.filter(asset__code="JPY").update(state=ReturnState.HELD, held_by_gate="identity")

    page = goto_at.see("held/").content.decode()

    assert "identity has not been verified" in page and ">4<" in page and "Customer" in page
    assert "R0000" in goto_at.see("returns/", gate="identity").content.decode()


def test_a_look_at_the_gates_lets_go_what_has_no_closed_gate_any_more(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    AssetReturn.objects.filter(asset__code="JPY").update(state=ReturnState.HELD, held_by_gate="identity")

    answer = goto_at.do("rounds/1/look/rehearsal/")

    assert answer.status_code == 302
    assert not AssetReturn.objects.filter(state=ReturnState.HELD).exists()


def test_a_waiting_return_is_cancelled_with_its_reason_and_stays_with_the_claim(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    row = AssetReturn.objects.filter(asset__code="JPY").first()

    goto_at.do(f"returns/{row.reference}/cancel/", reason="the claim is looked at again")

    row.refresh_from_db()
    assert row.state == ReturnState.CANCELLED
    assert row.claim_line.position.scheduled == 0


def test_whoever_may_not_schedule_is_told_so_and_nothing_is_done(estate):  # noqa: F811
    from tests.office.estate import Desk

    chiba = Desk(estate, estate.people.chiba)

    assert chiba.see("rounds/schedule/").status_code == 403
    assert "Schedule a round" not in chiba.see("rounds/").content.decode()
