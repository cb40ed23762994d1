#include "vaultd/fleet/own.h"

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

static const struct route routes[] = {
    { .pattern = "consumers/{host}/{path...}", .read = consumer_read, .write = consumer_write,
      .delete_ = consumer_delete, .body_max = 16 * 1024,
      .fields = FIELDS({ "service", FIELD_STRING, "name of the service" },
                       { "version", FIELD_INT, "the version that it runs now" },
                       { "state", FIELD_STRING, "registered, applying, healthy, unhealthy, rolled_back, gone" },
                       { "instance", FIELD_STRING, "what tells two starts apart" },
                       { "evidence", FIELD_STRING, "exec, invocation, healthcheck, target" },
                       { "detail", FIELD_STRING, "one sentence, never a value" },
                       { "samples", FIELD_INT, "of the health check" },
                       { "p95_ms", FIELD_INT, "measured now" },
                       { "baseline_p95_ms", FIELD_INT, "measured before" },
                       { "candidates", FIELD_INT, "2: it tries another credential when one is refused" },
                       { "holds", FIELD_INT, "the version that it has besides" }),
      .help = "A service's use of a secret: registers, acknowledges, reports trouble." },
    { .pattern = "consumers/{host}", .list = consumer_list, .help = "The secrets of a host." },
    { .pattern = "agents", .list = agent_list, .help = "Hosts that have consumers." },
    { .pattern = "watch/{host}", .read = watch_read,
      .fields = FIELDS({ "since", FIELD_STRING, "the cursor of the answer before" },
                       { "wait", FIELD_DURATION, "how long to wait for news" }),
      .help = "A long poll: answers when a secret of the host changed." },
};
/* clang-format on */

const struct engine fleet_engine = {
    .type = "fleet",
    .help = "Consumers of secrets: who runs which version.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
};
