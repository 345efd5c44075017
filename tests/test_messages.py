"""English and Japanese from the start: every sentence a person sees has its Japanese."""

import json
import re
import subprocess
import sys
from pathlib import Path

from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

PROJECT = Path(__file__).parent.parent
CATALOGUE = PROJECT / "locale" / "ja" / "LC_MESSAGES" / "django.po"


def forms(text: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """The forms of a sentence: one, or those of a plural."""
    return (text,) if isinstance(text, str) else tuple(text)


def placeholders(text: str | list[str] | tuple[str, ...]) -> set[str]:
    return set(re.findall(r"%\(\w+\)\w", " ".join(forms(text))))


def test_every_sentence_of_the_source_is_translated():
    listed = subprocess.run(
        [sys.executable, PROJECT / "tools" / "messages", "missing"], check=True, capture_output=True, text=True
    )

    assert json.loads(listed.stdout) == []


def test_the_compiled_catalogue_says_what_the_readable_one_says():
    with CATALOGUE.open("rb") as po, CATALOGUE.with_suffix(".mo").open("rb") as mo:
        readable, compiled = read_po(po), read_mo(mo)

    assert {forms(m.id): forms(m.string) for m in readable if m.id} == {
        forms(m.id): forms(m.string) for m in compiled if m.id
    }


def test_translations_keep_every_placeholder():
    with CATALOGUE.open("rb") as po:
        for message in read_po(po):
            if message.id:
                assert placeholders(message.id) == placeholders(message.string), message.id


def test_a_return_is_never_called_a_dividend():
    """配当 is a dividend of the bankruptcy estate only; segregated assets are returned (返還)."""
    with CATALOGUE.open("rb") as po:
        wrong = [m.id for m in read_po(po) if "配当" in str(m.string) and "dividend" not in str(m.id).lower()]

    assert wrong == []
