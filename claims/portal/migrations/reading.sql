-- What the portal's role may read, by functions alone: what is published of a case, and one claim of whoever holds
-- the token (refusals.sql says who that is).

-- --- What everybody may read -------------------------------------------------------------------------

CREATE FUNCTION portal_cases() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('reference', reference, 'name', name) ORDER BY opened_at, id), '[]')
    FROM cases_case
$$;

-- The public page of one case: no row of any customer, only what is published of all of them together.
CREATE FUNCTION portal_case(p_reference text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT jsonb_build_object(
        'reference', k.reference, 'name', k.name, 'regime', k.regime, 'proceeding', k.proceeding, 'trigger', k.trigger,
        'court', k.court, 'court_number', k.court_number, 'cutoff_at', k.cutoff_at, 'opened_at', k.opened_at,
        'state', k.state, 'is_sample', k.is_sample,
        'holders', coalesce((
            SELECT jsonb_agg(DISTINCT coalesce(nullif(btrim(u.last_name || ' ' || u.first_name), ''), u.username))
            FROM cases_appointment a JOIN people_user u ON u.id = a.user_id
            WHERE a.case_id = k.id AND a.kind = 'office_holder' AND a.from_at <= clock_timestamp()
              AND (a.to_at IS NULL OR a.to_at > clock_timestamp())), '[]'),
        'deadlines', coalesce((
            SELECT jsonb_agg(jsonb_build_object('kind', d.kind, 'due', d.due_date, 'provenance', d.provenance) ORDER BY d.due_date, d.id)
            FROM cases_deadline d
            WHERE d.case_id = k.id AND NOT EXISTS (SELECT FROM cases_deadline n WHERE n.supersedes_id = d.id)), '[]'),
        'notices', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'number', n.number, 'kind', n.kind, 'title', n.title, 'at', n.sent_at, 'channel', n.channel,
                'sha256', encode(n.text_sha256, 'hex')) ORDER BY n.number DESC)
            FROM (SELECT * FROM notices_notice WHERE case_id = k.id AND claim_id IS NULL ORDER BY number DESC LIMIT 20) n), '[]'),
        'runs', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'number', r.number, 'kind', r.kind, 'computed_at', r.computed_at, 'root', encode(r.outputs_root, 'hex'),
                'entitlements', r.entitlement_count,
                'approved_at', (SELECT q.decided_at FROM cases_approvalrequest q
                                WHERE q.case_id = k.id AND q.act = 'distribution.plan' AND q.object_id = r.id AND q.state = 'granted'),
                'pools', (
                    SELECT coalesce(jsonb_agg(jsonb_build_object(
                        'asset', a.code, 'scale', a.scale, 'kind', a.kind, 'distributed', p.distributed::text, 'left', p.left::text,
                        'weights', p.weights::text, 'root', encode(p.root, 'hex')) ORDER BY a.code), '[]')
                    FROM distribution_poolline p JOIN books_asset a ON a.id = p.asset_id WHERE p.run_id = r.id)
                ) ORDER BY r.number DESC)
            FROM distribution_run r WHERE r.case_id = k.id AND r.state = 'declared'), '[]'),
        'head', (
            SELECT jsonb_build_object('size', h.size, 'root', encode(h.root, 'hex'), 'at', h.signed_at)
            FROM record_head h WHERE h.case_id = k.id ORDER BY h.size DESC LIMIT 1)
    )
    FROM cases_case k WHERE k.reference = p_reference
$$;

-- --- What one claimant may read ----------------------------------------------------------------------

-- The first closed gate of a return as the customer may know it. Confidential reasons and sanctions are all "review".
CREATE FUNCTION portal_gate(p_gate text, p_secret boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_gate = 'sanctions' OR p_secret AND p_gate IN ('hold', 'dispute') THEN 'review' ELSE p_gate END;

-- One claim of the session's claimant, everything its pages show, in one statement. NULL: no session. Without
-- `claim`: the claimant has none of that number. An empty number means the claim whose code opened the session.
-- What it reads are a few rows by their keys, whatever the statistics say of the moment: one plan for all sessions, by
-- the indexes. It takes longer to plan than to run, and a plan for each page would be most of the page.
CREATE FUNCTION portal_claim(p_token text, p_number text DEFAULT '') RETURNS json
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off AS $$
DECLARE
    s portal_session := portal_session_of(p_token);
    c register_claim;
    secret boolean;
BEGIN
    IF s.id IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO c FROM register_claim
    WHERE claimant_id = s.claimant_id AND (number = p_number OR p_number = '' AND id = s.claim_id);
    IF NOT FOUND THEN
        RETURN json_build_object('now', clock_timestamp());
    END IF;
    SELECT coalesce(bool_or(confidential OR kind IN ('str', 'police', 'order')), false) INTO secret
    FROM register_hold WHERE claim_id = c.id AND lifted_at IS NULL;
    RETURN (
        SELECT json_build_object(
            'expires_at', s.expires_at, 'fresh', coalesce(s.fresh_until > clock_timestamp(), false), 'now', clock_timestamp(),
            'case', json_build_object('reference', k.reference, 'name', k.name, 'cutoff_at', k.cutoff_at,
                                       'court', k.court, 'court_number', k.court_number, 'is_sample', k.is_sample,
                                       'cooling_off_hours', k.cooling_off_hours),
            'claim', json_build_object('number', c.number, 'kind', c.kind, 'name', i.name, 'recorded_at', c.recorded_at,
                                        'confirmed_at', c.confirmed_at, 'confirmed_how', c.confirmed_how),
            'others', (SELECT coalesce(json_agg(o.number ORDER BY o.number), '[]') FROM register_claim o
                       WHERE o.claimant_id = s.claimant_id AND o.id <> c.id),
            'deadline', (
                SELECT json_build_object('kind', d.kind, 'due', d.due_date) FROM cases_deadline d
                WHERE d.case_id = k.id AND d.due_date >= (now() AT TIME ZONE 'Asia/Tokyo')::date
                  AND NOT EXISTS (SELECT FROM cases_deadline n WHERE n.supersedes_id = d.id)
                ORDER BY d.due_date, d.id LIMIT 1),
            'lines', coalesce(portal_lines(c.id, secret, portal_first_gates(c.id)), '[]')
        )
        FROM cases_case k, register_claimant w, ledger_identity i
        WHERE k.id = c.case_id AND w.id = c.claimant_id AND i.id = w.identity_id
    );
END $$;

-- The first closed gate of each return of a claim that still waits, by the return's number: all at once, because
-- beginning the view costs more than a row of it. Called by portal_claim alone, under its rights and settings.
CREATE FUNCTION portal_first_gates(p_claim bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    waiting bigint[];
BEGIN
    SELECT array_agg(r.id) INTO waiting
    FROM register_claimline l JOIN returns_assetreturn r ON r.claim_line_id = l.id LEFT JOIN returns_batch b ON b.id = r.batch_id
    WHERE l.claim_id = p_claim AND r.state IN ('scheduled', 'held', 'batched')
      AND coalesce(b.state NOT IN ('exported', 'settling', 'closed'), true);
    IF waiting IS NULL THEN
        RETURN '{}';
    END IF;
    RETURN (SELECT jsonb_object_agg(return_id, closed[1]) FROM returns_gates WHERE return_id = ANY (waiting));
END $$;

-- The lines of one claim with where each unit stands, the runs that share in them, and their returns. In PL/pgSQL, so
-- that its plan is kept. Called by portal_claim alone, under its rights and settings.
CREATE FUNCTION portal_lines(p_claim bigint, p_secret boolean, p_gates jsonb) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_agg(json_build_object(
        'asset', a.code, 'scale', a.scale, 'step', a.payable_step::text, 'kind', a.kind, 'network', a.network,
        'class', l.claim_class,
        'recorded', l.recorded::text, 'corrected', l.corrected::text, 'lodged', l.lodged::text,
        'admitted', l.admitted::text, 'disputed', l.disputed::text, 'rejected', l.rejected::text,
        'out_of_scope', l.out_of_scope::text, 'converted_in', l.converted_in::text,
        'converted_out', l.converted_out::text, 'excess', l.excess::text,
        'given', p.given::text, 'scheduled', p.scheduled::text, 'in_flight', p.in_flight::text,
        'settled', p.settled::text, 'deposited', p.deposited::text,
        'rule', d.rule, 'reason', d.reason_code, 'decided_at', d.at,
        'dispute', (
            SELECT json_build_object('claimed', x.claimed::text, 'at', x.at)
            FROM register_dispute x WHERE x.claim_line_id = l.id AND x.decision_id IS NULL),
        'cooling', (
            SELECT max(t.usable_from) FROM destinations_destination t
            WHERE t.claim_id = l.claim_id AND t.asset_id = l.asset_id AND t.state = 'cooling'),
        'destination', (
            SELECT json_build_object('state', t.state, 'network', t.network, 'usable_from', t.usable_from, 'at', t.proposed_at,
                                      'origin', t.origin,
                                      'end', right(coalesce(t.details ->> 'address', t.details ->> 'number'), 4),
                                      'bank', t.details ->> 'bank_code', 'branch', t.details ->> 'branch_code')
            FROM destinations_destination t
            WHERE t.claim_id = l.claim_id AND t.asset_id = l.asset_id AND t.state <> 'revoked'
            ORDER BY t.version DESC LIMIT 1),
        -- Runs that are declared, and one that waits for signatures: proposed, not approved.
        'shares', coalesce((
            SELECT json_agg(json_build_object(
                'run', u.number, 'kind', u.kind, 'approved', u.state <> 'computed', 'computed_at', u.computed_at,
                'approved_at', q.decided_at, 'weight', e.weight::text, 'given', e.given::text, 'amount', e.amount::text,
                'pool', m.amount::text, 'weights', m.weights::text, 'effective', m.effective::text,
                'root', encode(m.root, 'hex')) ORDER BY u.number)
            FROM distribution_run u
            JOIN cases_approvalrequest q ON q.case_id = u.case_id AND q.act = 'distribution.plan' AND q.object_id = u.id
                AND (q.state = 'granted' AND u.state IN ('approved', 'declared') OR q.state = 'open' AND u.state = 'computed')
            JOIN distribution_entitlement e ON e.run_id = u.id AND e.claim_line_id = l.id
            JOIN distribution_poolline m ON m.run_id = u.id AND m.asset_id = l.asset_id
            WHERE u.case_id = l.case_id), '[]'),
        'returns', coalesce((
            SELECT json_agg(json_build_object(
                'reference', r.reference, 'amount', r.amount::text, 'state', r.state, 'rail', r.rail,
                'out', coalesce(b.state IN ('exported', 'settling', 'closed'), false),
                'gate', portal_gate(p_gates ->> r.id::text, p_secret),
                'gate_date', (
                    SELECT min(h.next_look) FROM register_hold h
                    WHERE h.claim_id = l.claim_id AND h.lifted_at IS NULL
                      AND CASE WHEN h.kind IN ('sanctions', 'dispute') THEN h.kind ELSE 'hold' END = p_gates ->> r.id::text),
                'signed_at', (
                    SELECT q.decided_at FROM cases_approvalrequest q
                    WHERE q.case_id = r.case_id AND q.act = 'returns.batch' AND q.object_id = r.batch_id AND q.state = 'granted'),
                'sent_at', (
                    SELECT max(n.sent_at) FROM returns_submission n WHERE n.batch_id = r.batch_id AND n.part = r.part),
                'settled_at', seen.settled_at, 'returned_at', seen.returned_at) ORDER BY r.id)
            FROM returns_assetreturn r
            LEFT JOIN returns_batch b ON b.id = r.batch_id
            LEFT JOIN LATERAL (
                SELECT max(y.at) FILTER (WHERE y.kind = 'settled') AS settled_at,
                       max(y.at) FILTER (WHERE y.kind = 'returned') AS returned_at
                FROM returns_attempt t JOIN returns_match z ON z.attempt_id = t.id JOIN returns_evidenceline y ON y.id = z.line_id
                WHERE t.asset_return_id = r.id AND z.applied_at IS NOT NULL
            ) seen ON r.state IN ('settled', 'returned')
            WHERE r.claim_line_id = l.id), '[]')
    ) ORDER BY a.code, l.claim_class)
    FROM register_claimline l
    JOIN register_position p ON p.claim_line_id = l.id
    JOIN books_asset a ON a.id = l.asset_id
    JOIN register_decision d ON d.id = l.decision_id
    WHERE l.claim_id = p_claim);
END $$;
