#!/usr/bin/env python3
"""
Recompute a run from its exported inputs, without the system that computed it.

    python3 recompute.py INPUTS.jsonl                  prints the figures of each pool and both hashes as JSON
    python3 recompute.py INPUTS.jsonl --entitlements   also prints, line by line, what each claim is given

One file, standard library only (Python 3.11 or newer), written apart from the system's own code. Compare
`inputs_sha256` and `outputs_root` with those that were signed and published: if both agree, this is what was
computed, from exactly these claims, this plan and this much of each asset.

INPUTS.jsonl begins with one object (the case, the plan's text, what is free of each asset, the secret that salts the
published tree) and goes on with one list for each line that shares:

    [asset, claim number, class, weight, disputed, given, kept]

All amounts are whole units of the asset as decimal text. Rules:

    amount      free + given before − held back by the plan (a fraction of free + given, rounded up, and fixed amounts)
    T           sum of weight + disputed
    P'          the largest whole number up to amount and T for which the sum of max(0, floor((weight + disputed) · P' / T)
                − kept) is no more than amount − sum of kept
    cumulative  floor(weight · P' / T); by largest remainder one unit more where remainders are largest, while units last
    gives       max(0, max(kept, cumulative) − given)
"""

import hashlib
import hmac
import json
import struct
import sys
import tomllib
from collections.abc import Iterable
from typing import Any

FORMAT = "henkan-run-inputs/1"


class Differs(Exception):
    """The file contradicts itself or the plan in it."""


def frames(*texts: str) -> bytes:
    """Each text as four bytes of length and its UTF-8 bytes: nothing else can be read out of it."""
    return b"".join(struct.pack(">I", len(text.encode())) + text.encode() for text in texts)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Line:
    """One claim line that shares."""

    def __init__(self, claim: str, claim_class: str, *figures: str) -> None:
        self.claim, self.claim_class = claim, claim_class
        self.weight, self.disputed, self.given, self.kept = map(whole, figures)
        self.counted = self.weight + self.disputed
        self.cumulative = 0

    def framed(self) -> bytes:
        figures = (self.weight, self.disputed, self.given, self.kept)
        return frames(self.claim, self.claim_class, *map(str, figures))

    @property
    def stands_at(self) -> int:
        return max(self.kept, self.cumulative)

    @property
    def gives(self) -> int:
        return max(0, self.stands_at - self.given)


class Pool:
    """One asset, what is there of it, and the lines that share."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.name, self.asset, self.rounding, self.scale = said["pool"], said["asset"], said["rounding"], said["scale"]
        self.free, self.held_back = whole(said["free"]), whole(said["held_back"])
        self.lines: list[Line] = []

    def key(self) -> tuple[bytes, bytes]:
        return self.name.encode(), self.asset.encode()

    def inputs_sha256(self) -> bytes:
        digest = hashlib.sha256(
            frames("henkan-pool-inputs/1", self.name, self.asset, self.rounding, str(self.free), str(self.held_back))
        )
        for line in self.lines:
            digest.update(line.framed())
        return digest.digest()

    # --- shares ---

    def share(self, inputs_sha256: bytes) -> None:
        self.given = sum(line.given for line in self.lines)
        self.kept = sum(line.kept for line in self.lines)
        self.total = sum(line.counted for line in self.lines)
        self.amount = self.free + self.given - self.held_back
        self.effective = self.search()
        for line in self.lines:
            line.cumulative = line.weight * self.effective // self.total if self.total else 0
        if self.rounding == "largest remainder":
            self.give_the_last_units(inputs_sha256)
        self.distributed = sum(line.gives for line in self.lines)
        self.withdrawn = sum(max(0, line.given - line.stands_at) for line in self.lines)
        self.left = self.amount - sum(line.stands_at for line in self.lines)
        self.reserved = sum(
            max(0, line.counted * self.effective // self.total - line.kept) - max(0, line.cumulative - line.kept)
            for line in self.lines
            if line.disputed
        )

    def search(self) -> int:
        """Plain bisection: slower than the system's own search, and easy to believe."""
        if not self.total:
            return 0
        low, high = 0, min(self.amount, self.total)
        while low < high:
            middle = (low + high + 1) // 2
            needed = sum(max(0, line.counted * middle // self.total - line.kept) for line in self.lines)
            low, high = (middle, high) if needed <= self.amount - self.kept else (low, middle - 1)
        return low

    def give_the_last_units(self, inputs_sha256: bytes) -> None:
        units = self.amount - sum(line.stands_at for line in self.lines)
        waiting: list[tuple[int, bytes, Line]] = []
        for line in self.lines:
            remainder = line.weight * self.effective % self.total if self.total else 0
            if remainder and line.cumulative >= line.kept:
                tie = sha256(frames(inputs_sha256.hex(), line.claim, self.asset, line.claim_class))
                waiting.append((-remainder, tie, line))
        for _, _, line in sorted(waiting, key=lambda row: row[:2])[: max(0, units)]:
            line.cumulative += 1

    # --- the Merkle sum tree ---

    def root(self, salt: bytes, inputs_sha256: bytes) -> bytes:
        level = [(self.leaf(line, salt, inputs_sha256), line.gives) for line in self.lines]
        size = len(level)
        while len(level) > 1:
            above = []
            for at in range(0, len(level) - 1, 2):
                (left, left_sum), (right, right_sum) = level[at], level[at + 1]
                said = b"\x01" + frames(str(left_sum)) + left + frames(str(right_sum)) + right
                above.append((sha256(said), left_sum + right_sum))
            level = above + (level[-1:] if len(level) % 2 else [])
        top, total = level[0] if level else (b"", 0)
        return sha256(b"\x02" + frames(self.name, self.asset, str(size), str(total)) + top)

    def leaf(self, line: Line, secret: bytes, inputs_sha256: bytes) -> bytes:
        who = frames(line.claim, self.asset, line.claim_class)
        salt = hmac.new(secret, frames("leaf", inputs_sha256.hex()) + who, "sha256").digest()[:16]
        return sha256(b"\x00" + salt + who + frames(str(line.gives)))


def whole(text: Any) -> int:
    if not isinstance(text, str) or not text.isdecimal() or not text.isascii():
        raise Differs(f"{text!r} is not a whole number of units.")
    return int(text)


def read(lines: Iterable[str]) -> tuple[dict[str, Any], list[Pool]]:
    """The head and the pools of a file of JSON lines."""
    rows = iter(lines)
    head = json.loads(next(rows))
    if head.get("format") != FORMAT:
        raise Differs(f"This is not a file of {FORMAT}.")
    pools = {said["asset"]: Pool(said) for said in head["pools"]}
    for row in rows:
        asset, *fields = json.loads(row)
        pools[asset].lines.append(Line(*fields))
    for pool in pools.values():
        keys = [(line.claim.encode(), line.claim_class.encode()) for line in pool.lines]
        if len(set(keys)) < len(keys):
            raise Differs(f"A claim line of {pool.asset} is listed twice.")
        pool.lines.sort(key=lambda line: (line.claim.encode(), line.claim_class.encode()))
    return head, sorted(pools.values(), key=Pool.key)


def follow_the_plan(head: dict[str, Any], pools: list[Pool]) -> None:
    """What the plan's text says, and the file must not contradict: kind, pools, classes, rounding, what is held back."""
    plan = tomllib.loads(head["plan"])
    if plan["kind"] != head["kind"]:
        raise Differs("The plan is of another kind than the run.")
    named = {said["name"]: said for said in plan["pool"]}
    for pool in pools:
        said = named.get(pool.name)
        if said is None:
            raise Differs(f"The plan has no pool {pool.name!r}.")
        if isinstance(said["assets"], list) and pool.asset not in said["assets"]:
            raise Differs(f"{pool.asset} is not in pool {pool.name!r} of the plan.")
        if {line.claim_class for line in pool.lines} - set(said["classes"]):
            raise Differs(f"A class shares in {pool.asset} that the plan does not name.")
        if not said.get("reserve_disputed", True) and any(line.disputed for line in pool.lines):
            raise Differs(f"Disputed claims in {pool.asset} are counted though the plan does not reserve for them.")
        if pool.rounding != said.get("rounding", pool.rounding) or (
            plan["kind"] == "interim" and pool.rounding != "floor"
        ):
            raise Differs(f"{pool.asset} is rounded by another rule than the plan's.")
        if pool.held_back != held_back(said.get("holdback", {}), pool):
            raise Differs(f"What is held back of {pool.asset} is not what the plan says.")


def held_back(said: dict[str, Any], pool: Pool) -> int:
    everything = pool.free + sum(line.given for line in pool.lines)
    fraction = -(-everything * int(said.get("num", 0)) // int(said.get("den", 1)))
    whole_part, _, places = said.get("amounts", {}).get(pool.asset, "0").partition(".")
    fixed = int(whole_part + places.rstrip("0").ljust(pool.scale, "0"))
    return min(pool.free, fraction + fixed)


def recompute(lines: Iterable[str]) -> tuple[dict[str, Any], list[Pool]]:
    """(result, pools) of a file's lines. Raises Differs where the file contradicts itself."""
    head, pools = read(lines)
    follow_the_plan(head, pools)
    plan_sha256 = sha256(head["plan"].encode()).hex()
    inputs = sha256(
        frames("henkan-inputs/1", head["case"], head["kind"], plan_sha256)
        + b"".join(pool.inputs_sha256() for pool in pools)
    )
    if inputs.hex() != head["inputs_sha256"]:
        raise Differs("The hash of these inputs is not the one the file says. Something in it was changed.")
    said = frames("henkan-outputs/1", inputs.hex())
    for pool in pools:
        pool.share(inputs)
        figures = (
            len(pool.lines), pool.effective, pool.distributed, pool.withdrawn, pool.reserved, pool.left,
        )  # fmt: skip
        said += frames(pool.name, pool.asset, *map(str, figures)) + pool.root(bytes.fromhex(head["salt"]), inputs)
    result = {
        "case": head["case"],
        "run": head["run"],
        "inputs_sha256": inputs.hex(),
        "outputs_root": sha256(said).hex(),
        "pools": [
            {
                "pool": pool.name,
                "asset": pool.asset,
                "amount": str(pool.amount),
                "distributed": str(pool.distributed),
                "left": str(pool.left),
            }
            for pool in pools
        ],
        "entitlements": sum(len(pool.lines) for pool in pools),
    }
    return result, pools


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["--entitlements"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[0], encoding="utf-8") as lines:
            result, pools = recompute(lines)
    except (Differs, ValueError, KeyError, StopIteration, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    if arguments[1:]:
        for pool in pools:
            for line in pool.lines:
                print(json.dumps([pool.asset, line.claim, line.claim_class, str(line.cumulative), str(line.gives)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
