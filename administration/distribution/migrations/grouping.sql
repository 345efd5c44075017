-- Who is one person with whom is frozen when a run begins, whoever writes the run's row, and stays with it.
CREATE FUNCTION distribution_run_freezes_groups() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.grouping_id := ledger_freeze_groups(NEW.case_id);
    ELSIF NEW.grouping_id IS DISTINCT FROM OLD.grouping_id THEN
        RAISE EXCEPTION 'run_keeps_the_grouping_it_began_with: run %', OLD.number USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER run_freezes_groups BEFORE INSERT OR UPDATE ON distribution_run
    FOR EACH ROW EXECUTE FUNCTION distribution_run_freezes_groups();
