/* sys/audit, and other settings that Vault lets the API change and that are the configuration's here. */
#include <stdio.h>

#include "vaultd/engine/sys.h"

/* ---- audit devices ---- */

enum kt_kind sys_devices_list(struct request *req, struct kt_err *err)
{
    (void)err;
    const struct core_config *config = &req->core->config;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < config->n_devices; i++) {
        const struct audit_device_config *device = &config->devices[i];
        char name[48];
        (void)snprintf(name, sizeof name, i == 0 ? "%s/" : "%s-%zu/", device->name, i + 1);
        kt_jsonw_key(&w, name);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "description", "from the configuration");
        kt_jsonw_kv_bool(&w, "local", false);
        kt_jsonw_key(&w, "options");
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "file_path", device->path);
        kt_jsonw_end(&w);
        kt_jsonw_kv_text(&w, "path", name);
        kt_jsonw_kv_text(&w, "type", device->type);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    return KT_OK;
}

/* Who may choose the file that a device writes to can write programs with it. */
static enum kt_kind refuse_device(struct kt_err *err, const char *what)
{
    (void)kt_fail(err, KT_INVALID,
                  "cannot %s audit device via API; use declarative, config-based audit device "
                  "management instead",
                  what);
    kt_hint(err, "audit \"file\" { path = \"/var/log/keyturn/audit.log\" } in vaultd's configuration, "
                 "then start vaultd anew");
    return KT_INVALID;
}

enum kt_kind sys_devices_write(struct request *req, struct kt_err *err)
{
    (void)req;
    return refuse_device(err, "enable");
}

enum kt_kind sys_devices_delete(struct request *req, struct kt_err *err)
{
    (void)req;
    return refuse_device(err, "disable");
}

/* ---- headers in the audit log: none, ever ---- */

static enum kt_kind refuse_headers(struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "request headers are not recorded in the audit log");
    kt_hint(err, "nothing to set: a record names the request by its id, token, address and path");
    return KT_INVALID;
}

enum kt_kind sys_audit_headers_list(struct request *req, struct kt_err *err)
{
    (void)err;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "headers");
    kt_jsonw_object(&w);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_audit_header_read(struct request *req, struct kt_err *err)
{
    (void)req;
    return kt_fail(err, KT_INVALID, "Could not find header in config");
}

enum kt_kind sys_audit_header_write(struct request *req, struct kt_err *err)
{
    (void)req;
    return refuse_headers(err);
}

/* What is not there was removed. */
enum kt_kind sys_nothing_delete(struct request *req, struct kt_err *err)
{
    (void)req;
    (void)err;
    return KT_OK;
}

/* ---- cross-origin requests: never ---- */

enum kt_kind sys_cors_read(struct request *req, struct kt_err *err)
{
    (void)err;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "enabled", false);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_cors_write(struct request *req, struct kt_err *err)
{
    (void)req;
    (void)kt_fail(err, KT_INVALID, "cross-origin requests are not offered: no page in a browser may "
                                   "use a token");
    kt_hint(err, "let the page's own server ask the vault");
    return KT_INVALID;
}
