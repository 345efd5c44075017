"""What an auditor's program can ask. Each answers from one case only: the token's."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from administration.audit import archive, filters, lines, proofs, pulls, readings
from administration.audit.api import cursors, shapes
from administration.audit.api.access import PullThrottle
from administration.audit.filters import EVENTS, RETURNS, Filter, Period
from administration.audit.models import Pull, PullOf, Token
from administration.cases.models import ApprovalRequest
from administration.fields import db_now
from administration.people.models import User
from administration.record import heads
from administration.record.encoding import micros
from administration.record.models import Event, Head

CASE = OpenApiParameter(
    "case", description="The case you believe you are asking about; 404 if the token is for another."
)
AFTER = OpenApiParameter("after", description="An opaque cursor: what comes after it.")
LIMIT = OpenApiParameter("limit", int, description=f"How many at most: 1 to {cursors.LIMIT_MAX}, else {cursors.LIMIT}.")
KNOWN = OpenApiParameter("If-None-Match", location="header", description="An ETag: 304 if nothing changed.")
DATES = [
    OpenApiParameter("from", description="A day (midnight in Japan) or an instant: from here on."),
    OpenApiParameter("to", description="A day or an instant: up to here, exclusive."),
]
OF_RETURNS = [
    OpenApiParameter("asset"),
    OpenApiParameter("state"),
    OpenApiParameter("batch"),
    OpenApiParameter(
        "dated", enum=list(filters.DATES), description="Which date `from` and `to` speak of; else scheduled."
    ),
    *DATES,
]
OF_EVENTS = [OpenApiParameter("kind", description="What the kind begins with: batch. or evidence.applied"), *DATES]
STEPS = [AFTER, LIMIT, CASE, KNOWN]
FORM = OpenApiParameter("form", location="path", enum=list(pulls.FORMATS))
STREAMED = {(200, media.partition(";")[0]): OpenApiTypes.BINARY for media in pulls.FORMATS.values()}


class View(APIView):
    """What every address has: the token, its case and its person, and the database's time."""

    token: Token
    by: User
    at: datetime

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        assert isinstance(request.auth, Token)
        self.token, self.by, self.at = request.auth, request.auth.appointment.user, db_now()
        self.case = self.token.case
        self.period = Period.of(self.token)
        if request.query_params.get("case", self.case.reference) != self.case.reference:
            raise Http404

    def chosen(self, names: tuple[str, ...], given: Mapping[str, str] | None = None) -> Filter:
        own = ("after", "limit", "case")
        query = self.request.query_params
        asked = given if given is not None else {name: query.get(name, "") for name in query if name not in own}
        return filters.read(self.case, asked, names=names)


class Scope(View):
    @extend_schema(
        operation_id="scope", tags=["token"], summary="What this token may read", responses=shapes.ScopeShape
    )
    def get(self, request: Request) -> Response:
        token = self.token
        return Response(
            {
                "case": self.case.reference,
                "name": self.case.name,
                "reader": self.by.username,
                "purpose": token.purpose,
                "period_from": micros(token.period_from) if token.period_from else None,
                "period_to": micros(token.period_to) if token.period_to else None,
                "expires_at": micros(token.expires_at),
                "head": shapes.head(heads.latest(self.case)),
            },
            headers=cursors.as_of(token),
        )


# --- lists, page by page ----------------------------------------------------------------------


class Listed(View):
    """A list whose pages follow one another by cursor. Reading it is on record."""

    name = ""
    place = "number"
    frozen = False  # do rows, once there, stay as they are?

    def listed(self, request: Request, rows: Callable[[str, int], list[dict[str, Any]]]) -> Response:
        limit, after = cursors.limit_of(request), cursors.after(request, self.token, self.name)
        found = rows(after, limit)
        through = str(found[-1][self.place]) if found else after
        readings.note(self.token, self.name, rows=len(found), through=through, at=self.at)
        return cursors.page(request, self.token, self.name, found, place=self.place, limit=limit, frozen=self.frozen)

    def number(self, after: str) -> int:
        if after and not (after.isascii() and after.isdigit()):
            raise ParseError(_("`after` is no cursor of this list. Take it from `next` or `last` of an earlier page."))
        return int(after or 0)


class ReturnEvents(Listed):
    """
    Every event of the case's record, in the order of its numbers, refused attempts included.

    Numbers are given in the order of commits: what is read up to a number is complete, whoever writes meanwhile.
    """

    name, frozen = "return-events", True

    @extend_schema(
        operation_id="return_events",
        summary="Events, by number",
        parameters=[*STEPS, *OF_EVENTS],
        responses=shapes.EventPage,
    )
    def get(self, request: Request) -> Response:
        chosen = self.chosen(EVENTS)
        return self.listed(request, lambda after, limit: [
            shapes.event(row) for row in events(self.token, chosen).filter(number__gt=self.number(after))[:limit]
        ])  # fmt: skip


def events(token: Token, chosen: Filter) -> QuerySet[Event]:
    """The events that the token may read and the filter names."""
    bounds: dict[str, list[Any]] = {
        "recorded_at__gte": [token.period_from, chosen.since],
        "recorded_at__lt": [token.period_to, chosen.until],
        "kind__startswith": [chosen.kind],
    }
    meant = Q(case_id=token.case_id)
    for lookup, values in bounds.items():
        for value in filter(None, values):
            meant &= Q(**{lookup: value})
    return Event.objects.filter(meant).order_by("number")


class Returns(Listed):
    """Every return of the case as it stands, in the order of references."""

    name, place = "returns", "reference"

    @extend_schema(
        operation_id="returns",
        summary="Returns, by reference",
        parameters=[*STEPS, *OF_RETURNS],
        responses=shapes.ReturnPage,
    )
    def get(self, request: Request) -> Response:
        (where, params), (inside, bounds) = self.chosen(RETURNS).of_returns(), self.period.of_returns()
        sql = lines.returns_page([*where, *inside])
        return self.listed(
            request,
            lambda after, limit: rows_of(
                sql, {"case": self.case.pk, "after": after, "limit": limit, **params, **bounds}
            ),
        )


def rows_of(sql: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class Approvals(Listed):
    """Every request for signatures of the case, with who signed."""

    name = "approvals"

    @extend_schema(
        operation_id="approvals", summary="Approvals, by number", parameters=STEPS, responses=shapes.ApprovalPage
    )
    def get(self, request: Request) -> Response:
        self.chosen(())
        return self.listed(request, lambda after, limit: [
            shapes.approval(row) for row in approvals(self.token).filter(pk__gt=self.number(after))[:limit]
        ])  # fmt: skip


def approvals(token: Token) -> QuerySet[ApprovalRequest]:
    """Requested before the token's period ended, and not decided before it began."""
    found = ApprovalRequest.objects.filter(case=token.case).order_by("pk").select_related("prepared_by")
    if token.period_to:
        found = found.filter(requested_at__lt=token.period_to)
    if token.period_from:
        found = found.filter(Q(decided_at__isnull=True) | Q(decided_at__gte=token.period_from))
    return found.prefetch_related("signatures__signer", "signatures__appointment")


class Heads(View):
    """Every signed head of the case's record. A head tells nothing but a hash, so none is left out."""

    @extend_schema(operation_id="heads", summary="Signed heads, by size", parameters=STEPS, responses=shapes.HeadPage)
    def get(self, request: Request) -> Response:
        self.chosen(())
        limit, after = cursors.limit_of(request), cursors.after(request, self.token, "heads")
        if after and not (after.isascii() and after.isdigit()):
            raise ParseError(_("`after` is no cursor of this list. Take it from `next` or `last` of an earlier page."))
        found = Head.objects.filter(case_id=self.case.pk, size__gt=int(after or 0)).order_by("size")[:limit]
        rows = [heads.as_json(row) for row in found]
        return cursors.page(request, self.token, "heads", rows, place="size", limit=limit, frozen=True)


# --- one thing --------------------------------------------------------------------------------


class OneEvent(View):
    @extend_schema(operation_id="return_event", summary="One event", responses=shapes.EventShape)
    def get(self, request: Request, number: int) -> Response:
        row = get_object_or_404(events(self.token, Filter()), number=number)
        readings.note(self.token, "return-events", rows=1, through=str(number), at=self.at)
        return Response(shapes.event(row))


class Inclusion(View):
    """The event is under a head: hash its leaf with these nodes, and the head's root comes out."""

    @extend_schema(
        operation_id="return_event_inclusion",
        summary="Proof that an event is under a head",
        parameters=[OpenApiParameter("size", int, description="The size of the head; the newest if left out.")],
        responses=shapes.ProofShape,
    )
    def get(self, request: Request, number: int) -> Response:
        get_object_or_404(events(self.token, Filter()), number=number)
        head = _head(self, request.query_params.get("size"))
        return _proof(head, number, proofs.inclusion(self.case, number, head.size))


class OneReturn(View):
    ATTEMPTS = """
        SELECT b.reference AS batch, t.part::text AS part, t.state, t.reason_code AS reason, micros(t.recorded_at) AS recorded_at
        FROM returns_attempt t JOIN returns_batch b ON b.id = t.batch_id JOIN returns_assetreturn r ON r.id = t.asset_return_id
        WHERE r.case_id = %(case)s AND r.reference = %(reference)s ORDER BY t.id
    """
    EVIDENCE = """
        SELECT encode(e.sha256, 'hex') AS evidence, l.line::text AS line, encode(l.fingerprint, 'hex') AS fingerprint, l.kind,
               b.reference AS batch, m.amount::text AS amount, micros(l.at) AS at, micros(m.applied_at) AS applied_at
        FROM returns_assetreturn r JOIN returns_attempt t ON t.asset_return_id = r.id JOIN returns_batch b ON b.id = t.batch_id
        JOIN returns_match m ON m.attempt_id = t.id JOIN returns_evidenceline l ON l.id = m.line_id
        JOIN returns_evidence e ON e.id = l.evidence_id
        WHERE r.case_id = %(case)s AND r.reference = %(reference)s ORDER BY l.id
    """

    @extend_schema(operation_id="return", summary="One return and what became of it", responses=shapes.ReturnStoryShape)
    def get(self, request: Request, reference: str) -> Response:
        inside, bounds = self.period.of_returns()
        which = {"case": self.case.pk, "reference": reference}
        sql = lines.returns_page(["r.reference = %(reference)s", *inside])
        found = rows_of(sql, {**which, "after": "", "limit": 1, **bounds})
        if not found:
            raise Http404
        readings.note(self.token, "returns", rows=1, through=reference, at=self.at)
        story = {"attempts": rows_of(self.ATTEMPTS, which), "evidence": rows_of(self.EVIDENCE, which)}
        return Response(found[0] | story, headers=cursors.as_of(self.token))


class OneApproval(View):
    @extend_schema(operation_id="approval", summary="One approval", responses=shapes.ApprovalShape)
    def get(self, request: Request, number: int) -> Response:
        row = get_object_or_404(approvals(self.token), pk=number)
        readings.note(self.token, "approvals", rows=1, through=str(number), at=self.at)
        return Response(shapes.approval(row))


class OneHead(View):
    @extend_schema(operation_id="head", summary="One signed head", responses=shapes.HeadShape)
    def get(self, request: Request, size: int) -> Response:
        return Response(heads.as_json(get_object_or_404(Head, case_id=self.case.pk, size=size)))


class Consistency(View):
    """The tree of your earlier head is the beginning of this one (RFC 6962, section 2.1.2)."""

    @extend_schema(
        operation_id="head_consistency",
        summary="Proof that an earlier head is the beginning of this one",
        parameters=[OpenApiParameter("earlier", int, required=True, description="The size of the head you kept.")],
        responses=shapes.ProofShape,
    )
    def get(self, request: Request, size: int) -> Response:
        head = _head(self, str(size))
        earlier = request.query_params.get("earlier", "")
        if not (earlier.isascii() and earlier.isdigit() and 0 < int(earlier) <= size):
            raise ParseError(_("`earlier` is the size of a head no larger than this one."))
        return _proof(head, int(earlier), proofs.consistency(self.case, int(earlier), head.size))


def _head(view: View, size: str | None) -> Head:
    found = Head.objects.filter(case_id=view.case.pk).order_by("-size")
    if size is not None:
        found = found.filter(size=int(size)) if size.isascii() and size.isdigit() and len(size) < 19 else found.none()
    head = found.first()
    if head is None:
        raise Http404
    return head


def _proof(head: Head, of: int, nodes: list[bytes]) -> Response:
    root = bytes(head.root).hex()
    return Response({"size": str(head.size), "root": root, "of": str(of), "proof": [node.hex() for node in nodes]})


# --- pulls ------------------------------------------------------------------------------------


class KeyMissing(APIException):
    status_code = 400


class Pulls(View):
    """Your own pulls of this case; a new one by POST."""

    def get_throttles(self) -> list[Any]:
        return super().get_throttles() + ([PullThrottle()] if self.request.method == "POST" else [])

    @extend_schema(operation_id="pulls", summary="Your pulls, by number", parameters=STEPS, responses=shapes.PullPage)
    def get(self, request: Request) -> Response:
        self.chosen(())
        limit, after = cursors.limit_of(request), cursors.after(request, self.token, "pulls")
        if after and not (after.isascii() and after.isdigit()):
            raise ParseError(_("`after` is no cursor of this list. Take it from `next` or `last` of an earlier page."))
        found = own_pulls(self.token).filter(number__gt=int(after or 0))[:limit]
        rows = [shapes.pull(row, _file(request, row)) for row in found]
        return cursors.page(request, self.token, "pulls", rows, place="number", limit=limit, frozen=False)

    @extend_schema(
        operation_id="make_pull",
        summary="Pull into the archive",
        description="The same Idempotency-Key with the same body gives the same pull again and makes no second one.",
        parameters=[OpenApiParameter("Idempotency-Key", location="header", required=True, description="A key of your own, new for each pull.")],
        request=shapes.PullWish,
        responses={201: shapes.PullShape, 200: shapes.PullShape, 422: OpenApiResponse(shapes.ProblemShape)},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        key = request.headers.get("Idempotency-Key", "").strip()
        if not 0 < len(key) <= 255:
            raise KeyMissing(_("Give an Idempotency-Key of your own, up to 255 characters, new for each pull."))
        wish = shapes.PullWish(data=request.data)
        if not wish.is_valid():
            raise ValidationError(wish.errors)
        asked = wish.validated_data
        names = {PullOf.WHOLE: (), PullOf.RETURNS: RETURNS, PullOf.EVENTS: EVENTS}[PullOf(asked["of"])]
        chosen = self.chosen(names, asked.get("filter", {}))
        once = pulls.Request(key, {"of": asked["of"], "format": asked["format"], "filter": chosen.stated()})
        known = pulls.made_before(self.token, once)
        pull = known or pulls.make(
            self.case,
            format=asked["format"],
            of=asked["of"],
            chosen=chosen,
            token=self.token,
            request=once,
            by=self.by,
            at=self.at,
        )
        headers = {"Location": reverse("api:pull", args=[pull.number])}
        if known:
            headers["Idempotent-Replayed"] = "true"
        return Response(shapes.pull(pull, _file(request, pull)), status=200 if known else 201, headers=headers)


def own_pulls(token: Token) -> QuerySet[Pull]:
    """What this person pulled of this case. With a period, only by tokens of that period: a pull may hold more."""
    found = Pull.objects.filter(case=token.case, by=token.appointment.user).order_by("number")
    if Period.of(token) != Period():
        found = found.filter(token__period_from=token.period_from, token__period_to=token.period_to)
    return found


def _file(request: Request, pull: Pull) -> str:
    return request.build_absolute_uri(reverse("api:pull-file", args=[pull.number]))


class OnePull(View):
    @extend_schema(operation_id="pull", summary="One pull and its population statement", responses=shapes.PullShape)
    def get(self, request: Request, number: int) -> Response:
        row = get_object_or_404(own_pulls(self.token), number=number)
        return Response(shapes.pull(row, _file(request, row)))


class PullFile(View):
    """The pull's bytes from the archive, the same each time. Each handing out is on record."""

    http_method_names = ["get", "options"]  # HEAD would be recorded as a handing out
    throttle_classes = [*APIView.throttle_classes, PullThrottle]

    @extend_schema(
        operation_id="pull_file",
        summary="A pull's file, again",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, number: int) -> HttpResponseBase:
        pull = get_object_or_404(own_pulls(self.token), number=number)
        tag = f'"{bytes(pull.sha256 or b"").hex()}"'
        if pull.sha256 is not None and cursors.is_known(request, tag):
            return Response(status=304, headers={"ETag": tag})
        path = pulls.hand_out_again(pull, token=self.token, by=self.by, at=self.at)
        response = StreamingHttpResponse(archive.pieces(path), content_type=pulls.FORMATS[pull.format])
        response["Content-Length"] = str(pull.bytes)
        response["ETag"] = tag
        return _named(response, pull)


class Stream(View):
    """A whole list in one answer, as the database gives it. It is a pull: recorded, archived, with its statement."""

    http_method_names = ["get", "options"]  # HEAD would begin a pull
    throttle_classes = [*APIView.throttle_classes, PullThrottle]
    of = ""
    names: tuple[str, ...] = ()

    def streamed(self, request: Request, form: str) -> HttpResponseBase:
        pull, pieces = pulls.stream(
            self.case, format=form, of=self.of, chosen=self.chosen(self.names), token=self.token, by=self.by, at=self.at
        )
        response = StreamingHttpResponse(pieces, content_type=pulls.FORMATS[form])
        response["Link"] = f'<{request.build_absolute_uri(reverse("api:pull", args=[pull.number]))}>; rel="describedby"'
        response["Henkan-Pull"] = str(pull.number)
        response["Henkan-Head-Size"] = pull.population["head"]["size"]
        response["Henkan-Head-Root"] = pull.population["head"]["root"]
        return _named(response, pull)


def _named(response: StreamingHttpResponse, pull: Pull) -> StreamingHttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{pull.file_name}"'
    response["Cache-Control"] = "private, no-store"
    return response


class EventStream(Stream):
    of, names = PullOf.EVENTS, EVENTS

    @extend_schema(
        operation_id="return_events_stream",
        tags=["return-events"],
        summary="All events, CSV, JSONL or Parquet",
        parameters=[FORM, CASE, *OF_EVENTS],
        responses=STREAMED,
    )
    def get(self, request: Request, form: str) -> HttpResponseBase:
        return self.streamed(request, form)


class ReturnStream(Stream):
    of, names = PullOf.RETURNS, RETURNS

    @extend_schema(
        operation_id="returns_stream",
        tags=["returns"],
        summary="All returns, CSV, JSONL or Parquet",
        parameters=[FORM, CASE, *OF_RETURNS],
        responses=STREAMED,
    )
    def get(self, request: Request, form: str) -> HttpResponseBase:
        return self.streamed(request, form)
