"""
What the offline verifier finds in a pull that somebody wrote anew: leaves, tree, heads and counts all fit each other.

Only a head that the auditor kept earlier would show that it was written anew; what it says must still follow.
"""

import hashlib
import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from administration.audit import henkan_verify as program
from tests.audit.test_pulls import pull, rehearsal, world  # noqa: F401  fixtures


@pytest.fixture
def forged(pull, tmp_path):  # noqa: F811
    """Rewrites the lines of a pull, seals them anew under a key of its own, and verifies what came out."""
    lines = [json.loads(text) for text in pull().read_text(encoding="utf-8").splitlines()]
    key, path = Ed25519PrivateKey.generate(), tmp_path / "forged.jsonl"

    def forged(change=lambda lines: None, sealed=lambda events: len(events)):
        made = json.loads(json.dumps(lines))
        made = change(made) or made
        events = [line for line in made if line["type"] == "event"]
        tree, leaves, numbers = program.Tree(), b"", {}
        for number, event in enumerate(events, start=1):
            numbers.setdefault(event["number"], str(number))
            event["number"] = str(number)
            leaves += program.leaf(event)
        for cover in only(made, "cover"):
            cover["event"] = numbers.get(cover["event"], cover["event"])
        for number in range(sealed(events)):
            tree.add(leaves[number * 32 : number * 32 + 32])
        head = sign(key, made[0]["case"], str(tree.size), tree.root().hex(), made[0]["head"]["signed_at"])
        made[0]["head"] = head
        made[0]["events"]["last"] = str(len(events))
        made = [line for line in made if line["type"] not in ("head", "leaves")]
        made[1:1] = [{"type": "head", **head}, {"type": "leaves", "first": "1", "hashes": leaves.hex()}]
        made[-1]["lines"] = str(len(made))
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in made), encoding="utf-8")
        return program.verify(path)

    return forged


def sign(key, case, size, root, at):
    public = key.public_key().public_bytes_raw()
    signature = key.sign(program.frames((program.HEAD_FORMAT, case, size, root, at)))
    return {
        "size": size, "root": root, "signed_at": at, "key_id": hashlib.sha256(public).hexdigest()[:16],
        "public_key": public.hex(), "signature": signature.hex(),
    }  # fmt: skip


def only(lines, kind, **what):
    """The lines of a kind (an event's kind too) that say so."""
    return [
        line for line in lines
        if kind in (line["type"], line.get("kind")) and all(line.get(name) == value for name, value in what.items())
    ]  # fmt: skip


def said(event, **new):
    event["body"] = program.canonical(json.loads(event["body"]) | new)


# --- approvals --------------------------------------------------------------------------------


def granted_to(*signers):
    def change(lines):
        for event in only(lines, "approval.granted"):
            said(event, signers=list(signers))

    return change


def without(kind, **what):
    return lambda lines: [line for line in lines if line not in only(lines, kind, **what)]


def changed(kind, **new):
    def change(lines):
        for line in only(lines, kind):
            line.update({name: value for name, value in new.items() if name in line})
            if "body" in line and line["type"] == "event":
                body = json.loads(line["body"])
                said(line, **{name: value for name, value in new.items() if name in body})

    return change


def one_signature_fewer(lines):
    """Event and list fit each other; the people are too few."""
    last = only(lines, "approval.signed")[-1]
    for event in only(lines, "approval.granted"):
        said(event, signers=[who for who in json.loads(event["body"])["signers"] if who != last["by"]])
    return [line for line in lines if line is not last]


def a_case_that_asked_for_three(lines):
    asked = next(place for place, line in enumerate(lines) if line.get("kind") == "approval.requested")
    stricter = {**lines[asked], "kind": "policy.made_stricter", "subject_kind": "policyoverride", "by": "aoki",
                "body": '{"act":"returns.batch","office_holder":"yes","signers":"3"}'}  # fmt: skip
    lines.insert(asked, stricter)


def left_before_the_last(lines):
    """The office of whoever signed first ends before the second signs."""
    first, last = only(lines, "approval.signed")
    body = json.loads(first["body"])
    ended = {**first, "kind": "appointment.ended", "subject_kind": "appointment", "subject_id": body["appointment"],
             "body": f'{{"kind":"{body["as"]}","reason":"moved away","user":"{first["by"]}"}}'}  # fmt: skip
    lines.insert(lines.index(last), ended)


APPROVALS = {
    "nobody signed": (without("approval.signed"), r"returns\.batch is granted as signed by aoki, baba, but signed by nobody"),
    "by nobody, and nobody is named": (
        lambda lines: granted_to()(lines) or without("approval.signed")(lines),
        r"returns\.batch needs 2 to sign beside its preparer, the office-holder among them; those who signed are 0",
    ),
    "by one": (one_signature_fewer, r"needs 2 to sign .* those who signed are 1 \(office_holder\)"),
    "in the name of another": (granted_to("aoki", "fujii"), r"granted as signed by aoki, fujii, but signed by aoki, baba"),
    "with a name too many": (granted_to("aoki", "baba", "fujii"), r"granted as signed by aoki, baba, fujii, but"),
    "without the office-holder": (
        changed("approval.signed", **{"as": "approver"}), r"the office-holder among them; those who signed are 2 \(approver, approver\)",
    ),
    "as somebody who does not sign": (changed("approval.signed", **{"as": "auditor"}), r"aoki as auditor cannot sign request \d+"),
    "twice by one": (changed("approval.signed", by="aoki"), r"aoki as \w+ cannot sign request \d+ \(returns\.batch\), or signed it before"),
    "by the preparer": (changed("approval.signed", by="goto"), r"goto as \w+ cannot sign"),
    "of something else": (changed("approval.signed", content_sha256="00" * 32), r"was signed as request \d+ .* is not what was asked for"),
    "that nobody asked for": (without("approval.requested"), r"is not what was asked for"),
    "although the case asks for more": (a_case_that_asked_for_three, r"needs 3 to sign"),
    "although the request was for more": (changed("approval.requested", signers="3"), r"needs 3 to sign"),
    "by somebody who had left": (left_before_the_last, r"needs 2 to sign .* those who signed are 1"),
}  # fmt: skip


def test_a_forgery_that_changes_nothing_fits(forged):
    assert forged()["unsealed"] == "0"


def test_an_approval_counts_by_the_signatures_in_the_record_alone(forged):
    for what, (change, finding) in APPROVALS.items():
        with pytest.raises(program.Misfit, match=finding):
            print(what, forged(change))


# --- batches ----------------------------------------------------------------------------------


def frozen_again(lines):
    frozen = only(lines, "batch.frozen")[0]
    lines.insert(lines.index(frozen) + 1, {**frozen, "body": program.canonical({
        name: value for name, value in json.loads(frozen["body"]).items() if name != "cover"})})  # fmt: skip


@pytest.mark.parametrize("state", ["voided", "frozen", "closed"])
def test_what_was_tried_was_approved_whatever_its_batch_is_called_now(forged, state):
    def change(lines):
        changed("manifest", state=state)(lines)
        return without("approval.granted")(lines)

    with pytest.raises(program.Misfit, match=r"atch T-1-B01-001.* nobody approved"):
        forged(change)


def test_a_batch_is_frozen_once(forged):
    with pytest.raises(program.Misfit, match=r"Event \d+ freezes batch T-1-B01-001 a second time"):
        forged(frozen_again)


# --- order and heads --------------------------------------------------------------------------


def test_the_program_counts_itself_what_stands_under_no_head(forged):
    def one_fewer(events):
        return len(events) - 1

    with pytest.raises(program.Misfit, match="1 events are under no head, but the pull states 0"):
        forged(sealed=one_fewer)

    def stated(lines):
        lines[0]["events"]["unsealed"] = "1"

    assert forged(stated, sealed=one_fewer)["unsealed"] == "1"


@pytest.mark.parametrize(("kind", "behind"), [
    ("event", "manifest"), ("event", "end"), ("head", "event"), ("attempt", "line"), ("return", "cover"), ("manifest", "return"),
])  # fmt: skip
def test_no_line_comes_after_its_part_has_ended(pull, tmp_path, kind, behind):  # noqa: F811
    lines = pull().read_text(encoding="utf-8").splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    late = lines[len(kinds) - 1 - kinds[::-1].index(kind)]
    lines.insert(kinds.index(behind) + 1, late)
    path = tmp_path / "late.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(program.Misfit, match=rf"\({kind}\) comes after lines of kind “{behind}”"):
        program.verify(path)


# --- returns in no batch ----------------------------------------------------------------------


def scheduled(lines):
    """The last return, which waits; and how its sums are restated."""
    return only(lines, "return")[-1]


def restate(lines):
    sums = {}
    for line in only(lines, "return"):
        count, amount = sums.get((line["asset"], line["state"]), (0, 0))
        sums[line["asset"], line["state"]] = (count + 1, amount + int(line["amount"]))
    lines[0]["returns"]["sums"] = [
        {"asset": asset, "state": state, "count": str(count), "amount": str(amount)}
        for (asset, state), (count, amount) in sums.items()
    ]


def with_return(**new):
    def change(lines):
        scheduled(lines).update(new)
        restate(lines)

    return change


def cancelled_by_an_event_but_scheduled(lines):
    place = next(place for place, line in enumerate(lines) if line["type"] == "manifest")
    event = only(lines, "event")[-1]
    body = {"reference": scheduled(lines)["reference"], "amount": "1", "reason": "none"}
    lines.insert(place, {**event, "kind": "return.cancelled", "body": program.canonical(body)})


def no_round(lines):
    """The event that scheduled them is gone, and so are the rows it covers."""
    left, inside = [], False
    for line in without("round.scheduled")(lines):
        inside = line.get("name") == "returns.round" if line["type"] in ("cover", "end") else inside
        if not inside:
            left.append(line)
    return left


RETURNS = {
    "amount": (with_return(amount="7"), r"Return R0000000364: amount is 7, but \d+ in what event \d+ covers"),
    "claim": (with_return(claim="C9"), r"Return R0000000364: claim is C9, but T-1-C\S+ in what event \d+ covers"),
    "cancelled": (with_return(state="cancelled"), r"Return R0000000364 is cancelled, but no event says so"),
    "not cancelled": (cancelled_by_an_event_but_scheduled, r"Return R0000000364 is scheduled, but was cancelled"),
    "another's": (with_return(after="R0000000018"), r"Return R0000000364 \(\d+ \w+\) follows R0000000018; no event says so"),
    "no round": (no_round, r"Return R0000000018 is \w+, but no event scheduled it"),
}  # fmt: skip


def test_what_waits_in_no_batch_is_what_its_round_scheduled(forged):
    for what, (change, finding) in RETURNS.items():
        with pytest.raises(program.Misfit) as misfit:
            forged(change)
        assert re.search(finding, str(misfit.value)), f"{what}: {misfit.value}"
