-- The estate's books: what the database itself refuses.
-- henkan_app reads everything here and writes nothing directly: it posts through books_post, and moves
-- positions through positions_move (claims.register), which posts through books_enter.

-- --- Structure the models cannot say ---------------------------------------------------------

ALTER TABLE books_account
    ADD CONSTRAINT account_has_the_side_of_its_kind
        FOREIGN KEY (kind, side) REFERENCES books_accountkind (kind, side),
    ADD CONSTRAINT account_is_of_the_case_of_its_asset
        FOREIGN KEY (asset_id, case_id) REFERENCES books_asset (id, case_id),
    ADD CONSTRAINT account_names_a_suspense_and_nothing_else
        CHECK ((kind = 'suspense') = (ref <> ''));

ALTER TABLE books_balance
    ADD CONSTRAINT balance_is_on_the_side_of_its_account
        FOREIGN KEY (account_id, side) REFERENCES books_account (id, side);

ALTER TABLE books_entrykind
    ADD CONSTRAINT entry_kind_debits_a_known_account FOREIGN KEY (debit) REFERENCES books_accountkind (kind),
    ADD CONSTRAINT entry_kind_credits_a_known_account FOREIGN KEY (credit) REFERENCES books_accountkind (kind),
    ADD CONSTRAINT entry_kind_has_two_accounts CHECK (debit <> credit);

-- An entry announces its number of lines and each line repeats it: every slot is taken at once, so no
-- line can be added later.
ALTER TABLE books_posting
    ADD CONSTRAINT posting_is_announced_by_its_entry
        FOREIGN KEY (entry_id, n_lines) REFERENCES books_entry (id, n_lines),
    ADD CONSTRAINT posting_is_in_the_asset_of_its_account
        FOREIGN KEY (account_id, asset_id) REFERENCES books_account (id, asset_id);

-- --- Append-only -------------------------------------------------------------------------------

CREATE TRIGGER account_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON books_account
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER account_kind_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON books_accountkind
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entry_kind_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON books_entrykind
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON books_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON books_posting
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER balance_is_kept BEFORE DELETE OR TRUNCATE ON books_balance
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Balances follow accounts and postings; nobody writes them by hand, the owner included.
CREATE TRIGGER balance_follows_postings BEFORE INSERT OR UPDATE ON books_balance
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change();

-- All amounts of an asset are counted at its scale: changing it would change them all.
CREATE FUNCTION asset_keeps_its_measure() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.case_id, NEW.code, NEW.scale, NEW.kind) IS DISTINCT FROM (OLD.case_id, OLD.code, OLD.scale, OLD.kind) THEN
        RAISE EXCEPTION 'asset_keeps_its_measure: case, code, scale and kind of % never change', OLD.code
            USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER asset_keeps_its_measure BEFORE UPDATE ON books_asset
    FOR EACH ROW EXECUTE FUNCTION asset_keeps_its_measure();
CREATE TRIGGER asset_is_kept BEFORE DELETE OR TRUNCATE ON books_asset
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --- Balances ----------------------------------------------------------------------------------

CREATE FUNCTION account_opens_its_balance() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO books_balance (account_id, side, debits, credits) SELECT id, side, 0, 0 FROM opened;
    RETURN NULL;
END $$;
CREATE TRIGGER account_opens_its_balance AFTER INSERT ON books_account
    REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION account_opens_its_balance();

-- Balances are locked in the order of account numbers, so that two entries never wait for each other.
-- The CHECK balance_is_never_overdrawn refuses what is not there.
CREATE FUNCTION posting_moves_balances() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM books_balance WHERE account_id IN (SELECT account_id FROM posted)
        ORDER BY account_id FOR NO KEY UPDATE;
    UPDATE books_balance b SET debits = b.debits + s.debits, credits = b.credits + s.credits
    FROM (
        SELECT account_id,
               coalesce(sum(amount) FILTER (WHERE side = 'D'), 0) AS debits,
               coalesce(sum(amount) FILTER (WHERE side = 'C'), 0) AS credits
        FROM posted GROUP BY account_id
    ) s
    WHERE b.account_id = s.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER posting_moves_balances AFTER INSERT ON books_posting
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION posting_moves_balances();

-- --- Entries are whole and balanced --------------------------------------------------------------

CREATE FUNCTION entry_is_whole_and_balanced() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    lines bigint;
    wrong text;
BEGIN
    SELECT count(*) INTO lines FROM books_posting WHERE entry_id = NEW.id;
    IF lines <> NEW.n_lines THEN
        RAISE EXCEPTION 'entry_is_whole_and_balanced: entry % announces % lines and has %', NEW.id, NEW.n_lines, lines
            USING ERRCODE = '23514';
    END IF;
    SELECT a.code INTO wrong FROM books_posting p JOIN books_asset a ON a.id = p.asset_id
    WHERE p.entry_id = NEW.id
    GROUP BY a.code HAVING sum(CASE p.side WHEN 'D' THEN p.amount ELSE -p.amount END) <> 0
    ORDER BY a.code LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry_is_whole_and_balanced: debits and credits of entry % differ in %', NEW.id, wrong
            USING ERRCODE = '23514';
    END IF;
    SELECT a.kind INTO wrong FROM books_posting p
    JOIN books_account a ON a.id = p.account_id
    JOIN books_entrykind k ON k.kind = NEW.kind
    WHERE p.entry_id = NEW.id
      AND (a.case_id <> NEW.case_id OR a.kind <> CASE p.side WHEN 'D' THEN k.debit ELSE k.credit END)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry_is_whole_and_balanced: account % is not one that "%" posts to in this case', wrong, NEW.kind
            USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER entry_is_whole_and_balanced AFTER INSERT ON books_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entry_is_whole_and_balanced();

-- --- Posting -----------------------------------------------------------------------------------

-- What an entry says, as 32 bytes: two calls with one key must say the same.
CREATE FUNCTION books_body(kind text, ref text, subject_kind text, subject_id text, assets bigint[], amounts numeric[])
RETURNS bytea LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256(
        frame(kind) || frame(ref) || frame(subject_kind) || frame(subject_id) || frame(
            (SELECT string_agg(asset || ':' || trunc(amount), ',' ORDER BY asset) FROM unnest(assets, amounts) AS l (asset, amount))
        )
    )
$$;

-- Posts one entry of any kind, one debit and one credit for each asset. Not granted to henkan_app:
-- what moves positions must come with the positions.
CREATE FUNCTION books_enter(
    p_case_id bigint, p_kind text, p_key text, p_assets bigint[], p_amounts numeric[], p_ref text,
    p_subject_kind text, p_subject_id text, p_by text, p_at timestamptz
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    k books_entrykind;
    n integer := coalesce(cardinality(p_assets), 0);
    body bytea;
    earlier bytea;
    entry bigint;
    wrong text;
BEGIN
    SELECT * INTO k FROM books_entrykind WHERE kind = p_kind;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'books_enter: there is no kind of entry "%"', p_kind USING ERRCODE = '23503';
    END IF;
    IF coalesce(p_key, '') = '' THEN
        RAISE EXCEPTION 'books_enter: an entry needs a key' USING ERRCODE = '23514';
    END IF;
    IF n = 0 OR n <> coalesce(cardinality(p_amounts), 0) THEN
        RAISE EXCEPTION 'books_enter: an entry needs at least one asset, and an amount for each' USING ERRCODE = '23514';
    END IF;
    -- NaN and Infinity are greater than any number, fractions would be rounded silently: both are refused here.
    SELECT format('asset %s, amount %s', asset, coalesce(amount::text, 'none')) INTO wrong
    FROM unnest(p_assets, p_amounts) AS l (asset, amount)
    WHERE amount IS NULL OR amount IN ('NaN', 'Infinity', '-Infinity') OR amount <= 0 OR amount <> trunc(amount)
       OR NOT EXISTS (SELECT FROM books_asset a WHERE a.id = l.asset AND a.case_id = p_case_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'books_enter: each line needs an asset of this case and a whole amount above zero (%)', wrong
            USING ERRCODE = '23514';
    END IF;
    IF (SELECT count(DISTINCT asset) FROM unnest(p_assets) AS asset) <> n THEN
        RAISE EXCEPTION 'books_enter: an asset is listed twice' USING ERRCODE = '23514';
    END IF;

    body := books_body(p_kind, p_ref, p_subject_kind, p_subject_id, p_assets, p_amounts);
    INSERT INTO books_entry (case_id, kind, idem_key, body_sha256, n_lines, subject_kind, subject_id, by, at)
    VALUES (p_case_id, p_kind, p_key, body, 2 * n, p_subject_kind, p_subject_id, p_by, p_at)
    ON CONFLICT (case_id, idem_key) DO NOTHING
    RETURNING id INTO entry;
    IF entry IS NULL THEN
        SELECT e.body_sha256 INTO earlier FROM books_entry e WHERE e.case_id = p_case_id AND e.idem_key = p_key;
        IF earlier IS DISTINCT FROM body THEN
            RAISE EXCEPTION 'entry_key_posts_once: the key "%" was used for another entry', p_key USING ERRCODE = '23505';
        END IF;
        RETURN NULL;
    END IF;

    INSERT INTO books_account (case_id, asset_id, kind, side, ref)
    SELECT p_case_id, asset, a.kind, a.side, CASE a.kind WHEN 'suspense' THEN p_ref ELSE '' END
    FROM unnest(p_assets) AS asset CROSS JOIN books_accountkind a
    WHERE a.kind IN (k.debit, k.credit)
      AND NOT EXISTS (  -- asked first, so that an ordinary entry takes no number from the sequence
        SELECT FROM books_account b WHERE b.case_id = p_case_id AND b.asset_id = asset AND b.kind = a.kind
            AND b.ref = CASE a.kind WHEN 'suspense' THEN p_ref ELSE '' END
      )
    ORDER BY asset, a.kind
    ON CONFLICT (case_id, asset_id, kind, ref) DO NOTHING;

    INSERT INTO books_posting (entry_id, n_lines, line, account_id, asset_id, side, amount)
    SELECT entry, 2 * n, row_number() OVER (ORDER BY l.asset, s.side DESC), a.id, l.asset, s.side, l.amount
    FROM unnest(p_assets, p_amounts) AS l (asset, amount)
    CROSS JOIN (VALUES ('D', k.debit), ('C', k.credit)) AS s (side, kind)
    JOIN books_account a ON a.case_id = p_case_id AND a.asset_id = l.asset AND a.kind = s.kind
        AND a.ref = CASE s.kind WHEN 'suspense' THEN p_ref ELSE '' END;
    RETURN entry;
END $$;

-- The one way in for entries that move no position. NULL: this very entry was posted before.
CREATE FUNCTION books_post(
    p_case_id bigint, p_kind text, p_key text, p_assets bigint[], p_amounts numeric[], p_ref text,
    p_subject_kind text, p_subject_id text, p_by text, p_at timestamptz
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM books_entrykind WHERE kind = p_kind AND moves_positions) THEN
        RAISE EXCEPTION 'books_post: "%" is posted by positions_move only, together with the positions', p_kind
            USING ERRCODE = '23514';
    END IF;
    RETURN books_enter(p_case_id, p_kind, p_key, p_assets, p_amounts, p_ref, p_subject_kind, p_subject_id, p_by, p_at);
END $$;

-- --- Rights ------------------------------------------------------------------------------------

REVOKE INSERT, UPDATE, DELETE ON
    books_account, books_accountkind, books_balance, books_entry, books_entrykind, books_posting
    FROM henkan_app;
REVOKE DELETE ON books_asset FROM henkan_app;
REVOKE EXECUTE ON FUNCTION
    books_enter(bigint, text, text, bigint[], numeric[], text, text, text, text, timestamptz) FROM henkan_app;

-- --- Kinds -------------------------------------------------------------------------------------

INSERT INTO books_accountkind (kind, side) VALUES
    ('custody', 'D'), ('receivable', 'D'),
    ('free', 'C'), ('suspense', 'C'), ('reserved', 'C'), ('entitled', 'C'), ('in_flight', 'C'), ('residue', 'C');

INSERT INTO books_entrykind (kind, debit, credit, statement_line, moves_positions) VALUES
    ('opening',                 'custody',    'free',       'opening',         false),
    ('opening_suspense',        'custody',    'suspense',   'opening',         false),
    ('receipt',                 'custody',    'free',       'receipts',        false),
    ('receipt_suspense',        'custody',    'suspense',   'receipts',        false),
    ('conversion_in',           'custody',    'free',       'conversions_in',  false),
    ('conversion_in_suspense',  'custody',    'suspense',   'conversions_in',  false),
    ('identify',                'suspense',   'free',       '',                false),
    ('identify_entitled',       'suspense',   'entitled',   '',                true),   -- a bounce that nobody knew at first
    ('conversion_out',          'free',       'custody',    'conversions_out', false),
    ('reserve',                 'free',       'reserved',   '',                false),
    ('release',                 'reserved',   'free',       '',                false),
    ('cost',                    'reserved',   'custody',    'costs',           false),
    ('cost_free',               'free',       'custody',    'costs',           false),
    ('declare',                 'free',       'entitled',   '',                true),
    ('withdraw',                'entitled',   'free',       '',                true),
    ('take',                    'entitled',   'in_flight',  '',                true),
    ('void',                    'in_flight',  'entitled',   '',                true),
    ('settle',                  'in_flight',  'custody',    'settled',         true),
    ('bounce',                  'custody',    'entitled',   'bounced',         true),
    ('deposit',                 'entitled',   'custody',    'deposited',       true),
    ('overpay',                 'receivable', 'custody',    'overpaid',        false),
    ('recover',                 'custody',    'receivable', 'recovered',       false),
    ('net',                     'entitled',   'receivable', '',                true),
    ('write_off',               'free',       'receivable', '',                false),
    ('residue',                 'free',       'residue',    '',                false),
    ('dispose',                 'residue',    'custody',    'disposed',        false);
