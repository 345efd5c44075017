"""The page on which something is signed or rejected: what it says, what it takes, and what it refuses."""

import pytest

from administration.cases import approvals
from administration.cases.models import ApprovalRequest, Signature
from administration.office.pages import approving
from administration.office.pages.acting import Effect
from administration.work import jobs
from tests.cast import NOON, gather, open_sample_case, sha
from tests.office.test_pages import signed_in

ACT = "tests.office"


@pytest.fixture(autouse=True)
def an_act(monkeypatch):
    """An act of the tests: its content can be changed, and a job follows its last signature."""
    content = {"now": sha("content").hex()}
    monkeypatch.setattr(approvals, "_registered", {**approvals._registered})
    approvals.register(
        ACT,
        content=lambda pk: content["now"],
        after=lambda request, by, at: jobs.start(request.case, "tests.follows", request.pk, total=3),
    )
    jobs.register("tests.follows", lambda job: jobs.Progress("", 3, finished=True))
    monkeypatch.setitem(
        approving.EFFECTS,
        ACT,
        lambda request, case: Effect(
            sentence="Three hundred leave.", button="Sign it", figures=[("Leaves", "300")],
            content_sha256=bytes(request.content_sha256).hex(), moves_value=True,
        ),
    )  # fmt: skip
    yield content
    jobs._steps.pop("tests.follows", None)


@pytest.fixture
def asked(committed, an_act, monkeypatch):
    from administration.cases import policies

    monkeypatch.setattr(policies, "of", lambda case, act: policies.Policy(2, True))
    case = open_sample_case()
    cast = gather(case)
    request = approvals.request(1, case=case, act=ACT, content_sha256=an_act["now"], by=cast.goto, at=NOON)
    request.cast = cast
    return request


def page_of(request):
    return f"/admin/case/{request.case.reference}/approvals/{request.pk}/"


def press(client, request, **given):
    shown = client.get(page_of(request)).context["shown"]
    return client.post(page_of(request), {"stage": "do", "shown": shown, **given}, follow=True)


def code(request):
    return bytes(request.content_sha256).hex()[-4:]


def state(request):
    return ApprovalRequest.objects.get(pk=request.pk).state


def test_it_says_what_would_happen_and_who_may_sign(asked):
    said = signed_in(asked.cast.aoki).get(page_of(asked)).content.decode()

    for words in ("Three hundred leave.", "Sign it", "Reject with this reason", "aoki, baba", asked.cast.goto.username):
        assert words in said


def test_two_signatures_and_the_job_that_follows_is_shown(asked):
    first = press(signed_in(asked.cast.baba), asked, decision="sign", code=code(asked))
    assert first.redirect_chain[-1][0] == page_of(asked) and state(asked) == "open"

    second = press(signed_in(asked.cast.aoki), asked, decision="sign", code=code(asked))
    assert "/jobs/" in second.redirect_chain[-1][0] and state(asked) == "granted"


def test_whoever_did_not_look_at_the_hash_signs_nothing(asked):
    answer = press(signed_in(asked.cast.aoki), asked, decision="sign", code="zzzz")

    assert answer.status_code == 400 and not Signature.objects.exists()


def test_a_rejection_needs_a_reason_and_keeps_it(asked):
    client = signed_in(asked.cast.aoki)
    assert press(client, asked, decision="reject", reason="  ").status_code == 400
    assert state(asked) == "open"

    press(client, asked, decision="reject", reason="The reserve is too small.")
    assert state(asked) == "rejected"
    assert "The reserve is too small." in client.get(page_of(asked)).content.decode()


def test_what_changed_since_it_was_asked_cannot_be_signed_and_the_page_says_so(asked, an_act):
    client = signed_in(asked.cast.aoki)
    shown = client.get(page_of(asked)).context["shown"]
    an_act["now"] = sha("something else").hex()
    assert "This can no longer be signed" in client.get(page_of(asked)).content.decode()

    answer = client.post(page_of(asked), {"stage": "do", "shown": shown, "decision": "sign", "code": code(asked)})
    assert answer.status_code == 409 and state(asked) == "stale" and not Signature.objects.exists()


def test_a_page_whose_figures_changed_is_shown_again_with_what_changed(asked, monkeypatch):
    client = signed_in(asked.cast.aoki)
    shown = client.get(page_of(asked)).context["shown"]
    before = approving.EFFECTS[ACT]
    monkeypatch.setitem(
        approving.EFFECTS, ACT, lambda request, case: Effect(**{**vars(before(request, case)), "figures": [("Leaves", "301")]})
    )
    answer = client.post(page_of(asked), {"stage": "do", "shown": shown, "decision": "sign", "code": code(asked)})

    assert answer.status_code == 409 and not Signature.objects.exists()
    assert answer.context["changed"] == [("Leaves", "300", "301")]


def test_a_second_press_signs_nothing_again(asked):
    client = signed_in(asked.cast.baba)
    shown = client.get(page_of(asked)).context["shown"]
    given = {"stage": "do", "shown": shown, "decision": "sign", "code": code(asked)}
    for _press in range(2):
        assert client.post(page_of(asked), given).status_code == 302

    assert Signature.objects.count() == 1


def test_the_preparer_and_the_auditor_are_offered_no_signature(asked):
    for name in ("goto", "chiba"):
        client = signed_in(getattr(asked.cast, name))
        assert 'value="sign"' not in client.get(page_of(asked)).content.decode()
        answer = press(client, asked, decision="sign", code=code(asked))
        assert answer.status_code == 409 and not Signature.objects.exists()


def test_another_cases_request_does_not_exist_here(asked):
    other = open_sample_case("T-2")
    gather(other)

    assert signed_in(asked.cast.aoki).get(f"/admin/case/T-2/approvals/{asked.pk}/").status_code == 404
