-- The claims register: what the database itself refuses.

-- --- Structure the models cannot say ---------------------------------------------------------------

-- Every part of a line is of the line's case. Its asset and its decision are looked at set-based when it begins
-- and when it changes (below): there are few of them, they are never deleted, and a foreign key would ask for
-- each row.
ALTER TABLE register_claimline
    ADD CONSTRAINT claim_line_is_of_the_case_of_its_claim
        FOREIGN KEY (claim_id, case_id) REFERENCES register_claim (id, case_id);

-- "T-1-C0000012-7": the number of an account's row among the accounts handed over, so that it comes out
-- the same however often the work was interrupted; then Damm's check digit, which catches every single
-- wrong digit and every two neighbours swapped.
CREATE FUNCTION claim_number(reference text, natural_order bigint) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    digits CONSTANT text := lpad(natural_order::text, greatest(7, length(natural_order::text)), '0');
    quasigroup CONSTANT text := '0317598642709215486342068713591750983426612304597836742095815869720134894536201794386172052581436790';
    interim integer := 0;
BEGIN
    FOR i IN 1 .. length(digits) LOOP
        interim := substr(quasigroup, 10 * interim + substr(digits, i, 1)::integer + 1, 1)::integer;
    END LOOP;
    RETURN reference || '-C' || digits || '-' || interim;
END $$;

-- --- Claims, lines, decisions ------------------------------------------------------------------------

CREATE TRIGGER claim_is_kept BEFORE DELETE OR TRUNCATE ON register_claim
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER claim_line_is_kept BEFORE DELETE OR TRUNCATE ON register_claimline
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER claimant_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_claimant
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decision_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- EXECUTE, and no LIMIT: a plan kept from a statement of one row, or made for the first row alone, would join old
-- and new row by row, which is square in the rows of a statement of many.
-- A line's quantities change by a decision made for it, and by nothing else. `excess` is what was given
-- above what the line is still admitted for: it follows from the position.
CREATE FUNCTION claim_line_changes_by_decision() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
BEGIN
    EXECUTE $q$
    SELECT min(coalesce(n.id, o.id)) FROM old_lines o FULL JOIN new_lines n USING (id)
    WHERE (o.id, o.case_id, o.claim_id, o.asset_id, o.claim_class, o.recorded)
        IS DISTINCT FROM (n.id, n.case_id, n.claim_id, n.asset_id, n.claim_class, n.recorded)
       -- What came in after the cut-off is what the exchange booked: no dispute and no decision makes it another.
       OR o.claim_class = 'after_cutoff' AND (o.corrected, o.lodged, o.admitted, o.disputed, o.rejected, o.out_of_scope, o.decision_id)
        IS DISTINCT FROM (n.corrected, n.lodged, n.admitted, n.disputed, n.rejected, n.out_of_scope, n.decision_id)
    $q$ INTO wrong;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'claim_line_keeps_what_was_recorded: line %', wrong USING ERRCODE = '23001';
    END IF;
    EXECUTE $q$
    SELECT min(n.id) FROM old_lines o JOIN new_lines n USING (id)
    LEFT JOIN register_decision d ON d.id = n.decision_id AND d.claim_line_id = n.id AND d.case_id = n.case_id
        AND d.admitted = n.admitted AND d.rejected = n.rejected
    WHERE (o.corrected, o.admitted, o.rejected, o.out_of_scope, o.decision_id)
        IS DISTINCT FROM (n.corrected, n.admitted, n.rejected, n.out_of_scope, n.decision_id)
      AND (d.id IS NULL OR n.decision_id <= o.decision_id)
    $q$ INTO wrong;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'claim_line_changes_by_decision: line % has no new decision that says this', wrong
            USING ERRCODE = '23514';
    END IF;
    EXECUTE $q$
    SELECT min(n.id) FROM old_lines o JOIN new_lines n USING (id) JOIN register_position p ON p.claim_line_id = n.id
    WHERE (o.admitted, o.converted_in, o.converted_out, o.excess)
        IS DISTINCT FROM (n.admitted, n.converted_in, n.converted_out, n.excess)
      AND n.excess <> greatest(0, p.given + n.converted_out - n.admitted - n.converted_in)
    $q$ INTO wrong;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'claim_line_excess_is_what_was_given_above_it: line %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER claim_line_changes_by_decision AFTER UPDATE ON register_claimline
    REFERENCING OLD TABLE AS old_lines NEW TABLE AS new_lines
    FOR EACH STATEMENT EXECUTE FUNCTION claim_line_changes_by_decision();

-- A new line stands as its decision says: by a rule over many, or admitted exactly as decided.
CREATE FUNCTION claim_line_begins_by_decision() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
BEGIN
    SELECT n.decision_id INTO wrong FROM (SELECT DISTINCT decision_id, case_id FROM opened) n
    WHERE NOT EXISTS (
        SELECT FROM register_decision d WHERE d.id = n.decision_id AND d.case_id = n.case_id AND d.rule <> ''
    );
    IF FOUND THEN
        RAISE EXCEPTION 'claim_line_begins_by_a_rule_of_its_case: decision %', wrong USING ERRCODE = '23503';
    END IF;
    SELECT n.asset_id INTO wrong FROM (SELECT DISTINCT asset_id, case_id FROM opened) n
    WHERE NOT EXISTS (SELECT FROM books_asset a WHERE a.id = n.asset_id AND a.case_id = n.case_id);
    IF FOUND THEN
        RAISE EXCEPTION 'claim_line_is_of_the_case_of_its_asset: asset %', wrong USING ERRCODE = '23503';
    END IF;
    SELECT n.id INTO wrong FROM opened n
    WHERE n.lodged <> 0 OR n.excess <> 0 OR n.converted_in <> 0 OR n.converted_out <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'claim_line_begins_as_recorded: line %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER claim_line_begins_by_decision AFTER INSERT ON register_claimline
    REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION claim_line_begins_by_decision();

-- A dispute ends with a decision of its own line, once.
CREATE FUNCTION dispute_ends_with_a_decision_of_its_line() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF OLD.decision_id IS NOT NULL
        OR (to_jsonb(NEW) - 'decision_id') IS DISTINCT FROM (to_jsonb(OLD) - 'decision_id')
        OR NOT EXISTS (SELECT FROM register_decision d WHERE d.id = NEW.decision_id AND d.claim_line_id = NEW.claim_line_id)
    THEN
        RAISE EXCEPTION 'dispute_ends_with_a_decision_of_its_line: dispute %', NEW.id USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dispute_ends_with_a_decision_of_its_line BEFORE UPDATE ON register_dispute
    FOR EACH ROW EXECUTE FUNCTION dispute_ends_with_a_decision_of_its_line();
CREATE TRIGGER dispute_is_kept BEFORE DELETE OR TRUNCATE ON register_dispute
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A claim is confirmed once, and says nothing else new.
CREATE FUNCTION claim_is_confirmed_once() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF OLD.confirmed_at IS NOT NULL
        OR (to_jsonb(NEW) - 'confirmed_at' - 'confirmed_how') IS DISTINCT FROM (to_jsonb(OLD) - 'confirmed_at' - 'confirmed_how')
    THEN
        RAISE EXCEPTION 'claim_is_confirmed_once: claim %', OLD.number USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER claim_is_confirmed_once BEFORE UPDATE ON register_claim
    FOR EACH ROW EXECUTE FUNCTION claim_is_confirmed_once();

-- A hold is lifted once; nothing else of it changes, but for the date of the next look.
CREATE FUNCTION hold_is_lifted_once() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF OLD.lifted_at IS NOT NULL
        OR (to_jsonb(NEW) - 'lifted_at' - 'lifted_by_id' - 'lift_reason' - 'next_look')
            IS DISTINCT FROM (to_jsonb(OLD) - 'lifted_at' - 'lifted_by_id' - 'lift_reason' - 'next_look')
    THEN
        RAISE EXCEPTION 'hold_is_lifted_once: hold %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hold_is_lifted_once BEFORE UPDATE ON register_hold
    FOR EACH ROW EXECUTE FUNCTION hold_is_lifted_once();
CREATE TRIGGER hold_is_kept BEFORE DELETE OR TRUNCATE ON register_hold
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --- After the cut-off ---------------------------------------------------------------------------------

-- What came in after the cut-off and has no line of its own yet, per asset: it is in no pool. What nobody can be given yet
-- (an account that nobody lists, or of the exchange's own people) is in none either; the exchange's own money may be.
CREATE FUNCTION register_apart_after_cutoff(p_case bigint) RETURNS TABLE (asset_id bigint, units numeric)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET enable_nestloop = on AS $$
    SELECT n.asset_id, sum(n.net) FROM ledger_after_cutoff(p_case) n
    WHERE n.why IN ('', 'not_listed', 'insider') AND NOT EXISTS (
        SELECT FROM register_claim c JOIN register_claimline l ON l.claim_id = c.id
        WHERE c.ledger_account_id = n.ledger_account_id AND c.kind = 'scheduled' AND l.asset_id = n.asset_id
          AND l.claim_class = 'after_cutoff' AND l.recorded > 0)
    GROUP BY n.asset_id
$$;

-- --- Transfers ---------------------------------------------------------------------------------------

-- All that is transferred of one claim is at most the whole, and nothing of it is on its way. The claim's
-- row keeps two transfers apart, its positions' rows a transfer and a move.
CREATE FUNCTION transfer_is_of_what_is_there() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    num numeric := 0;
    den numeric := 1;
    t record;
BEGIN
    PERFORM 1 FROM register_claim WHERE id = NEW.parent_id FOR NO KEY UPDATE;
    PERFORM 1 FROM register_position p JOIN register_claimline l ON l.id = p.claim_line_id
        WHERE l.claim_id = NEW.parent_id ORDER BY p.claim_line_id FOR NO KEY UPDATE OF p;
    FOR t IN SELECT fraction_num, fraction_den FROM register_transfer WHERE parent_id = NEW.parent_id LOOP
        num := num * t.fraction_den + t.fraction_num * den;
        den := den * t.fraction_den;
    END LOOP;
    IF num > den THEN
        RAISE EXCEPTION 'transfers_of_a_claim_are_at_most_the_whole: claim %', NEW.parent_id USING ERRCODE = '23514';
    END IF;
    PERFORM 1 FROM register_position p JOIN register_claimline l ON l.id = p.claim_line_id
        WHERE l.claim_id = NEW.parent_id AND p.scheduled + p.in_flight > 0;
    IF FOUND THEN
        RAISE EXCEPTION 'nothing_is_transferred_while_a_return_is_scheduled_or_in_flight: claim %', NEW.parent_id
            USING ERRCODE = '23514';
    END IF;
    IF NOT EXISTS (
        SELECT FROM register_claim c WHERE c.id = NEW.child_id AND c.parent_id = NEW.parent_id AND c.kind = 'child'
            AND (c.fraction_num, c.fraction_den) = (NEW.fraction_num, NEW.fraction_den)
    ) THEN
        RAISE EXCEPTION 'transfer_opens_a_child_with_its_fraction: claim %', NEW.child_id USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_is_of_what_is_there AFTER INSERT ON register_transfer
    FOR EACH ROW EXECUTE FUNCTION transfer_is_of_what_is_there();
CREATE TRIGGER transfer_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --- Positions: moved by positions_move only -----------------------------------------------------

-- Each line opens its position by itself, so that a claim without one cannot be.
CREATE FUNCTION claim_line_opens_its_position() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO register_position (claim_line_id, case_id, asset_id, given, scheduled, in_flight, settled, deposited)
    SELECT id, case_id, asset_id, 0, 0, 0, 0, 0 FROM opened;
    RETURN NULL;
END $$;
CREATE TRIGGER claim_line_opens_its_position AFTER INSERT ON register_claimline
    REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION claim_line_opens_its_position();

-- A position moves four times on its way. Half of each page is free, so that it stays on it (HOT).
ALTER TABLE register_position SET (fillfactor = 50);

CREATE TRIGGER position_is_kept BEFORE DELETE OR TRUNCATE ON register_position
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER move_kind_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_movekind
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER move_key_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_movekey
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Moves the positions of some lines of one case and posts one entry with their sums, in one transaction.
-- Order: the key, the positions by line number, the entry. So two calls never wait for each other in a
-- circle. False: this very move was made before. `p_ref` names the suspense, for the kind that has one.
CREATE FUNCTION positions_move(
    p_case_id bigint, p_kind text, p_key text, p_lines bigint[], p_amounts numeric[],
    p_subject_kind text, p_subject_id text, p_by text, p_at timestamptz, p_ref text DEFAULT ''
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET random_page_cost = 1.1 AS $$  -- by their keys: at the usual price every claim of the case would be read for each chunk
DECLARE
    k register_movekind;
    n integer := coalesce(cardinality(p_lines), 0);
    body bytea;
    earlier bytea;
    new_key bigint;
    moved bigint;
    assets bigint[];
    sums numeric[];
    wrong text;
BEGIN
    SELECT * INTO k FROM register_movekind WHERE kind = p_kind;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'positions_move: there is no kind of move "%"', p_kind USING ERRCODE = '23503';
    END IF;
    IF coalesce(p_key, '') = '' THEN
        RAISE EXCEPTION 'positions_move: a move needs a key' USING ERRCODE = '23514';
    END IF;
    IF n = 0 OR n > 5000 OR n <> coalesce(cardinality(p_amounts), 0) THEN
        RAISE EXCEPTION 'positions_move: a move takes one to 5000 lines and an amount for each, not % and %',
            n, coalesce(cardinality(p_amounts), 0) USING ERRCODE = '23514';
    END IF;
    -- NaN and Infinity are greater than any number, fractions would be rounded silently: both are refused here.
    SELECT format('line %s, amount %s', line, coalesce(amount::text, 'none')) INTO wrong
    FROM unnest(p_lines, p_amounts) AS m (line, amount)
    WHERE line IS NULL OR amount IS NULL OR amount IN ('NaN', 'Infinity', '-Infinity') OR amount <= 0
       OR amount <> trunc(amount)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'positions_move: each amount is a whole number above zero (%)', wrong USING ERRCODE = '23514';
    END IF;
    IF (SELECT count(DISTINCT line) FROM unnest(p_lines) AS line) <> n THEN
        RAISE EXCEPTION 'positions_move: a line is listed twice' USING ERRCODE = '23514';
    END IF;

    body := sha256(
        frame(p_kind) || frame(p_ref) || frame(p_subject_kind) || frame(p_subject_id) || frame(
            (SELECT string_agg(line || ':' || trunc(amount), ',' ORDER BY line) FROM unnest(p_lines, p_amounts) AS m (line, amount))
        )
    );
    INSERT INTO register_movekey (case_id, key, kind, body_sha256, rows) VALUES (p_case_id, p_key, p_kind, body, n)
    ON CONFLICT (case_id, key) DO NOTHING
    RETURNING id INTO new_key;
    IF new_key IS NULL THEN
        SELECT body_sha256 INTO earlier FROM register_movekey WHERE case_id = p_case_id AND key = p_key;
        IF earlier IS DISTINCT FROM body THEN
            RAISE EXCEPTION 'move_key_moves_once: the key "%" was used for another move', p_key USING ERRCODE = '23505';
        END IF;
        RETURN false;
    END IF;

    PERFORM 1 FROM register_position WHERE claim_line_id = ANY (p_lines) ORDER BY claim_line_id FOR NO KEY UPDATE;
    WITH moves AS (
        UPDATE register_position p SET
            given = p.given + k.given * m.amount,
            scheduled = p.scheduled + k.scheduled * m.amount,
            in_flight = p.in_flight + k.in_flight * m.amount,
            settled = p.settled + k.settled * m.amount,
            deposited = p.deposited + k.deposited * m.amount
        FROM unnest(p_lines, p_amounts) AS m (line, amount)
        WHERE p.claim_line_id = m.line AND p.case_id = p_case_id
        RETURNING p.asset_id, m.amount
    ), per_asset AS (
        SELECT asset_id, sum(amount) AS total, count(*) AS n FROM moves GROUP BY asset_id
    )
    SELECT array_agg(asset_id ORDER BY asset_id), array_agg(total ORDER BY asset_id), coalesce(sum(s.n), 0)
    INTO assets, sums, moved FROM per_asset s;
    IF moved <> n THEN
        RAISE EXCEPTION 'positions_move: % of % lines are not of this case', n - moved, n USING ERRCODE = '23503';
    END IF;

    -- A decision that lowers a line waits here for us, or we for it: then what follows sees its figures.
    IF k.given <> 0 THEN
        PERFORM 1 FROM register_claimline WHERE id = ANY (p_lines) ORDER BY id FOR SHARE;
    END IF;
    IF k.given > 0 THEN
        SELECT c.number INTO wrong
        FROM register_position p JOIN register_claimline l ON l.id = p.claim_line_id JOIN register_claim c ON c.id = l.claim_id
        WHERE p.claim_line_id = ANY (p_lines) AND p.given + l.converted_out > l.admitted + l.converted_in + l.excess
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'nothing_is_given_above_what_is_admitted: claim %', wrong USING ERRCODE = '23514';
        END IF;
    ELSIF k.given < 0 THEN
        -- What was given of it goes back to no pool; a forced sale that was signed turns it into money of the same claim.
        IF EXISTS (
            SELECT FROM unnest(p_lines, p_amounts) AS taken (line, units) JOIN register_claimline l ON l.id = taken.line
            WHERE l.claim_class = 'after_cutoff' AND NOT EXISTS (
                SELECT FROM returns_saleshare h JOIN returns_forcedsale s ON s.id = h.sale_id
                WHERE p_subject_kind = 'forcedsale' AND s.id::text = p_subject_id AND s.state = 'approved'
                  AND h.claim_line_id = l.id AND h.quantity = taken.units)
        ) THEN
            RAISE EXCEPTION 'what_came_after_the_cut_off_is_not_taken_back' USING ERRCODE = '23514';
        END IF;
        UPDATE register_claimline l
        SET excess = greatest(0, p.given + l.converted_out - l.admitted - l.converted_in)
        FROM register_position p
        WHERE p.claim_line_id = l.id AND l.id = ANY (p_lines) AND l.excess > 0;
    END IF;

    IF k.entry_kind_id IS NOT NULL AND books_enter(
        p_case_id, k.entry_kind_id, p_key, assets, sums, p_ref, p_subject_kind, p_subject_id, p_by, p_at
    ) IS NULL THEN
        RAISE EXCEPTION 'entry_key_posts_once: the key "%" was used in the books before this move', p_key
            USING ERRCODE = '23505';
    END IF;
    RETURN true;
END $$;

-- Whoever decides a line locks its position first, as a move does: then neither waits for the other in a circle,
-- and what was given stays while it is decided. Locks, and changes nothing.
CREATE FUNCTION positions_lock(p_lines bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET random_page_cost = 1.1 AS $$  -- by their keys, as positions_move
BEGIN
    PERFORM 1 FROM register_position WHERE claim_line_id = ANY (p_lines) ORDER BY claim_line_id FOR NO KEY UPDATE;
END $$;

-- Tell the planner what has come, right after it came: the next step begins at once.
CREATE FUNCTION register_analyze() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    ANALYZE public.register_claimant, public.register_claim, public.register_claimline, public.register_position;
END $$;

-- --- Rights ------------------------------------------------------------------------------------------

REVOKE INSERT, UPDATE, DELETE ON register_position, register_movekind, register_movekey FROM henkan_app;
REVOKE UPDATE, DELETE ON
    register_claimant, register_claim, register_claimline, register_decision, register_dispute, register_hold,
    register_transfer, register_defect
    FROM henkan_app;
GRANT UPDATE (confirmed_at, confirmed_how) ON register_claim TO henkan_app;
GRANT UPDATE (corrected, lodged, admitted, disputed, rejected, out_of_scope, excess, decision_id) ON register_claimline TO henkan_app;
GRANT UPDATE (decision_id) ON register_dispute TO henkan_app;
GRANT UPDATE (next_look, lifted_by_id, lifted_at, lift_reason) ON register_hold TO henkan_app;
GRANT UPDATE (cured_at) ON register_defect TO henkan_app;
-- Some holds must not be known: not for auditors' queries.
REVOKE SELECT ON register_hold FROM henkan_reader;

INSERT INTO register_movekind (kind, given, scheduled, in_flight, settled, deposited, entry_kind_id) VALUES
    ('declare',     1,  0,  0,  0, 0, 'declare'),
    ('withdraw',   -1,  0,  0,  0, 0, 'withdraw'),
    ('schedule',    0,  1,  0,  0, 0, NULL),
    ('unschedule',  0, -1,  0,  0, 0, NULL),
    ('take',        0, -1,  1,  0, 0, 'take'),
    ('void',        0,  1, -1,  0, 0, 'void'),
    ('settle',      0,  0, -1,  1, 0, 'settle'),
    ('bounce',      0,  0,  0, -1, 0, 'bounce'),
    ('identify',    0,  0,  0, -1, 0, 'identify_entitled'),  -- money in suspense turns out to be a return that came back
    ('deposit',     0,  0,  0,  0, 1, 'deposit'),
    ('net',         0,  0,  0,  1, 0, 'net');
-- Deferred checks of these rows now: later statements of this migration alter the tables.
SET CONSTRAINTS ALL IMMEDIATE;
