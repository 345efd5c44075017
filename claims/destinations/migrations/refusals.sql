-- Destinations: what the database itself refuses.

-- The same bank account or address has the same fingerprint, however it came in: jsonb writes the same
-- details in one way only.
CREATE FUNCTION destination_fingerprint(network text, details jsonb) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(frame(network) || frame(details::text));

ALTER TABLE destinations_destination
    ADD CONSTRAINT destination_has_the_fingerprint_of_its_details
        CHECK (fingerprint = destination_fingerprint(network, details)),
    ADD CONSTRAINT destination_is_of_the_case_of_its_claim
        FOREIGN KEY (claim_id, case_id) REFERENCES register_claim (id, case_id),
    ADD CONSTRAINT destination_of_an_order_names_it CHECK (origin <> 'court_order' OR order_id IS NOT NULL),
    ADD CONSTRAINT paper_destination_names_who_keyed_it CHECK (origin <> 'paper' OR keyed_by_id IS NOT NULL);

-- A version begins as proposed. What a claimant's session says is written by the portal's role and by nobody
-- else, and the portal's role writes nothing else: no clerk can forge a customer's own words.
-- Not SECURITY DEFINER: current_user must be whoever inserts.
CREATE FUNCTION destination_begins_as_proposed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong destinations_destination;
BEGIN
    SELECT * INTO wrong FROM proposed
    WHERE state <> 'proposed' OR proved_at IS NOT NULL OR usable_from IS NOT NULL OR revoked_at IS NOT NULL
       OR second_keyed_by_id IS NOT NULL OR proved_by_id IS NOT NULL OR proof_sha256 IS NOT NULL OR (order_id IS NOT NULL AND origin <> 'court_order');
    IF FOUND THEN
        RAISE EXCEPTION 'destination_begins_as_proposed: claim %, version %', wrong.claim_id, wrong.version
            USING ERRCODE = '23514';
    END IF;
    SELECT * INTO wrong FROM proposed WHERE (origin = 'claimant') <> (current_user = 'henkan_portal');
    IF FOUND THEN
        RAISE EXCEPTION 'claimant_destination_is_written_by_the_portal: claim %, by %', wrong.claim_id, current_user
            USING ERRCODE = '42501';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER destination_begins_as_proposed AFTER INSERT ON destinations_destination
    REFERENCING NEW TABLE AS proposed FOR EACH STATEMENT EXECUTE FUNCTION destination_begins_as_proposed();

-- Its asset and its order are of its case: looked at set-based, there are few of them and they are never deleted.
-- SECURITY DEFINER: the portal's role does not read them.
CREATE FUNCTION destination_is_of_its_case() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
BEGIN
    SELECT p.order_id INTO wrong FROM (SELECT DISTINCT order_id, case_id FROM proposed WHERE order_id IS NOT NULL) p
    WHERE NOT EXISTS (SELECT FROM cases_courtorder o WHERE o.id = p.order_id AND o.case_id = p.case_id);
    IF FOUND THEN
        RAISE EXCEPTION 'destination_rests_on_an_order_that_permits_it: order %', wrong USING ERRCODE = '23503';
    END IF;
    SELECT p.asset_id INTO wrong FROM (SELECT DISTINCT asset_id, case_id FROM proposed) p
    WHERE NOT EXISTS (SELECT FROM books_asset a WHERE a.id = p.asset_id AND a.case_id = p.case_id);
    IF FOUND THEN
        RAISE EXCEPTION 'destination_is_of_the_case_of_its_asset: asset %', wrong USING ERRCODE = '23503';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER destination_is_of_its_case AFTER INSERT ON destinations_destination
    REFERENCING NEW TABLE AS proposed FOR EACH STATEMENT EXECUTE FUNCTION destination_is_of_its_case();

-- What a version says never changes. Its state moves as the table of transitions says, each step with its
-- own moment, and time is the database's: nothing is usable before it has cooled off.
-- EXECUTE, and no LIMIT: a plan kept from a statement of one row, or made for the first row alone, would join
-- old and new row by row, which is square in the rows of a statement of many. The fingerprint stands for
-- network and details (a CHECK holds them together).
CREATE FUNCTION destination_moves_forward() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    EXECUTE $q$
    SELECT min(CASE
        WHEN (o.id, o.case_id, o.claim_id, o.asset_id, o.version, o.fingerprint, o.origin, o.keyed_by_id, o.proposed_at, o.recorded_at)
            IS DISTINCT FROM
             (n.id, n.case_id, n.claim_id, n.asset_id, n.version, n.fingerprint, n.origin, n.keyed_by_id, n.proposed_at, n.recorded_at)
          THEN 'destination_never_changes'
        WHEN t.from_state IS NULL
          THEN 'destination_moves_forward'
        WHEN (n.proved_at IS DISTINCT FROM o.proved_at) <> (o.state = 'proposed' AND n.state <> 'revoked')
          OR (n.usable_from IS DISTINCT FROM o.usable_from) <> (n.state = 'cooling')
          OR (n.revoked_at IS DISTINCT FROM o.revoked_at) <> (n.state = 'revoked')
          OR (n.state = 'revoked') <> (n.revoke_reason <> '')
          OR (n.proved_at IS NULL OR o.proved_at IS NOT NULL)
             AND (n.order_id, n.second_keyed_by_id, n.proved_by_id, n.proof_sha256)
                 IS DISTINCT FROM (o.order_id, o.second_keyed_by_id, o.proved_by_id, o.proof_sha256)
          OR o.order_id IS NOT NULL AND n.order_id IS DISTINCT FROM o.order_id
          THEN 'destination_takes_each_step_with_its_own_moment'
        WHEN n.origin = 'claimant' AND n.state <> 'revoked' AND (n.proved_by_id IS NULL OR n.proof_sha256 IS NULL)
          OR n.origin <> 'claimant' AND num_nonnulls(n.proved_by_id, n.proof_sha256) > 0
          THEN 'destination_of_a_claimant_is_proved_on_evidence'
        WHEN n.state = 'cooling' AND n.usable_from < transaction_timestamp() + make_interval(hours => c.cooling_off_hours)
          THEN 'destination_cools_off_for_as_long_as_the_case_says'
        WHEN n.state = 'usable' AND n.usable_from > clock_timestamp()
          THEN 'destination_is_not_used_before_its_time'
        END || format(': %s → %s, version %s of claim %s', o.state, n.state, o.version, o.claim_id))
    FROM before_it o FULL JOIN after_it n ON n.id = o.id
    LEFT JOIN destinations_destinationtransition t ON t.from_state = o.state AND t.to_state = n.state
    LEFT JOIN cases_case c ON c.id = n.case_id
    $q$ INTO wrong;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION '%', wrong USING ERRCODE = '23514';
    END IF;
    -- What the files handed over say is relied on by an order of the same case that permits just that.
    EXECUTE $q$
    SELECT min(n.order_id::text) FROM (SELECT DISTINCT order_id, case_id, origin FROM after_it WHERE order_id IS NOT NULL) n
    LEFT JOIN cases_courtorder o ON o.id = n.order_id AND o.case_id = n.case_id
        AND (n.origin <> 'handover' OR 'destinations.verify_handover' = ANY (o.permits))
    WHERE o.id IS NULL
    $q$ INTO wrong;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'destination_rests_on_an_order_that_permits_it: order %', wrong USING ERRCODE = '23503';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER destination_moves_forward AFTER UPDATE ON destinations_destination
    REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION destination_moves_forward();

CREATE TRIGGER destination_is_kept BEFORE DELETE OR TRUNCATE ON destinations_destination
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER destination_transition_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON destinations_destinationtransition
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Tell the planner what has come, right after it came: the next step begins at once. Of the columns that rows are found
-- by: to compare thirty thousand `details` takes longer than what follows, for the server's own looks too.
ALTER TABLE destinations_destination ALTER details SET STATISTICS 0;
CREATE FUNCTION destinations_analyze() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    ANALYZE public.destinations_destination (id, case_id, claim_id, asset_id, version, network, origin, state, usable_from);
END $$;

REVOKE INSERT, UPDATE, DELETE ON destinations_destinationtransition FROM henkan_app;
REVOKE UPDATE, DELETE ON destinations_destination FROM henkan_app;
GRANT UPDATE (state, order_id, second_keyed_by_id, proved_by_id, proof_sha256, proved_at, usable_from, revoked_at, revoke_reason)
    ON destinations_destination TO henkan_app;

-- Bank accounts and addresses are personal data: not for auditors' queries.
REVOKE SELECT ON destinations_destination FROM henkan_reader;

INSERT INTO destinations_destinationtransition (from_state, to_state) VALUES
    ('proposed', 'proved'), ('proved', 'cooling'), ('cooling', 'usable'),
    ('proposed', 'cooling'),  -- proved, and cooling off from the same moment on
    ('proposed', 'revoked'), ('proved', 'revoked'), ('cooling', 'revoked'), ('usable', 'revoked');
