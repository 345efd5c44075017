-- The claims register: what the database itself refuses.

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

CREATE TRIGGER position_is_kept BEFORE DELETE OR TRUNCATE ON register_position
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER move_kind_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_movekind
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER move_key_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON register_movekey
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Moves the positions of some lines of one case and posts one entry with their sums, in one transaction.
-- Order: the key, the positions by line number, the entry. So two calls never wait for each other in a
-- circle. False: this very move was made before.
CREATE FUNCTION positions_move(
    p_case_id bigint, p_kind text, p_key text, p_lines bigint[], p_amounts numeric[],
    p_subject_kind text, p_subject_id text, p_by text, p_at timestamptz
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
        frame(p_kind) || frame(p_subject_kind) || frame(p_subject_id) || frame(
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

    IF k.given > 0 THEN
        SELECT c.number INTO wrong
        FROM register_position p JOIN register_claimline l ON l.id = p.claim_line_id JOIN register_claim c ON c.id = l.claim_id
        WHERE p.claim_line_id = ANY (p_lines) AND p.given + l.converted_out > l.admitted + l.converted_in + l.excess
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'nothing_is_given_above_what_is_admitted: claim %', wrong USING ERRCODE = '23514';
        END IF;
    ELSIF k.given < 0 THEN
        UPDATE register_claimline l
        SET excess = greatest(0, p.given + l.converted_out - l.admitted - l.converted_in)
        FROM register_position p
        WHERE p.claim_line_id = l.id AND l.id = ANY (p_lines) AND l.excess > 0;
    END IF;

    IF k.entry_kind_id IS NOT NULL AND books_enter(
        p_case_id, k.entry_kind_id, p_key, assets, sums, '', p_subject_kind, p_subject_id, p_by, p_at
    ) IS NULL THEN
        RAISE EXCEPTION 'entry_key_posts_once: the key "%" was used in the books before this move', p_key
            USING ERRCODE = '23505';
    END IF;
    RETURN true;
END $$;

REVOKE INSERT, UPDATE, DELETE ON register_position, register_movekind, register_movekey FROM henkan_app;

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
