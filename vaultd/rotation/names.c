#include "vaultd/rotation/names.h"

#include "lib/random.h"

/* Scopes that are no mount's and no secret's: both of those are random. */
static const unsigned char target_scope[BARRIER_SCOPE] = "rotation target";
static const unsigned char calendar_scope[BARRIER_SCOPE] = "rotation times";
static const unsigned char clock_scope[BARRIER_SCOPE] = "rotation clock";
static const unsigned char pause_scope[BARRIER_SCOPE] = "rotation pause";
static const unsigned char keys_told_scope[BARRIER_SCOPE] = "keys told";
static const unsigned char classes_scope[BARRIER_SCOPE] = "risk classes";
static const unsigned char host_scope[BARRIER_SCOPE] = "fleet hosts";

#define NAME_ROOM 4160u
#define HEAD      "\x02head"

/* ---- ids ---- */

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void run_id_make(int64_t now_ms, unsigned char out[RUN_ID])
{
    unsigned char time[8];
    kt_put_be64(time, (uint64_t)now_ms);
    memcpy(out, time + 2, 6);
    kt_random_id(out + 6, RUN_ID - 6);
}

/* 26 digits of 5 bits are 130: the first has only its lower three. */
void run_id_text(const unsigned char id[RUN_ID], char out[RUN_ID_TEXT])
{
    for (int i = 0; i < 26; i++) {
        unsigned value = 0;
        for (int bit = i * 5 - 2; bit < i * 5 + 3; bit++)
            value = value << 1 | (bit < 0 ? 0u : (unsigned)(id[bit / 8] >> (7 - bit % 8)) & 1u);
        out[i] = digits[value];
    }
    out[26] = '\0';
}

bool run_id_parse(const char *text, unsigned char out[RUN_ID])
{
    if (strlen(text) != 26)
        return false;
    unsigned char id[RUN_ID] = {0};
    for (int i = 0; i < 26; i++) {
        int c = text[i] >= 'a' && text[i] <= 'z' ? text[i] - 'a' + 'A' : text[i];
        const char *at = c == '\0' ? NULL : strchr(digits, c);
        if (at == NULL)
            return false;
        unsigned value = (unsigned)(at - digits);
        for (int k = 0; k < 5; k++) {
            int bit = i * 5 - 2 + k;
            bool set = (value >> (4 - k) & 1u) != 0;
            if (bit < 0 && set)
                return false;
            if (set)
                id[bit / 8] = (unsigned char)(id[bit / 8] | 1u << (7 - bit % 8));
        }
    }
    memcpy(out, id, sizeof id);
    return true;
}

/* ---- keys with an id ---- */

static void complement(const unsigned char id[RUN_ID], unsigned char *out)
{
    for (size_t i = 0; i < RUN_ID; i++)
        out[i] = (unsigned char)~id[i];
}

void run_key(const unsigned char id[RUN_ID], unsigned char out[RUN_KEY])
{
    out[0] = TABLE_RUN;
    complement(id, out + 1);
}

void active_key(const unsigned char id[RUN_ID], unsigned char out[RUN_KEY])
{
    out[0] = TABLE_ACTIVE;
    memcpy(out + 1, id, RUN_ID);
}

void run_of_key(const unsigned char secret[RUN_ID], const unsigned char id[RUN_ID],
                unsigned char out[RUN_OF_KEY])
{
    out[0] = TABLE_RUN_OF;
    memcpy(out + 1, secret, RUN_ID);
    complement(id, out + 1 + RUN_ID);
}

void run_id_of_key(struct kt_bytes key, unsigned char out[RUN_ID])
{
    complement(key.at + key.len - RUN_ID, out);
}

void step_key(const unsigned char id[RUN_ID], uint32_t seq, unsigned char out[STEP_KEY])
{
    out[0] = TABLE_STEP;
    memcpy(out + 1, id, RUN_ID);
    kt_put_be32(out + 1 + RUN_ID, seq);
}

void due_key(int64_t due_ms, const unsigned char secret[RUN_ID], unsigned char out[DUE_KEY])
{
    out[0] = TABLE_DUE;
    kt_put_be64(out + 1, due_ms < 0 ? 0 : (uint64_t)due_ms);
    memcpy(out + 9, secret, RUN_ID);
}

void look_key(int64_t due_ms, const unsigned char secret[RUN_ID], unsigned char out[DUE_KEY])
{
    due_key(due_ms, secret, out);
    out[0] = TABLE_LOOK;
}

void drill_key(int64_t due_ms, const unsigned char secret[RUN_ID], unsigned char out[DUE_KEY])
{
    due_key(due_ms, secret, out);
    out[0] = TABLE_DRILL;
}

void notice_key(int64_t due_ms, const unsigned char id[RUN_ID], unsigned char out[DUE_KEY])
{
    due_key(due_ms, id, out);
    out[0] = TABLE_NOTICE;
}

void drift_key(const unsigned char secret[RUN_ID], unsigned char out[RUN_KEY])
{
    out[0] = TABLE_DRIFT;
    memcpy(out + 1, secret, RUN_ID);
}

int64_t due_time_of_key(struct kt_bytes key)
{
    return key.len < 9 ? 0 : (int64_t)kt_get_be64(key.at + 1);
}

/* ---- keys with a name ---- */

static void name_key(struct core *core, enum table table, const unsigned char scope[BARRIER_SCOPE],
                     const char *name, unsigned char out[BARRIER_NAME_KEY])
{
    char flat[NAME_ROOM];
    size_t len = strnlen(name, sizeof flat);
    for (size_t i = 0; i < len; i++)
        flat[i] = name[i] == '/' ? '\x01' : name[i];
    barrier_name_key(core->barrier, table, scope, kt_bytes(flat, len), out);
}

static void prefix(struct core *core, enum table table, const unsigned char scope[BARRIER_SCOPE],
                   unsigned char out[BARRIER_FOLDER_PREFIX])
{
    barrier_folder_prefix(core->barrier, table, scope, kt_bytes(NULL, 0), out);
}

void target_key(struct core *core, const char *name, unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_TARGET, target_scope, name, out);
}

void targets_prefix(struct core *core, unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_TARGET, target_scope, out);
}

void calendar_key(struct core *core, const char *name, unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_CALENDAR, calendar_scope, name, out);
}

void calendars_prefix(struct core *core, unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_CALENDAR, calendar_scope, out);
}

void secret_key(struct core *core, const unsigned char scope[BARRIER_SCOPE], const char *path,
                unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_ROTATION, scope, path, out);
}

void secrets_prefix(struct core *core, const unsigned char scope[BARRIER_SCOPE],
                    unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_ROTATION, scope, out);
}

void secret_id(struct core *core, const unsigned char scope[BARRIER_SCOPE], const char *path,
               unsigned char out[RUN_ID])
{
    unsigned char place[BARRIER_SCOPE + NAME_ROOM], id[32];
    size_t len = strnlen(path, NAME_ROOM);
    memcpy(place, scope, BARRIER_SCOPE);
    memcpy(place + BARRIER_SCOPE, path, len);
    barrier_derive(core->barrier, "secret id", kt_bytes(place, BARRIER_SCOPE + len), id);
    memcpy(out, id, RUN_ID);
}

void clock_key(struct core *core, unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_CONFIG, clock_scope, "clock", out);
}

void pause_key(struct core *core, unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_CONFIG, pause_scope, "pause", out);
}

void keys_told_key(struct core *core, unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_CONFIG, keys_told_scope, "keys-told", out);
}

void classes_key(struct core *core, unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_CONFIG, classes_scope, "classes", out);
}

void lock_key(struct core *core, const char *word, const char *target, const char *account,
              unsigned char out[BARRIER_HASH_KEY])
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    kt_buf_add_field(&text, kt_str(word));
    kt_buf_add_field(&text, kt_str(target));
    kt_buf_add_field(&text, kt_str(account));
    barrier_hash_key(core->barrier, TABLE_LOCK, kt_buf_bytes(&text), out);
}

static void pair_key(struct core *core, enum table table, const unsigned char scope[RUN_ID],
                     const char *first, const char *second, unsigned char out[BARRIER_NAME_KEY])
{
    char name[NAME_ROOM];
    size_t a = strnlen(first, 1024), b = strnlen(second, 1024);
    memcpy(name, first, a);
    name[a] = '\x03';
    memcpy(name + a + 1, second, b);
    name[a + 1 + b] = '\0';
    name_key(core, table, scope, name, out);
}

void revoked_key(struct core *core, const unsigned char issuer[RUN_ID], const char *word, const char *name,
                 unsigned char out[BARRIER_NAME_KEY])
{
    pair_key(core, TABLE_REVOKED, issuer, word, name, out);
}

void revoked_prefix(struct core *core, const unsigned char issuer[RUN_ID],
                    unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_REVOKED, issuer, out);
}

void consumer_key(struct core *core, const unsigned char secret[RUN_ID], const char *host,
                  const char *service, unsigned char out[BARRIER_NAME_KEY])
{
    pair_key(core, TABLE_CONSUMER, secret, host, service, out);
}

void consumers_head(struct core *core, const unsigned char secret[RUN_ID],
                    unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_CONSUMER, secret, HEAD, out);
}

void consumers_prefix(struct core *core, const unsigned char secret[RUN_ID],
                      unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_CONSUMER, secret, out);
}

void veto_key(struct core *core, const unsigned char secret[RUN_ID], const char *host,
              const char *service, unsigned char out[BARRIER_NAME_KEY])
{
    pair_key(core, TABLE_VETO, secret, host, service, out);
}

void vetoes_prefix(struct core *core, const unsigned char secret[RUN_ID],
                   unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_VETO, secret, out);
}

void ledger_key(struct core *core, const unsigned char secret[RUN_ID], const char *identity,
                uint32_t version, unsigned char out[LEDGER_KEY])
{
    name_key(core, TABLE_LEDGER, secret, identity, out);
    kt_put_be32(out + BARRIER_NAME_KEY, version);
}

void ledger_head(struct core *core, const unsigned char secret[RUN_ID],
                 unsigned char out[LEDGER_KEY])
{
    ledger_key(core, secret, HEAD, 0, out);
}

void ledger_prefix(struct core *core, const unsigned char secret[RUN_ID],
                   unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_LEDGER, secret, out);
}

void host_key(struct core *core, const char *host, unsigned char out[BARRIER_NAME_KEY])
{
    name_key(core, TABLE_CONSUMER, host_scope, host, out);
}

void hosts_prefix(struct core *core, unsigned char out[BARRIER_FOLDER_PREFIX])
{
    prefix(core, TABLE_CONSUMER, host_scope, out);
}
