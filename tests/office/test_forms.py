"""What was entered is not entered twice: a form comes again with its values, and the files that came stay."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from administration.returns import failures
from tests.office.estate import _estate, estate, goto_at  # noqa: F401
from tests.office.test_evidencing import accepted, line

RECEIVE = "evidence/receive/"


def kept(answer):
    """The file of an earlier request, as the page names it."""
    return re.search(r'name="kept-file" value="([^"]+)"', answer.content.decode())[1]


def file_field(answer):
    return re.search(r'<input type="file"[^>]*>', answer.content.decode())[0]


def test_what_was_entered_is_changed_and_not_entered_anew(goto_at):  # noqa: F811
    said = {"kind": "", "other": "債権者委員会", "counted_from": "2026-11-20", "counted_from_what": "order", "period": "P4W", "provenance": "R8-1"}
    looked = goto_at.look("deadlines/set/", **said).content.decode()
    assert 'name="stage" value="change"' in looked and "債権者委員会" in looked

    again = goto_at.client.post(goto_at.at("deadlines/set/"), {"stage": "change", **said})

    page = again.content.decode()
    assert again.status_code == 200 and "There is a problem" not in page
    assert all(f'value="{said[name]}"' in page for name in ("other", "counted_from", "period", "provenance"))


def test_a_file_that_came_need_not_be_chosen_again(goto_at):  # noqa: F811
    accepted(goto_at.world)
    text = line(goto_at.world.returns()[0], 1).encode()
    assert "required" in file_field(goto_at.see(RECEIVE))
    looked = goto_at.look(RECEIVE, rail="rehearsal", file=SimpleUploadedFile("a.jsonl", text))
    changed = goto_at.client.post(goto_at.at(RECEIVE), {"stage": "change", "rail": "rehearsal", "kept-file": kept(looked)})
    assert "a.jsonl is here" in changed.content.decode() and "required" not in file_field(changed)

    once_more = goto_at.client.post(goto_at.at(RECEIVE), {"stage": "look", "rail": "rehearsal", "kept-file": kept(changed)})

    assert once_more.status_code == 200 and "a.jsonl" in once_more.content.decode()
    wrong = goto_at.client.post(goto_at.at(RECEIVE), {"stage": "look", "rail": "", "kept-file": kept(changed)})
    assert wrong.status_code == 400 and kept(wrong)


def test_the_claims_have_one_act_that_is_done_next_and_the_rest_behind_it(goto_at):  # noqa: F811
    page = goto_at.see("claims/").content.decode()

    above, more = page.split('<details class="more">', 1)
    assert re.search(r'class="button" href="[^"]*/notices/issue/"', above)
    assert "destinations-release/" in more and "claims-schedule/" in more


@pytest.mark.parametrize(
    ("said", "means"),
    [("no such account", "The account is closed"), ("名義相違", "The holder's name"), ("a riddle", "a riddle"), ("", "")],
)
def test_a_rails_own_words_stand_beside_what_they_mean(estate, said, means):  # noqa: F811
    told = failures.told(said)
    assert said in told and means in told
