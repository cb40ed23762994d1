#include "vaultd/auth/cert_settings.h"

#include "vaultd/barrier/format.h"
#include "vaultd/core/engine.h"

#define FORMAT     1u
#define NAME       "config"
#define RECORD_MAX 256u

enum { UNBOUND = 1, ALIAS_METADATA = 2 };

static void read_1(struct kt_reader *r, void *ret)
{
    struct cert_settings *settings = ret;
    (void)kt_read_field(r);
    unsigned flags = kt_read_u8(r);
    settings->disable_binding = (flags & UNBOUND) != 0;
    settings->alias_metadata = (flags & ALIAS_METADATA) != 0;
    settings->crl_changes = kt_read_u64(r);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

enum kt_kind cert_settings_get(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                               struct cert_settings *ret, struct kt_err *err)
{
    const struct named which = {scope, NAME, NAMED_SETTINGS};
    struct kt_bytes record = {0};
    *ret = (struct cert_settings){.changed = 0};
    enum kt_kind kind = named_get(req, &which, &record, &ret->changed, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind == KT_OK ? FORMAT_READ("the settings of a way to log in", record, readers, ret, err) : kind;
}

enum kt_kind cert_settings_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                                   const struct cert_settings *settings, struct kt_err *err)
{
    const struct named which = {scope, NAME, NAMED_SETTINGS};
    return named_require(req, &which, settings->changed, err);
}

static enum kt_kind put(struct request *req, const struct cert_settings *settings, struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    named_begin(&record, FORMAT, NAME);
    kt_buf_add_u8(&record, (uint8_t)((settings->disable_binding ? UNBOUND : 0) |
                                     (settings->alias_metadata ? ALIAS_METADATA : 0)));
    kt_buf_add_u64(&record, settings->crl_changes);
    const struct named which = {req->mount->scope, NAME, NAMED_SETTINGS};
    return named_put(req, &which, settings->changed, &record, err);
}

enum kt_kind cert_settings_crl_changed(struct request *req, struct kt_err *err)
{
    struct cert_settings settings;
    enum kt_kind kind = cert_settings_get(req, req->mount->scope, &settings, err);
    settings.crl_changes++;
    return kind == KT_OK ? put(req, &settings, err) : kind;
}

/* ---- routes ---- */

enum kt_kind cert_settings_read(struct request *req, struct kt_err *err)
{
    struct cert_settings settings;
    enum kt_kind kind = cert_settings_get(req, req->mount->scope, &settings, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "disable_binding", settings.disable_binding);
    kt_jsonw_kv_bool(&w, "enable_identity_alias_metadata", settings.alias_metadata);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind cert_settings_write(struct request *req, struct kt_err *err)
{
    struct cert_settings settings;
    enum kt_kind kind = cert_settings_get(req, req->mount->scope, &settings, err);
    if (kind == KT_OK)
        kind = request_bool(req, "disable_binding", &settings.disable_binding, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "enable_identity_alias_metadata", &settings.alias_metadata, err);
    return kind == KT_OK || kind == KT_NOT_FOUND ? put(req, &settings, err) : kind;
}
