"""What was kept in English is said in the reader's language, with what it names."""

from django.utils.translation import override

from administration.wording import said

SILENT = "3 parts of T-1-B01-001 have an unknown outcome. This rail cannot be asked: look at its statement."


def test_a_number_that_was_kept_in_a_sentence_is_said_again():
    with override("ja"):
        told = said(SILENT)

    assert told != SILENT
    assert "3" in told and "T-1-B01-001" in told


def test_in_english_it_stays_as_it_was_kept():
    with override("en"):
        assert said(SILENT) == SILENT


ENTRY = "Entry 1 (R1): it is in it twice. A return is made once. Entry 2 (R2): that is no reference, or no asset. And 3 more."


def test_several_faults_of_a_book_or_a_manifest_are_each_said_again():
    for kept in (ENTRY, ENTRY.replace("Entry", "Item").replace("made", "paid").replace(", or no asset", "")):
        with override("ja"):
            told = said(kept)

        assert "R1" in told and "R2" in told and "3" in told
        assert not {"Entry", "Item", "return", "reference", "more"} & set(told.replace(".", " ").split()), told
