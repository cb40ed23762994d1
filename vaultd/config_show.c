#include "lib/jsonw.h"
#include "vaultd/config.h"

void config_listeners(const struct config *config, struct kt_buf *out)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_array(&w);
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];
        kt_jsonw_object(&w);
        kt_jsonw_key(&w, "config");
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, listener->is_unix ? "path" : "address", listener->address);
        if (!listener->is_unix)
            kt_jsonw_kv_bool(&w, "tls_disable", listener->tls_disable);
        if (!listener->is_unix && listener->no_client_certs)
            kt_jsonw_kv_bool(&w, "tls_disable_client_certs", true);
        kt_jsonw_end(&w);
        kt_jsonw_kv_text(&w, "type", listener->is_unix ? "unix" : "tcp");
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
}
