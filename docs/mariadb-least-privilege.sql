-- An administrative login for Keyturn that can do nothing but rotate the accounts in a list. (With
-- CREATE USER it could take over every account of the server, root among them.)
--
-- As root, on MariaDB 10.5.2 or later (CONNECTION ADMIN is new there):
--     mariadb < mariadb-least-privilege.sql
--     mariadb -e "INSERT INTO keyturn.managed VALUES ('app_a'), ('app_b')"
-- then give kt_small a password, as a hash, so that no log has it: of what you type on standard input
--     printf '*%s\n' "$(head -c -1 | openssl dgst -sha1 -binary | openssl dgst -sha1 -r | cut -c1-40)"
--     mariadb -e "ALTER USER kt_small IDENTIFIED VIA mysql_native_password USING '*...' ACCOUNT UNLOCK"
-- and give the target kt_small as admin_username. Let it come from where vaultd is, and over TLS only:
--     RENAME USER kt_small TO kt_small@'10.0.0.5'; ALTER USER kt_small@'10.0.0.5' REQUIRE SSL;
--
-- The accounts must exist, with their role: the list's login can make none.
--
-- The driver uses these routines with a login that may not read mysql.global_priv itself, and only while
-- they run with their maker's rights (SQL SECURITY DEFINER).

SET SESSION sql_mode = '';

CREATE DATABASE IF NOT EXISTS keyturn CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS keyturn.managed (account varchar(128) PRIMARY KEY);

CREATE USER IF NOT EXISTS kt_owner@localhost
    IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK;
GRANT CREATE USER, CONNECTION ADMIN, PROCESS ON *.* TO kt_owner@localhost;
GRANT SELECT ON mysql.global_priv TO kt_owner@localhost;
GRANT SELECT, EXECUTE ON keyturn.* TO kt_owner@localhost;

CREATE USER IF NOT EXISTS kt_small
    IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK;

-- What the driver may see of the managed accounts: no hash.
CREATE OR REPLACE DEFINER = kt_owner@localhost SQL SECURITY DEFINER VIEW keyturn.accounts AS
    SELECT p.User AS account, p.Host AS host,
           COALESCE(JSON_VALUE(p.Priv, '$.plugin'), '') AS plugin,
           COALESCE(JSON_EXTRACT(p.Priv, '$.auth_or[*].plugin'), '') AS others,
           COALESCE(JSON_VALUE(p.Priv, '$.default_role'), '') AS role,
           COALESCE(JSON_VALUE(p.Priv, '$.account_locked'), 0) AS locked
    FROM mysql.global_priv p JOIN keyturn.managed m ON m.account = p.User
    WHERE JSON_VALUE(p.Priv, '$.is_role') IS NULL;

DELIMITER //

CREATE OR REPLACE DEFINER = kt_owner@localhost PROCEDURE keyturn.check_managed(IN p_account varchar(128))
    READS SQL DATA SQL SECURITY DEFINER
BEGIN
    IF NOT EXISTS (SELECT 1 FROM keyturn.accounts a WHERE a.account = p_account) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no such account in keyturn.managed';
    END IF;
    -- Whoever can log in without a password goes on doing so: that is not for this login to end.
    IF EXISTS (SELECT 1 FROM keyturn.accounts a WHERE a.account = p_account AND
               (a.plugin NOT IN ('', 'mysql_native_password', 'ed25519') OR
                REGEXP_REPLACE(a.others, '"(mysql_native_password|ed25519)"', '') REGEXP '"')) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'this account has a way in that takes no hash';
    END IF;
END//

CREATE OR REPLACE DEFINER = kt_owner@localhost PROCEDURE keyturn.check_hashes(
    IN p_native varchar(64), IN p_ed25519 varchar(64))
    NO SQL SQL SECURITY DEFINER
BEGIN
    IF p_native NOT REGEXP '^[*][0-9A-F]{40}$' OR p_ed25519 NOT REGEXP '^[A-Za-z0-9+/]{43}$' OR
       CHAR_LENGTH(p_native) <> 41 OR CHAR_LENGTH(p_ed25519) <> 43 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'these are not the hashes of a password';
    END IF;
END//

CREATE OR REPLACE DEFINER = kt_owner@localhost PROCEDURE keyturn.alter_all(
    IN p_account varchar(128), IN p_native varchar(64), IN p_ed25519 varchar(64),
    IN p_native2 varchar(64), IN p_ed25519_2 varchar(64), IN p_lock varchar(8))
    MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
    CALL keyturn.check_managed(p_account);
    FOR entry IN (SELECT a.host, IF(a.plugin = 'ed25519', 'ed25519', 'mysql_native_password') AS plugin
                  FROM keyturn.accounts a WHERE a.account = p_account) DO
        EXECUTE IMMEDIATE CONCAT(
            'ALTER USER ', QUOTE(p_account), '@', QUOTE(entry.host), ' IDENTIFIED VIA ', entry.plugin,
            ' USING ', QUOTE(IF(entry.plugin = 'ed25519', p_ed25519, p_native)),
            IF(p_native2 = '', '', CONCAT(' OR ', entry.plugin, ' USING ',
               QUOTE(IF(entry.plugin = 'ed25519', p_ed25519_2, p_native2)))),
            ' ACCOUNT ', p_lock);
    END FOR;
END//

-- One password, and a second that is accepted beside it; '' for none.
CREATE OR REPLACE DEFINER = kt_owner@localhost PROCEDURE keyturn.set_hashes(
    IN p_account varchar(128), IN p_native varchar(64), IN p_ed25519 varchar(64),
    IN p_native2 varchar(64), IN p_ed25519_2 varchar(64))
    MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
    CALL keyturn.check_hashes(p_native, p_ed25519);
    IF p_native2 <> '' OR p_ed25519_2 <> '' THEN
        CALL keyturn.check_hashes(p_native2, p_ed25519_2);
    END IF;
    CALL keyturn.alter_all(p_account, p_native, p_ed25519, p_native2, p_ed25519_2, 'UNLOCK');
END//

-- "invalid" is the server's word for a hash that nothing has; for a key, one that nobody made.
CREATE OR REPLACE DEFINER = kt_owner@localhost PROCEDURE keyturn.retire(IN p_account varchar(128))
    MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
    CALL keyturn.alter_all(p_account, 'invalid', TRIM(TRAILING '=' FROM
        TO_BASE64(UNHEX(SHA2(CONCAT(UUID(), RAND(), NOW(6)), 256)))), '', '', 'LOCK');
END//

-- Ends the sessions that it sees; how many there were is the answer's number of rows.
CREATE OR REPLACE DEFINER = kt_owner@localhost PROCEDURE keyturn.end_sessions(IN p_account varchar(128))
    MODIFIES SQL DATA SQL SECURITY DEFINER
BEGIN
    CALL keyturn.check_managed(p_account);
    EXECUTE IMMEDIATE CONCAT('KILL HARD CONNECTION USER ', QUOTE(p_account));
END//

CREATE OR REPLACE DEFINER = kt_owner@localhost FUNCTION keyturn.sessions(p_account varchar(128))
    RETURNS bigint READS SQL DATA SQL SECURITY DEFINER
BEGIN
    RETURN (SELECT COUNT(*) FROM information_schema.PROCESSLIST p
            WHERE p.USER = p_account AND EXISTS (SELECT 1 FROM keyturn.managed m WHERE m.account = p_account));
END//

DELIMITER ;

GRANT SELECT ON keyturn.accounts TO kt_small;
GRANT EXECUTE ON PROCEDURE keyturn.set_hashes TO kt_small;
GRANT EXECUTE ON PROCEDURE keyturn.retire TO kt_small;
GRANT EXECUTE ON PROCEDURE keyturn.end_sessions TO kt_small;
GRANT EXECUTE ON FUNCTION keyturn.sessions TO kt_small;
