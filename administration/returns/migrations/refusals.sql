-- The return engine: what the database itself refuses.
-- Rows that bulk acts touch are checked by statement-level triggers with transition tables; row triggers
-- stand on small tables only. Everything here speaks for the owner too.

-- --- Room for updates in place -------------------------------------------------------------------
-- A state that changes stays on its page (HOT): no index names a state, and half of each page is free.

ALTER TABLE returns_assetreturn SET (fillfactor = 50);
ALTER TABLE returns_attempt SET (fillfactor = 50);
ALTER TABLE returns_batch SET (fillfactor = 25);
ALTER TABLE returns_submission SET (fillfactor = 25);  -- few rows, and four steps of each
ALTER TABLE returns_match SET (fillfactor = 50);

-- Manifests and payloads are megabytes: with the usual compression, writing one costs as much as making it.
DO $$
BEGIN
    ALTER TABLE returns_manifest ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE returns_submission ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;  -- a server built without it
END $$;

-- A round owes a line one return that follows none. The line comes first: so it is also how the returns of a line are
-- found. Said here and not with the model, whose check would ask the server's version before there is a role to ask as.
ALTER TABLE returns_assetreturn ADD CONSTRAINT round_owes_a_line_one_return
    UNIQUE NULLS NOT DISTINCT (claim_line_id, round_id, after_id);

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
    SELECT sha256(frame('henkan-correction/2') || frame(c.id::text) || frame(c.machine) || frame(c.object_id::text)
        || frame(c.from_state) || frame(c.to_state) || frame(c.finding) || frame(c.reason) || frame(encode(c.evidence_sha256, 'hex')))
$$;

-- The signatures under exactly this correction, or under the one it follows, stand.
CREATE FUNCTION correction_is_signed(c returns_correction, p_people integer DEFAULT 2) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM returns_correction s JOIN cases_approvalrequest a ON a.object_id = s.id
        WHERE s.id = coalesce(c.under_id, c.id) AND a.case_id = c.case_id AND a.act = 'returns.correct'
          AND a.state = 'granted' AND a.signers >= p_people AND a.content_sha256 = correction_sha256(s)
    )
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
              AND c.rejected_at IS NULL AND correction_is_signed(c, step.people);
            GET DIAGNOSTICS signed = ROW_COUNT;
            IF signed <> step.many THEN
                RAISE EXCEPTION 'step_needs_two_people: a % goes from % to % only by a correction two people signed',
                    TG_ARGV[0], step.from_state, step.to_state USING ERRCODE = '23514';
            END IF;
        ELSIF step.from_state = 'unknown' AND TG_ARGV[0] IN ('submission', 'attempt') AND EXISTS (
            SELECT FROM returns_correction c WHERE c.machine = TG_ARGV[0] AND c.applied_at IS NULL AND c.rejected_at IS NULL
        ) THEN
            -- People may have signed what became of it (doubt.py): then their word is taken with the step.
            UPDATE returns_correction c SET applied_at = clock_timestamp()
            FROM old_rows o JOIN new_rows n ON n.id = o.id
            WHERE o.state = step.from_state AND n.state = step.to_state
              AND c.machine = TG_ARGV[0] AND c.object_id = o.id
              AND c.from_state = step.from_state AND c.to_state = step.to_state AND c.applied_at IS NULL
              AND c.rejected_at IS NULL AND correction_is_signed(c);
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
    another boolean;
BEGIN
    EXECUTE $q$
    SELECT n.reference,
        (n.case_id, n.round_id, n.reference, n.claim_line_id, n.asset_id, n.amount, n.after_id)
            IS DISTINCT FROM (o.case_id, o.round_id, o.reference, o.claim_line_id, o.asset_id, o.amount, o.after_id) AS fixed,
        o.state NOT IN ('scheduled', 'held')
            AND (n.destination_id, n.rail) IS DISTINCT FROM (o.destination_id, o.rail) AS bound,
        n.batch_id IS NOT NULL AND b.id IS NULL OR n.state = 'batched' AND (
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
       OR n.batch_id IS NOT NULL AND b.id IS NULL
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

    -- Another destination is one that is there, of the same claim and asset. Most statements give none another, and read none.
    EXECUTE $q$
    SELECT EXISTS (SELECT FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE n.destination_id <> coalesce(o.destination_id, 0))
    $q$ INTO another;
    IF another THEN
        EXECUTE $q$
        SELECT n.reference
        FROM old_rows o
        JOIN new_rows n ON n.id = o.id
        LEFT JOIN destinations_destination d ON d.id = n.destination_id
        LEFT JOIN register_claimline l ON l.id = n.claim_line_id
        WHERE n.destination_id <> coalesce(o.destination_id, 0)
          AND (d.claim_id, d.asset_id) IS DISTINCT FROM (l.claim_id, n.asset_id)
        $q$ INTO wrong;
        GET DIAGNOSTICS many = ROW_COUNT;
        IF many > 0 THEN
            RAISE EXCEPTION 'return_goes_where_its_claim_says: %', wrong.reference USING ERRCODE = '23503';
        END IF;
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

-- A new return is of a line and a round that are there, in its line's asset and case, and goes where its claim says: one
-- check for all rows of a statement, in place of foreign keys that would cost more than the rows. One that follows another
-- follows what came back, of the same line.
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
    LEFT JOIN destinations_destination d ON d.id = n.destination_id
    LEFT JOIN returns_assetreturn e ON e.id = n.after_id
    WHERE (n.asset_id, n.case_id, n.case_id) IS DISTINCT FROM (l.asset_id, l.case_id, r.case_id)
       OR n.destination_id IS NOT NULL AND (d.claim_id, d.asset_id) IS DISTINCT FROM (l.claim_id, n.asset_id)
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
