-- The return engine: what the database itself refuses.
-- Rows that bulk acts touch are checked by statement-level triggers with transition tables; row triggers
-- stand on small tables only. Everything here speaks for the owner too.

-- --- Room for updates in place -------------------------------------------------------------------
-- A state that changes stays on its page (HOT): no index names a state, and half of each page is free.

ALTER TABLE returns_assetreturn SET (fillfactor = 50);
ALTER TABLE returns_attempt SET (fillfactor = 50);
ALTER TABLE returns_batch SET (fillfactor = 50);
ALTER TABLE returns_submission SET (fillfactor = 50);
ALTER TABLE returns_match SET (fillfactor = 50);

-- --- The steps -----------------------------------------------------------------------------------

INSERT INTO returns_transition (machine, from_state, to_state, people) VALUES
    ('return', 'scheduled', 'batched', 0),
    ('return', 'scheduled', 'held', 0),
    ('return', 'scheduled', 'cancelled', 0),
    ('return', 'held', 'scheduled', 0),
    ('return', 'held', 'cancelled', 0),
    ('return', 'batched', 'settled', 0),
    ('return', 'batched', 'scheduled', 0),      -- its attempt was refused or is dead, or its batch was voided
    ('return', 'batched', 'held', 0),           -- a gate closed on it at the export of single requests
    ('return', 'settled', 'returned', 0),       -- the money came back
    ('return', 'settled', 'batched', 2),
    ('return', 'scheduled', 'settled', 2),

    ('batch', 'draft', 'frozen', 0),
    ('batch', 'frozen', 'approved', 0),
    ('batch', 'approved', 'exported', 0),
    ('batch', 'exported', 'settling', 0),
    ('batch', 'settling', 'closed', 0),
    ('batch', 'draft', 'voided', 0),
    ('batch', 'frozen', 'voided', 0),
    ('batch', 'approved', 'voided', 0),

    ('submission', 'prepared', 'exported', 0),
    ('submission', 'prepared', 'submitting', 0),
    ('submission', 'prepared', 'dead', 0),
    ('submission', 'exported', 'signed', 0),
    ('submission', 'exported', 'submitting', 0),
    ('submission', 'exported', 'accepted', 0),
    ('submission', 'exported', 'unknown', 0),
    ('submission', 'exported', 'refused', 0),
    ('submission', 'exported', 'dead', 0),
    ('submission', 'signed', 'submitting', 0),
    ('submission', 'signed', 'dead', 0),
    ('submission', 'submitting', 'accepted', 0),
    ('submission', 'submitting', 'unknown', 0),
    ('submission', 'submitting', 'refused', 0),
    ('submission', 'unknown', 'submitting', 0), -- the same bytes, fence + 1
    ('submission', 'unknown', 'accepted', 0),
    ('submission', 'unknown', 'refused', 0),
    ('submission', 'unknown', 'dead', 0),
    ('submission', 'accepted', 'final', 0),
    ('submission', 'accepted', 'unknown', 0),
    ('submission', 'accepted', 'dead', 0),
    ('submission', 'final', 'unknown', 2),
    ('submission', 'dead', 'accepted', 2),

    ('attempt', 'pending', 'settled', 0),
    ('attempt', 'pending', 'refused', 0),
    ('attempt', 'pending', 'dead', 0),
    ('attempt', 'pending', 'unknown', 0),
    ('attempt', 'unknown', 'settled', 0),
    ('attempt', 'unknown', 'refused', 0),
    ('attempt', 'unknown', 'dead', 0),
    ('attempt', 'unknown', 'pending', 0),
    ('attempt', 'settled', 'returned', 0),
    ('attempt', 'settled', 'pending', 2),
    ('attempt', 'refused', 'settled', 2),
    ('attempt', 'dead', 'settled', 2);

CREATE TRIGGER transition_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_transition
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE INSERT, UPDATE, DELETE ON returns_transition FROM henkan_app;

-- What exactly two people sign when they correct: this step of this thing, once, for this reason.
CREATE FUNCTION correction_sha256(c returns_correction) RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256(frame('henkan-correction/1') || frame(c.id::text) || frame(c.machine) || frame(c.object_id::text)
        || frame(c.from_state) || frame(c.to_state) || frame(c.reason) || frame(encode(c.evidence_sha256, 'hex')))
$$;

-- Queries over transition tables are EXECUTEd, and without LIMIT: a plan kept from a statement of one row, or made in
-- the hope of an early hit, would join the rows of a statement of two hundred thousand in nested loops.

-- The machine is the trigger's argument. A row whose id changed joins nothing and is refused as well.
CREATE FUNCTION step_is_listed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    step record;
    signed bigint;
BEGIN
    FOR step IN EXECUTE $q$
        SELECT s.from_state, s.to_state, s.many, t.people
        FROM (
            SELECT o.state AS from_state, n.state AS to_state, count(*) AS many
            FROM old_rows o LEFT JOIN new_rows n ON n.id = o.id
            WHERE n.state IS DISTINCT FROM o.state
            GROUP BY o.state, n.state
        ) s
        LEFT JOIN returns_transition t ON t.machine = $1 AND t.from_state = s.from_state AND t.to_state = s.to_state
        $q$ USING TG_ARGV[0]
    LOOP
        IF step.people IS NULL THEN
            RAISE EXCEPTION 'step_is_listed: a % does not go from % to %',
                TG_ARGV[0], step.from_state, coalesce(step.to_state, 'another id') USING ERRCODE = '23514';
        ELSIF step.people > 0 THEN
            UPDATE returns_correction c SET applied_at = clock_timestamp()
            FROM old_rows o JOIN new_rows n ON n.id = o.id
            WHERE o.state = step.from_state AND n.state = step.to_state
              AND c.machine = TG_ARGV[0] AND c.object_id = o.id
              AND c.from_state = step.from_state AND c.to_state = step.to_state AND c.applied_at IS NULL
              AND EXISTS (
                  SELECT FROM returns_correction s JOIN cases_approvalrequest a ON a.object_id = s.id
                  WHERE s.id = coalesce(c.under_id, c.id) AND a.case_id = c.case_id AND a.act = 'returns.correct'
                    AND a.state = 'granted' AND a.signers >= step.people AND a.content_sha256 = correction_sha256(s)
              );
            GET DIAGNOSTICS signed = ROW_COUNT;
            IF signed <> step.many THEN
                RAISE EXCEPTION 'step_needs_two_people: a % goes from % to % only by a correction two people signed',
                    TG_ARGV[0], step.from_state, step.to_state USING ERRCODE = '23514';
            END IF;
        ELSIF TG_ARGV[0] = 'submission' AND step.to_state = 'dead' THEN
            -- People may have signed for it (doubt.py): then their word is taken with the step.
            UPDATE returns_correction c SET applied_at = clock_timestamp()
            FROM old_rows o JOIN new_rows n ON n.id = o.id
            WHERE o.state = step.from_state AND n.state = 'dead'
              AND c.machine = 'submission' AND c.object_id = o.id
              AND c.from_state = step.from_state AND c.to_state = 'dead' AND c.applied_at IS NULL;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Rows begin at the beginning. The states allowed are the trigger's arguments.
CREATE FUNCTION row_begins_at_the_beginning() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong text;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT state FROM new_rows WHERE state <> $1
    $q$ INTO wrong USING TG_ARGV[0];
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'row_begins_at_the_beginning: % begins as %, not as %', TG_TABLE_NAME, TG_ARGV[0], wrong
            USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER return_begins_scheduled AFTER INSERT ON returns_assetreturn
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION row_begins_at_the_beginning('scheduled');
CREATE TRIGGER batch_begins_as_draft AFTER INSERT ON returns_batch
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION row_begins_at_the_beginning('draft');
CREATE TRIGGER submission_begins_prepared AFTER INSERT ON returns_submission
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION row_begins_at_the_beginning('prepared');
CREATE TRIGGER attempt_begins_pending AFTER INSERT ON returns_attempt
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION row_begins_at_the_beginning('pending');

CREATE TRIGGER return_steps_are_listed AFTER UPDATE ON returns_assetreturn
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION step_is_listed('return');
CREATE TRIGGER batch_steps_are_listed AFTER UPDATE ON returns_batch
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION step_is_listed('batch');
CREATE TRIGGER submission_steps_are_listed AFTER UPDATE ON returns_submission
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION step_is_listed('submission');
CREATE TRIGGER attempt_steps_are_listed AFTER UPDATE ON returns_attempt
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION step_is_listed('attempt');

-- --- Nothing is deleted --------------------------------------------------------------------------

CREATE TRIGGER round_is_kept BEFORE DELETE OR TRUNCATE ON returns_round
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER return_is_kept BEFORE DELETE OR TRUNCATE ON returns_assetreturn
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER batch_is_kept BEFORE DELETE OR TRUNCATE ON returns_batch
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER manifest_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_manifest
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER submission_is_kept BEFORE DELETE OR TRUNCATE ON returns_submission
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER conflict_key_is_kept BEFORE DELETE OR TRUNCATE ON returns_conflictkey
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempt_is_kept BEFORE DELETE OR TRUNCATE ON returns_attempt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER correction_is_kept BEFORE DELETE OR TRUNCATE ON returns_correction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER evidence_line_is_kept BEFORE DELETE OR TRUNCATE ON returns_evidenceline
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER match_is_kept BEFORE DELETE OR TRUNCATE ON returns_match
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER overpayment_is_kept BEFORE DELETE OR TRUNCATE ON returns_overpayment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A round: what it rests on never changes; it is finished once.
CREATE FUNCTION round_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'scheduled_at' IS DISTINCT FROM to_jsonb(OLD) - 'scheduled_at'
       OR OLD.scheduled_at IS NOT NULL AND NEW.scheduled_at IS DISTINCT FROM OLD.scheduled_at THEN
        RAISE EXCEPTION 'round_is_fixed: round % does not change', OLD.number USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER round_is_fixed BEFORE UPDATE ON returns_round FOR EACH ROW EXECUTE FUNCTION round_is_fixed();
REVOKE UPDATE ON returns_round FROM henkan_app;
GRANT UPDATE (scheduled_at) ON returns_round TO henkan_app;

-- --- The return ----------------------------------------------------------------------------------

REVOKE UPDATE ON returns_assetreturn FROM henkan_app;
GRANT UPDATE (destination_id, rail, state, batch_id, part, tries, held_by_gate, cancellation_id)
    ON returns_assetreturn TO henkan_app;

CREATE FUNCTION return_keeps_its_promise() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong record;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT n.reference,
        (n.case_id, n.round_id, n.reference, n.claim_line_id, n.asset_id, n.amount, n.after_id)
            IS DISTINCT FROM (o.case_id, o.round_id, o.reference, o.claim_line_id, o.asset_id, o.amount, o.after_id) AS fixed,
        o.state NOT IN ('scheduled', 'held')
            AND (n.destination_id, n.rail) IS DISTINCT FROM (o.destination_id, o.rail) AS bound,
        n.state = 'batched' AND (
            o.state = 'scheduled' AND b.state <> 'draft'
            OR o.state = 'batched' AND n.batch_id <> o.batch_id
            OR o.state = 'batched' AND n.part <> o.part AND b.state <> 'draft'
            OR o.state = 'settled' AND (n.batch_id, n.part) <> (o.batch_id, o.part)
            OR b.case_id <> n.case_id OR b.rail <> n.rail OR b.round_id <> n.round_id
        ) AS joined
    FROM old_rows o
    JOIN new_rows n ON n.id = o.id
    LEFT JOIN returns_batch b ON b.id = n.batch_id
    WHERE (n.case_id, n.round_id, n.reference, n.claim_line_id, n.asset_id, n.amount, n.after_id)
            IS DISTINCT FROM (o.case_id, o.round_id, o.reference, o.claim_line_id, o.asset_id, o.amount, o.after_id)
       OR o.state NOT IN ('scheduled', 'held')
            AND (n.destination_id, n.rail) IS DISTINCT FROM (o.destination_id, o.rail)
       OR n.state = 'batched' AND (
            o.state = 'scheduled' AND b.state <> 'draft'
            OR o.state = 'batched' AND n.batch_id <> o.batch_id
            OR o.state = 'batched' AND n.part <> o.part AND b.state <> 'draft'
            OR o.state = 'settled' AND (n.batch_id, n.part) <> (o.batch_id, o.part)
            OR b.case_id <> n.case_id OR b.rail <> n.rail OR b.round_id <> n.round_id
        )
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        IF wrong.fixed THEN
            RAISE EXCEPTION 'return_never_changes_what_it_owes: %', wrong.reference USING ERRCODE = '23001';
        ELSIF wrong.bound THEN
            RAISE EXCEPTION 'return_keeps_its_destination_once_batched: %', wrong.reference USING ERRCODE = '23001';
        END IF;
        RAISE EXCEPTION 'return_joins_a_draft_batch_of_its_round_and_rail_only: %', wrong.reference USING ERRCODE = '23514';
    END IF;

    -- Settled means: an attempt settled it. Not settled any more means: no attempt holds it.
    EXECUTE $q$
    SELECT n.reference, n.state AS became
    FROM old_rows o
    JOIN new_rows n ON n.id = o.id
    LEFT JOIN returns_attempt t ON t.holds_return_id = n.id
    LEFT JOIN returns_batch b ON b.id = o.batch_id
    WHERE n.state <> o.state AND (
        n.state = 'settled' AND t.state IS DISTINCT FROM 'settled'
        OR n.state = 'returned' AND t.id IS NOT NULL
        OR o.state = 'batched' AND n.state IN ('scheduled', 'held') AND t.id IS NOT NULL
        OR o.state = 'batched' AND n.state = 'scheduled' AND b.state IN ('frozen', 'approved')
        OR o.state = 'batched' AND n.state = 'held' AND b.state NOT IN ('approved', 'exported')
    )
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'return_agrees_with_its_attempt_and_batch: % cannot become %', wrong.reference, wrong.became
            USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER return_keeps_its_promise AFTER UPDATE ON returns_assetreturn
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION return_keeps_its_promise();

-- A new return is of a line and a round that are there, in its line's asset and case: one check for all rows of a
-- statement, in place of foreign keys that would cost more than the rows. One that follows another follows what came back, of the same line.
CREATE FUNCTION return_is_of_its_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong text;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT n.reference
    FROM new_rows n
    LEFT JOIN register_claimline l ON l.id = n.claim_line_id
    LEFT JOIN returns_round r ON r.id = n.round_id
    LEFT JOIN returns_assetreturn e ON e.id = n.after_id
    WHERE (n.asset_id, n.case_id, n.case_id) IS DISTINCT FROM (l.asset_id, l.case_id, r.case_id)
       OR n.after_id IS NOT NULL AND (e.state <> 'returned' OR e.claim_line_id <> n.claim_line_id OR n.amount > e.amount)
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'return_is_of_its_line: %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER return_is_of_its_line AFTER INSERT ON returns_assetreturn
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION return_is_of_its_line();

-- --- The batch -----------------------------------------------------------------------------------

REVOKE UPDATE ON returns_batch FROM henkan_app;
GRANT UPDATE (rail_version, order_id, state, items, totals, parts, manifest_sha256, artifact_sha256, frozen_at)
    ON returns_batch TO henkan_app;

-- Signed now, or signed anew after a succession: of exactly what the manifest says.
CREATE FUNCTION batch_is_signed(p_batch returns_batch) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM cases_approvalrequest a
        WHERE a.case_id = p_batch.case_id AND a.act IN ('returns.batch', 'returns.batch.resume')
          AND a.object_id = p_batch.id AND a.state = 'granted' AND a.content_sha256 = p_batch.manifest_sha256
    )
$$;

CREATE FUNCTION batch_keeps_its_manifest() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    changes jsonb := to_jsonb(NEW) - '{state,artifact_sha256}'::text[];
BEGIN
    IF OLD.state <> 'draft' AND (
        changes IS DISTINCT FROM to_jsonb(OLD) - '{state,artifact_sha256}'::text[]
        OR OLD.artifact_sha256 IS NOT NULL AND NEW.artifact_sha256 IS DISTINCT FROM OLD.artifact_sha256
    ) THEN
        RAISE EXCEPTION 'batch_never_changes_once_frozen: %', OLD.reference USING ERRCODE = '23001';
    END IF;
    IF changes - '{rail_version,order_id,items,totals,parts,manifest_sha256,frozen_at}'::text[]
       IS DISTINCT FROM to_jsonb(OLD) - '{state,artifact_sha256,rail_version,order_id,items,totals,parts,manifest_sha256,frozen_at}'::text[] THEN
        RAISE EXCEPTION 'batch_never_changes_whose_it_is: %', OLD.reference USING ERRCODE = '23001';
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    IF NEW.state = 'frozen' AND NOT EXISTS (
        SELECT FROM returns_manifest m WHERE m.batch_id = NEW.id AND m.sha256 = NEW.manifest_sha256
    ) THEN
        RAISE EXCEPTION 'batch_is_frozen_under_its_manifest: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'frozen' AND (
        NEW.items = 0 OR NEW.frozen_at IS NULL
        OR NEW.items <> (SELECT count(*) FROM returns_assetreturn r WHERE r.batch_id = NEW.id AND r.state = 'batched')
    ) THEN
        RAISE EXCEPTION 'batch_counts_its_returns: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'approved' AND NOT EXISTS (
        SELECT FROM cases_approvalrequest a
        WHERE a.case_id = NEW.case_id AND a.act = 'returns.batch' AND a.object_id = NEW.id AND a.state = 'granted'
          AND a.content_sha256 = NEW.manifest_sha256 AND a.prepared_by_id = NEW.prepared_by_id
    ) THEN
        RAISE EXCEPTION 'batch_is_approved_by_its_signatures_only: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'exported' AND NOT batch_is_signed(NEW) THEN
        RAISE EXCEPTION 'batch_is_exported_while_its_approval_stands: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'exported' AND EXISTS (
        SELECT FROM returns_assetreturn r
        WHERE r.batch_id = NEW.id AND r.state = 'batched'
          AND NOT EXISTS (SELECT FROM returns_attempt t WHERE t.batch_id = r.batch_id AND t.asset_return_id = r.id)
    ) THEN
        RAISE EXCEPTION 'batch_is_exported_whole: % has returns without an attempt', NEW.reference USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'settling' AND EXISTS (
        SELECT FROM returns_submission s WHERE s.batch_id = NEW.id AND s.state IN ('prepared', 'exported', 'signed')
    ) THEN
        RAISE EXCEPTION 'batch_settles_once_every_part_is_out: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'closed' AND (
        EXISTS (SELECT FROM returns_attempt t WHERE t.batch_id = NEW.id AND t.state IN ('pending', 'unknown'))
        OR EXISTS (SELECT FROM returns_submission s WHERE s.batch_id = NEW.id AND s.state NOT IN ('final', 'refused', 'dead'))
    ) THEN
        RAISE EXCEPTION 'batch_closes_when_nothing_is_open: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'voided' AND EXISTS (SELECT FROM returns_attempt t WHERE t.batch_id = NEW.id) THEN
        RAISE EXCEPTION 'batch_is_voided_before_anything_leaves: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
-- Batches are few: a row trigger.
CREATE TRIGGER batch_keeps_its_manifest BEFORE UPDATE ON returns_batch
    FOR EACH ROW EXECUTE FUNCTION batch_keeps_its_manifest();

-- The hash is of the body, and the body is of a draft.
CREATE FUNCTION manifest_is_hashed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.sha256 IS DISTINCT FROM sha256(convert_to(NEW.body, 'UTF8'))
       OR NOT EXISTS (SELECT FROM returns_batch b WHERE b.id = NEW.batch_id AND b.state = 'draft') THEN
        RAISE EXCEPTION 'manifest_is_hashed: of a draft, and by its own bytes' USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER manifest_is_hashed BEFORE INSERT ON returns_manifest
    FOR EACH ROW EXECUTE FUNCTION manifest_is_hashed();

-- What a batch says, built from the rows as they stand now: canonical JSON in one statement, whatever its size.
-- Whole numbers are texts. batches.py has the same in Python for the test that they agree.
CREATE FUNCTION batch_manifest(p_batch bigint) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    WITH items AS (
        SELECT r.reference, r.part, r.amount, a.code, c.number AS claim, d.network, encode(d.fingerprint, 'hex') AS destination
        FROM returns_assetreturn r
        JOIN books_asset a ON a.id = r.asset_id
        JOIN register_claimline l ON l.id = r.claim_line_id
        JOIN register_claim c ON c.id = l.claim_id
        JOIN destinations_destination d ON d.id = r.destination_id
        WHERE r.batch_id = p_batch AND r.state = 'batched'
    ), totals AS (
        SELECT code, sum(amount) AS total FROM items GROUP BY code
    )
    SELECT '{"batch":' || to_json(b.reference)::text
        || ',"case":' || to_json(k.reference)::text
        || ',"items":[' || coalesce((
            SELECT string_agg(
                '{"amount":"' || amount || '","asset":' || to_json(code)::text || ',"claim":' || to_json(claim)::text
                || ',"destination":"' || destination || '","network":' || to_json(network)::text
                || ',"part":"' || part || '","reference":' || to_json(reference)::text || '}',
                ',' ORDER BY reference COLLATE "C")
            FROM items), '')
        || '],"policy":{' || concat_ws(',',
            CASE WHEN b.canary THEN '"canary":"yes"' END,
            CASE WHEN b.lane <> '' THEN '"lane":' || to_json(b.lane)::text END,
            '"value_date":"' || to_char(b.value_date, 'YYYY-MM-DD') || '"')
        || '},"rail":' || to_json(b.rail)::text
        || ',"rail_version":' || to_json(b.rail_version)::text
        || ',"round":"' || o.number
        || '","totals":{' || coalesce((
            SELECT string_agg(to_json(code)::text || ':"' || total || '"', ',' ORDER BY code COLLATE "C") FROM totals), '')
        || '}}'
    FROM returns_batch b
    JOIN cases_case k ON k.id = b.case_id
    JOIN returns_round o ON o.id = b.round_id
    WHERE b.id = p_batch
$$;

-- The hash of what a batch says now. Before anything left: of its rows. Afterwards returns may have been held or
-- refused, so the manifest speaks, if every return still in the batch is as it says; otherwise nothing does.
CREATE FUNCTION batch_content(p_batch bigint) RETURNS bytea LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    body text;
BEGIN
    IF NOT EXISTS (SELECT FROM returns_attempt t WHERE t.batch_id = p_batch) THEN
        RETURN sha256(convert_to(batch_manifest(p_batch), 'UTF8'));
    END IF;
    SELECT m.body INTO body FROM returns_manifest m WHERE m.batch_id = p_batch;
    IF EXISTS (
        WITH said AS MATERIALIZED (
            SELECT i ->> 'reference' AS reference, i ->> 'amount' AS amount, i ->> 'asset' AS asset, i ->> 'claim' AS claim,
                   i ->> 'destination' AS destination, i ->> 'part' AS part
            FROM jsonb_array_elements(body::jsonb -> 'items') AS i
        )
        SELECT FROM returns_assetreturn r
        JOIN books_asset a ON a.id = r.asset_id
        JOIN register_claimline l ON l.id = r.claim_line_id
        JOIN register_claim c ON c.id = l.claim_id
        JOIN destinations_destination d ON d.id = r.destination_id
        LEFT JOIN said s ON s.reference = r.reference
        WHERE r.batch_id = p_batch AND (s.amount, s.asset, s.claim, s.destination, s.part)
            IS DISTINCT FROM (r.amount::text, a.code, c.number, encode(d.fingerprint, 'hex'), r.part::text)
    ) THEN
        RETURN sha256('tampered');
    END IF;
    RETURN sha256(convert_to(body, 'UTF8'));
END $$;

-- --- The attempt ---------------------------------------------------------------------------------

REVOKE UPDATE ON returns_attempt FROM henkan_app;
GRANT UPDATE (state, holds_return_id, reason_code) ON returns_attempt TO henkan_app;

CREATE FUNCTION attempt_carries_what_was_approved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong record;
    many bigint;
BEGIN
    -- Whoever voids the batch waits until these attempts are committed, and then finds them.
    PERFORM FROM returns_batch WHERE id IN (SELECT DISTINCT batch_id FROM new_rows) ORDER BY id FOR SHARE;
    EXECUTE $q$
    SELECT n.asset_return_id, n.batch_id
    FROM new_rows n
    LEFT JOIN returns_assetreturn r ON r.id = n.asset_return_id
    LEFT JOIN returns_batch b ON b.id = n.batch_id
    WHERE r.state IS DISTINCT FROM 'batched' OR r.batch_id IS DISTINCT FROM n.batch_id OR r.part IS DISTINCT FROM n.part
       OR b.state IS DISTINCT FROM 'approved'
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'attempt_carries_what_was_approved: return % in batch %', wrong.asset_return_id, wrong.batch_id
            USING ERRCODE = '23514';
    END IF;
    EXECUTE $q$
    SELECT b.reference
    FROM returns_batch b
    WHERE b.id IN (SELECT batch_id FROM new_rows) AND NOT batch_is_signed(b)
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'attempt_is_made_while_its_approval_stands: %', wrong.reference USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER attempt_carries_what_was_approved AFTER INSERT ON returns_attempt
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attempt_carries_what_was_approved();

CREATE FUNCTION attempt_moves_by_evidence() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong record;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT o.id
    FROM old_rows o JOIN new_rows n ON n.id = o.id
    WHERE (n.asset_return_id, n.batch_id, n.part, n.recorded_at)
          IS DISTINCT FROM (o.asset_return_id, o.batch_id, o.part, o.recorded_at)
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'attempt_never_changes_what_it_tried: %', wrong.id USING ERRCODE = '23001';
    END IF;
    -- Settled, refused, dead and returned are the rail's words: a matched line of evidence says so. Refused may
    -- also be the rail's answer to the whole part; dead, that every version of the part is dead.
    EXECUTE $q$
    SELECT n.id, n.state AS became
    FROM old_rows o JOIN new_rows n ON n.id = o.id
    WHERE n.state <> o.state AND n.state IN ('settled', 'refused', 'dead', 'returned')
      AND NOT EXISTS (
          SELECT FROM returns_match m JOIN returns_evidenceline e ON e.id = m.line_id
          WHERE m.attempt_id = n.id AND e.kind = n.state
      )
      AND NOT (n.state = 'refused' AND EXISTS (
          SELECT FROM returns_submission s WHERE s.batch_id = n.batch_id AND s.part = n.part AND s.state = 'refused'
      ))
      AND NOT (n.state IN ('refused', 'dead') AND EXISTS (
          SELECT FROM returns_submission s WHERE s.batch_id = n.batch_id AND s.part = n.part
          HAVING count(*) > 0 AND bool_and(s.state IN ('dead', 'refused')) OR bool_or(s.kind = 'void' AND s.state = 'final')
      ))
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'attempt_moves_by_evidence: attempt % cannot become % without it', wrong.id, wrong.became
            USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER attempt_moves_by_evidence AFTER UPDATE ON returns_attempt
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION attempt_moves_by_evidence();

-- --- Home -----------------------------------------------------------------------------------------
-- A restored, copied or failed-over database may have forgotten what it sent. What makes a database itself: its
-- cluster, its own number in it, and its line of history, which forks when a standby or a restore takes over.

CREATE FUNCTION database_identity() RETURNS text LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT (SELECT system_identifier FROM pg_control_system())::text
        || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())::text
        || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
$$;

-- At home: here is where we sent from last, and after a move the rails were read. A database that never sent may begin.
CREATE FUNCTION engine_is_at_home() RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(
        (SELECT h.identity = database_identity() AND (h.previous = '' OR h.compared_at IS NOT NULL)
         FROM returns_home h ORDER BY h.id DESC LIMIT 1),
        NOT EXISTS (SELECT FROM returns_submission s WHERE s.fence > 0))
$$;

CREATE FUNCTION home_is_written_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'compared_at' IS DISTINCT FROM to_jsonb(OLD) - 'compared_at' OR OLD.compared_at IS NOT NULL THEN
        RAISE EXCEPTION 'home_is_written_once: %', OLD.identity USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER home_is_written_once BEFORE UPDATE ON returns_home FOR EACH ROW EXECUTE FUNCTION home_is_written_once();
CREATE TRIGGER home_is_kept BEFORE DELETE OR TRUNCATE ON returns_home FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE ON returns_home FROM henkan_app;
GRANT UPDATE (compared_at) ON returns_home TO henkan_app;

-- --- Limits of a rail -----------------------------------------------------------------------------

CREATE TRIGGER rail_limit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_raillimit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE ON returns_raillimit FROM henkan_app;

-- Would this part go over a limit of its rail, counting what was sent within the limit's time? One claim after the other
-- where there are limits, so that two of them cannot each fit and together exceed.
CREATE FUNCTION part_goes_over_a_limit(p_submission bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    b returns_batch;
    cap record;
    used numeric;
BEGIN
    SELECT bt.* INTO b FROM returns_batch bt JOIN returns_submission s ON s.batch_id = bt.id WHERE s.id = p_submission;
    IF NOT EXISTS (SELECT FROM returns_raillimit l WHERE l.case_id = b.case_id AND l.rail = b.rail AND l.kind = 'rate') THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('returns.limit.' || b.rail, b.case_id));
    FOR cap IN
        SELECT DISTINCT ON (asset_id, seconds) asset_id, seconds, at_most FROM returns_raillimit
        WHERE case_id = b.case_id AND rail = b.rail AND kind = 'rate' ORDER BY asset_id, seconds, id DESC
    LOOP
        IF cap.asset_id IS NULL THEN
            SELECT coalesce(sum(s.items), 0) INTO used
            FROM returns_submission s JOIN returns_batch o ON o.id = s.batch_id
            WHERE o.case_id = b.case_id AND o.rail = b.rail
              AND (s.id = p_submission OR s.sent_at > clock_timestamp() - make_interval(secs => cap.seconds));
        ELSE
            SELECT coalesce(sum(r.amount), 0) INTO used
            FROM returns_submission s JOIN returns_batch o ON o.id = s.batch_id
            JOIN returns_attempt t ON t.batch_id = s.batch_id AND t.part = s.part
            JOIN returns_assetreturn r ON r.id = t.asset_return_id AND r.asset_id = cap.asset_id
            WHERE o.case_id = b.case_id AND o.rail = b.rail
              AND (s.id = p_submission OR s.sent_at > clock_timestamp() - make_interval(secs => cap.seconds));
        END IF;
        IF used > cap.at_most THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- --- The submission ------------------------------------------------------------------------------
-- Its states move through four functions only. Its bytes never change.

REVOKE UPDATE ON returns_submission FROM henkan_app;

CREATE FUNCTION submission_keeps_its_bytes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    b returns_batch;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.payload_sha256 IS DISTINCT FROM sha256(NEW.payload) OR NEW.fence <> 0 OR NEW.tries <> 0 THEN
            RAISE EXCEPTION 'submission_is_hashed: %', NEW.rail_key USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.batch_id, NEW.part, NEW.version, NEW.kind, NEW.rail_key, NEW.payload_sha256, NEW.items)
       IS DISTINCT FROM (OLD.batch_id, OLD.part, OLD.version, OLD.kind, OLD.rail_key, OLD.payload_sha256, OLD.items)
       OR NEW.payload IS DISTINCT FROM OLD.payload THEN
        RAISE EXCEPTION 'submission_keeps_its_bytes: %', OLD.rail_key USING ERRCODE = '23001';
    END IF;
    IF NEW.fence < OLD.fence OR OLD.state = 'submitting' AND NEW.state <> OLD.state AND NEW.fence <> OLD.fence THEN
        RAISE EXCEPTION 'stale fence: submission %', OLD.rail_key USING ERRCODE = '40001';
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    IF NEW.state = 'submitting' THEN
        SELECT * INTO b FROM returns_batch WHERE id = NEW.batch_id;
        IF NEW.fence <> OLD.fence + 1 OR NEW.lease_until IS NULL OR NEW.lease_until <= clock_timestamp() THEN
            RAISE EXCEPTION 'submission_is_sent_under_a_lease: %', OLD.rail_key USING ERRCODE = '23514';
        END IF;
        IF b.state NOT IN ('exported', 'settling') OR NOT batch_is_signed(b) THEN
            RAISE EXCEPTION 'submission_is_sent_while_its_approval_stands: %', OLD.rail_key USING ERRCODE = '23514';
        END IF;
        IF EXISTS (SELECT FROM cases_stop s WHERE s.case_id = b.case_id AND s.lifted_at IS NULL AND s.rail IN ('', b.rail)) THEN
            RAISE EXCEPTION 'submission_is_not_sent_while_sending_is_stopped: %', OLD.rail_key USING ERRCODE = '23514';
        END IF;
        IF NOT engine_is_at_home() THEN
            RAISE EXCEPTION 'submission_is_not_sent_from_another_database: %', OLD.rail_key USING ERRCODE = '23514';
        END IF;
    END IF;
    -- What left the house is dead only by evidence.
    IF NEW.state = 'dead' AND OLD.state <> 'prepared' AND NOT EXISTS (
        SELECT FROM returns_attempt t
        JOIN returns_match m ON m.attempt_id = t.id JOIN returns_evidenceline e ON e.id = m.line_id
        WHERE t.batch_id = NEW.batch_id AND t.part = NEW.part AND e.kind = 'dead'
    ) THEN
        RAISE EXCEPTION 'submission_is_dead_by_evidence_only: %', OLD.rail_key USING ERRCODE = '23514';
    END IF;
    IF NEW.state = 'final' AND EXISTS (
        SELECT FROM returns_attempt t
        WHERE t.batch_id = NEW.batch_id AND t.part = NEW.part AND t.state IN ('pending', 'unknown')
    ) THEN
        RAISE EXCEPTION 'submission_is_final_when_its_attempts_are: %', OLD.rail_key USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER submission_keeps_its_bytes BEFORE INSERT OR UPDATE ON returns_submission
    FOR EACH ROW EXECUTE FUNCTION submission_keeps_its_bytes();

-- Take the next part of a batch to send: one never sent, or, when the rail bears it, one whose outcome is unknown
-- and whose pause was over at p_before (NULL: never send again). Two workers never take the same; an empty answer
-- means there is none.
CREATE FUNCTION submission_claim(p_batch bigint, p_seconds integer, p_before timestamptz)
RETURNS TABLE (id bigint, part integer, fence bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    next_one bigint;
BEGIN
    SELECT c.id INTO next_one FROM returns_submission c
    WHERE c.batch_id = p_batch AND (
        c.state IN ('prepared', 'signed')
        OR c.state = 'unknown' AND coalesce(c.lease_until, '-infinity') <= least(p_before, clock_timestamp())
            AND p_before IS NOT NULL
    )
    ORDER BY c.state = 'unknown', c.part, c.version
    LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF next_one IS NULL OR batch_waits_for_its_time(p_batch) OR part_goes_over_a_limit(next_one) THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE returns_submission s
    SET state = 'submitting', fence = s.fence + 1, tries = s.tries + 1,
        lease_until = clock_timestamp() + make_interval(secs => p_seconds), sent_at = clock_timestamp()
    WHERE s.id = next_one
    RETURNING s.id, s.part, s.fence;
END $$;

-- Write down what came of a call, under the fence of the claim. A worker whose lease was taken over writes nothing.
-- `p_pause` is how long an unknown outcome rests before the rail is called again.
CREATE FUNCTION submission_record(p_id bigint, p_fence bigint, p_to text, p_answer jsonb, p_pause integer DEFAULT 0)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE returns_submission SET state = p_to, answer = p_answer,
        lease_until = CASE WHEN p_to = 'unknown' THEN clock_timestamp() + make_interval(secs => p_pause) END
    WHERE id = p_id AND fence = p_fence AND state = 'submitting';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'stale fence: submission % is no longer ours under fence %', p_id, p_fence USING ERRCODE = '40001';
    END IF;
END $$;

-- The last look before a call: still ours, time enough for it, nothing stopped, and this is where we send from.
CREATE FUNCTION submission_may_go(p_id bigint, p_fence bigint, p_seconds integer) RETURNS boolean LANGUAGE sql VOLATILE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT engine_is_at_home() AND EXISTS (
        SELECT FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
        WHERE s.id = p_id AND s.fence = p_fence AND s.state = 'submitting'
          AND s.lease_until >= clock_timestamp() + make_interval(secs => p_seconds)
          AND NOT EXISTS (
              SELECT FROM cases_stop t WHERE t.case_id = b.case_id AND t.lifted_at IS NULL AND t.rail IN ('', b.rail)))
$$;

-- Whoever sent these was killed, or sleeps past its lease: nobody knows what became of them. The last call under the
-- lease may have begun just before it ended: the quiet period counts from there.
CREATE FUNCTION submission_lapse(p_batch bigint, p_quiet integer) RETURNS TABLE (part integer, rail_key text, fence bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE returns_submission SET state = 'unknown', answer = '{"outcome": "unknown", "reason": "the lease lapsed"}',
        lease_until = lease_until + make_interval(secs => p_quiet)
    WHERE id IN (
        SELECT id FROM returns_submission
        WHERE batch_id = p_batch AND state = 'submitting' AND lease_until < clock_timestamp()
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING part, rail_key, fence;
END $$;

-- Every other step of submissions: by evidence, by a person's declining, by a signer. Never into or out of submitting.
CREATE FUNCTION submission_step(p_ids bigint[], p_from text, p_to text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    many bigint;
BEGIN
    IF 'submitting' IN (p_from, p_to) THEN
        RAISE EXCEPTION 'submission_step: submitting is claimed and recorded, not stepped' USING ERRCODE = '23514';
    END IF;
    UPDATE returns_submission SET state = p_to,
        sent_at = CASE WHEN p_to = 'exported' THEN clock_timestamp() ELSE sent_at END  -- carried out: limits count it
    WHERE id = ANY (p_ids) AND state = p_from;
    GET DIAGNOSTICS many = ROW_COUNT;
    RETURN many;
END $$;

-- --- Conflict keys -------------------------------------------------------------------------------

REVOKE UPDATE ON returns_conflictkey FROM henkan_app;
GRANT UPDATE (released_at) ON returns_conflictkey TO henkan_app;

CREATE FUNCTION conflict_key_is_released_with_its_batch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.key, NEW.batch_id, NEW.part) IS DISTINCT FROM (OLD.id, OLD.key, OLD.batch_id, OLD.part)
       OR OLD.released_at IS NOT NULL
       OR NOT EXISTS (SELECT FROM returns_batch b WHERE b.id = OLD.batch_id AND b.state IN ('closed', 'voided')) THEN
        RAISE EXCEPTION 'conflict_key_is_released_with_its_batch: %', OLD.key USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER conflict_key_is_released_with_its_batch BEFORE UPDATE ON returns_conflictkey
    FOR EACH ROW EXECUTE FUNCTION conflict_key_is_released_with_its_batch();

-- --- Evidence and matches ------------------------------------------------------------------------

REVOKE UPDATE ON returns_evidence, returns_evidenceline, returns_match FROM henkan_app;
GRANT UPDATE (problem) ON returns_evidenceline TO henkan_app;
GRANT UPDATE (applied_at) ON returns_match TO henkan_app;

-- A line is of the case of its evidence. Lines come before their evidence's row, so at the evidence.
CREATE FUNCTION evidence_is_of_the_case_of_its_lines() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM returns_evidenceline l WHERE l.evidence_id = NEW.id AND l.case_id <> NEW.case_id) THEN
        RAISE EXCEPTION 'evidence_is_of_the_case_of_its_lines: %', NEW.name USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER evidence_is_of_the_case_of_its_lines AFTER INSERT ON returns_evidence
    FOR EACH ROW EXECUTE FUNCTION evidence_is_of_the_case_of_its_lines();

-- Of a line of evidence only our own remark about it changes.
CREATE FUNCTION evidence_line_is_as_received() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT o.id FROM old_rows o LEFT JOIN new_rows n ON n.id = o.id
    WHERE (n.evidence_id, n.case_id, n.line, n.fingerprint, n.reference, n.part, n.kind, n.asset_code, n.amount, n.at, n.reason)
        IS DISTINCT FROM
          (o.evidence_id, o.case_id, o.line, o.fingerprint, o.reference, o.part, o.kind, o.asset_code, o.amount, o.at, o.reason)
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'evidence_line_is_as_received: line % does not change', wrong USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER evidence_line_is_as_received AFTER UPDATE ON returns_evidenceline
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_line_is_as_received();

CREATE FUNCTION match_is_applied_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT o.id FROM old_rows o LEFT JOIN new_rows n ON n.id = o.id
    WHERE (n.line_id, n.attempt_id, n.amount, n.by_id) IS DISTINCT FROM (o.line_id, o.attempt_id, o.amount, o.by_id)
       OR o.applied_at IS NOT NULL OR n.applied_at IS NULL
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'match_is_applied_once: %', wrong USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER match_is_applied_once AFTER UPDATE ON returns_match
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION match_is_applied_once();

-- All matches of a line together are at most the line. Matching sessions go one after the other, so that two of
-- them cannot each fit and together exceed.
CREATE FUNCTION matches_fit_in_their_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
    many bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('returns_match', 0));
    EXECUTE $q$
    SELECT e.id
    FROM returns_evidenceline e
    JOIN returns_match m ON m.line_id = e.id
    WHERE e.id IN (SELECT line_id FROM new_rows)
    GROUP BY e.id, e.amount
    HAVING sum(m.amount) > e.amount
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'matches_fit_in_their_line: line % is smaller than what is matched to it', wrong
            USING ERRCODE = '23514';
    END IF;
    EXECUTE $q$
    SELECT m.id
    FROM new_rows m
    LEFT JOIN returns_evidenceline e ON e.id = m.line_id
    LEFT JOIN returns_attempt t ON t.id = m.attempt_id
    LEFT JOIN returns_assetreturn r ON r.id = t.asset_return_id
    LEFT JOIN books_asset a ON a.id = r.asset_id
    WHERE e.id IS NULL OR a.id IS NULL
       OR a.code <> e.asset_code OR r.case_id <> e.case_id OR m.amount > r.amount OR m.applied_at IS NOT NULL
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'match_is_of_one_case_and_asset: %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER matches_fit_in_their_line AFTER INSERT ON returns_match
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION matches_fit_in_their_line();

-- --- Corrections, over-payments, deposits --------------------------------------------------------

-- What was asked of two people never changes. Only the step itself marks it applied (step_is_listed).
CREATE FUNCTION correction_is_as_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'applied_at' IS DISTINCT FROM to_jsonb(OLD) - 'applied_at' OR OLD.applied_at IS NOT NULL
       OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'correction_is_as_signed: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER correction_is_as_signed BEFORE UPDATE ON returns_correction
    FOR EACH ROW EXECUTE FUNCTION correction_is_as_signed();
REVOKE UPDATE ON returns_correction FROM henkan_app;

-- What follows an attempt's correction is its own return's step, and that only.
CREATE FUNCTION correction_follows_its_attempt() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.applied_at IS NOT NULL OR NEW.under_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM returns_correction s JOIN returns_attempt t ON t.id = s.object_id
        WHERE s.id = NEW.under_id AND s.case_id = NEW.case_id AND s.machine = 'attempt' AND s.under_id IS NULL
          AND NEW.machine = 'return' AND NEW.object_id = t.asset_return_id
          AND (s.to_state, NEW.from_state, NEW.to_state)
              IN (('settled', 'scheduled', 'settled'), ('pending', 'settled', 'batched'))
    ) THEN
        RAISE EXCEPTION 'correction_follows_its_attempt: % %', NEW.machine, NEW.object_id USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER correction_follows_its_attempt BEFORE INSERT ON returns_correction
    FOR EACH ROW EXECUTE FUNCTION correction_follows_its_attempt();

CREATE FUNCTION overpayment_is_only_recovered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'recovered' IS DISTINCT FROM to_jsonb(OLD) - 'recovered' OR NEW.recovered < OLD.recovered THEN
        RAISE EXCEPTION 'overpayment_is_only_recovered: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER overpayment_is_only_recovered BEFORE UPDATE ON returns_overpayment
    FOR EACH ROW EXECUTE FUNCTION overpayment_is_only_recovered();
REVOKE UPDATE ON returns_manifest FROM henkan_app;

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

-- After a bulk act the planner must know that the table has grown. ANALYZE belongs to the owner.
CREATE FUNCTION returns_look_at_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    ANALYZE returns_assetreturn, returns_attempt, returns_match, returns_evidenceline;
END $$;

-- --- Gates ---------------------------------------------------------------------------------------

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
        -- The rail says that it paid this, and nobody has explained that yet: it is not paid again before.
        CASE WHEN EXISTS (
            SELECT FROM returns_evidenceline e
            WHERE e.case_id = r.case_id AND e.reference = r.reference AND e.problem <> '' AND e.kind = 'settled'
        ) THEN 'evidence' END,
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
-- The one usable version. A return already batched is bound to its own.
LEFT JOIN destinations_destination d ON d.claim_id = c.id AND d.asset_id = r.asset_id AND d.state = 'usable'
    AND (d.usable_from IS NULL OR d.usable_from <= statement_timestamp())
    AND (r.state IN ('scheduled', 'held') OR d.id = r.destination_id);

SET CONSTRAINTS ALL IMMEDIATE;
