-- Batches and attempts: what may go together, what holds a return, and who is let go when.

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
    -- Half exported, it may be given up while everything that was made of it is dead, and nothing ever left.
    IF NEW.state = 'voided' AND (
        EXISTS (SELECT FROM returns_attempt t WHERE t.batch_id = NEW.id AND t.state <> 'dead')
        OR EXISTS (
            SELECT FROM returns_submission s
            WHERE s.batch_id = NEW.id AND (s.state <> 'dead' OR s.fence > 0 OR s.sent_at IS NOT NULL))
    ) THEN
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
