"""
A page that does something: it first says the effect in words and figures, and only the second press does it.

    GET            the form, if the act asks for anything; otherwise the effect at once
    POST look      the effect of what was entered
    POST change    the form again, with what was entered
    POST do        carries the hash of the effect that was shown; does it only if the effect is still the same

A page done twice (double click, back, reload) does its act once: each effect has a key, and the key is used up
before the act begins. Killed in between, nothing is repeated: the rows of the case say what was done.
"""

import contextlib
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from administration.cases import orders
from administration.cases.models import ApprovalRequest, CourtOrder
from administration.errors import Refused
from administration.fields import db_now
from administration.office import uploads
from administration.office.models import Press
from administration.office.pages.base import CasePage
from administration.work.models import Job

LOOK, CHANGE, DO = "look", "change", "do"
SHOWN_FOR = 3600  # seconds: an effect looked at longer ago is shown again first


@dataclass(frozen=True)
class Table:
    """A small table of an effect: the largest ten, what changed."""

    title: Any
    head: list[Any]
    rows: list[list[Any]]
    numeric: frozenset[int] = frozenset()  # columns set to the right
    apart: bool = False  # more long amounts in a row than a screen is wide: each row by itself


@dataclass(frozen=True)
class Effect:
    """
    What an act would do, said before it is done.

    The digest binds figures, tables and content; sentences may be read in either language.
    """

    sentence: Any
    button: Any  # the act in a verb: "Freeze the batch"
    figures: list[tuple[Any, Any]] = field(default_factory=list)  # label, value
    tables: list[Table] = field(default_factory=list)
    warnings: list[Any] = field(default_factory=list)
    content_sha256: str = ""  # hex, of the object acted on, where it has one
    order: CourtOrder | None = None  # what the act rests on
    moves_value: bool = False  # the button says so by its look

    def shown(self) -> dict[str, Any]:
        """What the digest is over, as text."""
        return {
            "figures": [[str(label), str(value)] for label, value in self.figures],
            "tables": [[[str(cell) for cell in row] for row in table.rows] for table in self.tables],
            "content": self.content_sha256,
            "order": self.order.number if self.order else "",
        }

    def digest(self) -> str:
        said = self.shown()
        said["figures"] = [value for _label, value in said["figures"]]
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


class TakenBack(Exception):
    """An act was tried and nothing of it is left."""


class ActPage(CasePage):
    """
    One act. A subclass says effect(data) and act(data); `data` is the form's cleaned data, files as KeptFile.

    `self.kwargs` has what the address names; object() may turn that into rows, raising Http404 for another case's.
    """

    template = "office/act.html"
    form_class: type[forms.Form] | None = None
    intro: Any = ""  # above the form: what this act is for
    tried = False  # a look tries the act too and takes it back; for acts of one transaction that touch nothing outside

    def effect(self, data: dict[str, Any]) -> Effect:
        raise NotImplementedError

    def act(self, data: dict[str, Any]) -> Any:
        """Do it: one call into an act, with by=self.user and at=self.at. What it returns says where to go next."""
        raise NotImplementedError

    def done(self, result: Any) -> tuple[str, str]:
        """A sentence and the address to go on at, by what the act returned."""
        if isinstance(result, Job):
            return _("Started. This page follows the work; you can leave it."), self.url("job", pk=result.pk)
        if isinstance(result, ApprovalRequest):
            return _("Prepared. It now waits for the signatures it needs."), self.url("approval", pk=result.pk)
        return _("Done, and in the record."), self.back()

    def back(self) -> str:
        """Where to go when there is nothing special to see."""
        return self.url("case")

    def about(self) -> str:
        """What the act is done to, said above its form: a claim's number, a person's name. Asked after form_arguments()."""
        return ""

    def facts(self) -> list[tuple[Any, Any]]:
        """What somebody wants before the eyes who fills the form in: label, value."""
        return []

    def asking(self, form: forms.Form, kept: "dict[str, KeptFile] | None" = None, **more: Any) -> dict[str, Any]:
        """The form with what was entered; files that are here already need not be chosen again."""
        for name, one in (kept or {}).items():
            form[name].initial = one
        return {"form": form, "kept": kept or {}, "intro": self.intro, "about": self.about(), "facts": self.facts(), **more}

    def form(self, data: QueryDict | None = None, files: Any = None) -> forms.Form | None:
        return self.form_class(data, files, **self.form_arguments()) if self.form_class else None

    def form_arguments(self) -> dict[str, Any]:
        """What the form is made with, such as choices of this case."""
        return {}

    # --- the three requests ---------------------------------------------------------------------

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.form()
        if form is not None:
            return self.show(self.asking(form))
        return self._show_effect({}, {}, {})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        kept = kept_files(request, self.user.pk)
        files = {name: one.open() for name, one in kept.items()}
        try:
            return self._posted(request, kept, MultiValueDict({name: [file] for name, file in files.items()}))
        finally:
            for file in files.values():
                file.close()

    def _posted(self, request: HttpRequest, kept: "dict[str, KeptFile]", files: Any) -> HttpResponse:
        pressed = self._earlier_press() if request.POST.get("stage") == DO else None
        if pressed is not None:  # before the form is looked at: its files may have gone where the act put them
            return self._pressed_already(pressed)
        form = self.form(request.POST, files)
        data: dict[str, Any] = {}
        if form is not None:
            if not form.is_valid():
                return self.show(self.asking(form, kept, trouble=True), status=400)
            if request.POST.get("stage") == CHANGE:
                return self.show(self.asking(form, kept))
            data = {**form.cleaned_data, **kept}
        entered = {
            name: request.POST.getlist(name) for name in request.POST if name not in OURS and not name.startswith(KEPT)
        }
        try:
            if request.POST.get("stage") == DO:
                return self._do(data, entered, kept)
            return self._show_effect(data, entered, kept)
        except Refused as refusal:
            if form is None:
                raise
            kept = {name: one for name, one in kept.items() if one.path.exists()}  # what is refused for good is not kept
            return self.show(self.asking(form, kept, refusal=str(refusal)), status=409)

    def _try(self, data: Any) -> None:
        """What the act refuses, the look refuses by the same sentence: no effect is shown that a press would not have."""
        with contextlib.suppress(TakenBack), transaction.atomic():
            self.act(data)
            raise TakenBack

    def _show_effect(self, data: Any, entered: Any, kept: "dict[str, KeptFile]", *, changed: Any = None) -> HttpResponse:
        effect = self.effect(data)
        if self.tried:
            self._try(data)
        shown = signing.dumps(
            {"d": effect.digest(), "f": effect.shown()["figures"], "k": str(uuid.uuid4()), "u": self.user.pk,
             "p": self.request.path}, salt="office.effect", compress=True,
        )  # fmt: skip
        return self.show(
            {"effect": effect, "shown": shown, "entered": entered, "kept": kept, "changed": changed,
             "has_form": self.form_class is not None, "back": self.back()},
            status=409 if changed is not None else 200,
        )

    def _do(self, data: Any, entered: Any, kept: "dict[str, KeptFile]") -> HttpResponse:
        shown = self._was_shown()
        if shown is None:
            return self._show_effect(data, entered, kept, changed=[])
        effect = self.effect(data)
        if effect.digest() != shown["d"]:
            return self._show_effect(data, entered, kept, changed=differences(shown["f"], effect.shown()["figures"]))
        if effect.order is not None:
            orders.require(effect.order, self.at)
        first, ours = Press.objects.get_or_create(
            key=shown["k"], defaults={"user": self.user, "path": self.request.path[:500]}
        )
        if not ours:
            return self._pressed_already(first)
        self.at = db_now()
        try:
            result = self.act(data)
        except Refused as refusal:
            Press.objects.filter(key=shown["k"]).update(sentence=str(refusal))
            raise
        sentence, address = self.done(result)
        Press.objects.filter(key=shown["k"]).update(sentence=sentence, outcome=address)
        messages.success(self.request, sentence)
        return redirect(address)

    def _was_shown(self) -> dict[str, Any] | None:
        """The effect that this press is of, if we showed it to this person on this page, not too long ago."""
        try:
            shown: dict[str, Any] = signing.loads(self.request.POST.get("shown", ""), salt="office.effect", max_age=SHOWN_FOR)
        except signing.BadSignature:
            return None
        return shown if shown["u"] == self.user.pk and shown["p"] == self.request.path else None

    def _earlier_press(self) -> Press | None:
        shown = self._was_shown()
        return Press.objects.filter(key=shown["k"]).first() if shown else None

    def _pressed_already(self, pressed: Press) -> HttpResponse:
        if pressed.outcome:
            messages.info(self.request, _("This was done already, by your first press. Nothing was done again."))
            return redirect(pressed.outcome)
        return self.refused(
            pressed.sentence or _("This is being done since your first press. Look at the case before you try again.")
        )


def differences(before: list[list[str]], now: list[list[str]]) -> list[tuple[str, str, str]]:
    """Which figures changed since they were shown: label, then, now."""
    then, today = dict(before), dict(now)
    return [
        (label, then.get(label, "–"), today.get(label, "–"))
        for label in dict.fromkeys([*then, *today])
        if then.get(label) != today.get(label)
    ]


# --- files between the look and the act ---------------------------------------------------------

KEPT = "kept-"
OURS = {"stage", "shown", "csrfmiddlewaretoken"}


@dataclass(frozen=True)
class KeptFile:
    """An uploaded file, kept while its effect is looked at."""

    path: Path
    name: str
    size: int
    sha256: str
    token: str

    def open(self) -> UploadedFile:
        return UploadedFile(self.path.open("rb"), name=self.name, size=self.size)

    def read(self) -> bytes:
        return self.path.read_bytes()


def kept_files(request: HttpRequest, user: int) -> dict[str, KeptFile]:
    """The files of a request: those just uploaded, written down; and those named by an earlier look."""
    kept = {}
    for field_name, token in request.POST.items():
        if field_name.startswith(KEPT):
            try:
                one = signing.loads(str(token), salt="office.kept", max_age=uploads.KEPT_SECONDS)
            except signing.BadSignature:
                continue
            if one["u"] == user and (uploads.folder() / one["s"]).exists():
                kept[field_name.removeprefix(KEPT)] = KeptFile(
                    uploads.folder() / one["s"], one["n"], one["b"], one["s"], str(token)
                )
    for field_name, file in request.FILES.items():
        kept[field_name] = keep(file, user)
    return kept


def keep(file: Any, user: int) -> KeptFile:
    """Write an upload down under its hash, chunk by chunk."""
    uploads.folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size, partial = hashlib.sha256(), 0, uploads.folder() / f".{uuid.uuid4()}"
    with partial.open("wb") as out:
        for chunk in file.chunks():
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
    sha256 = digest.hexdigest()
    partial.rename(uploads.folder() / sha256)
    name = Path(file.name).name
    token = signing.dumps({"s": sha256, "n": name, "b": size, "u": user}, salt="office.kept")
    return KeptFile(uploads.folder() / sha256, name, size, sha256, token)

