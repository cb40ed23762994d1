#include "agent/denied.h"

#include "lib/clock.h"
#include "lib/log.h"

bool denied_lasts(const struct denied *denied, uint64_t version)
{
    return denied->version == version && kt_mono_ms(&kt_system_clock) < denied->again_ms;
}

void denied_note(struct denied *denied, uint64_t version, const struct kt_err *why)
{
    if (denied->version != version) {
        kt_log_err(KT_LOG_WARNING, "not-fetched", why);
        denied->version = version;
        kt_pace_init(&denied->pace);
    }
    denied->again_ms = kt_mono_ms(&kt_system_clock) + kt_pace_next_ms(&denied->pace);
}

bool denied_ends(struct denied *denied, uint64_t version)
{
    bool was = denied->version == version && version != 0;
    if (was)
        *denied = (struct denied){0};
    return was;
}
