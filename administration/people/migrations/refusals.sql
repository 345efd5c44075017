-- What the database itself refuses of people.

-- The record names people by their sign-in: it never changes and nobody is deleted, only shut out.
CREATE FUNCTION people_user_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'a person is never deleted, only shut out' USING ERRCODE = '23001';
    END IF;
    IF NEW.username <> OLD.username OR NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'a sign-in keeps its name' USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER sign_in_keeps_its_name BEFORE UPDATE ON people_user
    FOR EACH ROW EXECUTE FUNCTION people_user_is_guarded();
CREATE TRIGGER person_is_never_deleted BEFORE DELETE OR TRUNCATE ON people_user
    FOR EACH STATEMENT EXECUTE FUNCTION people_user_is_guarded();
REVOKE DELETE, TRUNCATE ON people_user FROM henkan_app;

-- Auditors' queries see who somebody is, not what they sign in with.
REVOKE SELECT ON people_user FROM henkan_reader;
GRANT SELECT (id, username, first_name, last_name, is_active) ON people_user TO henkan_reader;
