-- What the database itself refuses in the case: whoever asks, through whatever code.
--
-- The database's own clock decides who is in office now. What the acts pass in as the legal instant must fit too.

-- --- asking -----------------------------------------------------------------------------------

-- Below this nothing goes, whatever a profile or a row says: one signature besides the preparer's for the
-- acceptance of a ledger, two with the office-holder among them for everything else, two approvers' where the
-- office-holder is replaced.
CREATE FUNCTION cases_signers_at_least(act text) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE WHEN act = 'ledger.accept' THEN 1 ELSE 2 END;

CREATE FUNCTION cases_needs_the_office_holder(act text) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN act NOT IN ('ledger.accept', 'cases.succeed');

CREATE FUNCTION cases_runs(from_at timestamptz, to_at timestamptz, at timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN from_at <= at AND (to_at IS NULL OR at < to_at);

-- The newest standing until now counts. An order that was never served does not stand.
CREATE FUNCTION cases_order_stands(asked bigint) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    newest text;
BEGIN
    SELECT standing INTO newest FROM cases_orderstanding
    WHERE order_id = asked AND since <= clock_timestamp() ORDER BY since DESC, id DESC LIMIT 1;
    RETURN coalesce(newest IN ('in_force', 'final'), false);
END
$$;

CREATE FUNCTION cases_holds_office(asked_case bigint, asked_user bigint, kinds text[]) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM cases_appointment
        WHERE case_id = asked_case AND user_id = asked_user AND kind = ANY (kinds)
          AND cases_runs(from_at, to_at, clock_timestamp())
    );
END
$$;

CREATE FUNCTION cases_refuse(sentence text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', sentence USING ERRCODE = '23514';
END
$$;

-- --- the case ---------------------------------------------------------------------------------

CREATE FUNCTION cases_case_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' OR NEW.securing_completed_at IS NOT NULL THEN
            PERFORM cases_refuse('a case begins open and not yet secured');
        END IF;
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - 'proceeding' - 'state' - 'securing_completed_at'
       IS DISTINCT FROM to_jsonb(OLD) - 'proceeding' - 'state' - 'securing_completed_at' THEN
        PERFORM cases_refuse('a case keeps what it was opened with');
    END IF;
    IF NEW.proceeding <> OLD.proceeding AND NOT EXISTS (
        SELECT FROM cases_conversion c
        WHERE c.id = (SELECT max(id) FROM cases_conversion WHERE case_id = NEW.id)
          AND c.from_proceeding = OLD.proceeding AND c.to_proceeding = NEW.proceeding
    ) THEN
        PERFORM cases_refuse('a case changes its proceeding by a conversion only');
    END IF;
    IF NEW.state <> OLD.state AND OLD.state <> 'open' THEN
        PERFORM cases_refuse('a closed case stays closed');
    END IF;
    IF NEW.securing_completed_at IS DISTINCT FROM OLD.securing_completed_at THEN
        IF OLD.securing_completed_at IS NOT NULL THEN
            PERFORM cases_refuse('securing is completed once');
        END IF;
        IF (
            SELECT count(*) FROM cases_securingitem
            WHERE case_id = NEW.id AND done_at IS NOT NULL AND item IN (
                'automation', 'keys', 'bank_mandates', 'cloud_root', 'domains', 'email', 'leavers', 'image', 'key_persons'
            )
        ) < 9 OR EXISTS (SELECT FROM cases_securingitem WHERE case_id = NEW.id AND done_at IS NULL) THEN
            PERFORM cases_refuse('securing is completed when every item is done');
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER case_keeps_what_it_was_opened_with BEFORE INSERT OR UPDATE ON cases_case
    FOR EACH ROW EXECUTE FUNCTION cases_case_is_guarded();
CREATE TRIGGER case_is_not_deleted BEFORE DELETE ON cases_case
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_case FROM henkan_app;
GRANT UPDATE (proceeding, state, securing_completed_at) ON cases_case TO henkan_app;

CREATE FUNCTION cases_conversion_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM cases_case c JOIN cases_courtorder o ON o.case_id = c.id
        WHERE c.id = NEW.case_id AND c.proceeding = NEW.from_proceeding AND NEW.to_proceeding <> NEW.from_proceeding
          AND o.id = NEW.order_id AND 'cases.convert' = ANY (o.permits) AND cases_order_stands(o.id)
    ) THEN
        PERFORM cases_refuse('a conversion rests on an order of the case that permits it and stands');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER conversion_rests_on_an_order BEFORE INSERT ON cases_conversion
    FOR EACH ROW EXECUTE FUNCTION cases_conversion_is_guarded();
CREATE TRIGGER conversion_append_only BEFORE UPDATE OR DELETE ON cases_conversion
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_conversion FROM henkan_app;

-- --- appointments -----------------------------------------------------------------------------

-- The operator records the first appointments in the transaction that opens the case; from then on an
-- office-holder does, or a succession.
CREATE FUNCTION cases_appointment_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.recorded_at := clock_timestamp();
        IF NEW.end_reason <> '' THEN
            PERFORM cases_refuse('an appointment ends after it was recorded');
        END IF;
        IF NEW.kind = 'office_holder' AND EXISTS (
            SELECT FROM cases_succession
            WHERE case_id = NEW.case_id AND successor_id = NEW.user_id AND accepted_at IS NULL
              AND (NEW.granted_by_id IS NOT NULL OR by_operator)
        ) THEN
            RETURN NEW;
        END IF;
        IF NEW.granted_by_id IS NULL AND EXISTS (
            SELECT FROM cases_appointment
            WHERE case_id = NEW.case_id AND kind = 'office_holder' AND recorded_at < transaction_timestamp()
        ) THEN
            PERFORM cases_refuse('an appointment without a grantor is recorded at the opening only');
        END IF;
        IF NEW.granted_by_id IS NOT NULL
           AND NOT cases_holds_office(NEW.case_id, NEW.granted_by_id, ARRAY['office_holder']) THEN
            PERFORM cases_refuse('an appointment is granted by an office-holder of the case');
        END IF;
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - 'to_at' - 'end_reason' IS DISTINCT FROM to_jsonb(OLD) - 'to_at' - 'end_reason' THEN
        PERFORM cases_refuse('an appointment is ended, and not changed otherwise');
    END IF;
    IF OLD.end_reason <> '' OR NEW.end_reason = '' OR NEW.to_at IS NULL OR NEW.to_at > OLD.to_at THEN
        PERFORM cases_refuse('an appointment is ended once, with a reason, and never made longer');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER appointment_is_granted_and_ended_once BEFORE INSERT OR UPDATE ON cases_appointment
    FOR EACH ROW EXECUTE FUNCTION cases_appointment_is_guarded();
CREATE TRIGGER appointment_is_not_deleted BEFORE DELETE ON cases_appointment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_appointment FROM henkan_app;
GRANT UPDATE (to_at, end_reason) ON cases_appointment TO henkan_app;

-- --- orders, deadlines, securing --------------------------------------------------------------

CREATE TRIGGER order_append_only BEFORE UPDATE OR DELETE ON cases_courtorder
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER order_standing_append_only BEFORE UPDATE OR DELETE ON cases_orderstanding
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_courtorder, cases_orderstanding FROM henkan_app;

CREATE FUNCTION cases_deadline_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.supersedes_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM cases_deadline WHERE id = NEW.supersedes_id AND case_id = NEW.case_id AND kind = NEW.kind
    ) THEN
        PERFORM cases_refuse('a deadline replaces one of its own kind in its own case');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER deadline_replaces_its_own_kind BEFORE INSERT ON cases_deadline
    FOR EACH ROW EXECUTE FUNCTION cases_deadline_is_guarded();
CREATE TRIGGER deadline_append_only BEFORE UPDATE OR DELETE ON cases_deadline
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_deadline FROM henkan_app;

CREATE FUNCTION cases_securing_item_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF OLD.done_at IS NOT NULL OR NEW.case_id <> OLD.case_id OR NEW.item <> OLD.item THEN
        PERFORM cases_refuse('a securing item is done once and stays as it is');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER securing_item_is_done_once BEFORE UPDATE ON cases_securingitem
    FOR EACH ROW EXECUTE FUNCTION cases_securing_item_is_guarded();
CREATE TRIGGER securing_item_is_not_deleted BEFORE DELETE ON cases_securingitem
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE DELETE, TRUNCATE ON cases_securingitem FROM henkan_app;

-- --- approvals --------------------------------------------------------------------------------

CREATE FUNCTION cases_policy_is_stricter() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.signers < cases_signers_at_least(NEW.act)
       OR (cases_needs_the_office_holder(NEW.act) AND NOT NEW.office_holder)
       OR EXISTS (
           SELECT FROM cases_policyoverride
           WHERE case_id = NEW.case_id AND act = NEW.act
             AND (signers > NEW.signers OR (office_holder AND NOT NEW.office_holder))
       ) THEN
        PERFORM cases_refuse('a policy of a case only asks for more');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER policy_only_asks_for_more BEFORE INSERT ON cases_policyoverride
    FOR EACH ROW EXECUTE FUNCTION cases_policy_is_stricter();
CREATE TRIGGER policy_append_only BEFORE UPDATE OR DELETE ON cases_policyoverride
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_policyoverride FROM henkan_app;

CREATE FUNCTION cases_request_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    base text := regexp_replace(NEW.act, '\.resume$', '');
    now timestamptz := clock_timestamp();
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' OR NEW.decided_at IS NOT NULL THEN
            PERFORM cases_refuse('a request begins open');
        END IF;
        IF NEW.signers < cases_signers_at_least(NEW.act)
           OR (cases_needs_the_office_holder(NEW.act) AND NOT NEW.office_holder)
           OR EXISTS (
               SELECT FROM cases_policyoverride
               WHERE case_id = NEW.case_id AND act = base
                 AND (signers > NEW.signers OR (office_holder AND NOT NEW.office_holder))
           ) THEN
            PERFORM cases_refuse('a request asks for the signatures its policy demands');
        END IF;
        RETURN NEW;
    END IF;

    IF to_jsonb(NEW) - 'state' - 'decided_at' - 'reason' IS DISTINCT FROM to_jsonb(OLD) - 'state' - 'decided_at' - 'reason' THEN
        PERFORM cases_refuse('a request is decided, and not changed otherwise');
    END IF;
    IF NOT (
        (OLD.state = 'open' AND NEW.state IN ('granted', 'rejected', 'stale', 'suspended'))
        OR (OLD.state = 'granted' AND NEW.state IN ('suspended', 'stale'))
    ) THEN
        PERFORM cases_refuse(format('a request does not go from %s to %s', OLD.state, NEW.state));
    END IF;
    IF NEW.state <> 'granted' THEN
        RETURN NEW;
    END IF;

    -- A signature counts while the appointment behind it runs: the word of somebody who has left does not.
    IF (
        SELECT count(DISTINCT s.signer_id)
        FROM cases_signature s JOIN cases_appointment a ON a.id = s.appointment_id
        WHERE s.request_id = NEW.id AND cases_runs(a.from_at, a.to_at, now)
    ) < NEW.signers THEN
        PERFORM cases_refuse('a request is granted with enough signatures only');
    END IF;
    IF NEW.office_holder AND NOT EXISTS (
        SELECT FROM cases_signature s JOIN cases_appointment a ON a.id = s.appointment_id
        WHERE s.request_id = NEW.id AND a.kind = 'office_holder' AND cases_runs(a.from_at, a.to_at, now)
    ) THEN
        PERFORM cases_refuse('a request is granted with the office-holder among the signers only');
    END IF;
    IF NEW.office_holder AND EXISTS (
        SELECT FROM cases_appointment a
        WHERE a.case_id = NEW.case_id AND a.kind = 'office_holder' AND a.joint AND cases_runs(a.from_at, a.to_at, now)
          AND NOT EXISTS (SELECT FROM cases_signature s WHERE s.request_id = NEW.id AND s.signer_id = a.user_id)
    ) THEN
        PERFORM cases_refuse('a request is granted with all joint office-holders among the signers only');
    END IF;
    IF NEW.order_id IS NOT NULL AND NOT cases_order_stands(NEW.order_id) THEN
        PERFORM cases_refuse('a request is granted while the order it rests on stands');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER request_is_decided_once_by_its_policy BEFORE INSERT OR UPDATE ON cases_approvalrequest
    FOR EACH ROW EXECUTE FUNCTION cases_request_is_guarded();
CREATE TRIGGER request_is_not_deleted BEFORE DELETE ON cases_approvalrequest
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_approvalrequest FROM henkan_app;
GRANT UPDATE (state, decided_at, reason) ON cases_approvalrequest TO henkan_app;

-- What was signed is what was asked for: the same case, preparer and content, byte for byte.
ALTER TABLE cases_signature ADD CONSTRAINT signature_is_under_the_requests_content
    FOREIGN KEY (request_id, case_id, prepared_by_id, content_sha256)
    REFERENCES cases_approvalrequest (id, case_id, prepared_by_id, content_sha256);

-- Locks the request and the appointment, so that a decision or an ending at the same moment waits or is seen.
CREATE FUNCTION cases_signature_is_guarded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    asked cases_approvalrequest;
    office cases_appointment;
BEGIN
    NEW.recorded_at := clock_timestamp();
    SELECT * INTO asked FROM cases_approvalrequest WHERE id = NEW.request_id FOR NO KEY UPDATE;
    SELECT * INTO office FROM cases_appointment WHERE id = NEW.appointment_id FOR SHARE;
    IF asked.state IS DISTINCT FROM 'open' THEN
        PERFORM cases_refuse('a signature is given while the request is open');
    END IF;
    IF office.user_id IS DISTINCT FROM NEW.signer_id OR office.case_id IS DISTINCT FROM NEW.case_id
       OR office.kind NOT IN ('office_holder', 'approver') THEN
        PERFORM cases_refuse('a signature rests on the signer''s own office as office-holder or approver in the case');
    END IF;
    IF NOT cases_runs(office.from_at, office.to_at, NEW.signed_at)
       OR NOT cases_runs(office.from_at, office.to_at, NEW.recorded_at) THEN
        PERFORM cases_refuse('a signature is given within the term of its appointment');
    END IF;
    IF NOT EXISTS (SELECT FROM people_user WHERE id = NEW.signer_id AND is_active) THEN
        PERFORM cases_refuse('a signature is given by somebody who may sign in');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER signature_is_given_in_office BEFORE INSERT ON cases_signature
    FOR EACH ROW EXECUTE FUNCTION cases_signature_is_guarded();
CREATE TRIGGER signature_append_only BEFORE UPDATE OR DELETE ON cases_signature
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_signature FROM henkan_app;

-- --- stops ------------------------------------------------------------------------------------

CREATE FUNCTION cases_stop_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.lifted_at IS NOT NULL THEN
            PERFORM cases_refuse('a stop begins unlifted');
        END IF;
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - 'lifted_at' IS DISTINCT FROM to_jsonb(OLD) - 'lifted_at'
       OR OLD.lifted_at IS NOT NULL OR NEW.lifted_at IS NULL THEN
        PERFORM cases_refuse('a stop is lifted once, and not changed otherwise');
    END IF;
    IF EXISTS (SELECT FROM cases_succession WHERE stop_id = NEW.id) THEN
        IF NOT EXISTS (SELECT FROM cases_succession WHERE stop_id = NEW.id AND accepted_at IS NOT NULL) THEN
            PERFORM cases_refuse('the stop of a succession is lifted when the successor has accepted');
        END IF;
    ELSIF (
        SELECT count(DISTINCT by_id) FROM cases_stoplift
        WHERE stop_id = NEW.id AND cases_holds_office(NEW.case_id, by_id, ARRAY['office_holder', 'approver'])
    ) < 2 THEN
        PERFORM cases_refuse('a stop is lifted by two people in office');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER stop_is_lifted_by_two BEFORE INSERT OR UPDATE ON cases_stop
    FOR EACH ROW EXECUTE FUNCTION cases_stop_is_guarded();
CREATE TRIGGER stop_is_not_deleted BEFORE DELETE ON cases_stop
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stop_lift_append_only BEFORE UPDATE OR DELETE ON cases_stoplift
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_stop, cases_stoplift FROM henkan_app;
GRANT UPDATE (lifted_at) ON cases_stop TO henkan_app;

-- --- succession -------------------------------------------------------------------------------

-- Checked at the end of the transaction, when the approvers are written down beside it.
CREATE FUNCTION cases_succession_is_founded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    named bigint[] := ARRAY(SELECT user_id FROM cases_succession_approvers WHERE succession_id = NEW.id);
    parties bigint[] := ARRAY[NEW.predecessor_id, NEW.successor_id];
    left_in_office bigint;
    consenting bigint;
BEGIN
    IF NEW.predecessor_id = NEW.successor_id OR NOT EXISTS (
        SELECT FROM cases_appointment
        WHERE case_id = NEW.case_id AND user_id = NEW.predecessor_id AND kind = 'office_holder'
    ) THEN
        PERFORM cases_refuse('a succession is from one office-holder of the case to another person');
    END IF;
    IF NOT EXISTS (
        SELECT FROM cases_courtorder
        WHERE id = NEW.order_id AND case_id = NEW.case_id AND 'cases.succeed' = ANY (permits) AND cases_order_stands(id)
    ) THEN
        PERFORM cases_refuse('a succession rests on an order of the case that permits it and stands');
    END IF;
    SELECT count(DISTINCT a.user_id), count(DISTINCT a.user_id) FILTER (WHERE a.user_id = ANY (named))
    INTO left_in_office, consenting
    FROM cases_appointment a JOIN people_user u ON u.id = a.user_id
    WHERE a.case_id = NEW.case_id AND a.kind = 'approver' AND cases_runs(a.from_at, a.to_at, clock_timestamp())
      AND u.is_active AND a.user_id <> ALL (parties);
    IF NOT NEW.by_operator AND NOT EXISTS (
        SELECT FROM cases_approvalrequest r JOIN cases_successionproposal p ON p.id = r.object_id
        WHERE r.id = NEW.request_id AND r.act = 'cases.succeed' AND r.state = 'granted' AND r.case_id = NEW.case_id
          AND p.order_id = NEW.order_id AND p.predecessor_id = NEW.predecessor_id AND p.successor_id = NEW.successor_id
          AND NOT EXISTS (
              SELECT FROM unnest(named) one
              WHERE NOT EXISTS (SELECT FROM cases_signature s WHERE s.request_id = r.id AND s.signer_id = one)
          )
    ) THEN
        PERFORM cases_refuse('a succession is what its approvers signed');
    END IF;
    IF NOT NEW.by_operator AND consenting < 2 THEN
        PERFORM cases_refuse('a succession needs two approvers who are neither predecessor nor successor');
    END IF;
    IF NEW.by_operator AND (left_in_office >= 2 OR consenting < left_in_office) THEN
        PERFORM cases_refuse('the operator succeeds only where two approvers are not left, and never past the last one');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER succession_proposal_append_only BEFORE UPDATE OR DELETE ON cases_successionproposal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_successionproposal FROM henkan_app;
CREATE CONSTRAINT TRIGGER succession_is_founded AFTER INSERT ON cases_succession
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cases_succession_is_founded();

CREATE FUNCTION cases_succession_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF to_jsonb(NEW) - 'accepted_at' - 'reservations' IS DISTINCT FROM to_jsonb(OLD) - 'accepted_at' - 'reservations'
       OR OLD.accepted_at IS NOT NULL OR NEW.accepted_at IS NULL THEN
        PERFORM cases_refuse('a succession is accepted once, and not changed otherwise');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER succession_is_accepted_once BEFORE UPDATE ON cases_succession
    FOR EACH ROW EXECUTE FUNCTION cases_succession_is_guarded();
CREATE TRIGGER succession_is_not_deleted BEFORE DELETE ON cases_succession
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER succession_approvers_append_only BEFORE UPDATE OR DELETE ON cases_succession_approvers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON cases_succession, cases_succession_approvers FROM henkan_app;
GRANT UPDATE (accepted_at, reservations) ON cases_succession TO henkan_app;

-- --- nobody empties these tables --------------------------------------------------------------

DO $$
DECLARE
    emptied text;
BEGIN
    FOREACH emptied IN ARRAY ARRAY[
        'case', 'conversion', 'appointment', 'courtorder', 'orderstanding', 'deadline', 'securingitem', 'policyoverride',
        'approvalrequest', 'signature', 'stop', 'stoplift', 'successionproposal', 'succession', 'succession_approvers'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            emptied || '_is_not_truncated', 'cases_' || emptied
        );
    END LOOP;
END
$$;
