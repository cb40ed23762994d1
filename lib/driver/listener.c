#include "lib/driver/listener.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/driver/step.h"
#include "lib/driver/stream.h"
#include "lib/ipc.h"
#include "lib/may_connect.h"
#include "lib/net_route.h"
#include "lib/num.h"
#include "lib/tls_shown.h"

/* ---- before the sandbox ---- */

static size_t keep(struct kt_stream_place *place, bool (*may)(const struct sockaddr *address, socklen_t size))
{
    size_t kept = 0;
    for (size_t i = 0; i < place->n_addresses; i++) {
        struct sockaddr_storage at = place->addresses[i].at;
        if (may((const struct sockaddr *)&at, place->addresses[i].size))
            place->addresses[kept++] = place->addresses[i];
    }
    return kept;
}

static bool may_connect(const struct sockaddr *address, socklen_t size)
{
    (void)size;
    return kt_may_connect(address);
}

static void leave_out(struct kt_stream_place *place)
{
    place->n_addresses = keep(place, may_connect);
    struct kt_stream_place near = *place;
    size_t routed = keep(&near, kt_has_route);
    if (routed == 0)
        return; /* connecting says why */
    near.n_addresses = routed;
    *place = near;
}

bool kt_listener_prepare(struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    struct kt_stream_place *place = kt_arena_take(run->arena, sizeof *place);
    if (place == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    if (step->op != DRIVER_INSPECT || kt_step_lacks(step->target.host) || step->target.host[0] == '/' ||
        step->target.port == 0 || strlen(kt_step_text(step->digest)) != (size_t)2 * KT_TLS_CERT_HASH)
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "step", "a listener is asked what it shows, by host, port and digest");
    if (!kt_stream_find_bare(run, place, ret))
        return false;
    leave_out(place);
    run->own = place;
    return place->n_addresses > 0 ||
           kt_driver_say(run, ret, DRIVER_UNREACH, "near", "it has no address that is connected to: none of the own link");
}

/* ---- in it ---- */

struct look {
    const struct driver_run *run;
    size_t asked, left; /* addresses */
    bool shown;         /* one answered */
    bool other;         /* with another certificate than the one that is looked for */
    struct kt_tls_cert cert;
};

/* The time that is left, shared among the addresses that were not asked yet. */
static int64_t share(const struct look *look)
{
    int64_t now = kt_ipc_deadline(0);
    return now + (look->run->deadline - now) / (int64_t)(look->left == 0 ? 1 : look->left);
}

/* False: *ret says why it did not show any. */
static bool ask(struct look *look, const struct kt_stream_address *address, struct kt_tls_cert *shown,
                struct driver_result *ret)
{
    const char *name = kt_step_text(look->run->step->account);
    struct kt_stream_place one = {.n_addresses = 1, .chosen = 0};
    struct kt_stream stream;
    struct kt_err err = {0};
    int64_t until = share(look);
    one.addresses[0] = *address;
    bool open = kt_stream_open(&one, until, &stream);
    if (!open) {
        kt_stream_close(&stream);
        return kt_driver_say(look->run, ret, DRIVER_UNREACH, stream.code, "it was not reached: %s", stream.detail);
    }
    int64_t left = until - kt_ipc_deadline(0);
    enum kt_kind kind = kt_tls_shown_on(stream.fd, "it", name[0] == '\0' ? NULL : name, left < 1 ? 1 : (unsigned)left,
                                        shown, &err);
    kt_stream_close(&stream);
    if (kind == KT_OK)
        return true;
    bool late = kt_ipc_deadline(0) >= until;
    return kt_driver_say(look->run, ret, DRIVER_UNREACH, late ? "timeout" : "tls", "it did not shake hands");
}

static bool is_wanted(const struct look *look, const struct kt_tls_cert *cert)
{
    char hex[2 * KT_TLS_CERT_HASH + 1];
    kt_hex_encode(cert->hash, sizeof cert->hash, hex);
    return strcmp(hex, look->run->step->digest) == 0;
}

static void take(struct look *look, const struct kt_tls_cert *shown)
{
    if (!look->shown || !is_wanted(look, shown))
        look->cert = *shown;
    look->shown = true;
    look->other = !is_wanted(look, &look->cert);
}

static void say(const struct look *look, struct driver_result *ret)
{
    char hex[2 * KT_TLS_CERT_HASH + 1], until[32];
    kt_hex_encode(look->cert.hash, sizeof look->cert.hash, hex);
    (void)snprintf(until, sizeof until, "%" PRId64, look->cert.until_ms);
    kt_driver_evidence(look->run, hex, ret->server_id, sizeof ret->server_id);
    kt_driver_evidence(look->run, until, ret->server_version, sizeof ret->server_version);
    ret->sessions = (uint32_t)look->asked;
    (void)kt_driver_say(look->run, ret, DRIVER_OK, "", "it shows a certificate");
}

void kt_listener_run(const struct driver_run *run, struct driver_result *ret)
{
    const struct kt_stream_place *place = run->own;
    struct look look = {.run = run, .left = place->n_addresses};
    for (size_t i = 0; i < place->n_addresses && !look.other; i++, look.left--) {
        struct kt_tls_cert shown;
        if (!ask(&look, &place->addresses[i], &shown, ret))
            return;
        look.asked++;
        take(&look, &shown);
    }
    say(&look, ret);
}
