/* lib/driver/maria_session.c - see lib/driver/maria_session.h. */
#include "lib/driver/maria_session.h"

#include <mariadb/errmsg.h>
#include <mariadb/mysql.h>
#include <mariadb/ma_pvio.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/ipc.h"

#define PACKET_MAX  ((unsigned long)1024 * 1024)
#define RESULTS_MAX 16
/* What a server may ask for. Others show it the password, or need files. */
#define WAYS_IN     "mysql_native_password,client_ed25519"

static bool fail(struct maria_session *s, const char *code, const char *detail)
{
    (void)!snprintf(s->code, sizeof(s->code), "%.8s", code);
    (void)!snprintf(s->detail, sizeof(s->detail), "%.*s", (int)sizeof(s->detail) - 1, detail);
    return false;
}

/* The client's own failures have numbers, too; a word says more to a person. */
static const struct {
    unsigned number;
    const char *code;
} client_failures[] = {
    {CR_OUT_OF_MEMORY, "memory"},          {CR_SOCKET_CREATE_ERROR, "connect"},
    {CR_CONNECTION_ERROR, "connect"},      {CR_CONN_HOST_ERROR, "connect"},
    {CR_SERVER_GONE_ERROR, "lost"},        {CR_SERVER_LOST, "lost"},
    {CR_SERVER_LOST_EXTENDED, "lost"},     {CR_SSL_CONNECTION_ERROR, "tls"},
    {CR_AUTH_PLUGIN_CANNOT_LOAD, "plugin"}, {CR_MALFORMED_PACKET, "protocol"},
    {CR_COMMANDS_OUT_OF_SYNC, "protocol"}, {CR_SERVER_HANDSHAKE_ERR, "protocol"},
};

static bool fail_as_said(struct maria_session *s)
{
    unsigned number = mysql_errno(s->conn);
    char code[9];
    (void)!snprintf(code, sizeof(code), "%u", number % 100000000u);
    const char *word = number == 0 ? "protocol" : code;
    for (size_t i = 0; i < sizeof(client_failures) / sizeof(client_failures[0]); i++) {
        if (client_failures[i].number == number)
            word = client_failures[i].code;
    }
    const char *said = mysql_error(s->conn);
    /* One number for two reasons: this one passes. */
    if (number == 1290 && strstr(said, "read-only") != NULL)
        word = "readonly";
    return fail(s, word, said);
}

/* ---- connecting ---------------------------------------------------------------------------- */

/* Debian's mysql/client_plugin.h includes a header that is in no package; so what it says of these
 * two kinds of plugins is said here. That it is still so the version tells. */
#define PLUGIN_CONNECTS 101
#define PLUGIN_LOGS_IN  2
#define PLUGIN_VERSION  0x0100u
struct connecting_plugin {
    struct st_mysql_client_plugin head;
    struct st_ma_pvio_methods *methods;
};

/* libmariadb checks the server's certificate against the name that it connects to, and looks that
 * name up itself, which the sandbox forbids. So it is told the name, and what connects the address. */
static struct {
    const char *address;
    my_bool (*connect)(MARIADB_PVIO *pvio, MA_PVIO_CINFO *to);
    struct st_ma_pvio_methods methods;
} way;

static my_bool connect_to_address(MARIADB_PVIO *pvio, MA_PVIO_CINFO *to)
{
    MA_PVIO_CINFO there = *to;
    if (way.address != NULL)
        there.host = way.address;
    return way.connect(pvio, &there);
}

static bool take_over_connecting(MYSQL *conn)
{
    struct st_mysql_client_plugin *found =
        mysql_client_find_plugin(conn, "pvio_socket", PLUGIN_CONNECTS);
    if (found == NULL || found->type != PLUGIN_CONNECTS || found->interface_version != PLUGIN_VERSION)
        return false;
    struct connecting_plugin *plugin = (struct connecting_plugin *)found;
    if (plugin->methods == NULL)
        return false;
    way.methods = *plugin->methods;
    way.connect = way.methods.connect;
    way.methods.connect = connect_to_address;
    plugin->methods = &way.methods;
    return true;
}

bool kt_maria_load(const struct driver_run *run, struct driver_result *ret)
{
    MYSQL *conn = mysql_library_init(0, NULL, NULL) == 0 ? mysql_init(NULL) : NULL;
    if (conn == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    bool taken = take_over_connecting(conn);
    /* Comes with the library's package; without it, accounts that log in so cannot be rotated. */
    (void)mysql_client_find_plugin(conn, "client_ed25519", PLUGIN_LOGS_IN);
    mysql_close(conn);
    return taken || kt_driver_say(run, ret, DRIVER_PERMANENT, "library",
                                  "this libmariadb cannot be told where to connect to");
}

static unsigned seconds(int64_t ms)
{
    return ms <= 0 ? 1 : (unsigned)((ms + 999) / 1000);
}

static bool set_tls(MYSQL *conn, const struct driver_run *run)
{
    const struct driver_place *place = run->own;
    my_bool on = 1, full = (my_bool)(strcmp(run->step->target.sslmode, "verify-full") == 0);
    if (!place->tls)
        return true;
    return (place->ca_path[0] == '\0' ||
            mysql_optionsv(conn, MYSQL_OPT_SSL_CA, place->ca_path) == 0) &&
           mysql_optionsv(conn, MYSQL_OPT_SSL_ENFORCE, &on) == 0 &&
           mysql_optionsv(conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &full) == 0 &&
           mysql_optionsv(conn, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3") == 0;
}

static bool set_options(MYSQL *conn, const struct driver_run *run)
{
    int64_t now = kt_ipc_deadline(0);
    unsigned connecting = seconds(kt_place_deadline(run, kt_place_connect_ms(run)) - now);
    unsigned answering = seconds(kt_place_deadline(run, kt_place_statement_ms(run) + 1000) - now);
    /* Else "localhost" is taken for a socket. */
    unsigned protocol = run->step->target.host[0] == '/' ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    unsigned long packet = PACKET_MAX;
    my_bool off = 0;
    unsigned no_files = 0;
    return mysql_optionsv(conn, MYSQL_OPT_PROTOCOL, &protocol) == 0 &&
           mysql_optionsv(conn, MYSQL_OPT_CONNECT_TIMEOUT, &connecting) == 0 &&
           mysql_optionsv(conn, MYSQL_OPT_READ_TIMEOUT, &answering) == 0 &&
           mysql_optionsv(conn, MYSQL_OPT_WRITE_TIMEOUT, &answering) == 0 &&
           mysql_optionsv(conn, MYSQL_OPT_RECONNECT, &off) == 0 &&
           mysql_optionsv(conn, MYSQL_OPT_LOCAL_INFILE, &no_files) == 0 &&
           mysql_optionsv(conn, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet) == 0 &&
           mysql_optionsv(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4") == 0 &&
           mysql_optionsv(conn, MARIADB_OPT_RESTRICTED_AUTH, WAYS_IN) == 0 && set_tls(conn, run);
}

/* The socket itself, or the folder that it is in under its usual name. */
static const char *socket_of(const struct driver_run *run)
{
    const char *host = run->step->target.host;
    struct stat info;
    if (host[0] != '/')
        return NULL;
    if (stat(host, &info) == 0 && !S_ISDIR(info.st_mode))
        return host;
    const char *path = kt_arena_printf(run->arena, "%s/mysqld.sock", host);
    return path == NULL ? host : path;
}

bool kt_maria_open(const struct driver_run *run, const struct driver_login *login,
                   const char *database, struct maria_session *s)
{
    const struct driver_target *at = &run->step->target;
    struct driver_place *place = run->own;
    *s = (struct maria_session){.run = run};
    way.address = kt_place_address(run, place);
    s->conn = mysql_init(NULL);
    if (s->conn == NULL)
        return fail(s, "memory", "");
    if (!set_options(s->conn, run))
        return fail(s, "library", "an option that the login needs was not taken");
    const char *path = socket_of(run);
    if (mysql_real_connect(s->conn, path == NULL ? at->host : NULL, login->username,
                           (const char *)login->password.at, database, at->port, path,
                           CLIENT_MULTI_RESULTS) == NULL)
        return fail_as_said(s);
    /* Without a certificate to check, the library goes on in clear when the server has no TLS. */
    if (place->tls && mysql_get_ssl_cipher(s->conn) == NULL)
        return fail(s, "tls", "the server does not offer TLS");
    return true;
}

void kt_maria_close(struct maria_session *s)
{
    mysql_free_result(s->rows);
    s->rows = NULL;
    if (s->conn != NULL)
        mysql_close(s->conn);
    s->conn = NULL;
}

/* ---- statements ---------------------------------------------------------------------------- */

/* The first result of a statement is kept, those behind it are read away. */
static bool collect(struct maria_session *s)
{
    for (int i = 0; i < RESULTS_MAX; i++) {
        struct st_mysql_res *rows = mysql_store_result(s->conn);
        if (rows == NULL && mysql_errno(s->conn) != 0)
            return fail_as_said(s);
        if (i == 0) {
            s->rows = rows;
            s->changed = rows == NULL ? mysql_affected_rows(s->conn) : mysql_num_rows(rows);
        } else {
            mysql_free_result(rows);
        }
        int next = mysql_next_result(s->conn);
        if (next < 0)
            return true;
        if (next > 0)
            return fail_as_said(s);
    }
    return fail(s, "protocol", "the server sent what was not asked for");
}

bool kt_maria_run(struct maria_session *s, const char *statement)
{
    mysql_free_result(s->rows);
    s->rows = NULL;
    s->changed = 0;
    if (s->conn == NULL || kt_ipc_deadline(0) >= s->run->deadline)
        return fail(s, "timeout", "");
    if (mysql_real_query(s->conn, statement, strlen(statement)) != 0)
        return fail_as_said(s);
    return collect(s);
}

size_t kt_maria_count(const struct maria_session *s)
{
    return s->rows == NULL ? 0 : (size_t)mysql_num_rows(s->rows);
}

const char *kt_maria_cell(const struct maria_session *s, size_t row, size_t column)
{
    if (row >= kt_maria_count(s) || column >= mysql_num_fields(s->rows))
        return "";
    mysql_data_seek(s->rows, row);
    MYSQL_ROW cells = mysql_fetch_row(s->rows);
    return cells == NULL || cells[column] == NULL ? "" : cells[column];
}

const char *kt_maria_version(const struct maria_session *s)
{
    const char *text = s->conn == NULL ? NULL : mysql_get_server_info(s->conn);
    return text == NULL ? "" : text;
}

/* ---- what codes mean ----------------------------------------------------------------------- */

/* clang-format off */
static const struct code_row {
    const char *code;
    enum driver_class class;
    bool barred; /* comes only behind the check of the password, which was right */
    const char *sentence;
} codes[] = {
    {"1045", DRIVER_REFUSED, false, "the server refused the password, or wants TLS for this login"},
    {"1698", DRIVER_PERMANENT, false, "the server does not let this login in with a password, or it may not give away the role: GRANT ... WITH ADMIN OPTION"},
    {"1130", DRIVER_PERMANENT, false, "the server has no login for this machine"},
    {"4151", DRIVER_PERMANENT, true, "the account is locked"},
    {"1862", DRIVER_PERMANENT, true, "the password has expired"},
    {"1820", DRIVER_PERMANENT, true, "the password has expired"},
    {"1044", DRIVER_PERMANENT, true, "the login may not use the database"},
    {"1049", DRIVER_PERMANENT, true, "there is no such database"},
    {"1203", DRIVER_UNREACH, true, "the account has too many connections"},
    {"1226", DRIVER_UNREACH, true, "the account has used up one of its limits"},
    {"4150", DRIVER_UNREACH, false, "the server blocks the account for its many wrong passwords"},
    {"1040", DRIVER_UNREACH, false, "the server has no free connection"},
    {"1129", DRIVER_UNREACH, false, "the server blocks this machine for its many errors: FLUSH HOSTS"},
    {"1053", DRIVER_UNREACH, false, "the server is shutting down"},
    {"1205", DRIVER_UNREACH, false, "somebody holds a lock"},
    {"1213", DRIVER_UNREACH, false, "somebody else was in the way"},
    {"1317", DRIVER_UNREACH, false, "the statement was ended"},
    {"1927", DRIVER_UNREACH, false, "the connection was ended"},
    {"1969", DRIVER_UNREACH, false, "the statement took too long"},
    {"1047", DRIVER_UNREACH, false, "the node is not part of its cluster now"},
    {"1290", DRIVER_PERMANENT, false, "a setting of the server forbids it"},
    {"1095", DRIVER_PERMANENT, false, "the administrative login may not end sessions"},
    {"1142", DRIVER_PERMANENT, false, "the administrative login lacks the privilege"},
    {"1227", DRIVER_PERMANENT, false, "the administrative login lacks the privilege"},
    {"1370", DRIVER_PERMANENT, false, "the administrative login lacks the privilege"},
    {"1396", DRIVER_UNREACH, false, "the server did not change all of the account, maybe a part"},
    {"1524", DRIVER_PERMANENT, false, "the server lacks the account's plugin"},
    {"1644", DRIVER_PERMANENT, false, "the procedure at the server refused"},
    {"1819", DRIVER_BAD_VALUE, false, "the server does not accept the value"},
    {"readonly", DRIVER_UNREACH, false, "the server is read-only"},
    {"busy", DRIVER_UNREACH, false, "another change of this account is under way"},
    {"missing", DRIVER_PERMANENT, false, "there is no such account"},
    {"plugin", DRIVER_PERMANENT, false, "the login wants another way in than mysql_native_password or ed25519"},
    {"library", DRIVER_PERMANENT, false, "this libmariadb is another than the driver knows"},
    {"tls", DRIVER_UNREACH, false, "no trusted TLS connection"},
    {"timeout", DRIVER_UNREACH, false, "no answer in time"},
    {"connect", DRIVER_UNREACH, false, "no connection"},
    {"lost", DRIVER_UNREACH, false, "the connection broke, or no answer came in time"},
    {"memory", DRIVER_UNREACH, false, "the worker ran out of memory"},
    {"protocol", DRIVER_UNREACH, false, "the server does not speak as MariaDB does"},
};
/* clang-format on */

static const struct code_row *row_of(const char *code)
{
    static const struct code_row other = {"", DRIVER_PERMANENT, false, "the server refused"};
    static const struct code_row client = {"", DRIVER_UNREACH, false, "the client gave up"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(codes[i].code, code) == 0)
            return &codes[i];
    }
    /* 2000 to 2999 and 5000 on are libmariadb's own. */
    bool own = strlen(code) == 4 && (code[0] == '2' || code[0] == '5');
    return own ? &client : &other;
}

bool kt_maria_fail(const struct maria_session *s, struct driver_result *ret, const char *doing)
{
    const struct code_row *row = row_of(s->code);
    if (s->detail[0] == '\0')
        return kt_driver_say(s->run, ret, row->class, s->code, "%s: %s", doing, row->sentence);
    return kt_driver_say(s->run, ret, row->class, s->code, "%s: %s (%s)", doing, row->sentence,
                         s->detail);
}

void kt_maria_reply(const struct maria_session *s, struct driver_reply *ret)
{
    *ret = (struct driver_reply){.answer = ANSWER_UNKNOWN};
    if (s->code[0] == '\0') {
        ret->answer = ANSWER_ACCEPTED;
        return;
    }
    memcpy(ret->code, s->code, sizeof(ret->code));
    if (strcmp(s->code, "1045") == 0)
        ret->answer = ANSWER_REFUSED;
    ret->barred = row_of(s->code)->barred;
}
