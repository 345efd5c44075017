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

from django.db import connection

from administration.distribution import sumtree
from administration.distribution.models import PoolLine, Run
from administration.record.encoding import frames, unframe

# Rows leave the database in blocks, each made there of this many: a message for each row would cost more than its hash.
TOGETHER = sumtree.TOGETHER
DIGEST = 32  # bytes of SHA-256
# The innermost rows are made by all processors; numbered in order, they only need to be put together.
BLOCKS = f"""COPY (
    SELECT asset_id, {{put_together}} FROM (
        SELECT *, row_number() OVER (PARTITION BY asset_id ORDER BY number, claim_class) - 1 AS n
        FROM ({{rows}} ORDER BY asset_id, number, claim_class OFFSET 0) r
    ) r
    GROUP BY asset_id, n / {TOGETHER} ORDER BY asset_id, n / {TOGETHER}
) TO STDOUT (FORMAT BINARY)"""  # noqa: S608 - of our own texts only
TYPES = {"said": "bytea", "amounts": "text"}


def blocks(rows: str, *columns: str) -> str:
    """COPY of asset and `columns`: "said" one after the other, "amounts" as decimal texts between commas."""
    made = {
        "said": "string_agg(said, ''::bytea ORDER BY n) AS said",
        "amounts": "string_agg(amount, ',' ORDER BY n) AS amounts",
    }
    return BLOCKS.format(rows=rows, put_together=", ".join(made[column] for column in columns))


def frames_of(*columns: str) -> str:
    """frames() in SQL: an array of texts in PostgreSQL's binary form is a head of 20 bytes, then the frames of its texts."""
    return f"substring(array_send(ARRAY[{', '.join(f'{column}::text' for column in columns)}]) FROM 21)"


FIGURES = ("weight", "disputed", "given", "kept")
KEY = 'c.number::text COLLATE "C" AS number, l.claim_class::text COLLATE "C" AS claim_class'
# Before the entitlements are written: the same lines as the share statements read.
LIVE = f"""
    SELECT l.asset_id, {KEY},
           {frames_of("c.number", "l.claim_class", *(f"l.{figure}::numeric(78,0)" for figure in FIGURES))} AS said
    FROM {{lines}} JOIN register_claim c ON c.id = l.claim_id"""  # noqa: S608 - of our own texts only

FROZEN = f"""
    SELECT e.asset_id, {KEY},
           {frames_of("c.number", "l.claim_class", *(f"e.{figure}" for figure in FIGURES))} AS said
    FROM distribution_entitlement e
    JOIN register_claimline l ON l.id = e.claim_line_id JOIN register_claim c ON c.id = l.claim_id
    WHERE e.run_id = %(run)s"""  # noqa: S608 - of our own texts only

# The secret stays in the database: a statement's text may be logged.
LEAVES = f"""
    SELECT e.asset_id, {KEY}, e.amount::text AS amount,
           distribution_leaf(
               (SELECT hmac_pad(s.salt, 54) || {frames_of("'leaf'", "encode(r.inputs_sha256, 'hex')")}
                FROM distribution_run r JOIN cases_case s ON s.id = r.case_id WHERE r.id = %(run)s),
               (SELECT hmac_pad(s.salt, 92) FROM distribution_run r JOIN cases_case s ON s.id = r.case_id
                WHERE r.id = %(run)s),
               c.number, a.code, l.claim_class, e.amount::text
           ) AS said
    FROM distribution_entitlement e
    JOIN register_claimline l ON l.id = e.claim_line_id JOIN register_claim c ON c.id = l.claim_id
    JOIN books_asset a ON a.id = e.asset_id
    WHERE e.run_id = %(run)s"""  # noqa: S608 - of our own texts only


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
    for asset_id, said in in_blocks(sql, params, "said"):
        digests[asset_id].update(said)
    said = frames(("henkan-inputs/1", run.case.reference, run.kind, bytes(run.plan.sha256).hex()))
    return hashlib.sha256(said + b"".join(digests[head.asset_id].digest() for head in pools)).digest()


def roots(run: Run) -> dict[int, tuple[bytes, int, int]]:
    """For each asset: the root of the Merkle sum tree over what the run gives, its leaves and its total."""
    pools = {line.asset_id: line for line in run.pools.select_related("asset")}
    found = {pk: (sumtree.root_of(line.pool, line.asset.code, 0, None), 0, 0) for pk, line in pools.items()}
    builders = {asset_id: sumtree.Builder() for asset_id in pools}
    for asset_id, leaves, amounts in in_blocks(LEAVES, {"run": run.pk}, "said", "amounts"):
        hashes = [leaves[at : at + DIGEST] for at in range(0, len(leaves), DIGEST)]
        builders[asset_id].extend(hashes, list(map(int, amounts.split(","))))
    for asset_id, builder in builders.items():
        top, line = builder.top(), pools[asset_id]
        root = sumtree.root_of(line.pool, line.asset.code, builder.size, top)
        found[asset_id] = root, builder.size, top.total if top else 0
    return found


def outputs_root(run: Run, pools: Iterable[PoolLine]) -> bytes:
    """The hash over everything the run says."""
    said = frames(("henkan-outputs/1", bytes(run.inputs_sha256 or b"").hex()))
    for line in sorted(pools, key=lambda line: (line.pool.encode(), line.asset.code.encode())):
        figures = (line.lines, line.effective, line.distributed, line.withdrawn, line.reserved, line.left)
        said += frames((line.pool, line.asset.code, *map(str, figures))) + bytes(line.root or b"")
    return hashlib.sha256(said).digest()


def lines(run: Run) -> Iterator[tuple[int, list[str | None]]]:
    """What a run froze of each line, in the order of the hash: asset, then the six framed texts."""
    for asset_id, said in in_blocks(FROZEN, {"run": run.pk}, "said"):
        texts, each = unframe(said), 2 + len(FIGURES)
        for at in range(0, len(texts), each):
            yield asset_id, texts[at : at + each]


def in_blocks(rows: str, params: dict[str, Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    """The blocks of these rows, asset by asset and in order. Until the last is taken the connection can do nothing else."""
    with connection.cursor() as cursor, cursor.copy(blocks(rows, *columns), params) as copy:
        copy.set_types(["int8", *(TYPES[column] for column in columns)])
        yield from copy.rows()
