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
