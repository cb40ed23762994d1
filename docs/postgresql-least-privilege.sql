-- An administrative login for Keyturn that can do nothing but rotate the accounts in a list.
--
-- As a superuser, in the database that the target names:
--     psql -d DATABASE -f postgresql-least-privilege.sql
--     psql -d DATABASE -c "INSERT INTO keyturn.managed VALUES ('app_a'), ('app_b')"
--     psql -d DATABASE -c '\password kt_small'
-- and give the target kt_small as admin_username. Statements with a verifier are then in no log: the
-- log of statements shows "SELECT keyturn.set_verifier($1, $2)". (log_min_duration_statement still
-- logs parameters; log_parameter_max_length = 0 stops that.)
--
-- The accounts must exist: this login can make none. Where two alternate under a group, each has to start as it:
--     GRANT app TO app_a, app_b
--     ALTER ROLE app_a SET role = 'app'
--     ALTER ROLE app_b SET role = 'app'
--
-- The driver uses these functions only while they belong to a role with CREATEROLE or a superuser.
-- PostgreSQL 16 and later also want, for each account:
--     GRANT app_a TO kt_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;

BEGIN;

DO $$
BEGIN
    IF to_regrole('kt_owner') IS NULL THEN
        CREATE ROLE kt_owner NOLOGIN CREATEROLE;
    END IF;
    IF to_regrole('kt_small') IS NULL THEN
        CREATE ROLE kt_small LOGIN;
    END IF;
END
$$;
GRANT pg_signal_backend TO kt_owner;

CREATE SCHEMA IF NOT EXISTS keyturn;
ALTER SCHEMA keyturn OWNER TO kt_owner;
REVOKE ALL ON SCHEMA keyturn FROM PUBLIC;
GRANT USAGE ON SCHEMA keyturn TO kt_small;

CREATE TABLE IF NOT EXISTS keyturn.managed (account name PRIMARY KEY);
ALTER TABLE keyturn.managed OWNER TO kt_owner;

CREATE OR REPLACE FUNCTION keyturn.check_managed(account text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM keyturn.managed m WHERE m.account = check_managed.account) THEN
        RAISE EXCEPTION 'this role is not in keyturn.managed';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION keyturn.set_verifier(account text, verifier text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM keyturn.check_managed(account);
    IF verifier !~ '^SCRAM-SHA-256\$[1-9][0-9]{3,6}:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$'
       OR verifier ~ '[[:space:]]' THEN
        RAISE EXCEPTION 'this is not a SCRAM-SHA-256 verifier';
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L VALID UNTIL ''infinity''', account, verifier);
END
$$;

CREATE OR REPLACE FUNCTION keyturn.retire(account text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM keyturn.check_managed(account);
    EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', account);
END
$$;

CREATE OR REPLACE FUNCTION keyturn.note(account text, note text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM keyturn.check_managed(account);
    EXECUTE format('COMMENT ON ROLE %I IS %L', account, note);
END
$$;

-- Ends the sessions that it sees, and tells how many there were.
CREATE OR REPLACE FUNCTION keyturn.end_sessions(account text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM keyturn.check_managed(account);
    RETURN (SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
            WHERE a.usename = account AND a.pid <> pg_backend_pid());
END
$$;

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'keyturn'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO kt_owner', f);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        IF f <> 'keyturn.check_managed(text)'::regprocedure THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO kt_small', f);
        END IF;
    END LOOP;
END
$$;

COMMIT;
