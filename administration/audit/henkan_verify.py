"""
Verify a pull of Henkan's record without Henkan: one file, Python 3.11 or newer and the package `cryptography`.

    python henkan_verify.py pull.jsonl [--heads my_heads.jsonl] [--public-key HEX]

Prints what was checked and exits 0, or names the first record that does not fit and exits 1. Exit 2: the file cannot
be read. With --heads FILE the heads you kept from earlier pulls must be the beginning of this record; when all fits,
the newest head is added to the file, so that next time it is known. With --public-key only that key's heads count.

In this order it checks:
1. the file is whole and its lines are in their order;
2. every event has the leaf it was sealed with, numbers have no gap, bodies are canonical;
3. every head's signature, and that the tree of the events has its root; your own heads likewise; how many events stand
   under no head yet;
4. every approval was signed, event by event, by those it names, by as many as it needs, the preparer not among them;
   every manifest of which anything was tried was frozen once and approved; every return that went out is what it says;
   every line of evidence that people explained is explained as they signed it;
5. every settled return has one settled attempt and one applied line of evidence of its amount, and no other has; what
   people found, where no rail answered, was signed for, and that something was never paid only they can say;
6. the rows that bulk events speak for are what they were, and say what the returns say; whatever was scheduled or
   cancelled was so by an event;
7. counts and sums are those of the population statement.

Nothing here is taken from the system that made the pull: the rules are written down a second time on purpose.
"""

import argparse
import hashlib
import json
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from sys import intern
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SCHEMA = "henkan-pull/1"
HEAD_FORMAT = "henkan-head/1"
EVENT_FORMAT = "henkan-event/1"
Y2000 = 946_684_800_000_000  # microseconds from 1970 to 2000, where PostgreSQL begins to count
Line = dict[str, Any]
APPROVED = ("amount", "asset", "claim", "destination", "network", "part")  # what a manifest says of a return
SEPARATOR = "\x00"  # in no text of a database
WENT_OUT = ("batched", "settled", "returned")
# The lines of a pull, in the order in which they come; a cover is followed by its rows.
ORDER = ("head", "leaves", "event", "manifest", "return", "attempt", "evidence", "line", "match", "cover", "end")
STAGES = {kind: stage for stage, kind in enumerate(ORDER)} | {"row": ORDER.index("cover")}
ASKED = ("act", "object_id", "content_sha256", "prepared_by")  # what a signature is put under
# How many sign beside the preparer, and whether the office-holder must be among them. A case may ask for more.
LEAST = {"ledger.accept": (1, False), "cases.succeed": (2, False)}
USUALLY = (2, True)


class Misfit(Exception):
    """The first record that does not fit, in a sentence."""


class Unreadable(Exception):
    """This is no pull, or not one this program knows."""


# --- canonical encoding -----------------------------------------------------------------------


def frame(text: str | None) -> bytes:
    if text is None:
        return b"\xff\xff\xff\xff"
    data = text.encode()
    return struct.pack(">I", len(data)) + data


def frames(texts: Iterable[str | None]) -> bytes:
    return b"".join(map(frame, texts))


def leaf(event: Line) -> bytes:
    fixed = struct.pack(
        ">qqq", int(event["number"]), int(event["at"]) - Y2000, int(event["recorded_at"]) - Y2000
    )
    names = ("case", "kind", "subject_kind", "subject_id", "by", "body")
    return hashlib.sha256(
        b"\x00" + frame(EVENT_FORMAT) + fixed + frames(event[name] for name in names)
    ).digest()


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# --- Merkle tree (RFC 6962) -------------------------------------------------------------------


class Tree:
    """A tree that grows leaf by leaf; `roots` holds (width, hash) of its perfect subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.roots: list[tuple[int, bytes]] = []

    def add(self, leaf_hash: bytes) -> None:
        width, node = 1, leaf_hash
        while self.roots and self.roots[-1][0] == width:
            node = hashlib.sha256(b"\x01" + self.roots.pop()[1] + node).digest()
            width *= 2
        self.roots.append((width, node))
        self.size += 1

    def root(self) -> bytes:
        if not self.roots:
            return hashlib.sha256(b"").digest()
        node = self.roots[-1][1]
        for _width, left in reversed(self.roots[:-1]):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


def check_signature(head: Line, case: str, only_key: str | None) -> None:
    key = bytes.fromhex(head["public_key"])
    signed = frames((HEAD_FORMAT, case, head["size"], head["root"], head["signed_at"]))
    if only_key and head["public_key"] != only_key:
        raise Misfit(f"Head {head['size']} is signed by another key than the one you gave: {head['public_key']}.")
    if hashlib.sha256(key).hexdigest()[:16] != head["key_id"]:
        raise Misfit(f"Head {head['size']} names the key {head['key_id']}, which is not the key it is signed with.")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(head["signature"]), signed)
    except (InvalidSignature, ValueError):
        raise Misfit(f"Head {head['size']} is not signed by the key it names.") from None


# --- the pull ---------------------------------------------------------------------------------


class Return:
    """One return, what was tried for it, and the evidence applied to it. Kept small: there may be a million."""

    __slots__ = ("amount", "applied", "asset", "claim", "scheduled", "state", "tries")

    def __init__(self, line: Line) -> None:
        self.state, self.asset, self.claim = intern(line["state"]), intern(line["asset"]), intern(line["claim"])
        self.amount = line["amount"]
        self.scheduled = False  # does the record say so?
        self.tries: tuple[tuple[str, str], ...] = ()  # batch, state
        self.applied: tuple[tuple[str, str, str], ...] = ()  # batch, kind, amount


class Request:
    """A request for approval: what it asks for, of how many, and who signed it as what and by which appointment."""

    def __init__(self, said: list[str], signers: int, office_holder: bool) -> None:
        self.said, self.signers, self.office_holder = said, signers, office_holder
        self.signed: dict[str, tuple[str, str]] = {}


class Cover:
    """The rows that one event speaks for, as they come in."""

    def __init__(self, number: int, name: str, columns: list[str], value: tuple[int, int] | None) -> None:
        self.number, self.name, self.columns, self.value = number, name, columns, value
        self.count = 0
        self.digest = hashlib.sha256()
        self.sums: defaultdict[str, int] = defaultdict(int)


class Pull:
    """One pass over the file; what later checks need is kept, small."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.counts: defaultdict[str, int] = defaultdict(int)  # lines by kind
        self.population: Line = {}
        self.case = ""
        self.heads: list[Line] = []
        self.my_heads: list[Line] = []
        self.kept = bytearray()  # leaves as they were sealed
        self.tree = Tree()
        self.wanted: set[int] = set()  # sizes at which some head states a root
        self.suspect: str | None = None  # the first event that is not what was sealed
        self.frozen: dict[str, tuple[int, str]] = {}  # batch → event and manifest hash
        self.policies: dict[str, tuple[int, bool]] = {}  # act → what the case asks for more than the least
        self.requests: dict[str, Request] = {}  # those that are open
        self.ended: set[str] = set()  # appointments
        self.granted: defaultdict[str, set[str]] = defaultdict(set)  # act → hashes of what was approved
        self.explained: dict[bytes, tuple[int, str, str]] = {}  # fingerprint → event, hash that was signed, what the line is then
        self.again: dict[str, tuple[str, str, str]] = {}  # return that follows another → that, asset, amount
        self.found: dict[str, tuple[int, str, str]] = {}  # evidence that people found → event, what, what they signed
        # batch and return (or none: a whole file) that were paid after all → event, what two people signed
        self.corrected: dict[tuple[str, str], tuple[int, str]] = {}
        self.overpaid: defaultdict[bytes, int] = defaultdict(int)  # a bank's line → what it paid a second time
        self.cancelling: set[str] = set()  # rounds that are being taken back
        self.cancelled: set[str] = set()  # returns that an event cancelled
        self.unsaid: set[str] = set()  # returns that are cancelled, and nothing says so yet
        self.covers: dict[int, tuple[str, Line]] = {}  # event → kind and cover
        self.manifests: dict[str, dict[str, str]] = {}  # batch → reference → what was frozen
        self.untried: dict[str, str] = {}  # batch → why nothing can have been tried of it
        self.given_up: set[str] = set()  # voided batches: whatever was tried of them is dead
        self.returns: dict[str, Return] = {}
        self.sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self.evidence_lines: dict[bytes, str] = {}  # fingerprint → what it says
        self.unnamed: dict[bytes, list[int]] = {}  # lines that name no return → their amount, what is matched
        self.open_cover: Cover | None = None
        self.stage = 0

    def lines(self) -> Iterator[tuple[int, str, Line]]:
        number = 0
        with open(self.path, encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    line = json.loads(text)
                    kind = line["type"]
                except (ValueError, KeyError, TypeError):
                    raise Misfit(f"Line {number} of the file is no line of a pull.") from None
                self.counts[kind] += 1
                yield number, kind, line
        if not number:
            raise Unreadable("The file is empty.")

    def read(self, my_heads: list[Line], only_key: str | None) -> None:
        steps = self.lines()
        _number, kind, self.population = next(steps)
        if kind != "population" or self.population.get("schema") != SCHEMA:
            raise Unreadable(f"The file does not begin with a population statement of {SCHEMA}.")
        self.case = self.population["case"]
        self.my_heads = [head for head in my_heads if head["case"] == self.case]
        handlers: dict[str, Callable[[Line], None]] = {
            "head": lambda line: self.head(line, only_key), "leaves": self.leaves, "event": self.event,
            "manifest": self.manifest, "return": self.asset_return, "attempt": self.attempt,
            "evidence": lambda line: None, "line": self.evidence_line, "match": self.match, "cover": self.cover,
            "row": self.row, "end": self.end,
        }  # fmt: skip
        for number, kind, line in steps:
            if kind not in STAGES:
                raise Misfit(f"Line {number} is of a kind this program does not know: {kind}.")
            try:
                if STAGES[kind] != self.stage or kind == "end":
                    self.reach(kind, number)
                handlers[kind](line)
            except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
                raise Misfit(f"Line {number} ({kind}) is damaged: {error!r}.") from None
        if self.stage != STAGES["end"]:
            raise Misfit("The file is cut off: its last line is missing.")

    def reach(self, kind: str, number: int) -> None:
        """Lines come in their order: what has been read to its end is looked at as a whole, and nothing is added to it."""
        stage, before = STAGES[kind], self.stage
        if stage < before or before == STAGES["end"]:
            raise Misfit(f"Line {number} ({kind}) comes after lines of kind “{ORDER[before]}”, which end its part.")
        self.stage = stage
        for last, look in (("event", self.events_are_read), ("attempt", self.manifests.clear), ("match", self.returns_are_read)):
            if before <= STAGES[last] < stage:
                look()

    # 2 and 3: the record

    def head(self, line: Line, only_key: str | None) -> None:
        if self.heads and int(line["size"]) <= int(self.heads[-1]["size"]):
            raise Misfit(f"Head {line['size']} does not follow head {self.heads[-1]['size']}.")
        check_signature(line, self.case, only_key)
        self.heads.append({**line, "case": self.case, "format": HEAD_FORMAT})
        self.wanted.add(int(line["size"]))

    def leaves(self, line: Line) -> None:
        if int(line["first"]) != len(self.kept) // 32 + 1:
            raise Misfit(f"The kept leaves from event {line['first']} do not follow those before.")
        self.kept += bytes.fromhex(line["hashes"])

    def event(self, line: Line) -> None:
        if not self.tree.size:
            self.wanted |= {int(head["size"]) for head in self.my_heads}
        number = int(line["number"])
        if number != self.tree.size + 1:
            raise Misfit(f"Event {self.tree.size + 1} is missing: event {number} follows event {self.tree.size}.")
        found = leaf(line)
        kept = bytes(self.kept[(number - 1) * 32 : number * 32])
        if self.suspect is None and kept and kept != found:
            self.suspect = f"event {number} ({line['kind']})"
        self.tree.add(found)
        if number in self.wanted:
            self.head_fits(number)
        if line["case"] != self.case:
            raise Misfit(f"Event {number} belongs to case {line['case']}.")
        body = json.loads(line["body"])
        if canonical(body) != line["body"]:
            raise Misfit(f"The body of event {number} ({line['kind']}) is not canonical.")
        self.take_note(number, line, body)

    def head_fits(self, number: int) -> None:
        stated = [("Head", head) for head in self.heads if int(head["size"]) == number]
        stated += [("Your own head", head) for head in self.my_heads if int(head["size"]) == number]
        root = self.tree.root().hex()
        for whose, head in stated:
            if head["root"] != root:
                first = f": {self.suspect} is not what was sealed" if self.suspect else ""
                raise Misfit(f"{whose} {number} does not fit the events up to {number}{first}.")
        if self.suspect:
            raise Misfit(f"The kept leaf of {self.suspect} was changed; the event itself fits head {number}.")

    def take_note(self, number: int, line: Line, body: Line) -> None:
        kind = line["kind"]
        if kind == "batch.frozen":
            if body["reference"] in self.frozen:
                raise Misfit(f"Event {number} freezes batch {body['reference']} a second time.")
            self.frozen[body["reference"]] = (number, body["manifest_sha256"])
        elif kind.startswith("approval."):
            self.approval(number, kind.removeprefix("approval."), line, body)
        elif kind == "policy.made_stricter":
            many, holder = self.policies.get(body["act"], (0, False))
            self.policies[body["act"]] = (max(many, int(body["signers"])), holder or body["office_holder"] == "yes")
        elif kind == "appointment.ended":
            self.ended.add(line["subject_id"])
        elif kind == "case.succeeded":
            signed = [request.signed.get(body["predecessor"]) for request in self.requests.values()]
            self.ended |= {signature[1] for signature in signed if signature}
        elif kind == "evidence.explained":
            self.explanation(number, body)
        elif kind == "correction.applied" and "batch" in body:
            self.corrected[body["batch"], body["return"]] = (number, body["signed_for"])
        elif kind == "overpayment.found" and "line" in body:
            self.overpaid[bytes.fromhex(body["line"])] += int(body["amount"])
        elif kind == "evidence.received" and body.get("finding"):
            self.found[body["sha256"]] = (number, body["finding"], body["found_under"])
        elif kind == "return.scheduled_again":
            self.again[body["reference"]] = (body["after"], body["asset"], body["amount"])
        elif kind == "return.cancelled":
            self.cancelled.add(body["reference"])
        elif kind == "round.cancelling":
            self.cancelling.add(body["number"])
        elif kind == "round.cancelled":
            self.cancelling.discard(body["number"])
        if "cover" in body:
            self.covers[number] = (kind, body["cover"])

    # 4: who approved

    def approval(self, number: int, step: str, line: Line, body: Line) -> None:
        """Requested, signed, and then granted, rejected or stale. Each says again what is asked for."""
        of, by, act, said = line["subject_id"], line["by"], body["act"], [body[name] for name in ASKED]
        if step == "requested":
            resumed, base = act.endswith(".resume"), act.removesuffix(".resume")
            needs = [
                LEAST.get(base, USUALLY), self.policies.get(base, (0, False)), (2 * resumed, resumed),
                (int(body.get("signers", 0)), body.get("office_holder") == "yes"),
            ]  # fmt: skip
            self.requests[of] = Request(said, max(many for many, _ in needs), any(holder for _, holder in needs))
            return
        request = self.requests.get(of)
        if request is None or request.said != said:
            raise Misfit(f"Event {number}: what was {step} as request {of} ({act}) is not what was asked for.")
        if step == "signed":
            if not by or by in request.signed or by == body["prepared_by"] or body["as"] not in ("office_holder", "approver"):
                raise Misfit(f"Event {number}: {by} as {body['as']} cannot sign request {of} ({act}), or signed it before.")
            request.signed[by] = (body["as"], body["appointment"])
            return
        del self.requests[of]
        if step != "granted":
            return
        if sorted(body["signers"]) != sorted(request.signed):
            raise Misfit(
                f"Event {number}: {act} is granted as signed by {', '.join(body['signers']) or 'nobody'}, "
                f"but signed by {', '.join(request.signed) or 'nobody'}."
            )
        # Who has left the office since does not count.
        count = [office for office, appointment in request.signed.values() if appointment not in self.ended]
        if len(count) < request.signers or (request.office_holder and "office_holder" not in count):
            holder = ", the office-holder among them" if request.office_holder else ""
            raise Misfit(
                f"Event {number}: {act} needs {request.signers} to sign beside its preparer{holder}; "
                f"those who signed are {len(count)} ({', '.join(count) or 'nobody'})."
            )
        self.granted[act].add(body["content_sha256"])

    def explanation(self, number: int, body: Line) -> None:
        """Two people said what a line was; what they signed is made anew from what the event says."""
        said = (self.case, *(body[name] for name in ("fingerprint", "problem", "kind", "reason", "paper_sha256", "entry")))
        signed = hashlib.sha256(frames(("henkan-tail/1", "returns.explain", *said, ""))).hexdigest()
        became = "overpaid" if body["kind"] == "paid" else "explained"
        if self.explained.setdefault(bytes.fromhex(body["fingerprint"]), (number, signed, became))[0] != number:
            raise Misfit(f"Event {number} explains a line of evidence a second time: {body['fingerprint']}.")

    def events_are_read(self) -> None:
        for number, signed_for, _became in self.explained.values():
            if signed_for not in self.granted["returns.explain"]:
                raise Misfit(f"Event {number} explains a line of evidence otherwise than people signed it, or nobody did.")
        if not self.heads:
            raise Misfit("The pull holds no head.")
        stated, newest = self.population["head"], self.heads[-1]
        if any(stated[name] != newest[name] for name in ("size", "root", "signed_at", "key_id", "signature")):
            raise Misfit(f"The population is stated under head {stated['size']}, but the newest head is another.")
        if self.tree.size != int(self.population["events"]["last"]):
            raise Misfit(
                f"The record is stated to end with event {self.population['events']['last']}, "
                f"but ends with {self.tree.size}."
            )
        for head in self.heads + self.my_heads:
            if int(head["size"]) > self.tree.size:
                raise Misfit(f"Head {head['size']} was signed, but the record ends with event {self.tree.size}.")
        signed = {head["size"]: head for head in self.heads}
        for mine in self.my_heads:
            if mine["size"] not in signed:
                raise Misfit(f"Your own head {mine['size']} is not among the heads of this pull.")
        for number, finding, signed_for in self.found.values():
            if signed_for not in self.granted["returns.correct"]:
                raise Misfit(f"Event {number} takes in what was found ({finding.replace('_', ' ')}), which nobody signed.")
        for number, signed_for in self.corrected.values():
            if signed_for not in self.granted["returns.correct"]:
                raise Misfit(f"Event {number} corrects what became of something, which nobody signed.")
        if self.unsealed() != int(self.population["events"]["unsealed"]):
            raise Misfit(
                f"{self.unsealed()} events are under no head, but the pull states {self.population['events']['unsealed']}."
            )

    def unsealed(self) -> int:
        return self.tree.size - int(self.heads[-1]["size"])

    # 4: what was approved

    def manifest(self, line: Line) -> None:
        batch, body = line["batch"], line["body"]
        sha256 = hashlib.sha256(body.encode()).hexdigest()
        if batch not in self.frozen:
            raise Misfit(f"Batch {batch} has a manifest but no event says that it was frozen.")
        number, frozen = self.frozen[batch]
        if sha256 != frozen or line["sha256"] != frozen:
            raise Misfit(f"The manifest of batch {batch} is not the one that event {number} froze.")
        if line["state"] == "frozen":
            self.untried[batch] = "which is frozen"
        if line["state"] == "voided":
            self.given_up.add(batch)
        if sha256 not in self.granted["returns.batch"]:
            self.untried[batch] = "whose manifest nobody approved"
            if line["state"] not in ("frozen", "voided"):
                raise Misfit(f"Batch {batch} is {line['state']}, but nobody approved its manifest.")
        said = json.loads(body)
        if said["batch"] != batch or said["case"] != self.case:
            raise Misfit(f"The manifest of batch {batch} speaks of batch {said['batch']} of case {said['case']}.")
        self.manifests[batch] = {
            item["reference"]: SEPARATOR.join(item[name] for name in APPROVED) for item in said["items"]
        }

    def asset_return(self, line: Line) -> None:
        reference, batch = line["reference"], line["batch"]
        if reference in self.returns:
            raise Misfit(f"Return {reference} is listed twice.")
        self.returns[reference] = Return(line)
        self.was_scheduled(line)
        tally = self.sums[line["asset"], line["state"]]
        tally[0] += 1
        tally[1] += int(line["amount"])
        if line["state"] in WENT_OUT and batch is None:
            raise Misfit(f"Return {reference} is {line['state']} but in no batch.")
        if batch is None or (batch not in self.manifests and batch not in self.frozen and line["state"] == "batched"):
            return
        if batch not in self.manifests:
            raise Misfit(f"Return {reference} is in batch {batch}, which has no manifest.")
        said = self.manifests[batch].get(reference)
        if said is None:
            raise Misfit(f"Return {reference} is in batch {batch}, but not in the manifest that was approved.")
        for name, approved in zip(APPROVED, said.split(SEPARATOR), strict=True):
            if line[name] != approved:
                raise Misfit(
                    f"Return {reference}: {name} is {line[name]}, but {approved} was approved in batch {batch}."
                )

    def was_scheduled(self, line: Line) -> None:
        """What follows a return that came back is what an event says; so is what was cancelled, or a cover says it."""
        reference, after, is_cancelled = line["reference"], line["after"], line["state"] == "cancelled"
        if after is not None:
            if self.again.get(reference) != (after, line["asset"], line["amount"]):
                raise Misfit(f"Return {reference} ({line['amount']} {line['asset']}) follows {after}; no event says so.")
            self.returns[reference].scheduled = True
        if reference in self.cancelled and not is_cancelled:
            raise Misfit(f"Return {reference} is {line['state']}, but was cancelled.")
        if is_cancelled and reference not in self.cancelled and line["round"] not in self.cancelling:
            self.unsaid.add(reference)

    # 5: what happened

    def attempt(self, line: Line) -> None:
        reference, batch = line["return"], line["batch"]
        if reference not in self.returns:
            raise Misfit(f"An attempt speaks of return {reference}, which is not there.")
        if reference not in self.manifests.get(batch, ()):
            raise Misfit(f"Return {reference} was tried in batch {batch}, whose manifest does not name it.")
        if batch in self.untried:
            raise Misfit(f"Return {reference} was tried in batch {batch}, {self.untried[batch]}.")
        if batch in self.given_up and line["state"] != "dead":
            raise Misfit(f"Return {reference} is {line['state']} in batch {batch}, which was given up before anything left.")
        self.returns[reference].tries += ((intern(batch), intern(line["state"])),)

    def evidence_line(self, line: Line) -> None:
        fingerprint, problem = bytes.fromhex(line["fingerprint"]), line["problem"]
        number, _signed, became = self.explained.pop(fingerprint, (0, "", ""))
        if (number and problem != became) or (not number and problem == "explained"):
            by = f"event {number} explains it" if number else "no event explains it"
            raise Misfit(f"The line of evidence {line['fingerprint']} is “{problem}”, but {by}.")
        finding = self.found.get(line["evidence"], (0, "", ""))[1]
        if finding and line["kind"] != {"paid": "settled"}.get(finding, "dead"):
            raise Misfit(f"Return {line['reference']}: people found {finding.replace('_', ' ')}, the line says {line['kind']}.")
        if line["kind"] == "dead" and not finding:
            raise Misfit(f"Return {line['reference']}: a line says that it was never paid, but no two people found that.")
        said = SEPARATOR.join((line["kind"], line["reference"], line["asset"], line["amount"]))
        self.evidence_lines[fingerprint] = said

    def match(self, line: Line) -> None:
        found = self.evidence_lines.get(bytes.fromhex(line["fingerprint"]))
        reference = line["return"]
        owed = self.returns[reference]
        if found is None:
            raise Misfit(f"A match of return {reference} rests on a line of evidence that is not there.")
        kind, said, asset, amount = found.split(SEPARATOR)
        if not said:  # a bank's line names no return: the debit of a whole file, a credit somebody recognised
            self.unnamed.setdefault(bytes.fromhex(line["fingerprint"]), [int(amount), 0])[1] += int(line["amount"])
            said, amount = reference, line["amount"]
        if (said, amount) != (reference, line["amount"]) or asset != owed.asset:
            raise Misfit(
                f"Return {reference} was matched with {line['amount']}, "
                f"but the line of evidence says {said}: {amount} {asset}."
            )
        if line["applied_at"] is not None:
            amount = owed.amount if amount == owed.amount else amount
            owed.applied += ((intern(line["batch"]), intern(kind), amount),)

    def returns_are_read(self) -> None:
        for number, _signed, _became in self.explained.values():
            raise Misfit(f"Event {number} explains a line of evidence that is not there.")
        self.evidence_lines.clear()
        for fingerprint, (said, spent) in self.unnamed.items():
            total = spent + self.overpaid[fingerprint]
            if total != said:
                raise Misfit(f"{total} is matched to the line of evidence {fingerprint.hex()}, which says {said}.")
        for reference, owed in self.returns.items():
            state, tries = owed.state, owed.tries
            settled = [tried for tried, became in tries if became == "settled"]
            if len(settled) > 1:
                raise Misfit(f"Return {reference} was settled by {len(settled)} attempts.")
            if (state == "settled") != bool(settled):
                raise Misfit(f"Return {reference} is {state}, but its attempts say otherwise: {dict(tries)}.")
            for tried, became in tries:
                kinds = sorted(kind for batch, kind, _ in owed.applied if batch == tried)
                if became in ("settled", "returned") and not {(tried, reference), (tried, "")}.isdisjoint(self.corrected):
                    kinds = [kind for kind in kinds if kind not in ("refused", "dead")]  # it was paid after all
                wanted = {"settled": ["settled"], "returned": ["returned", "settled"]}.get(became)
                if (wanted is not None and kinds != wanted) or (wanted is None and "settled" in kinds):
                    raise Misfit(
                        f"Return {reference} is {became} in batch {tried}, but the evidence applied to it "
                        f"says: {', '.join(kinds) or 'nothing'}."
                    )
            for _batch, kind, matched in owed.applied:
                less = kind == "returned" and int(matched) < int(owed.amount)  # a bank kept a fee of what came back
                if matched != owed.amount and not less:
                    raise Misfit(
                        f"Return {reference} owes {owed.amount} {owed.asset}, but {matched} {kind} was applied to it."
                    )
            if state == "returned" and not any(became == "returned" for _, became in tries):
                raise Misfit(f"Return {reference} is returned, but none of its attempts is.")

    # 6: what bulk events speak for

    def cover(self, line: Line) -> None:
        self.cover_is_read()
        number = int(line["event"])
        if number not in self.covers:
            raise Misfit(f"Rows are given for event {number}, which covers none.")
        columns = line["columns"]
        value = (columns.index("asset"), columns.index("amount")) if {"asset", "amount"} <= set(columns) else None
        self.open_cover = Cover(number, line["name"], columns, value)

    def row(self, line: Line) -> None:
        cover, cells = self.open_cover, line["v"]
        if cover is None:
            raise Misfit("Rows are given that no event covers.")
        if len(cells) != len(cover.columns):
            raise Misfit(f"A row that event {cover.number} covers has {len(cells)} columns, not {len(cover.columns)}.")
        cover.digest.update(frames(cells))
        cover.count += 1
        if cover.value:
            cover.sums[cells[cover.value[0]] or ""] += int(cells[cover.value[1]] or 0)
        if cover.name in ("returns.applied", "returns.round", "returns.cancelled"):
            self.says_the_same(cover, dict(zip(cover.columns, cells, strict=True)))

    def says_the_same(self, cover: Cover, row: Line) -> None:
        reference = row["reference"]
        if cover.name == "returns.applied":
            self.was_applied(reference, (row["batch"], row["kind"], row["amount"]))
            return
        found = self.returns.get(reference)
        if found is None:
            raise Misfit(f"Event {cover.number} speaks of return {reference}, which is not there.")
        for name in ("claim", "asset", "amount"):
            if name in row and row[name] != getattr(found, name):
                raise Misfit(
                    f"Return {reference}: {name} is {getattr(found, name)}, but {row[name]} in what event {cover.number} covers."
                )
        if cover.name == "returns.round":
            found.scheduled = True
        elif found.state != "cancelled":
            raise Misfit(f"Return {reference} is {found.state}, but event {cover.number} cancelled it.")
        else:
            self.unsaid.discard(reference)

    def was_applied(self, reference: str, outcome: tuple[str, str, str]) -> None:
        """The record says so; then the matches must say it, once. What is left of them at the end is too much."""
        left = list(self.returns[reference].applied)
        if outcome not in left:
            raise Misfit(f"Return {reference}: the record applied {outcome}, but no match says so.")
        left.remove(outcome)
        self.returns[reference].applied = tuple(left)

    def cover_is_read(self) -> None:
        cover, self.open_cover = self.open_cover, None
        if cover is None:
            return
        kind, stated = self.covers.pop(cover.number)
        what = f"Event {cover.number} ({kind}) covers rows that were changed since"
        if stated["name"] != cover.name or int(stated["count"]) != cover.count:
            raise Misfit(f"{what}: {stated['count']} rows then, {cover.count} now.")
        for asset in sorted({*stated["sums"], *cover.sums}):
            before, now = int(stated["sums"].get(asset, 0)), cover.sums.get(asset, 0)
            if before != now:
                raise Misfit(f"{what}: {asset} {before} then, {now} now.")
        if cover.digest.hexdigest() != stated["sha256"]:
            raise Misfit(f"{what}: equal count and sums, another content.")

    # 7: the whole

    def end(self, line: Line) -> None:
        self.cover_is_read()
        if self.covers:
            first = min(self.covers)
            raise Misfit(f"The rows that event {first} ({self.covers[first][0]}) covers are missing.")
        for reference, owed in self.returns.items():
            if owed.applied:
                raise Misfit(f"Return {reference}: a match says {owed.applied[0]}, but the record never applied it.")
            if not owed.scheduled and (owed.state in WENT_OUT or owed.tries):
                raise Misfit(f"Return {reference} is {owed.state}, but no event scheduled it.")
        if int(line["lines"]) != (found := sum(self.counts.values())):
            raise Misfit(f"The pull should have {line['lines']} lines, but has {found}.")
        if self.unsaid:
            raise Misfit(f"Return {min(self.unsaid)} is cancelled, but no event says so.")
        stated = {
            (part["asset"], part["state"]): [int(part["count"]), int(part["amount"])]
            for part in self.population["returns"]["sums"]
        }
        for key in sorted({*stated, *self.sums}):
            if stated.get(key) != self.sums.get(key):
                raise Misfit(
                    f"The population states {stated.get(key)} (count, amount) for {key[0]} {key[1]}, "
                    f"the returns are {self.sums.get(key)}."
                )
        if int(self.population["returns"]["count"]) != len(self.returns):
            raise Misfit(
                f"The population states {self.population['returns']['count']} returns, there are {len(self.returns)}."
            )
        used = sorted(int(reference[1:10]) for reference in self.returns)
        if self.population["returns"]["gaps"] == "none" and used != list(range(1, len(used) + 1)):
            missing = next(n for n, number in enumerate([*used, 0], start=1) if n != number)
            raise Misfit(f"The population states no gaps, but return number {missing} is missing.")


def read_heads(path: str | Path | None) -> list[Line]:
    if path is None:
        return []
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except FileNotFoundError:
        return []
    except ValueError:
        raise Unreadable(f"{path} is no file of heads.") from None


def keep_head(path: str | Path | None, head: Line, known: list[Line]) -> None:
    if path is None or any(mine["size"] == head["size"] and mine["case"] == head["case"] for mine in known):
        return
    kept = {name: head[name] for name in
            ("format", "case", "size", "root", "signed_at", "key_id", "public_key", "signature")}  # fmt: skip
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(kept, separators=(",", ":"), ensure_ascii=False) + "\n")


def verify(path: str | Path, *, heads: str | Path | None = None, public_key: str | None = None) -> dict[str, Any]:
    """Returns what was checked; raises Misfit with the first record that does not fit."""
    my_heads = read_heads(heads)
    pull = Pull(path)
    pull.read(my_heads, public_key.lower() if public_key else None)
    for mine in pull.my_heads:
        check_signature(mine, pull.case, public_key.lower() if public_key else None)
    keep_head(heads, pull.heads[-1], my_heads)
    return {
        "case": pull.case,
        "events": pull.tree.size,
        "heads": len(pull.heads),
        "own_heads": len(pull.my_heads),
        "returns": len(pull.returns),
        "evidence_lines": pull.counts["line"],
        "covered_rows": pull.counts["row"],
        "head": {"size": pull.heads[-1]["size"], "root": pull.heads[-1]["root"]},
        "keys": sorted({head["public_key"] for head in pull.heads}),
        "unsealed": str(pull.unsealed()),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify a pull of Henkan's record without Henkan.")
    parser.add_argument("pull")
    parser.add_argument("--heads", help="your own file of heads from earlier pulls; the newest head is added to it")
    parser.add_argument("--public-key", help="the only key whose heads count, as 64 hex digits")
    options = parser.parse_args(arguments)
    try:
        found = verify(options.pull, heads=options.heads, public_key=options.public_key)
    except Misfit as misfit:
        print(misfit)
        return 1
    except (Unreadable, OSError, UnicodeDecodeError) as trouble:
        print(f"This cannot be verified: {trouble}", file=sys.stderr)
        return 2
    print(
        "OK: {events} events under {heads} heads ({own_heads} of your own), {returns} returns, "
        "{evidence_lines} lines of evidence, {covered_rows} covered rows.".format(**found)
    )
    print("Head {size} of case {case}: {root}".format(case=found["case"], **found["head"]))
    print("Signed by " + ", ".join(found["keys"]))
    if found["unsealed"] != "0":
        print(f"The newest {found['unsealed']} events are under no head yet.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
