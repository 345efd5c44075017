"""
The rehearsal rail: pays nobody, and behaves as badly as a real one.

`Rehearsal` is of class R1: it honours our key for the life of the payment. `RehearsalR2` only names our key in its
statement, `RehearsalR3` not even that before a person fetches one. The other end is `simulator.py` beside this file, a
process of its own with its own record (`python -m administration.rails.rehearsal --help`), so that a rehearsal of the
whole way is judged from outside.
"""

import http.client
import json
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from administration.rails.interface import (
    NOTHING,
    Accepted,
    AlreadyKnown,
    Artifact,
    CannotPrepare,
    Check,
    Destination,
    EvidenceRefused,
    Item,
    Judgement,
    Observation,
    ObservationKind,
    Outcome,
    Policy,
    Prepared,
    RailClass,
    RailDown,
    Rejected,
    Remark,
    SignedRefused,
    Snapshot,
    Unknown,
    Verified,
    judge_lines,
)

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}", re.ASCII)
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The rail whose simulator listens on the unix socket `socket_path`."""

    socket_path: str
    timeout: float = 5.0
    page: int = PAGE
    quiet_period: timedelta = timedelta(0)  # not needed: it honours our key

    code = "rehearsal"
    version = "1"
    desk = "r1"  # of the simulator
    rail_class = RailClass.R1
    max_items = 500
    needs_export = False
    can_submit = True
    can_observe = True

    # -------------------------------------------------------------------------------------------------- pure

    def check_destination(self, asset: str, destination: Destination) -> Check:
        """Anything that says where is good enough for a rehearsal; what a real rail needs is checked by that rail."""
        if not destination or not all(isinstance(value, str) for value in destination.values()):
            return Check("rehearsal", errors=(Remark("nowhere", f"There is no destination for {asset}."),))
        return Check("rehearsal", dict(destination))

    def prepare(
        self, key: str, items: Sequence[Item], *, policy: Policy = NOTHING, snapshot: Snapshot = NOTHING
    ) -> Prepared:
        """One request: canonical JSON, items by reference, so that any order of `items` gives the same bytes."""
        if not KEY.fullmatch(key):
            raise CannotPrepare(f"{key!r} is no submission key. Use letters, digits and . _ : / - only.")
        if not 1 <= len(items) <= self.max_items:
            raise CannotPrepare(f"A request carries 1 to {self.max_items} items, not {len(items)}. Split them.")
        if len({item.reference for item in items}) != len(items):
            raise CannotPrepare("Two items have the same reference. A return is paid once.")
        totals: dict[str, int] = {}
        for item in items:
            if item.amount <= 0:
                raise CannotPrepare(f"{item.reference} pays {item.amount} units. Pay only what is more than nothing.")
            totals[item.asset] = totals.get(item.asset, 0) + item.amount
        content = canonical(
            {
                "key": key,
                "items": [
                    {
                        "reference": item.reference,
                        "asset": item.asset,
                        "amount": str(item.amount),
                        "scale": item.scale,
                        "destination": dict(item.destination),
                        "memo": item.memo,
                    }
                    for item in sorted(items, key=lambda item: item.reference)
                ],
            }
        )
        return Prepared(
            key=key,
            artifacts=(Artifact(f"{key.replace('/', '-')}.json", "application/json", content),),
            commitment=sha256(content).hexdigest(),
            conflict_keys=(f"{self.code}:{key}",),
            count=len(items),
            totals=dict(sorted(totals.items())),
        )

    def verify_signed(self, prepared: Prepared, signed: bytes) -> Verified:
        """Nothing is signed on this rail: what comes back must be what went out."""
        if signed != prepared.payload:
            raise SignedRefused("changed", "These are not the bytes that were approved. Send those.")
        return Verified(signed, (prepared.key,))

    def read(self, evidence: bytes) -> tuple[Observation, ...]:
        """A statement as a file: one JSON line after another, as the simulator's pages hold them."""
        found = []
        for number, line in enumerate(evidence.splitlines(), start=1):
            try:
                found.append(_observation(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise EvidenceRefused(f"Line {number} is no statement line of the rehearsal rail. Nothing was read.") from None
        return tuple(found)

    def judge(self, item: Item, observations: Iterable[Observation], *, now: datetime) -> Judgement:
        return judge_lines(item, observations)

    # --------------------------------------------------------------------------------------------- calls out

    def submit(self, content: bytes, key: str) -> Outcome:
        """Post the request once. No answer, or one we cannot read, means we do not know."""
        connection = _Connection(self.socket_path, self.timeout)
        try:
            try:
                connection.connect()
            except OSError as wrong:
                return Unknown(f"no connection: {wrong}")  # nothing was sent, but the same key is safe to send again
            path = f"/{self.desk}/payments"
            connection.request("POST", path, content, {"Content-Type": "application/json", "Payment-Key": key})
            response = connection.getresponse()
            answer = json.loads(response.read())
            status, said, reference = response.status, str(answer.get("status", "")), str(answer.get("reference", ""))
        except TimeoutError:
            return Unknown("no answer in time")
        except (ValueError, AttributeError):
            return Unknown("its answer cannot be read")
        except (OSError, http.client.HTTPException):
            return Unknown("the connection broke before it answered")
        finally:
            connection.close()
        if status == 201 and said == "accepted":
            return Accepted(reference)
        if status == 200 and said == "known":
            return AlreadyKnown(reference)
        if status == 400:
            return Rejected(str(answer.get("code", status)), str(answer.get("reason", "")))
        if status == 409:  # not a refusal: something else was booked under this key, and may have paid
            return Unknown(f"the key stands for other bytes: {answer.get('reason', '')}", mismatch=True)
        return Unknown(f"an answer we do not know: {status} {said}")

    def observe(self, cursor: str) -> tuple[tuple[Observation, ...], str]:
        """
        The next page of the statement after `cursor`, and where it ends.

        Read until a page is empty. A payment that comes back does so after its settlement was read, as a bank's would.
        """
        after = int(cursor or "0")
        connection = _Connection(self.socket_path, self.timeout)
        try:
            connection.request("GET", f"/{self.desk}/statement?after={after}&limit={self.page}")
            response = connection.getresponse()
            body = response.read()
            following = response.headers.get("Next", str(after))
        except (OSError, http.client.HTTPException) as wrong:
            raise RailDown("The rehearsal rail does not answer. Ask again later.") from wrong
        finally:
            connection.close()
        if response.status != 200:
            raise RailDown(f"The rehearsal rail answered {response.status}. Ask again later.")
        return self.read(body), following


class RehearsalR2(Rehearsal):
    """Pays whatever is posted, as often as it is posted. Its statement names our key, some time after it paid."""

    __slots__ = ()
    code = "rehearsal-r2"
    desk = "r2"
    rail_class = RailClass.R2


class RehearsalR3(Rehearsal):
    """As an uploaded file: pays whatever is posted and can be asked nothing. A person imports its statement."""

    __slots__ = ()
    code = "rehearsal-r3"
    desk = "r3"
    rail_class = RailClass.R3
    can_observe = False


def canonical(value: Any) -> bytes:
    """JSON with one spelling: sorted names, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _observation(line: dict[str, Any]) -> Observation:
    amount = line["amount"]
    if not isinstance(amount, str) or not re.fullmatch(r"[1-9][0-9]{0,77}", amount, re.ASCII):
        raise ValueError("the amount is not a text of whole units")
    at = datetime.fromisoformat(line["at"])
    if at.tzinfo is None:
        raise ValueError("the time has no offset")
    return Observation(
        line_ref=str(int(line["line_ref"])),
        kind=ObservationKind(line["kind"]),
        asset=str(line["asset"]),
        amount=int(amount),
        at=at,
        reference=str(line["reference"]),
        part=str(line.get("key", "")),
        reason=str(line.get("reason", "")),
        raw=canonical(line).decode(),
    )


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket. One request, no retries."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("rehearsal", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        if len(str(Path(self._path)).encode()) > 107:
            raise OSError(f"the socket's path is longer than 107 bytes: {self._path}")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
