"""How people enter days, instants, amounts and papers in the office's forms."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import amounts
from administration.books.models import Asset
from administration.cases.models import Case

PAPER_BYTES_MAX = 50 * 1024 * 1024


class DayField(forms.DateField):
    """A day, chosen in the browser's calendar."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class InstantField(forms.DateTimeField):
    """A moment in Japan's time."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"help_text": lazy("Japan time (JST)."), **options})


class PaperField(forms.FileField):
    """A scan or other evidence. It is kept by its hash."""

    def __init__(self, *, bytes_max: int = PAPER_BYTES_MAX, **options: Any) -> None:
        self.bytes_max = bytes_max
        super().__init__(**{"help_text": lazy("Kept as it is, by its SHA-256."), **options})

    def clean(self, data: Any, initial: Any = None) -> Any:
        kept = super().clean(data, initial)
        if kept and kept.size > self.bytes_max:
            raise ValidationError(
                _("The file has %(size)s MB; at most %(most)s MB are taken here.")
                % {"size": kept.size // 2**20 + 1, "most": self.bytes_max // 2**20}
            )
        return kept


class WordsField(forms.CharField):
    """A few lines of text."""

    widget = forms.Textarea(attrs={"rows": 3, "class": "words"})


class OneOf(forms.ModelChoiceField):
    """One row, named by `named`."""

    def __init__(self, queryset: Any, *, named: Any = str, **options: Any) -> None:
        self.named = named
        super().__init__(queryset, **{"empty_label": "–", **options})

    def label_from_instance(self, obj: Any) -> str:
        return str(self.named(obj))


class SomeOf(forms.ModelMultipleChoiceField):
    """Some rows, each with a box to tick."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, queryset: Any, *, named: Any = str, **options: Any) -> None:
        self.named = named
        super().__init__(queryset, **options)

    def label_from_instance(self, obj: Any) -> str:
        return str(self.named(obj))


def offer(form: forms.Form, name: str, rows: Any) -> None:
    """Fill the choices of a field in: rows, or pairs of code and word."""
    field = form.fields[name]
    if isinstance(field, forms.ModelChoiceField):
        field.queryset = rows
    else:
        assert isinstance(field, forms.ChoiceField)
        field.choices = rows


class OfCase(forms.Form):
    """A form whose choices are of one case."""

    def __init__(self, *args: Any, case: Case, **options: Any) -> None:
        super().__init__(*args, **options)
        self.case = case
        self.prepare()

    def prepare(self) -> None:
        """Fill the choices in."""

    def units(self, name: str, asset: Asset | None) -> int | None:
        """The amount entered under `name`, in whole units of the asset; the field says it where it is none."""
        text = (self.cleaned_data.get(name) or "").strip().replace(",", "")
        if asset is None or not text:
            return None
        try:
            return amounts.parse(text, asset.scale)
        except amounts.BadAmount:
            self.add_error(
                name,
                _("“%(text)s” is not an amount of %(asset)s: plain digits, with at most %(scale)s decimal places.")
                % {"text": text, "asset": asset.code, "scale": asset.scale},
            )
            return None


class AmountField(forms.CharField):
    """A decimal amount as text; the form reads it by the scale of its asset."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})


class Reason(forms.Form):
    """Why, in one sentence."""

    reason = WordsField(label=lazy("Why"))
