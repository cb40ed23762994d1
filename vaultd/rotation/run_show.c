#include "vaultd/rotation/back.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/together.h"
#include "vaultd/rotation/veto.h"
#include "vaultd/rotation/work.h"

static void show_frozen(const struct rotation *rotation, const struct run *run, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "frozen");
    if (run->machine.state != RUN_FROZEN) {
        kt_jsonw_null(w);
        return;
    }
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "code", frozen_code_text(run->machine.frozen));
    kt_jsonw_kv_text(w, "word", frozen_code_word(run->machine.frozen));
    kt_jsonw_kv_text(w, "in", run_state_text(run->machine.frozen_in));
    kt_jsonw_kv_text(w, "text", run->frozen_text);
    kt_jsonw_kv_text(w, "known", run->frozen_known);
    kt_jsonw_kv_text(w, "next", run->frozen_next);
    kt_jsonw_kv_text(w, "now", run->frozen_now);
    kt_jsonw_kv_time(w, "looked", rotation_wall_of(rotation, run->looked_ms));
    kt_jsonw_end(w);
}

void run_show(const struct rotation *rotation, const struct run *run, const char *waits_for, int64_t waits_until_ms, int64_t eta_s,
              struct kt_jsonw *w)
{
    char id[RUN_ID_TEXT];
    run_id_text(run->id, id);
    kt_jsonw_kv_text(w, "id", id);
    kt_jsonw_kv_text(w, "secret", run->name);
    kt_jsonw_kv_text(w, "target", run->settings.target);
    kt_jsonw_kv_text(w, "driver", run->driver);
    kt_jsonw_kv_text(w, "strategy", run_strategy_text(run->machine.strategy));
    kt_jsonw_kv_text(w, "state", run_state_text(run->machine.state));
    kt_jsonw_kv_text(w, "back_step", back_step_text(run->machine.back));
    kt_jsonw_kv_int(w, "from", run->from);
    kt_jsonw_kv_int(w, "to", run->to);
    kt_jsonw_kv_text(w, "slot_old", run_account(run, run->slot_old));
    kt_jsonw_kv_text(w, "slot_new", run_account(run, run->slot_new));
    kt_jsonw_kv_time(w, "started", run->started_ms);
    kt_jsonw_kv_time(w, "ended", run->ended_ms);
    kt_jsonw_kv_text(w, "trigger", run_trigger_text(run->trigger));
    kt_jsonw_kv_text(w, "reason", run->reason);
    kt_jsonw_kv_text(w, "by", run->by);
    kt_jsonw_kv_text(w, "why", run->because);
    kt_jsonw_kv_bool(w, "can_go_back", machine_can_go_back(&run->machine) && !run->cancel);
    kt_jsonw_kv_bool(w, "cancelling", run->cancel && !run_state_ended(run->machine.state));
    kt_jsonw_kv_text(w, "waits_for", waits_for);
    kt_jsonw_kv_time(w, "waits_until", waits_until_ms);
    kt_jsonw_kv_int(w, "eta_s", eta_s);
    kt_jsonw_kv_text(w, "drill", drill_word(run));
    back_show(rotation, run, w);
    together_show(run, w);
    served_show(run, w);
    show_frozen(rotation, run, w);
}

void consumer_show(const struct consumer *consumer, struct kt_jsonw *w)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "host", consumer->host);
    kt_jsonw_kv_text(w, "service", consumer->service);
    kt_jsonw_kv_text(w, "identity", consumer->identity);
    kt_jsonw_kv_int(w, "version", consumer->version);
    kt_jsonw_kv_text(w, "state", consumer_state_text(consumer->state));
    kt_jsonw_kv_text(w, "instance", consumer->instance);
    kt_jsonw_kv_text(w, "evidence", consumer->evidence);
    kt_jsonw_kv_text(w, "detail", consumer->detail);
    kt_jsonw_kv_time(w, "at", consumer->at_ms);
    kt_jsonw_kv_int(w, "samples", consumer->samples);
    kt_jsonw_kv_int(w, "baseline_p95_ms", consumer->baseline_p95_ms);
    kt_jsonw_kv_int(w, "p95_ms", consumer->p95_ms);
    kt_jsonw_kv_int(w, "candidates", consumer->candidates == CONSUMER_TWO ? CONSUMER_TWO : 1);
    kt_jsonw_kv_int(w, "holds", consumer->holds);
    kt_jsonw_kv_int(w, "vetoes", consumer->veto == NULL ? 0 : consumer->veto->times);
    kt_jsonw_kv_bool(w, "quarantined", consumer->veto != NULL && consumer->veto->aside_ms != 0);
    kt_jsonw_end(w);
}
