-- The portal: what its role can reach, and how.
--
-- henkan_portal may read and write no table. It may call the functions below. Each asks first whose session the
-- token is: the token's hash is looked up in a table that the role cannot read. No token, no rows, whatever else is
-- said or set; and what a function gives is of that one claimant. Confidential holds never leave the database:
-- what is said of them is made here.

-- --- Who is there ------------------------------------------------------------------------------------

-- The session of a token while it lasts: eight hours in all, half an hour without a page. It is marked as seen at
-- most once a minute, so that reading a page is not always a write.
CREATE FUNCTION portal_session_of(p_token text) RETURNS portal_session
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    s portal_session;
BEGIN
    SELECT * INTO s FROM portal_session
    WHERE token_sha256 = sha256(convert_to(coalesce(p_token, ''), 'UTF8')) AND ended_at IS NULL
      AND expires_at > clock_timestamp() AND seen_at > clock_timestamp() - interval '30 minutes';
    IF FOUND AND s.seen_at < clock_timestamp() - interval '1 minute' THEN
        UPDATE portal_session SET seen_at = clock_timestamp() WHERE id = s.id AND seen_at = s.seen_at;
    END IF;
    RETURN s;
END $$;

-- The claimant of a token, or nobody. Row-level security asks it of the transaction's own setting.
CREATE FUNCTION portal_claimant(p_token text DEFAULT current_setting('henkan.token', true)) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT claimant_id FROM portal_session
    WHERE token_sha256 = sha256(convert_to(coalesce(p_token, ''), 'UTF8')) AND ended_at IS NULL
      AND expires_at > clock_timestamp() AND seen_at > clock_timestamp() - interval '30 minutes'
$$;

-- Sixteen signs of 32: eighty bits, from the random parts of a random UUID. No I, L, O or U, which people misread.
CREATE FUNCTION portal_new_code() RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT string_agg(
        substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ',
               (get_bit(b, 5 * n) + 2 * get_bit(b, 5 * n + 1) + 4 * get_bit(b, 5 * n + 2) + 8 * get_bit(b, 5 * n + 3)
                + 16 * get_bit(b, 5 * n + 4)) + 1, 1), '' ORDER BY n)
    FROM (SELECT substr(u, 1, 6) || substr(u, 10, 4) AS b FROM (SELECT uuid_send(gen_random_uuid()) AS u OFFSET 0) r) r,
         generate_series(0, 15) AS n
$$;

CREATE FUNCTION portal_code_hash(p_code text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256(convert_to('henkan-claim-code/1:' || p_code, 'UTF8'))
$$;

-- --- Coming in ---------------------------------------------------------------------------------------

-- Somebody typed a claim code and a date and wants a code sent. What comes back, and what is done, is the same
-- whether there is such a claim or not: a knock and a message, which for nobody's claim is never sent.
-- "wait": too many tries from this address, of this code or in all. Other addresses are not held up by it, so
-- nobody can lock a claimant out; above sixty messages an hour a claimant is not written to any more.
CREATE FUNCTION portal_ask(
    p_code bytea, p_born date, p_channel text, p_language text, p_address bytea, p_ask bytea
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_all bigint;
    of_this bigint;
    found_claim bigint;
    looked_at bigint;
    agrees boolean;
    written bigint;
BEGIN
    IF length(p_ask) IS DISTINCT FROM 32 OR length(p_code) IS DISTINCT FROM 32 OR length(p_address) IS DISTINCT FROM 32
        OR p_channel IS NULL OR p_channel NOT IN ('email', 'post') OR p_language IS NULL OR p_language NOT IN ('en', 'ja') THEN
        RAISE EXCEPTION 'portal_ask: not a question' USING ERRCODE = '22023';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE code_sha256 = p_code) INTO of_all, of_this
    FROM portal_knock WHERE address_sha256 = p_address AND at > clock_timestamp() - interval '10 minutes';
    IF of_all >= 30 OR of_this >= 6 THEN
        RETURN 'wait';
    END IF;
    INSERT INTO portal_knock (address_sha256, code_sha256) VALUES (p_address, p_code);

    SELECT claim_id INTO found_claim FROM portal_claimcode WHERE code_sha256 = p_code AND ended_at IS NULL;
    -- For a code nobody has the same is read of somebody's claim, and not used.
    SELECT c.id, i.birth_or_founding_date = p_born INTO looked_at, agrees
    FROM register_claim c JOIN register_claimant w ON w.id = c.claimant_id JOIN ledger_identity i ON i.id = w.identity_id
    WHERE c.id = coalesce(found_claim, (SELECT min(id) FROM register_claim));
    SELECT count(*) INTO written FROM portal_message
    WHERE claim_id = looked_at AND queued_at > clock_timestamp() - interval '1 hour';
    IF found_claim IS NULL OR agrees IS NOT TRUE OR written >= 60 THEN
        looked_at := NULL;
    END IF;
    INSERT INTO portal_message (kind, claim_id, channel, language, asset, ask_sha256, tries, expires_at, problem)
    VALUES ('sign_in', looked_at, p_channel, p_language, '', p_ask, 0,
            clock_timestamp() + CASE p_channel WHEN 'post' THEN interval '21 days' ELSE interval '20 minutes' END, '');
    RETURN 'asked';
END $$;

-- The code that was sent, as its keyed hash; five tries. Right: a session begins under the hash of its token.
CREATE FUNCTION portal_answer(p_ask bytea, p_mac bytea, p_session bytea) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    m portal_message;
    c register_claim;
BEGIN
    SELECT * INTO m FROM portal_message WHERE ask_sha256 = p_ask AND kind = 'sign_in' FOR UPDATE;
    IF NOT FOUND OR m.used_at IS NOT NULL OR m.expires_at < clock_timestamp() OR m.tries >= 5 THEN
        RETURN jsonb_build_object('outcome', 'over');
    END IF;
    UPDATE portal_message SET tries = tries + 1 WHERE id = m.id;
    IF m.claim_id IS NULL OR m.code_mac IS NULL OR p_mac IS NULL OR m.code_mac <> p_mac THEN
        RETURN jsonb_build_object('outcome', CASE WHEN m.tries >= 4 THEN 'over' ELSE 'wrong' END);
    END IF;
    IF length(p_session) IS DISTINCT FROM 32 THEN
        RAISE EXCEPTION 'portal_answer: not a session' USING ERRCODE = '22023';
    END IF;
    UPDATE portal_message SET used_at = clock_timestamp() WHERE id = m.id;
    SELECT * INTO c FROM register_claim WHERE id = m.claim_id;
    INSERT INTO portal_session (token_sha256, claimant_id, claim_id, expires_at)
    VALUES (p_session, c.claimant_id, c.id, clock_timestamp() + interval '8 hours');
    RETURN jsonb_build_object('outcome', 'in', 'claim', c.number);
END $$;

CREATE FUNCTION portal_leave(p_token text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE portal_session SET ended_at = clock_timestamp()
    WHERE token_sha256 = sha256(convert_to(coalesce(p_token, ''), 'UTF8')) AND ended_at IS NULL
$$;

-- Acts about money want a fresh code, and are possible for ten minutes after it.
CREATE FUNCTION portal_ask_fresh(p_token text, p_channel text, p_language text, p_ask bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    s portal_session := portal_session_of(p_token);
BEGIN
    IF s.id IS NULL THEN
        RETURN 'nobody';
    END IF;
    IF length(p_ask) IS DISTINCT FROM 32 OR p_channel IS DISTINCT FROM 'email' OR p_language IS NULL OR p_language NOT IN ('en', 'ja') THEN
        RAISE EXCEPTION 'portal_ask_fresh: not a question' USING ERRCODE = '22023';
    END IF;
    PERFORM 1 FROM portal_session WHERE id = s.id FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM portal_message
        WHERE claim_id = s.claim_id AND session_id = s.id AND queued_at > clock_timestamp() - interval '1 hour') >= 10 THEN
        RETURN 'wait';
    END IF;
    INSERT INTO portal_message (kind, claim_id, session_id, channel, language, asset, ask_sha256, tries, expires_at, problem)
    VALUES ('act', s.claim_id, s.id, p_channel, p_language, '', p_ask, 0, clock_timestamp() + interval '20 minutes', '');
    RETURN 'asked';
END $$;

CREATE FUNCTION portal_answer_fresh(p_token text, p_ask bytea, p_mac bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    s portal_session := portal_session_of(p_token);
    m portal_message;
BEGIN
    IF s.id IS NULL THEN
        RETURN 'nobody';
    END IF;
    SELECT * INTO m FROM portal_message
    WHERE ask_sha256 = p_ask AND kind = 'act' AND session_id = s.id FOR UPDATE;
    IF NOT FOUND OR m.used_at IS NOT NULL OR m.expires_at < clock_timestamp() OR m.tries >= 5 THEN
        RETURN 'over';
    END IF;
    UPDATE portal_message SET tries = tries + 1 WHERE id = m.id;
    IF m.code_mac IS NULL OR p_mac IS NULL OR m.code_mac <> p_mac THEN
        RETURN CASE WHEN m.tries >= 4 THEN 'over' ELSE 'wrong' END;
    END IF;
    UPDATE portal_message SET used_at = clock_timestamp() WHERE id = m.id;
    UPDATE portal_session SET fresh_until = clock_timestamp() + interval '10 minutes' WHERE id = s.id;
    RETURN 'fresh';
END $$;

-- --- What one claimant may do ------------------------------------------------------------------------

-- The customer confirms the claim as it stands, once.
CREATE FUNCTION portal_confirm(p_token text, p_number text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    s portal_session := portal_session_of(p_token);
    c register_claim;
    k cases_case;
    now_at timestamptz := clock_timestamp();
BEGIN
    IF s.id IS NULL THEN
        RETURN 'nobody';
    END IF;
    UPDATE register_claim SET confirmed_at = now_at, confirmed_how = 'portal'
    WHERE number = p_number AND claimant_id = s.claimant_id AND confirmed_at IS NULL
    RETURNING * INTO c;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM register_claim WHERE number = p_number AND claimant_id = s.claimant_id)
            THEN 'before' ELSE 'unknown' END;
    END IF;
    SELECT * INTO k FROM cases_case WHERE id = c.case_id;
    PERFORM record_append(k.id, k.reference, 'claim.confirmed', 'claim', c.id::text, '', now_at,
                          format('{"claim":%s,"how":"portal"}', to_json(c.number)));
    RETURN 'confirmed';
END $$;

-- The customer's own figure for one line, as claims.register.schedule.dispute takes it down from paper.
CREATE FUNCTION portal_dispute(p_token text, p_number text, p_asset text, p_class text, p_claimed numeric, p_ground text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    s portal_session := portal_session_of(p_token);
    stood register_claimline;
    k cases_case;
    stands numeric;
    above numeric;
    made bigint;
    now_at timestamptz := clock_timestamp();
BEGIN
    IF s.id IS NULL THEN
        RETURN 'nobody';
    END IF;
    SELECT l.* INTO stood
    FROM register_claimline l JOIN register_claim c ON c.id = l.claim_id JOIN books_asset a ON a.id = l.asset_id
    WHERE c.number = p_number AND c.claimant_id = s.claimant_id AND a.code = p_asset AND l.claim_class = p_class
    FOR NO KEY UPDATE OF l;
    IF NOT FOUND OR p_class = 'after_cutoff' THEN
        RETURN 'unknown';
    END IF;
    IF p_claimed IS NULL OR p_claimed < 0 OR p_claimed <> trunc(p_claimed) OR p_claimed >= 1e78
        OR btrim(coalesce(p_ground, '')) = '' OR length(p_ground) > 4000 THEN
        RETURN 'incomplete';
    END IF;
    stands := stood.recorded + stood.corrected + stood.lodged;
    IF EXISTS (SELECT FROM register_dispute WHERE claim_line_id = stood.id AND decision_id IS NULL) THEN
        RETURN 'before';
    END IF;
    IF p_claimed = stands AND stood.rejected = 0 AND stood.out_of_scope = 0 THEN
        RETURN 'same';
    END IF;
    INSERT INTO register_dispute (claim_line_id, claimed, ground, how, at)
    VALUES (stood.id, p_claimed, p_ground, 'portal', now_at) RETURNING id INTO made;
    above := greatest(0, p_claimed - stands);
    IF above > 0 THEN
        UPDATE register_claimline SET lodged = lodged + above, disputed = disputed + above WHERE id = stood.id;
    END IF;
    SELECT * INTO k FROM cases_case WHERE id = stood.case_id;
    PERFORM record_append(
        k.id, k.reference, 'claim.disputed', 'dispute', made::text, '', now_at,
        format('{"asset":%s,"claim":%s,"claimed":"%s","class":%s,"evidence_sha256":"","ground":%s,"stands":"%s"}',
               to_json(p_asset), to_json(p_number), p_claimed, to_json(stood.claim_class), to_json(p_ground), stands));
    RETURN 'taken';
END $$;

-- What a claimant's session said is said by the portal's functions alone: no clerk can confirm for a customer.
-- Not SECURITY DEFINER: current_user must be whoever writes.
CREATE FUNCTION portal_words_are_the_claimants_own() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF current_user <> 'henkan_owner' THEN
        RAISE EXCEPTION 'portal_words_are_the_claimants_own: %', TG_TABLE_NAME USING ERRCODE = '42501';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER portal_words_are_the_claimants_own BEFORE INSERT OR UPDATE OF confirmed_how ON register_claim
    FOR EACH ROW WHEN (NEW.confirmed_how = 'portal') EXECUTE FUNCTION portal_words_are_the_claimants_own();
CREATE TRIGGER portal_words_are_the_claimants_own BEFORE INSERT ON register_dispute
    FOR EACH ROW WHEN (NEW.how = 'portal') EXECUTE FUNCTION portal_words_are_the_claimants_own();

-- --- Where returns go --------------------------------------------------------------------------------

-- What the portal must know to write a destination of an own claim; `same`: it is the newest that stands already.
CREATE FUNCTION portal_proposal(p_token text, p_number text, p_asset text, p_network text, p_details jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT jsonb_build_object(
        'case', c.case_id, 'claim', c.id, 'asset', a.id,
        'version', coalesce((SELECT max(d.version) FROM destinations_destination d
                             WHERE d.claim_id = c.id AND d.asset_id = a.id), 0) + 1,
        'same', coalesce((SELECT d.state <> 'revoked' AND d.fingerprint = destination_fingerprint(p_network, p_details)
                          FROM destinations_destination d WHERE d.claim_id = c.id AND d.asset_id = a.id
                          ORDER BY d.version DESC LIMIT 1), false))
    FROM register_claim c JOIN books_asset a ON a.case_id = c.case_id AND a.code = p_asset AND a.network = p_network
    WHERE c.number = p_number AND c.claimant_id = portal_claimant(p_token)
      AND EXISTS (SELECT FROM register_claimline l WHERE l.claim_id = c.id AND l.asset_id = a.id)
$$;

-- "It was not me": whoever is signed in takes back what was given in a session and is not in use yet. No fresh code:
-- stopping must be easier than giving.
CREATE FUNCTION portal_stop_destination(p_token text, p_number text, p_asset text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    s portal_session := portal_session_of(p_token);
    d destinations_destination;
    k cases_case;
BEGIN
    IF s.id IS NULL THEN
        RETURN 'nobody';
    END IF;
    UPDATE destinations_destination SET state = 'revoked', revoked_at = clock_timestamp(), revoke_reason = 'stopped by the claimant'
    WHERE id = (
        SELECT x.id FROM destinations_destination x
        JOIN register_claim c ON c.id = x.claim_id JOIN books_asset a ON a.id = x.asset_id
        WHERE c.number = p_number AND c.claimant_id = s.claimant_id AND a.code = p_asset AND x.origin = 'claimant'
          AND x.state IN ('proposed', 'proved', 'cooling')
        ORDER BY x.version DESC LIMIT 1
    ) AND state IN ('proposed', 'proved', 'cooling')
    RETURNING * INTO d;
    IF NOT FOUND THEN
        RETURN 'none';
    END IF;
    SELECT * INTO k FROM cases_case WHERE id = d.case_id;
    PERFORM record_append(
        k.id, k.reference, 'destination.revoked', 'destination', d.id::text, '', clock_timestamp(),
        format('{"asset":%s,"claim":%s,"reason":"stopped by the claimant","version":"%s"}',
               to_json(p_asset), to_json(p_number), d.version));
    RETURN 'stopped';
END $$;

-- May the transaction's own token (henkan.token) give this claim a destination now?
CREATE FUNCTION portal_may_give_destination(p_claim bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM portal_session s JOIN register_claim c ON c.claimant_id = s.claimant_id
        WHERE s.token_sha256 = sha256(convert_to(coalesce(current_setting('henkan.token', true), ''), 'UTF8'))
          AND s.ended_at IS NULL AND s.expires_at > clock_timestamp() AND s.seen_at > clock_timestamp() - interval '30 minutes'
          AND s.fresh_until > clock_timestamp() AND c.id = p_claim)
$$;

-- The one table into which the role itself writes: its trigger wants to see that it is the portal who does.
ALTER TABLE destinations_destination ENABLE ROW LEVEL SECURITY;
CREATE POLICY the_office_works_with_every_destination ON destinations_destination TO henkan_app USING (true) WITH CHECK (true);
CREATE POLICY a_claimant_gives_destinations_to_an_own_claim ON destinations_destination FOR INSERT TO henkan_portal
    WITH CHECK (origin = 'claimant' AND keyed_by_id IS NULL AND portal_may_give_destination(claim_id));
GRANT INSERT (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state, proposed_at, revoke_reason)
    ON destinations_destination TO henkan_portal;

-- With each one go its event and a message to the claimant: not you? stop it.
CREATE FUNCTION portal_destination_is_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    k cases_case;
    code text;
    number text;
BEGIN
    SELECT * INTO k FROM cases_case WHERE id = NEW.case_id;
    SELECT a.code INTO code FROM books_asset a WHERE a.id = NEW.asset_id;
    SELECT c.number INTO number FROM register_claim c WHERE c.id = NEW.claim_id;
    INSERT INTO portal_message (kind, claim_id, channel, language, asset, tries, expires_at, problem)
    VALUES ('destination', NEW.claim_id, 'email', 'ja', code, 0, clock_timestamp() + interval '7 days', '');
    PERFORM record_append(
        k.id, k.reference, 'destination.proposed', 'destination', NEW.id::text, '', clock_timestamp(),
        format('{"asset":%s,"claim":%s,"fingerprint":"%s","origin":"claimant","version":"%s"}',
               to_json(code), to_json(number), encode(NEW.fingerprint, 'hex'), NEW.version));
    RETURN NULL;
END $$;
CREATE TRIGGER portal_destination_is_told AFTER INSERT ON destinations_destination
    FOR EACH ROW WHEN (NEW.origin = 'claimant') EXECUTE FUNCTION portal_destination_is_told();

-- And when the office found it proved: the waiting time, in which the claimant can still stop it, has begun.
CREATE FUNCTION portal_proof_is_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO portal_message (kind, claim_id, channel, language, asset, tries, expires_at, problem)
    SELECT 'proved', NEW.claim_id, 'email', 'ja', a.code, 0, clock_timestamp() + interval '7 days', ''
    FROM books_asset a WHERE a.id = NEW.asset_id;
    RETURN NULL;
END $$;
CREATE TRIGGER portal_proof_is_told AFTER UPDATE OF proved_at ON destinations_destination
    FOR EACH ROW WHEN (NEW.origin = 'claimant' AND OLD.proved_at IS NULL AND NEW.proved_at IS NOT NULL)
    EXECUTE FUNCTION portal_proof_is_told();

-- --- What changes how --------------------------------------------------------------------------------

-- A code is ended once; a session's token and claimant stand; a message says what it said, and its code is set once.
CREATE FUNCTION portal_rows_keep_what_they_say() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    may_change text[] := TG_ARGV[0]::text[];
    set_once text[] := TG_ARGV[1]::text[];
    name text;
BEGIN
    IF (to_jsonb(NEW) - may_change - set_once) IS DISTINCT FROM (to_jsonb(OLD) - may_change - set_once) THEN
        RAISE EXCEPTION 'portal_rows_keep_what_they_say: % %', TG_TABLE_NAME, OLD.id USING ERRCODE = '23001';
    END IF;
    FOREACH name IN ARRAY set_once LOOP
        IF to_jsonb(OLD) ->> name IS NOT NULL AND to_jsonb(NEW) ->> name IS DISTINCT FROM to_jsonb(OLD) ->> name THEN
            RAISE EXCEPTION 'portal_rows_keep_what_they_say: % % has its % already', TG_TABLE_NAME, OLD.id, name
                USING ERRCODE = '23001';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER claim_code_keeps_what_it_says BEFORE UPDATE ON portal_claimcode
    FOR EACH ROW EXECUTE FUNCTION portal_rows_keep_what_they_say('{}', '{ended_at}');
CREATE TRIGGER session_keeps_what_it_says BEFORE UPDATE ON portal_session
    FOR EACH ROW EXECUTE FUNCTION portal_rows_keep_what_they_say('{seen_at,fresh_until}', '{ended_at}');
CREATE TRIGGER message_keeps_what_it_says BEFORE UPDATE ON portal_message
    FOR EACH ROW WHEN (OLD.kind NOT IN ('destination', 'proved'))
    EXECUTE FUNCTION portal_rows_keep_what_they_say('{tries,problem}', '{code_mac,taken_at,sent_at,used_at}');
-- A warning is taken again until it was sent: twice does no harm, never does.
CREATE TRIGGER warning_keeps_what_it_says BEFORE UPDATE ON portal_message
    FOR EACH ROW WHEN (OLD.kind IN ('destination', 'proved'))
    EXECUTE FUNCTION portal_rows_keep_what_they_say('{tries,problem,taken_at}', '{code_mac,sent_at,used_at}');
CREATE TRIGGER claim_code_is_kept BEFORE DELETE OR TRUNCATE ON portal_claimcode
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --- Rights ------------------------------------------------------------------------------------------

-- The office prints letters and sends messages; it opens no session and reads no token's hash.
REVOKE ALL ON portal_claimcode, portal_message, portal_session, portal_knock FROM henkan_app, henkan_reader;
GRANT SELECT, INSERT ON portal_claimcode TO henkan_app;
GRANT UPDATE (ended_at) ON portal_claimcode TO henkan_app;
GRANT SELECT (id, kind, claim_id, channel, language, asset, queued_at, expires_at, taken_at, sent_at, problem, used_at, ask_sha256)
    ON portal_message TO henkan_app;
GRANT UPDATE (code_mac, taken_at, sent_at, problem) ON portal_message TO henkan_app;
GRANT SELECT (id, at), DELETE ON portal_knock TO henkan_app;

REVOKE EXECUTE ON FUNCTION
    portal_session_of(text), portal_claimant(text), portal_ask(bytea, date, text, text, bytea, bytea),
    portal_answer(bytea, bytea, bytea), portal_leave(text), portal_ask_fresh(text, text, text, bytea),
    portal_answer_fresh(text, bytea, bytea), portal_claim(text, text), portal_lines(bigint, boolean, jsonb), portal_first_gates(bigint),
    portal_confirm(text, text), portal_dispute(text, text, text, text, numeric, text), portal_proposal(text, text, text, text, jsonb), portal_stop_destination(text, text, text),
    portal_may_give_destination(bigint), portal_destination_is_told(), portal_proof_is_told(),
    portal_rows_keep_what_they_say(),
    portal_words_are_the_claimants_own()
    FROM henkan_app;
GRANT EXECUTE ON FUNCTION
    portal_claimant(text), portal_ask(bytea, date, text, text, bytea, bytea), portal_answer(bytea, bytea, bytea),
    portal_leave(text), portal_ask_fresh(text, text, text, bytea), portal_answer_fresh(text, bytea, bytea),
    portal_cases(), portal_case(text), portal_claim(text, text), portal_confirm(text, text),
    portal_dispute(text, text, text, text, numeric, text), portal_proposal(text, text, text, text, jsonb), portal_stop_destination(text, text, text),
    portal_may_give_destination(bigint)
    TO henkan_portal;
GRANT EXECUTE ON FUNCTION destination_fingerprint(text, jsonb), frame(text) TO henkan_portal;  -- a CHECK of the table asks for them
