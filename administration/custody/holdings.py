"""
What is held at a place at an instant, with the paper that says so and how control was proved.

    NotEvidenced     nothing is held without evidence, or the evidence is not what it is said to be
    NotAHolding      the figures, the place or the instant cannot be
    AlreadyRecorded  the place has another holding of that very instant
    NothingTaken     no accepted package says what is held
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from administration.books import books
from administration.books.models import Asset
from administration.cases import appointments, archive
from administration.cases.models import Case
from administration.custody.models import POOLED, Access, Holding, HoldingPlace, PlaceKind, Tag
from administration.errors import Refused
from administration.ledger.arriving import archive_of
from administration.ledger.models import HandedOverPlace, Intake, IntakeState
from administration.people.models import User
from administration.record import covers, log

POWER = "custody.record"
COVER = "custody.holdings"

# The holdings of one case between two numbers: those that one act recorded.
HANDED_OVER = """
SELECT a.code AS asset, p.network, p.locator, p.kind, p.tag, h.amount::text AS amount,
       trunc(extract(epoch FROM h.as_of) * 1000000)::text AS as_of, h.access, h.proof, h.evidence_name,
       encode(h.evidence_sha256, 'hex') AS evidence_sha256
FROM custody_holding h
JOIN custody_holdingplace p ON p.id = h.place_id
JOIN books_asset a ON a.id = h.asset_id
JOIN cases_case c ON c.id = h.case_id
WHERE c.reference = %(case)s AND h.id BETWEEN %(first)s::bigint AND %(last)s::bigint
ORDER BY a.code COLLATE "C", p.network COLLATE "C", p.locator COLLATE "C", h.as_of
"""


class NotEvidenced(Refused):
    """Nothing is held without evidence."""


class NotAHolding(Refused):
    """A holding like that cannot be."""


class AlreadyRecorded(Refused):
    """The place has a holding of that instant, and it stays as it is."""


class NothingTaken(Refused):
    """There is no accepted handover package in the case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found at one place, and the paper behind it."""

    asset: Asset
    kind: str
    network: str
    locator: str
    temperature: str
    tag: str
    controller: str
    custodian: str
    amount: int
    as_of: datetime
    access: str
    proof: str
    evidence: bytes
    evidence_name: str


def newest(case: Case) -> QuerySet[Holding]:
    """The newest holding of each place: what counts. A place once proved and lost since is lost."""
    return Holding.objects.filter(case=case).order_by("place_id", "-as_of").distinct("place_id")


# --- recording --------------------------------------------------------------------------------


@transaction.atomic
def record(
    case: Case,
    *,
    asset: Asset,
    kind: str,
    network: str,
    locator: str,
    temperature: str = "",
    tag: str,
    controller: str = "",
    custodian: str = "",
    amount: int,
    as_of: datetime,
    access: str,
    proof: str = "",
    evidence: bytes,
    evidence_name: str,
    by: User,
    at: datetime,
) -> Holding:
    """
    Record what is held at a place, with its evidence. The place is listed if it is new.

    The first proved holding of a customers' place opens it in the books. Later ones say how much is there
    now and post nothing: a difference is explained by a movement.
    """
    appointments.require(case, by, POWER, at=at)
    one_at_a_time(case)
    finding = Finding(
        asset=asset, kind=kind, network=network, locator=locator, temperature=temperature, tag=tag,
        controller=controller, custodian=custodian, amount=amount, as_of=as_of, access=access, proof=proof,
        evidence=evidence, evidence_name=evidence_name,
    )  # fmt: skip
    holding = _enter(case, finding, by=by, at=at)
    log.append(
        case,
        "holding.recorded",
        subject=holding,
        by=by,
        at=at,
        body={
            "asset": asset.code,
            "network": network,
            "locator": locator,
            "kind": str(kind),
            "tag": str(tag),
            "temperature": temperature,
            "controller": controller,
            "custodian": custodian,
            "amount": amount,
            "as_of": as_of.isoformat(),
            "access": str(access),
            "proof": proof,
            "evidence_name": evidence_name,
            "evidence_sha256": bytes(holding.evidence_sha256).hex(),
        },
    )
    return holding


def one_at_a_time(case: Case) -> None:
    """Wait for whoever records in this case: two first holdings of one place would open it twice."""
    Case.objects.select_for_update(no_key=True).get(pk=case.pk)


def _enter(case: Case, finding: Finding, *, by: User, at: datetime) -> Holding:
    """The rows of one finding, and the opening of its place in the books."""
    _check(case, finding, at)
    place = _place(case, finding)
    if Holding.objects.filter(place=place, as_of=finding.as_of).exists():
        raise AlreadyRecorded(
            _(
                "What is held at %(place)s at %(as_of)s is recorded already and stays as it is. "
                "Record a later statement instead."
            )
            % {"place": place, "as_of": finding.as_of.isoformat()}
        )
    proved = finding.access == Access.PROVED
    opens = proved and place.tag in POOLED and not place.holdings.filter(access=Access.PROVED).exists()
    holding = Holding.objects.create(
        case=case, place=place, asset=finding.asset, amount=finding.amount, as_of=finding.as_of, access=finding.access,
        proof=finding.proof, evidence_name=finding.evidence_name, evidence_sha256=archive.keep(finding.evidence),
        by=by, at=at,
    )  # fmt: skip
    if opens and finding.amount:
        books.post(
            case, "opening", idem_key=f"holding:{holding.pk}", lines=[(finding.asset, finding.amount)], subject=holding,
            by=by, at=at,
        )  # fmt: skip
    return holding


def _check(case: Case, finding: Finding, at: datetime) -> None:
    place = {"place": finding.locator}
    if not finding.evidence or not finding.evidence_name:
        raise NotEvidenced(
            _("What is held at %(place)s needs a paper that says so, with a name, and there is none.") % place
        )
    if finding.access == Access.PROVED and not finding.proof.strip():
        raise NotEvidenced(_("Control of %(place)s is called proved. Say how: a signed message, a certificate.") % place)
    if books.whole(finding.amount) < 0:
        raise NotAHolding(_("Less than nothing cannot be held at %(place)s. Look at the statement again.") % place)
    if finding.asset.case_id != case.pk:
        raise NotAHolding(_("%(asset)s is not an asset of case %(case)s.") % {"asset": finding.asset, "case": case})
    if not finding.locator.strip():
        raise NotAHolding(_("Say where it is held: an address, an account number, a trust contract."))
    for word, words in ((finding.kind, PlaceKind), (finding.tag, Tag), (finding.access, Access)):
        if word not in words.values:
            raise NotAHolding(
                _("“%(word)s” is not one of: %(words)s.") % {"word": word, "words": ", ".join(words.values)}
            )
    if finding.as_of > at:
        raise NotAHolding(_("The statement of %(place)s is of the future. Look at its date again.") % place)


def _place(case: Case, finding: Finding) -> HoldingPlace:
    """The place of that asset under that locator, listed now if it is new."""
    place, new = HoldingPlace.objects.get_or_create(
        case=case,
        asset=finding.asset,
        network=finding.network,
        locator=finding.locator,
        defaults={
            "kind": finding.kind,
            "temperature": finding.temperature,
            "tag": finding.tag,
            "controller": finding.controller,
            "custodian": finding.custodian,
        },
    )
    if not new and (place.kind, place.tag) != (finding.kind, finding.tag):
        raise NotAHolding(
            _("%(place)s is listed as %(kind)s, %(tag)s, and does not become %(other_kind)s, %(other_tag)s.")
            % {
                "place": place,
                "kind": place.kind,
                "tag": place.tag,
                "other_kind": finding.kind,
                "other_tag": finding.tag,
            }
        )
    return place


# --- from the handover package ----------------------------------------------------------------


@transaction.atomic
def from_handover(case: Case, *, by: User, at: datetime) -> list[Holding]:
    """
    Record every place of the accepted package with its paper, compared with the hash the package gives.

    Again, it changes nothing: what is recorded already is found. Returns all of them, in the package's order.
    """
    appointments.require(case, by, POWER, at=at)
    intake = Intake.objects.filter(case=case, state=IntakeState.ACCEPTED).first()
    if intake is None:
        raise NothingTaken(
            _("No accepted handover package in case %(case)s says what is held. Take over the ledger first.")
            % {"case": case}
        )
    one_at_a_time(case)
    places = HandedOverPlace.objects.filter(intake=intake).select_related("asset").order_by("row")
    held: dict[int, Holding] = {}
    new: list[Holding] = []
    for row in places:
        finding = _read(intake, row)
        holding = _same(case, finding)
        if holding is None or holding.pk in held:
            holding = _enter(case, finding, by=by, at=at)
            new.append(holding)
        held[holding.pk] = holding
    if new:
        first, last = new[0].pk, new[-1].pk
        log.append(
            case,
            "holdings.handed_over",
            subject=intake,
            by=by,
            at=at,
            body={"package_sha256": bytes(intake.package_sha256).hex(), "holdings": len(new)},
            covers=covers.cover(COVER, case=case.reference, first=first, last=last),
        )
    return list(held.values())


def _read(intake: Intake, row: HandedOverPlace) -> Finding:
    """One row of wallets.csv with the bytes of its paper."""
    said: dict[str, Any] = row.details
    name = said["evidence_file"]
    package = archive_of(intake.directory).resolve()
    path = (package / name).resolve()
    if not path.is_relative_to(package) or not path.is_file():
        raise NotEvidenced(
            _("wallets.csv row %(row)s: the paper %(file)s is not in the package. Nothing was recorded.")
            % {"row": row.row, "file": name}
        )
    evidence = path.read_bytes()
    if sha256(evidence).hexdigest() != said["evidence_sha256"]:
        raise NotEvidenced(
            _(
                "wallets.csv row %(row)s: the paper %(file)s is not the one whose hash the package gives. "
                "Nothing was recorded. Ask the deliverer for the right one."
            )
            % {"row": row.row, "file": name}
        )
    return Finding(
        asset=row.asset, kind=said["place_kind"], network=said["network"], locator=said["address"],
        temperature=said.get("temperature") or "", tag=said["tag"], controller=said["controller"],
        custodian=said.get("custodian") or "", amount=row.amount, as_of=datetime.fromisoformat(said["as_of"]),
        access=said["access"], proof=said.get("proof") or "", evidence=evidence, evidence_name=name,
    )  # fmt: skip


def _same(case: Case, finding: Finding) -> Holding | None:
    """This very finding, if it is recorded already."""
    return Holding.objects.filter(
        case=case, asset=finding.asset, place__network=finding.network, place__locator=finding.locator,
        place__tag=finding.tag, amount=finding.amount, as_of=finding.as_of, access=finding.access, proof=finding.proof,
        evidence_name=finding.evidence_name, evidence_sha256=sha256(finding.evidence).digest(),
    ).first()  # fmt: skip
