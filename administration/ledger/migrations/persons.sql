-- Name aggregation (nayose): which customers of the ledger are one person. What a machine may link is decided here, not
-- by the program that proposes: the birth or founding date is known and the same, no person has said otherwise, and
-- whatever a person decided stays.

-- Trigrams, in a schema of their own: their functions are anybody's who may use the schema.
CREATE SCHEMA IF NOT EXISTS trgm;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA trgm;
GRANT USAGE ON SCHEMA trgm TO henkan_app;

-- --- the workshop of a run --------------------------------------------------------------------

-- Names and particulars folded for likening, and under which keys each customer is filed. Not logged: after a crash of the
-- server they are empty, and the run sees that and folds again. Emptied when a run is done: they are personal data.
CREATE UNLOGGED TABLE ledger_folded (
    aggregation bigint NOT NULL, identity bigint NOT NULL, kind text NOT NULL, kana text NOT NULL, sound text NOT NULL,
    latin text NOT NULL, written text NOT NULL, form text NOT NULL, born date, phone text NOT NULL, email text NOT NULL,
    postcode text NOT NULL, place text NOT NULL, corporate_number text NOT NULL, nationality text NOT NULL,
    for_others boolean NOT NULL, keys bigint[] NOT NULL, PRIMARY KEY (aggregation, identity)
);
CREATE UNLOGGED TABLE ledger_filed (
    aggregation bigint NOT NULL, key bigint NOT NULL, identity bigint NOT NULL, PRIMARY KEY (aggregation, key, identity)
);

CREATE FUNCTION ledger_analyze_folded() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    ANALYZE public.ledger_folded, public.ledger_filed;
END
$$;

-- Empty the workshop of a run: at once where it is the only one, row by row where another case's is under way.
CREATE FUNCTION ledger_clear_folded(asked bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    LOCK TABLE ledger_folded, ledger_filed IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM ledger_aggregation WHERE state = 'running' AND id <> asked) THEN
        DELETE FROM ledger_filed WHERE aggregation = asked;
        DELETE FROM ledger_folded WHERE aggregation = asked;
    ELSE
        TRUNCATE ledger_folded, ledger_filed;
    END IF;
END
$$;

-- --- one at a time ----------------------------------------------------------------------------

-- Whoever links, decides or freezes in a case does so one after the other. An act takes this first.
CREATE FUNCTION ledger_persons_in_turn(asked bigint) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT pg_advisory_xact_lock(1346720339, (asked % 2147483647)::int)
$$;

-- --- who is whom ------------------------------------------------------------------------------

-- Each customer's person: now, or as of the link with that id. A customer without a link is a person alone, and not here.
CREATE FUNCTION ledger_person_of(asked bigint, as_of bigint DEFAULT 9223372036854775807)
RETURNS TABLE (identity_id bigint, person_id bigint) LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT l.identity_id, l.person_id FROM ledger_personlink l
    WHERE l.case_id = asked AND l.id <= as_of
      AND NOT EXISTS (SELECT FROM ledger_personlink later WHERE later.follows_id = l.id AND later.id <= as_of)
$$;

-- What a frozen grouping says, as one hash: every linked customer with its person, in natural keys.
CREATE FUNCTION ledger_grouping_sha256(asked bigint, as_of bigint) RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256(coalesce(string_agg(frame(p.number::text) || frame(i.customer_ref), ''::bytea
                                      ORDER BY p.number, i.customer_ref COLLATE "C"), ''::bytea))
    FROM ledger_person_of(asked, as_of) now
    JOIN ledger_person p ON p.id = now.person_id JOIN ledger_identity i ON i.id = now.identity_id
$$;

-- Freeze who is whom, and say under which number. Nothing changed since the last time: the same one.
CREATE FUNCTION ledger_freeze_groups(asked bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    newest bigint;
    found bigint;
BEGIN
    PERFORM ledger_persons_in_turn(asked);
    SELECT coalesce(max(id), 0) INTO newest FROM ledger_personlink WHERE case_id = asked;
    SELECT id INTO found FROM ledger_grouping WHERE case_id = asked AND as_of = newest;
    IF found IS NULL THEN
        INSERT INTO ledger_grouping (case_id, as_of, persons, customers, sha256, at)
        SELECT asked, newest, count(DISTINCT person_id), count(*), ledger_grouping_sha256(asked, newest), clock_timestamp()
        FROM ledger_person_of(asked, newest) RETURNING id INTO found;
    END IF;
    RETURN found;
END
$$;
REVOKE INSERT, UPDATE, DELETE ON ledger_grouping FROM henkan_app;

-- --- what is refused --------------------------------------------------------------------------

CREATE TRIGGER person_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_person
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER person_link_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_personlink
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER person_pair_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_personpair
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pair_decision_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_pairdecision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER grouping_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_grouping
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER aggregation_is_kept BEFORE DELETE OR TRUNCATE ON ledger_aggregation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE ON ledger_person, ledger_personlink, ledger_personpair, ledger_pairdecision FROM henkan_app;
REVOKE DELETE ON ledger_aggregation FROM henkan_app;

CREATE FUNCTION ledger_aggregation_moves() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'running'
           OR NOT EXISTS (SELECT FROM ledger_intake WHERE case_id = NEW.case_id AND state = 'accepted') THEN
            RAISE EXCEPTION 'names_are_aggregated_over_an_accepted_ledger' USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state <> 'running'
       OR (NEW.case_id, NEW.number, NEW.rules, NEW.started_by_id, NEW.started_at)
          IS DISTINCT FROM (OLD.case_id, OLD.number, OLD.rules, OLD.started_by_id, OLD.started_at) THEN
        RAISE EXCEPTION 'aggregation_stands_as_it_ended: %', OLD.number USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER aggregation_moves BEFORE INSERT OR UPDATE ON ledger_aggregation
    FOR EACH ROW EXECUTE FUNCTION ledger_aggregation_moves();

CREATE FUNCTION ledger_pairs_come_while_it_runs() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT aggregation_id FROM added) n
        LEFT JOIN ledger_aggregation a ON a.id = n.aggregation_id WHERE a.state IS DISTINCT FROM 'running'
    ) OR EXISTS (
        SELECT FROM added n JOIN ledger_aggregation a ON a.id = n.aggregation_id
        LEFT JOIN ledger_identity x ON x.id = n.one_id LEFT JOIN ledger_identity y ON y.id = n.other_id
        WHERE (x.case_id, y.case_id) IS DISTINCT FROM (a.case_id, a.case_id)
    ) THEN
        RAISE EXCEPTION 'pairs_come_from_a_run_while_it_runs' USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER pairs_come_while_it_runs AFTER INSERT ON ledger_personpair
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_pairs_come_while_it_runs();

CREATE FUNCTION ledger_pair_decision_is_of_its_case() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM ledger_persons_in_turn(NEW.case_id);
    IF (SELECT count(*) FROM ledger_identity WHERE id IN (NEW.one_id, NEW.other_id) AND case_id = NEW.case_id) <> 2 THEN
        RAISE EXCEPTION 'pair_decision_is_of_its_case' USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER pair_decision_is_of_its_case BEFORE INSERT ON ledger_pairdecision
    FOR EACH ROW EXECUTE FUNCTION ledger_pair_decision_is_of_its_case();

CREATE FUNCTION ledger_links_hold() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    odd text;
BEGIN
    PERFORM ledger_persons_in_turn(case_id) FROM (SELECT DISTINCT case_id FROM added ORDER BY 1) cases;

    IF EXISTS (SELECT FROM added n JOIN ledger_grouping g ON g.case_id = n.case_id AND g.as_of >= n.id) THEN
        RAISE EXCEPTION 'frozen_grouping_gains_no_link' USING ERRCODE = '23001';
    END IF;
    IF EXISTS (
        SELECT FROM added n
        JOIN ledger_identity i ON i.id = n.identity_id JOIN ledger_person p ON p.id = n.person_id
        LEFT JOIN ledger_personlink before ON before.id = n.follows_id
        WHERE i.case_id <> n.case_id OR p.case_id <> n.case_id
           OR before.id IS NOT NULL AND (before.identity_id <> n.identity_id OR before.person_id = n.person_id)
    ) THEN
        RAISE EXCEPTION 'link_is_of_its_case_and_follows_the_customers_own' USING ERRCODE = '23514';
    END IF;

    -- What a machine links: one date, known, of everybody who is that person; one kind of customer; nobody objected.
    SELECT i.customer_ref INTO odd
    FROM added n JOIN ledger_identity i ON i.id = n.identity_id
    WHERE n.by_id IS NULL AND (
        i.birth_or_founding_date IS NULL OR EXISTS (
            SELECT FROM ledger_personlink o JOIN ledger_identity oi ON oi.id = o.identity_id
            WHERE o.person_id = n.person_id
              AND NOT EXISTS (SELECT FROM ledger_personlink later WHERE later.follows_id = o.id)
              AND (oi.birth_or_founding_date IS DISTINCT FROM i.birth_or_founding_date OR oi.entity_type <> i.entity_type))
    ) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'no_machine_links_without_the_same_birth_or_founding_date: customer %', odd USING ERRCODE = '23514';
    END IF;
    SELECT i.customer_ref INTO odd
    FROM added n JOIN ledger_identity i ON i.id = n.identity_id
    JOIN ledger_personlink o ON o.person_id = n.person_id AND o.identity_id <> n.identity_id
    JOIN ledger_pairdecision d ON d.case_id = n.case_id
     AND d.one_id = least(n.identity_id, o.identity_id) AND d.other_id = greatest(n.identity_id, o.identity_id)
    WHERE n.by_id IS NULL AND NOT d.same
      AND NOT EXISTS (SELECT FROM ledger_personlink later WHERE later.follows_id = o.id)
      AND NOT EXISTS (SELECT FROM ledger_pairdecision newer
                      WHERE newer.one_id = d.one_id AND newer.other_id = d.other_id AND newer.id > d.id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'no_machine_links_whom_a_person_kept_apart: customer %', odd USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER links_hold AFTER INSERT ON ledger_personlink
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_links_hold();
CREATE INDEX pair_decision_by_pair ON ledger_pairdecision (one_id, other_id, id);

-- Personal data, and what is said about people: not for auditors' queries. Their links are, by number.
REVOKE SELECT ON ledger_folded, ledger_filed, ledger_personpair, ledger_pairdecision FROM henkan_reader;
