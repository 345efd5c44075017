"""Pressing buttons as a browser does: look at the effect, then do what was shown."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from administration.cases.models import ApprovalRequest, Case
from administration.work import jobs
from administration.work.models import Job


def paper(name: str = "paper.txt", content: bytes = b"A paper of the sample case.") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def look(client: Client, address: str, **data: Any) -> Any:
    """The effect of what is entered; without entries, of the page itself."""
    return client.post(address, {**data, "stage": "look"}) if data else client.get(address)


def shown(answer: Any) -> dict[str, Any]:
    """What the button of a shown effect would send."""
    assert answer.context is not None and "shown" in answer.context, said(answer)
    kept = {f"kept-{name}": one.token for name, one in answer.context["kept"].items()}
    return {**answer.context["entered"], **kept, "stage": "do", "shown": answer.context["shown"]}


def press(client: Client, address: str, **data: Any) -> Any:
    """Look, then do; the answer to the second press."""
    return client.post(address, shown(look(client, address, **data)))


def did(client: Client, address: str, **data: Any) -> str:
    """Press, and be led on: the address it led to."""
    answer = press(client, address, **data)
    assert answer.status_code == 302, said(answer)
    return str(answer["Location"])


def said(answer: Any) -> str:
    """The sentences of a page that did not do what was pressed."""
    context = answer.context or {}
    form = context.get("form")
    errors = form.errors if form is not None and form.is_bound else ""
    return f"{answer.status_code} {context.get('refusal', '')} {context.get('sentence', '')} {errors}"


def work(case: Case) -> None:
    """Do what waits, as workers would."""
    for job in Job.objects.filter(case=case, state="waiting"):
        while job.state == "waiting":
            jobs.advance(job.pk, seconds=30)
            job.refresh_from_db()
        assert job.state == "done", job.error


def sign(client: Client, case: Case) -> str:
    """Sign what waits for signatures, on the approval's own page."""
    request = ApprovalRequest.objects.filter(case=case, state="open").latest("pk")
    address = f"/admin/case/{case.reference}/approvals/{request.pk}/"
    send = shown(client.get(address))
    answer = client.post(address, {**send, "decision": "sign", "code": bytes(request.content_sha256).hex()[-4:]})
    assert answer.status_code == 302, said(answer)
    work(case)
    return str(answer["Location"])
