-- What leaves the house: limits of a rail, submissions under a fence and a lease, conflict keys that are used once.

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

-- The parts of a batch that go over a limit by themselves, and so would wait for ever; of which asset ('' : of returns) they
-- hold how much, and the narrowest limit.
CREATE FUNCTION parts_above_a_limit(p_batch bigint) RETURNS TABLE (part integer, asset text, held numeric, at_most numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH newest AS (
        SELECT DISTINCT ON (l.asset_id, l.seconds) l.asset_id, l.at_most
        FROM returns_batch b JOIN returns_raillimit l ON l.case_id = b.case_id AND l.rail = b.rail AND l.kind = 'rate'
        WHERE b.id = p_batch ORDER BY l.asset_id, l.seconds, l.id DESC
    ), cap AS (
        SELECT asset_id, min(at_most) AS at_most FROM newest GROUP BY asset_id
    )
    SELECT r.part, coalesce(a.code, ''), CASE WHEN a.id IS NULL THEN count(*) ELSE sum(r.amount) END, cap.at_most
    FROM cap
    LEFT JOIN books_asset a ON a.id = cap.asset_id
    JOIN returns_assetreturn r ON r.batch_id = p_batch AND r.state = 'batched' AND (a.id IS NULL OR r.asset_id = a.id)
    GROUP BY r.part, a.id, a.code, cap.at_most
    HAVING CASE WHEN a.id IS NULL THEN count(*) ELSE sum(r.amount) END > cap.at_most
    ORDER BY 1, 2
$$;

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
    -- Refused as a whole by the rail's answer to a call; otherwise return by return, by lines of evidence.
    IF NEW.state = 'refused' AND OLD.state <> 'submitting' AND EXISTS (
        SELECT FROM returns_attempt t
        WHERE t.batch_id = NEW.batch_id AND t.part = NEW.part AND t.state IN ('pending', 'unknown')
    ) THEN
        RAISE EXCEPTION 'submission_is_refused_by_its_rail_only: %', OLD.rail_key USING ERRCODE = '23514';
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
    IF next_one IS NULL OR batch_waits_for_its_time(p_batch) THEN
        RETURN;
    END IF;
    IF part_goes_over_a_limit(next_one) THEN
        -- What is in doubt does not wait behind it, and neither does the rest behind one that never fits.
        SELECT c.id INTO next_one FROM returns_submission c
        WHERE c.batch_id = p_batch AND c.part NOT IN (SELECT a.part FROM parts_above_a_limit(p_batch) a) AND (
            c.state IN ('prepared', 'signed')
            OR c.state = 'unknown' AND coalesce(c.lease_until, '-infinity') <= least(p_before, clock_timestamp())
                AND p_before IS NOT NULL
        )
        ORDER BY c.state <> 'unknown', c.part, c.version
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
        IF next_one IS NULL OR part_goes_over_a_limit(next_one) THEN
            RETURN;
        END IF;
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
    PERFORM FROM returns_submission WHERE id = ANY (p_ids) AND state = p_from ORDER BY id FOR NO KEY UPDATE;
    UPDATE returns_submission SET state = p_to,
        doubted_at = CASE WHEN p_to = 'unknown' THEN clock_timestamp() ELSE doubted_at END,
        sent_at = CASE WHEN p_to = 'exported' THEN clock_timestamp() ELSE sent_at END  -- carried out: limits count it
    WHERE id = ANY (p_ids) AND state = p_from;
    GET DIAGNOSTICS many = ROW_COUNT;
    RETURN many;
END $$;

-- Whoever moves attempts holds their parts still first, in the order of their numbers: so does whoever writes down what
-- came of a call, and then lets its attempts go. The attempts with their states as they are from then on.
CREATE FUNCTION attempts_held_still(p_attempts bigint[]) RETURNS TABLE (id bigint, state text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM returns_submission s
    WHERE (s.batch_id, s.part) IN (SELECT t.batch_id, t.part FROM returns_attempt t WHERE t.id = ANY (p_attempts))
    ORDER BY s.id FOR NO KEY UPDATE;
    RETURN QUERY SELECT t.id, t.state::text FROM returns_attempt t WHERE t.id = ANY (p_attempts);
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
