-- Failures of returns: what rails say when they fail, and what follows. Before refusals.sql, whose gates ask for it.

CREATE TRIGGER failure_reason_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_failurereason
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE INSERT, UPDATE, DELETE ON returns_failurereason FROM henkan_app;

-- Of the rows for the rail (or every rail) whose words fit, the lowest rank counts; what fits nothing stops. The
-- rehearsal rails pay nobody: whatever they say, the next try may go through.
INSERT INTO returns_failurereason (code, rail, rank, policy, tries_max, words) VALUES
    ('rehearsed',           'rehearsal', 1, 'retry',   9, '.*'),
    ('sanctions',           '',  10, 'stop',    1, 'sanction|制裁|凍結|frozen|blocked by law'),
    ('wrong_amount',        '',  20, 'stop',    1, 'wrong amount|amount differs|金額相違|金額不一致'),
    ('account_closed',      '',  30, 'ask',     1, 'account.*clos|closed account|解約|口座なし|ｺｳｻﾞﾅｼ|no such account|unknown account|該当口座'),
    ('name_mismatch',       '',  40, 'ask',     1, 'name|名義|ﾒｲｷﾞ|受取人名'),
    ('address_invalid',     '',  50, 'ask',     1, 'address|memo|tag|アドレス'),
    ('account_refuses',     '',  60, 'ask',     1, 'cannot receive|credits stopped|refuses? (the )?credit|入金不可|取引停止'),
    ('rail_does_not_carry', '',  70, 'reroute', 1, 'unsupported|not supported|not carried|limit of the rail|限度|取扱不可'),
    ('insufficient_funds',  '',  80, 'retry',   5, 'insufficient|残高不足'),
    ('rail_down',           '',  90, 'retry',   5, 'unavailable|maintenance|timeout|busy|try again|障害|時間外|congest'),
    ('declined_here',       '', 100, 'retry',   9, '^declined$|^found not paid'),
    ('refused_by_rail',     '', 110, 'retry',   3, 'refus|reject|declin|組戻|振込不能|lapsed|expired'),
    ('not_said',            '', 120, 'retry',   3, '^$'),
    ('other',               '', 999, 'stop',    1, '.*');

-- The kind of failure that a rail's own words mean.
CREATE FUNCTION failure_code(p_words text, p_rail text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT f.code FROM returns_failurereason f
    WHERE (f.rail = '' OR p_rail LIKE f.rail || '%') AND lower(coalesce(p_words, '')) ~ f.words
    ORDER BY f.rank LIMIT 1
$$;

-- Does the last failure of a return keep it back? What the customer must be asked for is the destination's gate: it is
-- blocked with the failure. This is for what people release.
CREATE FUNCTION failure_keeps_back(p_return bigint, p_tries integer, p_rail text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM (
            SELECT t.id, t.state, t.reason_code, t.batch_id FROM returns_attempt t
            WHERE t.asset_return_id = p_return ORDER BY t.id DESC LIMIT 1) t
        JOIN returns_batch b ON b.id = t.batch_id
        JOIN returns_failurereason f ON f.code = failure_code(t.reason_code, b.rail)
        WHERE t.state IN ('refused', 'dead')
          AND (f.policy = 'stop' OR f.policy = 'reroute' AND b.rail = p_rail OR f.policy = 'retry' AND p_tries >= f.tries_max)
          AND NOT EXISTS (SELECT FROM returns_release r WHERE r.attempt_id = t.id AND r.state = 'done'))
$$;
