-- What the database itself refuses in the record, and the helpers every later room shares.

-- --- helpers of all rooms ---------------------------------------------------------------------

-- For tables whose rows are history. Speaks for the owner too; a superuser who switches triggers off
-- is not prevented but detected (signed heads).
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'append only: % on %', TG_OP, TG_TABLE_NAME USING ERRCODE = '23001';
END
$$;

-- One field of a canonical encoding: four bytes of length, then UTF-8. Concatenated frames can be taken
-- apart again in one way only. NULL has a length no text can have. (Text becomes bytes by way of the escape
-- format because convert_to() is not immutable and could not stand in an index; the database is in UTF-8.)
CREATE FUNCTION frame(field text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(int4send(octet_length(field)) || decode(replace(field, '\', '\\'), 'escape'), '\xffffffff'::bytea);

-- An instant as whole microseconds since 1970 in UTC, whatever the session's time zone.
CREATE FUNCTION micros(instant timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN trunc(extract(epoch FROM instant - '1970-01-01 00:00:00+00'::timestamptz) * 1000000)::text;

-- --- events -----------------------------------------------------------------------------------

-- The canonical encoding of an event under SHA-256. The same rules stand in encoding.py; tests/record/vectors.json
-- holds both to the same results.
CREATE FUNCTION record_leaf(event record_event) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(
    '\x00'::bytea || frame('henkan-event/1')
    || int8send((event).number) || timestamptz_send((event).at) || timestamptz_send((event).recorded_at)
    || frame((event).case_reference) || frame((event).kind) || frame((event).subject_kind)
    || frame((event).subject_id) || frame((event).by) || frame((event).body)
);

CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON record_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON record_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whoever inserts events, by whatever way: their numbers follow the last one without gap or repeat. The
-- counter's row lock lasts until commit, so numbers are given in the order of commits.
CREATE FUNCTION record_count() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    added record;
BEGIN
    FOR added IN
        SELECT case_id, case_reference, min(number) AS lowest, max(number) AS highest, count(*) AS many
        FROM new_events GROUP BY case_id, case_reference ORDER BY case_id, case_reference
    LOOP
        INSERT INTO record_counter (case_id, case_reference, last) VALUES (added.case_id, added.case_reference, 0)
        ON CONFLICT DO NOTHING;
        UPDATE record_counter SET last = added.highest
        WHERE case_id = added.case_id AND case_reference = added.case_reference
          AND last = added.lowest - 1 AND added.highest - added.lowest + 1 = added.many;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'event numbers have no gap and no repeat: case %, numbers % to %',
                added.case_reference, added.lowest, added.highest USING ERRCODE = '23514';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER event_numbers_have_no_gap_and_no_repeat AFTER INSERT ON record_event
    REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION record_count();

-- The number of the case's last event, its counter locked until commit. (No conflict target: of two first acts at
-- once the second may meet the first's reference before its id.)
CREATE FUNCTION record_lock(of_case bigint, reference text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    counted record_counter;
BEGIN
    SELECT * INTO counted FROM record_counter WHERE case_id = of_case FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO record_counter (case_id, case_reference, last) VALUES (of_case, reference, 0) ON CONFLICT DO NOTHING;
        SELECT * INTO counted FROM record_counter WHERE case_id = of_case FOR UPDATE;
    END IF;
    IF counted.case_reference IS DISTINCT FROM reference THEN
        RAISE EXCEPTION 'a case keeps its reference and no other has it: case %, reference %', of_case, reference
            USING ERRCODE = '23514';
    END IF;
    RETURN counted.last;
END
$$;

-- The last statement of every act.
CREATE FUNCTION record_append(
    case_id bigint, case_reference text, kind text, subject_kind text, subject_id text, by text, at timestamptz, body text
) RETURNS record_event LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    previous bigint;
    appended record_event;
BEGIN
    previous := record_lock(record_append.case_id, record_append.case_reference);
    INSERT INTO record_event AS e (case_id, case_reference, number, kind, subject_kind, subject_id, by, at, body)
    VALUES (record_append.case_id, record_append.case_reference, previous + 1, record_append.kind,
            record_append.subject_kind, record_append.subject_id, record_append.by, record_append.at, record_append.body)
    RETURNING e.* INTO appended;
    RETURN appended;
END
$$;

-- Many events of one kind at once, in the order given. Returns how many.
CREATE FUNCTION record_append_many(
    case_id bigint, case_reference text, kind text, subject_kind text, subject_ids text[], by text, at timestamptz,
    bodies text[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    previous bigint;
    many bigint;
BEGIN
    previous := record_lock(record_append_many.case_id, record_append_many.case_reference);
    INSERT INTO record_event (case_id, case_reference, number, kind, subject_kind, subject_id, by, at, body)
    SELECT record_append_many.case_id, record_append_many.case_reference, previous + ordinality, record_append_many.kind,
           record_append_many.subject_kind, subject_id, record_append_many.by, record_append_many.at, body
    FROM unnest(subject_ids, bodies) WITH ORDINALITY AS given (subject_id, body);
    GET DIAGNOSTICS many = ROW_COUNT;
    RETURN many;
END
$$;

-- --- the counter ------------------------------------------------------------------------------

CREATE TRIGGER counter_not_deleted BEFORE DELETE ON record_counter
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER counter_not_truncated BEFORE TRUNCATE ON record_counter
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Also for the owner: the counter speaks of events that are there.
CREATE FUNCTION record_counter_follows_its_events() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.last = 0 THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.case_id = OLD.case_id AND NEW.case_reference = OLD.case_reference
       AND NEW.last > OLD.last
       AND EXISTS (SELECT FROM record_event e WHERE e.case_id = NEW.case_id AND e.number = NEW.last) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the counter moves only with the events it counts: case %', NEW.case_reference
        USING ERRCODE = '23001';
END
$$;
CREATE TRIGGER counter_follows_its_events BEFORE INSERT OR UPDATE ON record_counter
    FOR EACH ROW EXECUTE FUNCTION record_counter_follows_its_events();

-- --- seals ------------------------------------------------------------------------------------

CREATE TRIGGER leaves_append_only BEFORE UPDATE OR DELETE ON record_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER leaves_not_truncated BEFORE TRUNCATE ON record_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER head_append_only BEFORE UPDATE OR DELETE ON record_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER head_not_truncated BEFORE TRUNCATE ON record_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Leaves follow one another without gap, and speak of events that are there. They do not compress.
ALTER TABLE record_leaves ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE FUNCTION record_leaves_follow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    so_far bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('record seal', NEW.case_id));
    SELECT l.first + octet_length(l.hashes) / 32 - 1 INTO so_far
    FROM record_leaves l WHERE l.case_id = NEW.case_id ORDER BY l.first DESC LIMIT 1;
    IF NEW.first <> coalesce(so_far, 0) + 1 OR octet_length(NEW.hashes) % 32 <> 0 OR octet_length(NEW.hashes) = 0
       OR NOT EXISTS (SELECT FROM record_counter c WHERE c.case_id = NEW.case_id
                      AND c.last >= NEW.first + octet_length(NEW.hashes) / 32 - 1) THEN
        RAISE EXCEPTION 'leaves follow one another and speak of events that are there: case %, from %',
            NEW.case_id, NEW.first USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER leaves_follow_one_another BEFORE INSERT ON record_leaves
    FOR EACH ROW EXECUTE FUNCTION record_leaves_follow();

-- A head speaks of leaves that are there, and heads only grow. The lock keeps two sealers apart.
CREATE FUNCTION record_head_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('record seal', NEW.case_id));
    IF NOT EXISTS (SELECT FROM record_counter c WHERE c.case_id = NEW.case_id
                   AND c.case_reference = NEW.case_reference AND c.last >= NEW.size)
       OR NOT EXISTS (SELECT FROM record_leaves l WHERE l.case_id = NEW.case_id
                      AND l.first + octet_length(l.hashes) / 32 - 1 = NEW.size) THEN
        RAISE EXCEPTION 'a head seals events that are there: case %, size %', NEW.case_reference, NEW.size
            USING ERRCODE = '23514';
    END IF;
    IF EXISTS (SELECT FROM record_head h WHERE h.case_id = NEW.case_id AND h.size >= NEW.size) THEN
        RAISE EXCEPTION 'a head is larger than the one before: case %, size %', NEW.case_reference, NEW.size
            USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER head_follows_the_last BEFORE INSERT ON record_head
    FOR EACH ROW EXECUTE FUNCTION record_head_follows();

-- --- who may do what --------------------------------------------------------------------------

-- Events come in through record_append and record_append_many only; the counter moves with them.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON record_event, record_counter FROM henkan_app;
REVOKE UPDATE, DELETE, TRUNCATE ON record_leaves, record_head FROM henkan_app;
REVOKE EXECUTE ON FUNCTION record_lock(bigint, text), record_count(), record_counter_follows_its_events(),
    record_leaves_follow(), record_head_follows() FROM henkan_app;
