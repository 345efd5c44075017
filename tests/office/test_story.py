"""One return's whole story, and finding it by what a person has at hand."""

from tests.office.estate import _estate, estate, goto_at  # noqa: F401


def test_the_story_goes_from_the_claim_to_the_batch_and_its_signatures(goto_at):  # noqa: F811
    world = goto_at.world
    batch = world.approved()
    row = world.returns()[0]

    page = goto_at.see(f"returns/{row.reference}/").content.decode()

    order = ["Claim T-1", "Run 1", "Scheduled in round 1", "Drafted into batch", "was frozen", "aoki signed", "baba signed"]
    found = [page.find(words) for words in order]
    assert -1 not in found and found == sorted(found), list(zip(order, found, strict=True))
    assert batch.reference in page


def test_a_return_is_found_by_its_reference_and_by_its_claims_number(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    row = world.returns()[0]
    claim = row.claim_line.claim.number

    by_reference = goto_at.see("find/", q=row.reference.lower())
    by_claim = goto_at.see("find/", q=claim).content.decode()

    assert by_reference["Location"] == goto_at.at(f"returns/{row.reference}/")
    assert row.reference in by_claim
    assert "Nothing in this case is called that" in goto_at.see("find/", q="nowhere").content.decode()


def test_a_return_of_another_case_does_not_exist(goto_at):  # noqa: F811
    assert goto_at.see("returns/R9999999999/").status_code == 404
