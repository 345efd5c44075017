"""What a customer types, however they type it: full width or half, Western years or eras."""

import re
import unicodedata
from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration import amounts
from administration.rails import accounts, addresses
from claims.portal import entering

ERAS = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988, "昭和": 1925, "S": 1925, "大正": 1911, "T": 1911, "明治": 1867, "M": 1867}
YEAR = re.compile(r"([^\W\d_]*?)\.? ?(\d{1,4}|元)年?")
EARLIEST = 1850


def narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def year_of(text: str) -> int | None:
    """1965, 昭和40, S40."""
    found = YEAR.fullmatch(narrow(text).upper())
    if not found:
        return None
    era, number = found[1], 1 if found[2] == "元" else int(found[2])
    if era:
        return ERAS[era] + number if era in ERAS else None
    return number if number >= EARLIEST else None


class FindForm(forms.Form):
    """The code from the letter, and the date of birth or founding."""

    code = forms.CharField(
        label=gettext_lazy("Claim code"), max_length=60,
        error_messages={"required": gettext_lazy("Enter the claim code from your letter.")},
    )  # fmt: skip
    year = forms.CharField(label=gettext_lazy("Year"), max_length=10, required=False)
    month = forms.CharField(label=gettext_lazy("Month"), max_length=4, required=False)
    day = forms.CharField(label=gettext_lazy("Day"), max_length=4, required=False)
    channel = forms.ChoiceField(
        label=gettext_lazy("How shall we send you the second code?"),
        choices=[
            ("email", gettext_lazy("By e-mail, to the address the exchange had of you (within minutes)")),
            ("post", gettext_lazy("By letter, to the postal address the exchange had of you (some days)")),
        ],
        error_messages={"required": gettext_lazy("Choose how we shall send you the second code.")},
    )  # fmt: skip

    def clean_code(self) -> str:
        code = entering.normal(self.cleaned_data["code"])
        if len(code) != entering.CODE_LENGTH or not set(code) <= set(entering.CODE_SIGNS):
            raise forms.ValidationError(_("A claim code has 16 letters and digits, like 7QKF-9TWD-2M4X-RH3C. Look at your letter again."))
        return code

    def clean(self) -> dict[str, Any]:
        typed = {name: narrow(str(self.cleaned_data.get(name, ""))) for name in ("year", "month", "day")}
        year = year_of(typed["year"])
        try:
            born = date(year or 0, int(typed["month"]), int(typed["day"]))
        except ValueError:
            self.add_error("year", _("Enter the date of birth, or of founding for a company, with year, month and day."))
        else:
            self.cleaned_data["born"] = born
        return self.cleaned_data


class CodeForm(forms.Form):
    """The code that was sent."""

    code = forms.CharField(
        label=gettext_lazy("Code with 8 digits"), max_length=30,
        error_messages={"required": gettext_lazy("Enter the code that we sent you.")},
    )  # fmt: skip

    def clean_code(self) -> str:
        code = entering.digits(self.cleaned_data["code"])
        if len(code) != 8:
            raise forms.ValidationError(_("The code has 8 digits. Look at our message again."))
        return code


class DisputeForm(forms.Form):
    """The customer's own figure for one line, and why."""

    claimed = forms.CharField(
        label=gettext_lazy("The whole amount that you say is right"), max_length=100,
        error_messages={"required": gettext_lazy("Enter the amount that you say is right.")},
    )  # fmt: skip
    ground = forms.CharField(
        label=gettext_lazy("Why"), max_length=4000, strip=True,
        error_messages={"required": gettext_lazy("Say why, in your own words.")},
    )  # fmt: skip

    def __init__(self, *args: Any, asset: str, scale: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asset, self.scale = asset, scale

    def clean_claimed(self) -> int:
        text = narrow(self.cleaned_data["claimed"]).replace(",", "").replace("¥", "").replace("円", "").replace(self.asset, "").strip()
        try:
            units = amounts.parse(text, self.scale)
        except amounts.BadAmount:
            raise forms.ValidationError(
                _("Enter a number with at most %(places)s decimals, like 1234.5.") % {"places": self.scale}
                if self.scale
                else _("Enter a whole number, like 12345.")
            ) from None
        if units < 0:
            raise forms.ValidationError(_("The amount cannot be negative."))
        return units


class BankForm(forms.Form):
    """A bank account in Japan."""

    bank_code = forms.CharField(label=gettext_lazy("Bank code (4 digits)"), max_length=20)
    branch_code = forms.CharField(label=gettext_lazy("Branch code (3 digits)"), max_length=20)
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind of account"),
        choices=[
            ("1", gettext_lazy("Ordinary (普通)")), ("2", gettext_lazy("Current (当座)")),
            ("4", gettext_lazy("Savings (貯蓄)")), ("9", gettext_lazy("Other (その他)")),
        ],
    )  # fmt: skip
    number = forms.CharField(label=gettext_lazy("Account number (7 digits)"), max_length=20)
    holder_kana = forms.CharField(label=gettext_lazy("Account holder in katakana"), max_length=100)

    def __init__(self, *args: Any, asset: str, network: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.error_messages["required"] = _("Fill in this field.")

    def clean(self) -> dict[str, Any]:
        data = {name: narrow(str(self.cleaned_data.get(name, ""))) for name in self.fields}
        if not self.errors:
            check = accounts.check(*(data[name] for name in ("bank_code", "branch_code", "kind", "number", "holder_kana")))
            for remark in check.errors:
                self.add_error(*self._said(remark.code))
            self.details = dict(check.normalized)
        return self.cleaned_data

    def _said(self, code: str) -> tuple[str, str]:
        if code.startswith("bank"):
            return "bank_code", _("No bank in Japan has this code. It has 4 digits and stands in your bank book.")
        if code.startswith("branch"):
            return "branch_code", _("This bank has no branch with this code. It has 3 digits and stands in your bank book.")
        if code.startswith("number"):
            return "number", _("An account number has 7 digits. Put zeros in front of a shorter one.")
        if code.startswith("kind"):
            return "kind", _("Choose the kind of account.")
        return "holder_kana", _("Write the holder's name in katakana as it stands in your bank book.")


class AddressForm(forms.Form):
    """An address on a network of a crypto-asset."""

    address = forms.CharField(
        label=gettext_lazy("Address"), max_length=200,
        error_messages={"required": gettext_lazy("Enter the address at which you want to receive.")},
    )  # fmt: skip
    memo = forms.CharField(label=gettext_lazy("Tag or memo, only if your provider gave you one"), max_length=100, required=False)

    def __init__(self, *args: Any, asset: str, network: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asset, self.network = asset, network

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            address, memo = narrow(self.cleaned_data["address"]), narrow(self.cleaned_data["memo"])
            check = addresses.check(self.asset, self.network, address, memo)
            for remark in check.errors[:1]:
                self.add_error(*self._said(remark.code))
                if remark.code == "secret":  # it goes back into no page
                    self.data = {}
            self.details = dict(check.normalized)
        return self.cleaned_data

    def _said(self, code: str) -> tuple[str, str]:
        if code == "secret":
            return "address", _("This is not an address but a secret. Whoever sees it can take your coins: nothing was kept. Move those coins to a new wallet.")
        if "memo" in code or "tag" in code:
            return "memo", _("This tag or memo does not go with this address. Look at what your provider says.")
        return "address", _("%(asset)s cannot be received at this address. Copy it anew, and look which network it is for.") % {"asset": self.asset}
