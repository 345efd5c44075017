"""The customer's pages. Each asks the database once, and each act is one call of a function of the database."""

from collections.abc import Callable
from typing import Any

import orjson
from django import forms as django_forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from claims.portal import entering, forms, labels, readable, standing
from claims.portal.standing import Line, Standing

ASK_COOKIE = "portal_ask"
FRESH_COOKIE = "portal_fresh"
ASK_SECONDS = {"email": 20 * 60, "post": 21 * 24 * 3600}
SESSION_SECONDS = 8 * 3600
NEVER_KEPT = "max-age=0, no-cache, no-store, must-revalidate, private"

View = Callable[..., HttpResponse]


# --- for everybody ----------------------------------------------------------------------------


@require_safe
def root(request: HttpRequest) -> HttpResponse:
    """To the reader's own language."""
    return HttpResponseRedirect(reverse("portal:home"))


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The one case of this house, or the list of them."""
    found = entering.cases()
    if len(found) == 1:
        return case_page(request, found[0]["reference"])
    return render(request, "portal/home.html", {"cases": found})


@require_safe
def case_page(request: HttpRequest, reference: str) -> HttpResponse:
    """What happened, dates, who is who, what was declared, and how to spot fraud."""
    case = entering.case(reference)
    if case is None:
        raise Http404
    for run in case["runs"]:
        for pool in run["pools"]:
            for name in ("distributed", "left"):
                pool[f"{name}_html"] = readable.amount_html(int(pool[name]), pool["scale"], pool["asset"])
    return render(
        request,
        "portal/case.html",
        {
            "case": case,
            "proceeding": labels.label(labels.PROCEEDINGS, case["proceeding"]),
            "trigger": labels.label(labels.TRIGGERS, case["trigger"]),
            "deadlines": [(labels.label(labels.DEADLINES, d["kind"]), d) for d in case["deadlines"]],
            "notices": [
                (n, labels.label(labels.NOTICES, n["title"]), labels.label(labels.CHANNELS, n["channel"])) for n in case["notices"]
            ],
            "address": settings.PORTAL_ADDRESS or request.build_absolute_uri("/"),
            "sender": settings.DEFAULT_FROM_EMAIL,
        },
    )


# --- coming in --------------------------------------------------------------------------------


def find(request: HttpRequest) -> HttpResponse:
    """Find my claim: whatever is typed, the answer is the same, and a code is on its way if there is such a claim."""
    form = forms.FindForm(request.POST if request.method == "POST" else None, initial={"channel": "email"})
    if request.method == "POST" and form.is_valid():
        asked = entering.ask(
            form.cleaned_data["code"], form.cleaned_data["born"], channel=form.cleaned_data["channel"], language=language(),
            address=address(request),
        )  # fmt: skip
        if asked.outcome == "wait":
            form.add_error(None, _("There were too many tries from your connection. Wait ten minutes, then try again. Others are not held up."))
            return page(request, "portal/find.html", {"form": form}, status=429)
        answer = redirect("portal:code")
        _set(answer, ASK_COOKIE, asked.token, ASK_SECONDS[form.cleaned_data["channel"]])
        return answer
    return page(request, "portal/find.html", {"form": form, "ended": "ended" in request.GET}, form=form)


def code(request: HttpRequest) -> HttpResponse:
    """Enter the code that was sent. Five tries."""
    if ASK_COOKIE not in request.COOKIES:
        return redirect("portal:find")
    form = forms.CodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        outcome, token = entering.answer(request.COOKIES[ASK_COOKIE], form.cleaned_data["code"])
        if outcome == "in":
            answer = redirect("portal:mine")
            _set(answer, settings.SESSION_COOKIE_NAME, token, SESSION_SECONDS)
            answer.delete_cookie(ASK_COOKIE)
            return answer
        form.add_error("code", _wrong(outcome))
    return page(request, "portal/code.html", {"form": form}, form=form)


def _wrong(outcome: str) -> str:
    if outcome == "wrong":
        return _("This is not the code that we sent. Look at it again.")
    return _("This code cannot be used any more. Ask for a new one.")


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    entering.leave(session(request))
    answer = redirect("portal:home")
    answer.delete_cookie(settings.SESSION_COOKIE_NAME)
    return answer


# --- whoever is signed in ---------------------------------------------------------------------


def signed_in(view: View) -> View:
    """Give the view the standing of the claim it is asked for. Nobody's session: sign in; not theirs: not found."""

    def seen(request: HttpRequest, number: str = "", **kwargs: Any) -> HttpResponse:
        facts = entering.claim(session(request), number)
        if facts is None:
            return HttpResponseRedirect(reverse("portal:find") + ("?ended" if session(request) else ""))
        if "claim" not in facts:
            raise Http404
        answer = view(request, standing.of(facts), **kwargs)
        answer.headers["Cache-Control"] = NEVER_KEPT
        return answer

    return seen


@require_safe
@signed_in
def mine(request: HttpRequest, found: Standing) -> HttpResponse:
    """After signing in: to the claim whose code was used."""
    return redirect("portal:claim", number=found.number)


@require_safe
@signed_in
def claim(request: HttpRequest, found: Standing) -> HttpResponse:
    """One answer, one reason, whose move, the next date; then the lines and the steps."""
    return render(request, "portal/claim.html", {"claim": found, "done": request.GET.get("done", "")})


@require_safe
@signed_in
def data(request: HttpRequest, found: Standing) -> HttpResponse:
    """The same as data: everything this house shows of the claim, to keep or to check."""
    lines = [
        {
            **line.facts,
            "stage": line.stage,
            "answer": str(line.figure),
            "reason": line.reason.sentence,
            "owner": line.reason.owner,
            "until": line.reason.until,
        }
        for line in found.lines
    ]
    everything = {"claim": found.number, "stage": found.stage, "as_of": found.facts["now"], "lines": lines}
    return HttpResponse(orjson.dumps(everything), content_type="application/json")


@require_safe
@signed_in
def line_page(request: HttpRequest, found: Standing, asset: str, claim_class: str) -> HttpResponse:
    """Why this much: from the recorded balance to what was sent, figure by figure."""
    return render(request, "portal/line.html", {
        "claim": found, "line": _line(found, asset, claim_class), "done": request.GET.get("done", ""),
    })  # fmt: skip


@signed_in
def confirm(request: HttpRequest, found: Standing) -> HttpResponse:
    """Confirm the claim as it stands: once; a second time changes nothing."""
    if request.method == "POST":
        outcome = entering.confirm(session(request), found.number)
        if outcome == "confirmed":
            return _done("claim", "confirmed", number=found.number)
        facts = entering.claim(session(request), found.number)
        found = standing.of(facts) if facts and "claim" in facts else found
        return render(request, "portal/confirm.html", {"claim": found, "again": True}, status=409)
    return render(request, "portal/confirm.html", {"claim": found})


@signed_in
def dispute(request: HttpRequest, found: Standing, asset: str, claim_class: str) -> HttpResponse:
    """Say that a line is wrong, and what is right."""
    line = _line(found, asset, claim_class)
    if line.whole:
        raise Http404
    form = forms.DisputeForm(
        request.POST if request.method == "POST" else None, asset=line.asset, scale=line.facts["scale"]
    )
    context = {"claim": found, "line": line, "form": form}
    if request.method == "POST" and form.is_valid():
        outcome = entering.dispute(
            session(request), found.number, asset, claim_class, claimed=form.cleaned_data["claimed"], ground=form.cleaned_data["ground"]
        )
        if outcome == "taken":
            return _done("line", "disputed", number=found.number, asset=asset, claim_class=claim_class)
        if outcome == "same":
            form.add_error("claimed", _("This is just the amount that is recorded. If it is right, you need not dispute it."))
        elif outcome == "before":
            form.add_error(None, _("You disputed this line before, and it is not decided yet. Nothing was changed."))
            return page(request, "portal/dispute.html", context, form=form, status=409)
        else:
            form.add_error(None, _("This could not be taken down. Look at both answers again."))
    return page(request, "portal/dispute.html", context, form=form)


# --- where returns go -------------------------------------------------------------------------


@signed_in
def destination(request: HttpRequest, found: Standing, asset: str) -> HttpResponse:
    """Say where returns of one asset go: after a fresh code, and read once more before it is sent."""
    line = _of_asset(found, asset)
    if not found.facts["fresh"]:
        return redirect("portal:fresh", number=found.number, asset=asset)
    network = line.facts["network"]
    kind = forms.BankForm if network == "bank" else forms.AddressForm
    form = kind(request.POST if request.method == "POST" else None, asset=asset, network=network)
    context = {"claim": found, "line": line, "form": form, "network": labels.label(labels.NETWORKS, network)}
    if request.method == "POST" and form.is_valid():
        if request.POST.get("checked") != "yes":
            rows = [
                (field.label, dict(getattr(field.field, "choices", ())).get(field.value()) or form.details.get(field.name, ""))
                for field in form
            ]
            return page(request, "portal/destination_check.html", {**context, "rows": rows})
        outcome = entering.give_destination(session(request), found.number, asset, network=network, details=form.details)
        if outcome == "given":
            return _done("line", "given", number=found.number, asset=asset, claim_class=line.facts["class"])
        form.add_error(
            None,
            _("This was given before and stands. Nothing was changed.")
            if outcome == "before"
            else _("It was not taken down. Ask for a fresh code and try again."),
        )
        return page(request, "portal/destination.html", context, form=form, status=409)
    return page(request, "portal/destination.html", context, form=form)


@signed_in
def fresh(request: HttpRequest, found: Standing, asset: str) -> HttpResponse:
    """Acts about money want a fresh code first."""
    _of_asset(found, asset)
    asking = request.method == "POST" and "ask" in request.POST
    form = forms.CodeForm(request.POST if request.method == "POST" and not asking else None)
    context = {"claim": found, "asset": asset, "form": form, "asked": FRESH_COOKIE in request.COOKIES}
    if asking:
        asked = entering.ask_fresh(session(request), language=language())
        if asked.outcome != "asked":
            form = forms.CodeForm({"code": "00000000"})
            form.add_error(None, _("Too many codes were asked for. Wait an hour, then try again."))
            return page(request, "portal/fresh.html", {**context, "form": form}, status=429)
        answer = redirect("portal:fresh", number=found.number, asset=asset)
        _set(answer, FRESH_COOKIE, asked.token, ASK_SECONDS["email"])
        return answer
    if request.method == "POST" and form.is_valid():
        outcome = entering.answer_fresh(session(request), request.COOKIES.get(FRESH_COOKIE, ""), form.cleaned_data["code"])
        if outcome == "fresh":
            answer = redirect("portal:destination", number=found.number, asset=asset)
            answer.delete_cookie(FRESH_COOKIE)
            return answer
        form.add_error("code", _wrong(outcome))
    return page(request, "portal/fresh.html", context, form=form)


@require_POST
@signed_in
def stop(request: HttpRequest, found: Standing, asset: str) -> HttpResponse:
    """It was not me: take back a place that was given and is not in use yet."""
    line = _of_asset(found, asset)
    outcome = entering.stop_destination(session(request), found.number, asset)
    what = "stopped" if outcome == "stopped" else "nothing"
    return _done("line", what, number=found.number, asset=asset, claim_class=line.facts["class"])


def _of_asset(found: Standing, asset: str) -> Line:
    line = next((line for line in found.lines if line.asset == asset), None)
    if line is None:
        raise Http404
    return line


# --- pages of errors --------------------------------------------------------------------------


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "portal/message.html", {"kind": "not_found"}, status=404)


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "portal/message.html", {"kind": "stale"}, status=403)


def broken(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/message.html", {"kind": "broken"}, status=500)


# --- small things -----------------------------------------------------------------------------


def session(request: HttpRequest) -> str:
    return request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")


def language() -> str:
    return "ja" if readable.japanese() else "en"


def address(request: HttpRequest) -> str:
    """Where the browser is: the connection's address, or what our own proxy says of it."""
    if settings.PROXY_HEADER:
        return request.headers.get(settings.PROXY_HEADER, "").rpartition(",")[2].strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, form: django_forms.Form | None = None, status: int = 200
) -> HttpResponse:
    """A page with a form: with errors it answers 422, so that nobody takes it for done."""
    if status == 200 and form is not None and form.is_bound and form.errors:
        status = 422
    answer = render(request, template, context, status=status)
    answer.headers["Cache-Control"] = NEVER_KEPT
    return answer


def _line(found: Standing, asset: str, claim_class: str) -> Line:
    line = found.line(asset, claim_class)
    if line is None:
        raise Http404
    return line


def _done(name: str, what: str, **where: str) -> HttpResponse:
    """After an act to a page that can be loaded again without doing it again."""
    return HttpResponseRedirect(reverse(f"portal:{name}", kwargs=where) + f"?done={what}")


def _set(answer: HttpResponse, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        name, value, max_age=seconds, httponly=True, secure=settings.SESSION_COOKIE_SECURE, samesite="Lax", path="/"
    )


def languages(request: HttpRequest) -> dict[str, Any]:
    """For every page: the same page in the other language, and whether somebody may be signed in."""
    rest = request.path.split("/", 2)[2] if request.path.count("/") >= 2 else ""
    here = (get_language() or "en")[:2]
    return {
        "here": here,
        "in_english": f"/en/{rest}",
        "in_japanese": f"/ja/{rest}",
        "maybe_in": settings.SESSION_COOKIE_NAME in request.COOKIES,
    }
