"""The returns board: every return counted once, the money checked, and one press that stops."""

import time

from django.utils.translation import gettext_noop, override

from administration.cases import stops
from administration.cases.models import Stop
from administration.fields import db_now
from administration.office import tallies
from administration.returns import submissions
from administration.returns.models import AssetReturn, ReturnState
from tests.office.estate import NO_ANSWER, Desk, _estate, aoki_at, estate, goto_at, sent  # noqa: F401
from tests.returns.world import done


def counted(world):
    tallies.forget()
    (rail,) = tallies.counts(world.case).rails
    return {stage: count for stage, count in rail.stages.items() if count}


def test_every_return_is_in_one_stage_from_scheduled_to_unknown(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    assert counted(world) == {"scheduled": 12}
    batch = world.approved()
    assert counted(world) == {"ready": 12}
    done(submissions.export(batch, by=world.goto, at=db_now()))
    assert counted(world) == {"ready": 12}
    sent(batch)
    assert counted(world) == {"sent": 12}


def test_a_part_without_an_answer_is_unknown_and_the_board_says_since_when(goto_at):  # noqa: F811
    world = goto_at.world
    sent(world.exported(), NO_ANSWER)

    assert counted(world) == {"unknown": 12}
    page = goto_at.see("board/").content.decode()
    assert "12 returns have an unknown outcome" in page and "oldest unknown" in page
    assert "no answer within 5 s" in goto_at.see("exceptions/").content.decode()


def test_the_board_shows_counts_money_check_and_what_needs_a_person(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    AssetReturn.objects.filter(asset__code="JPY").update(state=ReturnState.HELD, held_by_gate="identity")

    page = goto_at.see("board/").content.decode()

    assert "0 of 12 settled" in page
    assert "4 returns are held back" in page
    assert "Difference 0 in every asset" in page
    assert 'name="reason"' in page and "STOP now" in page


def test_the_live_part_alone_is_what_the_script_fetches(goto_at):  # noqa: F811
    page = goto_at.client.get(goto_at.at("board/") + "?live").content.decode()

    assert page.lstrip().startswith('<div id="live"') and "<html" not in page


def test_anybody_appointed_stops_everything_in_one_press_with_a_reason(estate):  # noqa: F811
    chiba = Desk(estate, estate.people.chiba)

    nothing = chiba.client.post(chiba.at("stop/"), {"rail": "", "reason": " "})
    assert nothing.status_code == 400 and not Stop.objects.exists()

    for _press in range(2):
        answer = chiba.client.post(chiba.at("stop/"), {"rail": "", "reason": "amounts look wrong"})
        assert answer["Location"] == chiba.at("board/")

    stop = Stop.objects.get()
    assert (stop.rail, stop.by, stop.reason) == ("", estate.people.chiba, "amounts look wrong")
    assert "amounts look wrong" in chiba.see("board/").content.decode()


def test_a_stranger_cannot_stop_and_does_not_see_the_case(estate):  # noqa: F811
    fujii = Desk(estate, estate.people.fujii)

    assert fujii.client.post(fujii.at("stop/"), {"rail": "", "reason": "x"}).status_code == 404
    assert fujii.see("board/").status_code == 404
    assert not Stop.objects.exists()


def test_resuming_takes_two_people(goto_at, aoki_at):  # noqa: F811
    world = goto_at.world
    made = stops.stop(world.case, reason="look", by=world.goto, at=db_now(), rail="rehearsal")
    baba_at = Desk(world, world.people.baba)

    aoki_at.do(f"stops/{made.pk}/resume/")
    made.refresh_from_db()
    assert made.lifted_at is None
    assert "one more person must" in aoki_at.see("board/").content.decode()
    baba_at.do(f"stops/{made.pk}/resume/")

    made.refresh_from_db()
    assert made.lifted_at is not None


def test_why_the_house_stopped_is_told_in_the_readers_language(aoki_at):  # noqa: F811
    said = gettext_noop("%(assets)s does not tie.")
    made = stops.put(aoki_at.world.case, reason=said, words={"assets": "BTC"}, by=None, at=db_now(), rail="rehearsal")

    made.refresh_from_db()
    assert made.reason == "BTC does not tie."
    with override("ja"):
        assert "BTC" in stops.reason_of(made) and stops.reason_of(made) != made.reason


def test_a_figure_that_is_dear_to_count_is_kept_for_longer(goto_at):  # noqa: F811
    world = goto_at.world
    calls = []

    def dear():
        calls.append(1)
        time.sleep(0.2)
        return len(calls)

    assert tallies.fresh_or_kept("dear", world.case, dear) == 1
    assert tallies.fresh_or_kept("dear", world.case, dear) == 1
    assert tallies.fresh_or_kept("cheap", world.case, lambda: len(calls)) == 1
    calls.append(1)
    assert tallies.fresh_or_kept("cheap", world.case, lambda: len(calls)) == 2
