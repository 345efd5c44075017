"""
What binds a run: one hash over everything it depends on, one over everything it says.

    pool inputs   SHA-256 of frames("henkan-pool-inputs/1", pool, asset, rounding, free, held back) and then, for every
                  line in the order of claim number and class, frames(claim number, class, weight, disputed, given, kept)
    inputs        SHA-256 of frames("henkan-inputs/1", case, interim or final, SHA-256 of the plan's text) and the pool
                  inputs in the order of pool and asset
    outputs root  SHA-256 of frames("henkan-outputs/1", inputs) and, pool by pool in that order, frames(pool, asset,
                  lines, P′, distributed, withdrawn, reserved, left) with the root of the pool's Merkle sum tree

Hashes stand in frames as hex digits, amounts as decimal text; texts are ordered by their UTF-8 bytes. Natural keys
only: the same case, taken over by somebody else, gives the same bytes. Rows are streamed; memory does not grow.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from administration.distribution import sumtree
from administration.distribution.models import PoolLine, Run
from administration.record import stream
from administration.record.encoding import frames

KEY_BYTES = 64  # of HMAC-SHA-256
# Of all assets together: claims lie about in this order already, and what is nearly sorted is sorted quickly.
ORDER = 'ORDER BY c.number COLLATE "C", l.claim_class COLLATE "C"'

# Before the entitlements are written: the same lines as the share statements read.
LIVE = f"""COPY (
    SELECT l.asset_id::text, c.number::text, l.claim_class::text, l.weight::numeric(78,0)::text,
           l.disputed::numeric(78,0)::text, l.given::text, l.kept::numeric(78,0)::text
    FROM {{lines}} JOIN register_claim c ON c.id = l.claim_id {ORDER}
) TO STDOUT (FORMAT BINARY)"""  # noqa: S608 - of our own texts only

FROZEN = f"""COPY (
    SELECT e.asset_id::text, c.number::text, l.claim_class::text, e.weight::text, e.disputed::text, e.given::text,
           e.kept::text
    FROM distribution_entitlement e
    JOIN register_claimline l ON l.id = e.claim_line_id JOIN register_claim c ON c.id = l.claim_id
    WHERE e.run_id = %(run)s {ORDER}
) TO STDOUT (FORMAT BINARY)"""  # noqa: S608 - of our own texts only

# The amount comes first: its frame is cut off by its length alone, and what is left are the frames of who gets it.
LEAVES = f"""COPY (
    SELECT e.asset_id::text, e.amount::text, c.number::text, a.code::text, l.claim_class::text
    FROM distribution_entitlement e
    JOIN register_claimline l ON l.id = e.claim_line_id JOIN register_claim c ON c.id = l.claim_id
    JOIN books_asset a ON a.id = e.asset_id
    WHERE e.run_id = %(run)s {ORDER}
) TO STDOUT (FORMAT BINARY)"""  # noqa: S608 - of our own texts only


@dataclass(frozen=True)
class Head:
    """What heads the inputs of one pool line."""

    asset_id: int
    pool: str
    asset: str
    rounding: str
    free: int
    held_back: int


def heads(pools: Iterable[PoolLine]) -> list[Head]:
    return in_order(Head(p.asset_id, p.pool, p.asset.code, p.rounding, p.free, p.held_back) for p in pools)


def in_order(found: Iterable[Head]) -> list[Head]:
    return sorted(found, key=lambda head: (head.pool.encode(), head.asset.encode()))


def inputs_sha256(run: Run, pools: Sequence[Head], *, live: tuple[str, dict[str, Any]] | None = None) -> bytes:
    """The hash of everything the run depends on: from its entitlements, or from `live` lines before they are written."""
    digests = {
        head.asset_id: hashlib.sha256(
            frames(("henkan-pool-inputs/1", head.pool, head.asset, head.rounding, str(head.free), str(head.held_back)))
        )
        for head in pools
    }
    sql, params = (LIVE.format(lines=live[0]), live[1]) if live else (FROZEN, {"run": run.pk})
    for asset_id, rows in by_asset(sql, params):
        digests[asset_id].update(b"".join(rows))
    said = frames(("henkan-inputs/1", run.case.reference, run.kind, bytes(run.plan.sha256).hex()))
    return hashlib.sha256(said + b"".join(digests[head.asset_id].digest() for head in pools)).digest()


def roots(run: Run) -> dict[int, tuple[bytes, int, int]]:
    """For each asset: the root of the Merkle sum tree over what the run gives, its leaves and its total."""
    pools = {line.asset_id: line for line in run.pools.select_related("asset")}
    found = {pk: (sumtree.root_of(line.pool, line.asset.code, 0, None), 0, 0) for pk, line in pools.items()}
    builders = {asset_id: sumtree.Builder() for asset_id in pools}
    salts = Salts(
        bytes(run.case.salt), bytes(run.inputs_sha256 or b"")
    )  # before COPY: until it ends nothing else is asked
    for asset_id, rows in by_asset(LEAVES, {"run": run.pk}):
        builders[asset_id].extend(salts.leaves(rows))
    for asset_id, builder in builders.items():
        top, line = builder.top(), pools[asset_id]
        root = sumtree.root_of(line.pool, line.asset.code, builder.size, top)
        found[asset_id] = root, builder.size, top.total if top else 0
    return found


class Salts:
    """
    sumtree.leaf with sumtree.salt_of for framed rows of a run by the thousand.

    HMAC is SHA-256 of the key in one guise, before SHA-256 of the key in another and the message (RFC 2104). Written out,
    it takes two thirds of the time, and most of building a tree is this.
    """

    def __init__(self, secret: bytes, inputs_sha256: bytes) -> None:
        key = secret if len(secret) <= KEY_BYTES else hashlib.sha256(secret).digest()
        key = key.ljust(KEY_BYTES, b"\x00")
        self.inner = bytes(byte ^ 0x36 for byte in key) + frames(("leaf", inputs_sha256.hex()))
        self.outer = bytes(byte ^ 0x5C for byte in key)

    def leaves(self, rows: Iterable[bytes]) -> Iterator[sumtree.Node]:
        """The leaves of rows of amount, claim number, asset, class."""
        sha256, inner, outer, size, node = hashlib.sha256, self.inner, self.outer, sumtree.SALT_BYTES, sumtree.Node
        for row in rows:
            cut = 4 + row[3]  # an amount has fewer than 256 digits
            who, amount = row[cut:], row[:cut]
            salt = sha256(outer + sha256(inner + who).digest()).digest()[:size]
            yield node(sha256(b"\x00" + salt + who + amount).digest(), int(amount[4:]))


def outputs_root(run: Run, pools: Iterable[PoolLine]) -> bytes:
    """The hash over everything the run says."""
    said = frames(("henkan-outputs/1", bytes(run.inputs_sha256 or b"").hex()))
    for line in sorted(pools, key=lambda line: (line.pool.encode(), line.asset.code.encode())):
        figures = (line.lines, line.effective, line.distributed, line.withdrawn, line.reserved, line.left)
        said += frames((line.pool, line.asset.code, *map(str, figures))) + bytes(line.root or b"")
    return hashlib.sha256(said).digest()


def by_asset(sql: str, params: dict[str, Any]) -> Iterator[tuple[int, list[bytes]]]:
    """Framed rows in order, up to a thousand of one asset at a time. The asset is the first column, which is taken off."""
    waiting: dict[bytes, list[bytes]] = {}
    for row in stream.frames(sql, params):
        cut = 4 + row[3]  # a number has fewer than 256 digits
        asset = row[4:cut]
        rows = waiting.get(asset)
        if rows is None:
            rows = waiting[asset] = []
        rows.append(row[cut:])
        if len(rows) == sumtree.TOGETHER:
            yield int(asset), rows
            del waiting[asset]
    for asset, rows in waiting.items():
        yield int(asset), rows
