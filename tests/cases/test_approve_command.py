"""The approve command: on the embedded sample only, and it waits for what the last signature started."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from administration.cases import approvals
from administration.cases.models import Case
from administration.work import jobs
from tests.cast import NOON, Cast, sha

CONTENT = sha("content").hex()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, case: Case, cast: Cast) -> Any:
    monkeypatch.setattr(approvals, "_registered", dict(approvals._registered))
    monkeypatch.setattr(jobs, "_steps", dict(jobs._steps))
    jobs.register("tests.follow", lambda job: jobs.Progress(cursor="", done=1, finished=True))
    approvals.register(
        "tests.pay", content=lambda pk: CONTENT, find=lambda text: 7 if text == "T-1-PAY" else None,
        after=lambda request, by, at: jobs.start(case, "tests.follow", 7),
    )  # fmt: skip
    return approvals.request(7, case=case, act="tests.pay", content_sha256=CONTENT, by=cast.goto, at=NOON)


def approve(text: str, who: str) -> dict[str, Any]:
    out = StringIO()
    call_command("approve", text, f"--as={who}", "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


@override_settings(EMBEDDED=True)
def test_it_signs_by_reference_and_waits_for_the_job_after_the_last_signature(asked: Any) -> None:
    first = approve("T-1-PAY", "baba")
    assert (first["state"], first["awaiting"], first["count"]) == ("open", ["aoki"], 1)

    last = approve(f"tests.pay:{7}", "aoki")

    assert (last["ok"], last["state"], last["awaiting"]) == (True, "granted", [])
    assert (last["object"], last["content_sha256"]) == ("tests.pay:7", CONTENT)
    assert jobs.Job.objects.get(kind="tests.follow").state == "done"


@override_settings(EMBEDDED=True)
@pytest.mark.parametrize(
    ("text", "who", "why"),
    [
        ("nothing", "baba", "Nothing called"),
        ("T-1-PAY", "nobody", "Nobody signs in"),
        ("T-1-PAY", "goto", "may not sign"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(asked: Any, text: str, who: str, why: str) -> None:
    with pytest.raises(CommandError, match=why) as refusal:
        approve(text, who)
    assert refusal.value.returncode == 1 and "\n" not in str(refusal.value)


@override_settings(EMBEDDED=False)
def test_elsewhere_it_is_refused_because_nobody_signed_in(asked: Any) -> None:
    with pytest.raises(CommandError, match="signed in"):
        approve("T-1-PAY", "baba")
    assert not asked.signatures.exists()
