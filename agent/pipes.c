#include "agent/pipes.h"

#include <sodium.h>

#include "lib/http_client.h"
#include "lib/jsonw.h"
#include "lib/utf8.h"

/* A parser may take bytes that are no UTF-8 for others, or none of the file. */
static bool write_json(struct kt_bytes value, struct kt_buf *out)
{
    for (size_t i = 0; i < value.len;) {
        size_t len = kt_utf8_step(value.at + i, value.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_bytes(&w, value);
    return true;
}

static bool write_base64(struct kt_bytes value, struct kt_buf *out)
{
    size_t len = sodium_base64_ENCODED_LEN(value.len, sodium_base64_VARIANT_ORIGINAL);
    unsigned char *at = kt_buf_grow(out, len);
    if (at == NULL)
        return false;
    (void)sodium_bin2base64((char *)at, len, value.at, value.len, sodium_base64_VARIANT_ORIGINAL);
    out->len--; /* its NUL */
    return true;
}

static bool read_base64(struct kt_bytes value, struct kt_buf *out)
{
    size_t room = value.len / 4 * 3 + 3, len = 0;
    unsigned char *at = kt_buf_grow(out, room);
    if (at == NULL || sodium_base642bin(at, room, (const char *)value.at, value.len, " \t\r\n", &len, NULL,
                                        sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    out->len -= room - len;
    return true;
}

/* No shell has a word with a NUL in it: it would drop that, and take the rest. */
static bool write_shell(struct kt_bytes value, struct kt_buf *out)
{
    kt_buf_add_char(out, '\'');
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '\0')
            return false;
        if (value.at[i] == '\'')
            kt_buf_add_text(out, "'\\''");
        else
            kt_buf_add_char(out, (char)value.at[i]);
    }
    kt_buf_add_char(out, '\'');
    return true;
}

static bool write_url(struct kt_bytes value, struct kt_buf *out)
{
    kt_url_escape(out, value, false);
    return true;
}

/* libpq's service file has no quoting: a line is the value up to its end, blanks at the end cut. */
static bool write_pg_service(struct kt_bytes value, struct kt_buf *out)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < 0x20)
            return false;
    if (value.len > 0 && (value.at[0] == ' ' || value.at[value.len - 1] == ' '))
        return false;
    kt_buf_add_bytes(out, value);
    return true;
}

/* libpq takes a CR before the end of a line for the end of one. */
static bool write_pgpass(struct kt_bytes value, struct kt_buf *out)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '\n' || value.at[i] == '\r' || value.at[i] == '\0')
            return false;
        if (value.at[i] == ':' || value.at[i] == '\\')
            kt_buf_add_char(out, '\\');
        kt_buf_add_char(out, (char)value.at[i]);
    }
    return true;
}

/* MariaDB's programs cut a line at 4,095 bytes and take the rest for another: some are left for the name. */
#define MY_CNF_MAX 4000u

static bool write_my_cnf(struct kt_bytes value, struct kt_buf *out)
{
    static const char from[] = "\\\"\n\r\t\b", to[] = "\\\"nrtb";
    size_t before = out->len;
    kt_buf_add_char(out, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '\0')
            return false;
        char c = (char)value.at[i];
        const char *found = strchr(from, c);
        if (found != NULL) {
            kt_buf_add_char(out, '\\');
            c = to[found - from];
        }
        kt_buf_add_char(out, c);
    }
    kt_buf_add_char(out, '"');
    return out->len - before <= MY_CNF_MAX;
}

static const struct pipe pipes[] = {
    {"json", write_json, "it has to be UTF-8"},
    {"base64", write_base64, "it is too large"},
    {"base64Decode", read_base64, "it is no base64, or too large"},
    {"shellQuote", write_shell, "a shell's word has no NUL"},
    {"urlquery", write_url, "it is too large"},
    {"pgService", write_pg_service,
     "a service file has no control characters, and no blank at either end of a value"},
    {"pgpass", write_pgpass, "a password file has no line feed, carriage return or NUL in a password"},
    {"myCnf", write_my_cnf, "an option file has no NUL, and a value takes 4,000 bytes at most"},
};

const struct pipe *pipe_named(const char *name)
{
    for (size_t i = 0; i < sizeof pipes / sizeof pipes[0]; i++)
        if (strcmp(pipes[i].name, name) == 0)
            return &pipes[i];
    return NULL;
}
