-- How a round goes out: what the database itself refuses of limits, windows, pauses, canaries and cancellations.
-- These tables are small: row triggers.

-- --- Kept as written ------------------------------------------------------------------------------

CREATE TRIGGER pace_change_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_pacechange
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rail_window_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_railwindow
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER closed_day_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_closedday
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER go_ahead_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_goahead
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER carried_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_carried
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sanctions_list_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_sanctionslist
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sanctioned_name_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_sanctionedname
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER screening_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_screening
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER move_choice_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_movechoice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER round_pause_is_kept BEFORE DELETE OR TRUNCATE ON returns_roundpause
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cancellation_is_kept BEFORE DELETE OR TRUNCATE ON returns_cancellation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER book_move_is_kept BEFORE DELETE OR TRUNCATE ON returns_bookmove
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE UPDATE, DELETE ON
    returns_pacechange, returns_railwindow, returns_closedday, returns_goahead, returns_carried, returns_sanctionslist,
    returns_sanctionedname, returns_screening, returns_movechoice, returns_roundpause, returns_cancellation, returns_bookmove
    FROM henkan_app;
GRANT UPDATE (resumed_by_id, resumed_at) ON returns_roundpause TO henkan_app;
GRANT UPDATE (done_at) ON returns_cancellation TO henkan_app;
GRANT UPDATE (closed_at) ON returns_bookmove TO henkan_app;
-- Who is on a sanctions list, and who moves to another exchange, are personal data: not for auditors' queries.
REVOKE SELECT ON returns_sanctionedname, returns_movechoice FROM henkan_reader;

-- What such a row says never changes; it ends once. The column that ends it is the trigger's argument, and a second one.
CREATE FUNCTION row_ends_once() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF to_jsonb(NEW) - TG_ARGV IS DISTINCT FROM to_jsonb(OLD) - TG_ARGV OR to_jsonb(OLD) -> TG_ARGV[0] <> 'null'::jsonb THEN
        RAISE EXCEPTION 'row_ends_once: % %', TG_TABLE_NAME, OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER round_pause_ends_once BEFORE UPDATE ON returns_roundpause
    FOR EACH ROW EXECUTE FUNCTION row_ends_once('resumed_at', 'resumed_by_id');
CREATE TRIGGER cancellation_ends_once BEFORE UPDATE ON returns_cancellation
    FOR EACH ROW EXECUTE FUNCTION row_ends_once('done_at');
CREATE TRIGGER book_move_ends_once BEFORE UPDATE ON returns_bookmove
    FOR EACH ROW EXECUTE FUNCTION row_ends_once('closed_at');

-- --- Limits and windows ---------------------------------------------------------------------------
-- Narrower at once, by one person; wider only as two people signed it, and once.

CREATE FUNCTION pace_body(l returns_raillimit) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT '{"asset":' || to_json(coalesce((SELECT code FROM books_asset WHERE id = l.asset_id), ''))::text
        || ',"at_most":"' || l.at_most || '","kind":' || to_json(l.kind)::text || ',"rail":' || to_json(l.rail)::text
        || ',"seconds":"' || l.seconds || '"}'
$$;
CREATE FUNCTION pace_body(w returns_railwindow) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT '{"bank_days":"' || CASE WHEN w.bank_days THEN 'yes' ELSE 'no' END || '","closes":"' || to_char(w.closes, 'HH24:MI')
        || '","kind":"window","opens":"' || to_char(w.opens, 'HH24:MI') || '","rail":' || to_json(w.rail)::text || '}'
$$;

-- Signed by two people, for exactly this row of this case.
CREATE FUNCTION pace_is_signed(p_change bigint, p_case bigint, p_body text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM returns_pacechange c
        JOIN cases_approvalrequest a ON a.object_id = c.id AND a.case_id = c.case_id
        WHERE c.id = p_change AND c.case_id = p_case AND c.body = p_body AND c.sha256 = sha256(convert_to(c.body, 'UTF8'))
          AND a.act = 'returns.pace' AND a.state = 'granted' AND a.signers >= 2 AND a.content_sha256 = c.sha256)
$$;
CREATE UNIQUE INDEX pace_change_makes_one_limit ON returns_raillimit (change_id) WHERE change_id IS NOT NULL;
CREATE UNIQUE INDEX pace_change_makes_one_window ON returns_railwindow (change_id) WHERE change_id IS NOT NULL;

CREATE FUNCTION rail_is_widened_by_two_people() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wider boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('returns.limit.' || NEW.rail, NEW.case_id));
    IF TG_TABLE_NAME = 'returns_railwindow' THEN
        wider := EXISTS (SELECT FROM returns_railwindow w WHERE w.case_id = NEW.case_id AND w.rail = NEW.rail);
    ELSE
        wider := NEW.at_most > (
            SELECT l.at_most FROM returns_raillimit l
            WHERE l.case_id = NEW.case_id AND l.rail = NEW.rail AND l.kind = NEW.kind AND l.seconds = NEW.seconds
              AND l.asset_id IS NOT DISTINCT FROM NEW.asset_id
            ORDER BY l.id DESC LIMIT 1);
    END IF;
    IF (wider OR NEW.change_id IS NOT NULL) AND NOT pace_is_signed(NEW.change_id, NEW.case_id, pace_body(NEW)) THEN
        RAISE EXCEPTION 'rail_is_widened_by_two_people: %', NEW.rail USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rail_limit_is_widened_by_two_people BEFORE INSERT ON returns_raillimit
    FOR EACH ROW EXECUTE FUNCTION rail_is_widened_by_two_people();
CREATE TRIGGER rail_window_is_widened_by_two_people BEFORE INSERT ON returns_railwindow
    FOR EACH ROW EXECUTE FUNCTION rail_is_widened_by_two_people();

CREATE FUNCTION bank_is_open(p_day date) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT extract(isodow FROM p_day) < 6 AND to_char(p_day, 'MM-DD') NOT IN ('12-31', '01-01', '01-02', '01-03')
       AND NOT EXISTS (SELECT FROM returns_closedday c WHERE c.day = p_day)
$$;

-- When a rail of a case next opens, in Japan's time; NULL: it is open now, or keeps no hours.
CREATE FUNCTION rail_opens_at(p_case bigint, p_rail text, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    w returns_railwindow;
    day date := (p_at AT TIME ZONE 'Asia/Tokyo')::date;
    opens timestamptz;
BEGIN
    SELECT * INTO w FROM returns_railwindow WHERE case_id = p_case AND rail = p_rail ORDER BY id DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    LOOP
        IF NOT w.bank_days OR bank_is_open(day) THEN
            opens := (day + w.opens) AT TIME ZONE 'Asia/Tokyo';
            IF p_at < opens THEN
                RETURN opens;
            ELSIF p_at < (day + w.closes) AT TIME ZONE 'Asia/Tokyo' THEN
                RETURN NULL;
            END IF;
        END IF;
        day := day + 1;
    END LOOP;
END $$;

CREATE FUNCTION round_is_paused(p_round bigint) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM returns_roundpause p WHERE p.round_id = p_round AND p.resumed_at IS NULL)
$$;

-- Nothing of this batch is sent now: its rail's hours are over, or its round is paused.
CREATE FUNCTION batch_waits_for_its_time(p_batch bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT round_is_paused(b.round_id) OR rail_opens_at(b.case_id, b.rail, clock_timestamp()) IS NOT NULL
    FROM returns_batch b WHERE b.id = p_batch
$$;

-- --- The first few go first -------------------------------------------------------------------------

CREATE UNIQUE INDEX round_has_one_canary_on_a_rail ON returns_batch (round_id, rail)
    WHERE canary AND state NOT IN ('voided', 'closed');

CREATE FUNCTION batch_keeps_its_place() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.state = 'frozen' AND NEW.canary AND NEW.items > (SELECT o.canary FROM returns_round o WHERE o.id = NEW.round_id) THEN
        RAISE EXCEPTION 'canary_is_small: % has % returns', NEW.reference, NEW.items USING ERRCODE = '23514';
    END IF;
    -- Above the limit of what the usual signatures carry, one person more has signed: three at least.
    IF NEW.state = 'approved' AND EXISTS (
        SELECT FROM (
            SELECT DISTINCT ON (l.asset_id) a.code, l.at_most FROM returns_raillimit l JOIN books_asset a ON a.id = l.asset_id
            WHERE l.case_id = NEW.case_id AND l.rail = NEW.rail AND l.kind = 'sign' ORDER BY l.asset_id, l.id DESC
        ) cap
        WHERE (NEW.totals ->> cap.code)::numeric > cap.at_most
    ) AND NOT EXISTS (
        SELECT FROM cases_approvalrequest a
        WHERE a.case_id = NEW.case_id AND a.act = 'returns.batch' AND a.object_id = NEW.id AND a.state = 'granted'
          AND a.content_sha256 = NEW.manifest_sha256 AND a.signers >= 3
    ) THEN
        RAISE EXCEPTION 'large_batch_has_one_signature_more: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER batch_keeps_its_place BEFORE UPDATE OF state ON returns_batch
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION batch_keeps_its_place();

CREATE FUNCTION attempt_waits_for_the_canary() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    SELECT b.reference INTO wrong
    FROM returns_batch b JOIN returns_round o ON o.id = b.round_id
    WHERE b.id IN (SELECT batch_id FROM new_rows) AND (
        round_is_paused(o.id)
        OR o.canary > 0 AND NOT b.canary
           AND NOT EXISTS (SELECT FROM returns_goahead g WHERE g.round_id = o.id AND g.rail = b.rail));
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'attempt_waits_for_the_canary: %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER attempt_waits_for_the_canary AFTER INSERT ON returns_attempt
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attempt_waits_for_the_canary();

-- Going on: the canary is closed and at least one of its returns arrived.
CREATE FUNCTION canary_arrived() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM returns_batch b JOIN returns_attempt t ON t.batch_id = b.id
        WHERE b.id = NEW.canary_id AND b.canary AND b.round_id = NEW.round_id AND b.rail = NEW.rail AND b.state = 'closed'
          AND t.state = 'settled'
    ) THEN
        RAISE EXCEPTION 'canary_arrived: of round % on %', NEW.round_id, NEW.rail USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER canary_arrived BEFORE INSERT ON returns_goahead FOR EACH ROW EXECUTE FUNCTION canary_arrived();

-- --- Carried forward, taken back ----------------------------------------------------------------------

-- What a round carries forward is said while it is scheduled, of its own case, and before the line has a return in it.
CREATE FUNCTION carried_is_said_at_the_beginning() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_rows n JOIN returns_round o ON o.id = n.round_id
        LEFT JOIN register_claimline l ON l.id = n.claim_line_id AND l.case_id = o.case_id AND l.asset_id = n.asset_id
        WHERE o.scheduled_at IS NOT NULL OR l.id IS NULL
    ) THEN
        RAISE EXCEPTION 'carried_is_said_at_the_beginning of its round' USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER carried_is_said_at_the_beginning AFTER INSERT ON returns_carried
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION carried_is_said_at_the_beginning();

-- A return is cancelled with its round once, while that cancellation is carried out.
CREATE FUNCTION return_is_cancelled_with_its_round() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.cancellation_id IS DISTINCT FROM OLD.cancellation_id AND (
        OLD.cancellation_id IS NOT NULL OR OLD.state NOT IN ('scheduled', 'held') OR NEW.state <> 'cancelled'
        OR NOT EXISTS (
            SELECT FROM returns_cancellation c
            WHERE c.id = NEW.cancellation_id AND c.round_id = NEW.round_id AND c.done_at IS NULL)
    ) THEN
        RAISE EXCEPTION 'return_is_cancelled_with_its_round: %', NEW.reference USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER return_is_cancelled_with_its_round BEFORE UPDATE OF cancellation_id ON returns_assetreturn
    FOR EACH ROW EXECUTE FUNCTION return_is_cancelled_with_its_round();

-- Which claims are of one person, as far as minimums go: by the links of the name aggregation as they were frozen, and
-- by the identity of the claimant where there is none.
CREATE FUNCTION returns_person(p_case bigint, p_as_of bigint) RETURNS TABLE (claim_id bigint, person text)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT c.id, coalesce('person ' || g.person_id, 'customer ' || w.identity_id)
    FROM register_claim c
    JOIN register_claimant w ON w.id = c.claimant_id
    LEFT JOIN ledger_person_of(p_case, p_as_of) g ON g.identity_id = w.identity_id
    WHERE c.case_id = p_case
$$;
