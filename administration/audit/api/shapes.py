"""
What things look like. Amounts are whole units of the asset as text, instants whole microseconds since 1970 as text,
hashes hexadecimal: as in pulls, so that what is read here can be hashed and compared without converting anything.
"""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from administration.audit.models import Pull, PullOf
from administration.audit.pulls import FORMATS
from administration.cases.models import ApprovalRequest
from administration.record import heads
from administration.record.encoding import leaf, micros
from administration.record.models import Event, Head


class Units(serializers.CharField):
    """Whole units of an asset. Text: JSON numbers lose digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(help_text="Whole units of the asset's smallest unit, as text.", **kwargs)


class Instant(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(help_text="Whole microseconds since 1970-01-01 UTC, as text.", **kwargs)


class Sha256(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(help_text="64 hexadecimal digits.", **kwargs)


class Shape(serializers.Serializer):
    """Rows are made ready by views; a shape says which of their columns go out."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        extend_schema_serializer(component_name=cls.__name__.removesuffix("Shape"))(cls)


class HeadShape(Shape):
    format = serializers.CharField()
    case = serializers.CharField()
    size = serializers.CharField(help_text="How many events the head is over.")
    root = Sha256()  # type: ignore[assignment]  # declared fields are no attributes of a shape
    signed_at = Instant()
    key_id = serializers.CharField()
    public_key = serializers.CharField()
    signature = serializers.CharField()


class ScopeShape(Shape):
    """What this token may read."""

    case = serializers.CharField()
    name = serializers.CharField()
    reader = serializers.CharField(help_text="The sign-in of the person the token was issued to.")
    purpose = serializers.CharField()
    period_from = Instant(allow_null=True)
    period_to = Instant(allow_null=True)
    expires_at = Instant()
    head = HeadShape(allow_null=True)


class EventShape(Shape):
    """One event of the record. Its leaf is the hash of its canonical encoding (tests/record/vectors.json)."""

    number = serializers.CharField()
    case = serializers.CharField()
    kind = serializers.CharField()
    subject_kind = serializers.CharField()
    subject_id = serializers.CharField()
    by = serializers.CharField(allow_blank=True, help_text="Empty when the system acted.")
    at = Instant()
    recorded_at = Instant()
    body = serializers.CharField(help_text="Canonical JSON, as it was hashed.")
    leaf = Sha256()


class ReturnShape(Shape):
    """One return as it stands."""

    reference = serializers.CharField()
    round = serializers.CharField()
    claim = serializers.CharField()
    claim_class = serializers.CharField()
    asset = serializers.CharField()
    amount = Units()
    state = serializers.CharField()
    batch = serializers.CharField(allow_null=True)
    part = serializers.CharField(allow_null=True)
    rail = serializers.CharField()
    network = serializers.CharField(allow_null=True)
    destination = Sha256(allow_null=True)
    tries = serializers.CharField()
    after = serializers.CharField(allow_null=True, help_text="The return that came back and that this one follows.")
    scheduled_at = Instant(allow_null=True)
    frozen_at = Instant(allow_null=True)
    settled_at = Instant(allow_null=True)
    returned_at = Instant(allow_null=True)


class AttemptShape(Shape):
    batch = serializers.CharField()
    part = serializers.CharField()
    state = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    recorded_at = Instant()


class EvidenceShape(Shape):
    evidence = Sha256()
    line = serializers.CharField()
    fingerprint = Sha256()
    kind = serializers.CharField()
    batch = serializers.CharField()
    amount = Units()
    at = Instant()
    applied_at = Instant(allow_null=True)


class ReturnStoryShape(ReturnShape):
    """One return with what was tried for it and the evidence that was matched with it."""

    attempts = AttemptShape(many=True)
    evidence = EvidenceShape(many=True)


class SignatureShape(Shape):
    signer = serializers.CharField()
    office = serializers.CharField()
    signed_at = Instant()


class ApprovalShape(Shape):
    """One request that others sign for an act, bound to the hash of exactly what they approve."""

    number = serializers.CharField()
    act = serializers.CharField()
    object_id = serializers.CharField()
    content_sha256 = Sha256()
    prepared_by = serializers.CharField()
    signers = serializers.CharField(help_text="How many must sign besides the preparer.")
    office_holder = serializers.BooleanField(help_text="Must the office-holder be among them?")
    state = serializers.CharField()
    requested_at = Instant()
    decided_at = Instant(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    signatures = SignatureShape(many=True)


class PullShape(Shape):
    """One pull with its population statement."""

    number = serializers.CharField()
    of = serializers.ChoiceField(choices=PullOf.values)
    format = serializers.ChoiceField(choices=list(FORMATS))
    file_name = serializers.CharField()
    sha256 = Sha256(allow_null=True)
    bytes = serializers.CharField(allow_null=True)
    broken_off = serializers.BooleanField(help_text="Its stream did not reach the end.")
    at = Instant()
    file = serializers.CharField(help_text="Where the same bytes can be had again.")
    population = serializers.JSONField()


class PullWish(Shape):
    """What to pull: the whole record to verify (jsonl, unfiltered), or returns or events."""

    of = serializers.ChoiceField(choices=PullOf.values, default=PullOf.WHOLE)
    format = serializers.ChoiceField(choices=list(FORMATS), default="jsonl")
    filter = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text=_("As in the addresses of the lists: asset, state, batch …"),
    )


class ProofShape(Shape):
    """The nodes of an RFC 6962 proof, from the leaves up, and the heads they connect."""

    size = serializers.CharField()
    root = Sha256()  # type: ignore[assignment]  # declared fields are no attributes of a shape
    of = serializers.CharField(help_text="The earlier size, or the number of the event.")
    proof = serializers.ListField(child=Sha256())


class ProblemShape(Shape):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()


def paged(shape: type[Shape]) -> type[serializers.Serializer]:
    """A page of things of that shape."""
    name = shape.__name__.removesuffix("Shape") + "Page"
    columns = {
        "results": shape(many=True),
        "next": serializers.URLField(allow_null=True, help_text="The next page, if this one is full."),
        "last": serializers.CharField(
            allow_null=True, help_text="The cursor after the last row: ask with `after` for what comes later."
        ),
    }
    return type(name, (Shape,), columns)


EventPage, ReturnPage, ApprovalPage = paged(EventShape), paged(ReturnShape), paged(ApprovalShape)
HeadPage, PullPage = paged(HeadShape), paged(PullShape)


# --- rows, made ready -------------------------------------------------------------------------


def event(row: Event) -> dict[str, str]:
    fields = {
        "number": row.number,
        "case_reference": row.case_reference,
        "kind": row.kind,
        "subject_kind": row.subject_kind,
        "subject_id": row.subject_id,
        "by": row.by,
        "at": micros(row.at),
        "recorded_at": micros(row.recorded_at),
        "body": row.body,
    }
    said = {name: str(value) for name, value in fields.items()} | {"leaf": leaf(**fields).hex()}
    said["case"] = said.pop("case_reference")
    return said


def head(row: Head | None) -> dict[str, str] | None:
    return heads.as_json(row) if row else None


def approval(row: ApprovalRequest) -> dict[str, Any]:
    return {
        "number": str(row.pk),
        "act": row.act,
        "object_id": str(row.object_id),
        "content_sha256": bytes(row.content_sha256).hex(),
        "prepared_by": row.prepared_by.username,
        "signers": str(row.signers),
        "office_holder": row.office_holder,
        "state": row.state,
        "requested_at": micros(row.requested_at),
        "decided_at": micros(row.decided_at) if row.decided_at else None,
        "reason": row.reason,
        "signatures": [
            {"signer": one.signer.username, "office": one.appointment.kind, "signed_at": micros(one.signed_at)}
            for one in row.signatures.all()
        ],
    }


def pull(row: Pull, address: str) -> dict[str, Any]:
    return {
        "number": str(row.number),
        "of": row.of,
        "format": row.format,
        "file_name": row.file_name,
        "sha256": bytes(row.sha256).hex() if row.sha256 is not None else None,
        "bytes": str(row.bytes) if row.bytes is not None else None,
        "broken_off": row.sha256 is None,
        "at": micros(row.at),
        "file": address,
        "population": row.population,
    }
