-- References of returns, and the gates that each must find open before it goes.

-- --- References ----------------------------------------------------------------------------------

-- "R", nine digits, a check digit (Luhn): survives bank files, kana and upper-casing. references.py does the same.
CREATE FUNCTION return_reference(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'R' || lpad(n::text, 9, '0') || ((10 - (
      2 * (n % 10)                - 9 * ((n % 10 > 4)::int)
    + n / 10 % 10
    + 2 * (n / 100 % 10)          - 9 * ((n / 100 % 10 > 4)::int)
    + n / 1000 % 10
    + 2 * (n / 10000 % 10)        - 9 * ((n / 10000 % 10 > 4)::int)
    + n / 100000 % 10
    + 2 * (n / 1000000 % 10)      - 9 * ((n / 1000000 % 10 > 4)::int)
    + n / 10000000 % 10
    + 2 * (n / 100000000 % 10)    - 9 * ((n / 100000000 % 10 > 4)::int)
    ) % 10) % 10)::text;

-- After a bulk act the planner must know that its table has grown. ANALYZE belongs to the owner. Its lock lasts until
-- the commit: who finds it taken goes on, as waiting here could close a circle, and somebody else has just looked. A few
-- thousand rows tell the planner enough; it is asked after every act, and the usual thirty thousand cost more than some.
-- New pages of returns are summed up for the index by which a part's are found; until then it reads all of them.
CREATE FUNCTION returns_look_at_statistics(p_of text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET default_statistics_target = 10 AS $$
BEGIN
    CASE p_of
        WHEN 'assetreturn' THEN
            BEGIN
                LOCK TABLE returns_assetreturn IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
            EXCEPTION WHEN lock_not_available THEN
                RETURN;
            END;
            PERFORM brin_summarize_new_values('return_of_a_part');
            ANALYZE returns_assetreturn;
        WHEN 'attempt' THEN ANALYZE (SKIP_LOCKED) returns_attempt, returns_submission;
        WHEN 'evidenceline' THEN ANALYZE (SKIP_LOCKED) returns_evidenceline;
        WHEN 'match' THEN ANALYZE (SKIP_LOCKED) returns_match;
    END CASE;
END $$;

-- --- Gates ---------------------------------------------------------------------------------------

-- Of which claim lines a rail says that it paid a return, and nobody has explained that yet. Found from the few lines of
-- evidence that wait, never from the many returns. What is a receivable already is explained; so is what two people signed.
CREATE VIEW returns_said_paid AS
SELECT x.case_id, x.claim_line_id, x.reference
FROM returns_evidenceline e
CROSS JOIN LATERAL (
    SELECT x.case_id, x.claim_line_id, x.reference FROM returns_assetreturn x
    WHERE x.case_id = e.case_id AND x.reference = e.reference LIMIT 1
) x
WHERE e.problem <> '' AND e.problem <> 'overpaid' AND e.problem <> 'explained' AND e.kind = 'settled';

-- Which gates are closed for each return, in the one order that gates.py lists them. Release, `why`, the portal and
-- the admin all read this. Under the profiles of this version the tax gate is not required: it never closes;
-- sanctions closes by a hold, and for whoever was not screened under the newest list that the case has.
CREATE VIEW returns_gates AS
WITH frozen AS (  -- orders that do not stand now: not served, stayed or reversed
    SELECT o.id AS order_id FROM cases_courtorder o
    WHERE (
        SELECT s.standing FROM cases_orderstanding s
        WHERE s.order_id = o.id AND s.since <= statement_timestamp()
        ORDER BY s.since DESC, s.id DESC LIMIT 1
    ) IN ('in_force', 'final') IS NOT TRUE
), screened AS (  -- up to which claimant everybody was screened under the newest sanctions list
    SELECT l.case_id, coalesce(max(s.through_claimant_id), 0) AS through
    FROM returns_sanctionslist l LEFT JOIN returns_screening s ON s.list_id = l.id
    WHERE NOT EXISTS (SELECT FROM returns_sanctionslist n WHERE n.case_id = l.case_id AND n.id > l.id)
    GROUP BY l.case_id
)
SELECT
    r.id AS return_id, r.case_id, r.round_id, r.claim_line_id, r.reference, r.rail, r.state, r.batch_id, r.part,
    d.id AS usable_destination_id,
    array_remove(ARRAY[
        CASE WHEN coalesce(i.name, '') = '' OR i.kyc_status IN ('pending', 'unverified') THEN 'identity' END,
        CASE WHEN w.id > k.through OR EXISTS (
            SELECT FROM register_hold h WHERE h.claim_id = c.id AND h.lifted_at IS NULL AND h.kind = 'sanctions'
        ) THEN 'sanctions' END,
        CASE WHEN d.id IS NULL THEN 'destination' END,
        CASE WHEN EXISTS (
            SELECT FROM register_hold h
            WHERE h.claim_id = c.id AND h.lifted_at IS NULL AND h.kind NOT IN ('sanctions', 'dispute', 'attachment')
        ) THEN 'hold' END,
        CASE WHEN EXISTS (
            SELECT FROM register_hold h WHERE h.claim_id = c.id AND h.lifted_at IS NULL AND h.kind = 'attachment'
        ) THEN 'lien' END,
        CASE WHEN EXISTS (
            SELECT FROM register_hold h WHERE h.claim_id = c.id AND h.lifted_at IS NULL AND h.kind = 'dispute'
        ) THEN 'dispute' END,
        -- The rail says that it paid this, and nobody has explained that yet: it is not paid again before, whatever return
        -- of the line owes it by now. IN, not EXISTS: hashed once, and never looked up for each return.
        CASE WHEN EXISTS (
            SELECT FROM returns_evidenceline e
            WHERE e.case_id = r.case_id AND e.reference = r.reference AND e.problem <> '' AND e.problem <> 'explained'
              AND e.kind = 'settled'
        ) OR r.claim_line_id IN (SELECT p.claim_line_id FROM returns_said_paid p) THEN 'evidence' END,
        CASE WHEN r.tries > 0 AND failure_keeps_back(r.id, r.tries, r.rail) THEN 'failure' END,
        CASE WHEN r.amount < a.payable_step OR r.amount % a.payable_step <> 0 THEN 'minimum' END,
        CASE WHEN u.state <> 'declared' OR l.excess > 0 OR b.state NOT IN ('draft', 'voided') AND NOT EXISTS (
            SELECT FROM cases_approvalrequest q
            WHERE q.case_id = b.case_id AND q.act IN ('returns.batch', 'returns.batch.resume') AND q.object_id = b.id
              AND q.state = 'granted' AND q.content_sha256 = b.manifest_sha256
        ) THEN 'approval' END,
        CASE WHEN r.rail = '' OR (d.network = 'transferee') <> (r.rail = 'transferee') THEN 'rail' END,
        CASE WHEN d.order_id IN (SELECT order_id FROM frozen) OR b.order_id IN (SELECT order_id FROM frozen)
            THEN 'order' END,
        CASE WHEN EXISTS (
            SELECT FROM cases_stop s WHERE s.case_id = r.case_id AND s.lifted_at IS NULL AND s.rail IN ('', r.rail)
        ) OR EXISTS (SELECT FROM returns_roundpause p WHERE p.round_id = r.round_id AND p.resumed_at IS NULL) THEN 'stop' END
    ], NULL)::text[] AS closed,
    r.asset_id, r.amount
FROM returns_assetreturn r
JOIN register_claimline l ON l.id = r.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
JOIN register_claimant w ON w.id = c.claimant_id
JOIN ledger_identity i ON i.id = w.identity_id
JOIN books_asset a ON a.id = r.asset_id
JOIN returns_round o ON o.id = r.round_id
JOIN distribution_run u ON u.id = o.run_id
LEFT JOIN returns_batch b ON b.id = r.batch_id
LEFT JOIN screened k ON k.case_id = r.case_id
-- The one usable version. A return already batched is bound to its own. LIMIT: looked up for each return, whatever the
-- planner believes; looked at while all were cooling, it thinks that none is usable, and reads all of them for each.
LEFT JOIN LATERAL (
    SELECT d.id, d.network, d.order_id FROM destinations_destination d
    WHERE d.claim_id = c.id AND d.asset_id = r.asset_id AND d.state = 'usable'
      AND (d.usable_from IS NULL OR d.usable_from <= statement_timestamp())
      AND (r.state IN ('scheduled', 'held') OR d.id = r.destination_id)
    LIMIT 1
) d ON true;

SET CONSTRAINTS ALL IMMEDIATE;
