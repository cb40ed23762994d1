/* What the vault says of the machine and of itself: sys/host-info, sys/ha-status, sys/config/state,
 * sys/internal/counters. */
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vaultd/barrier/tables.h"
#include "vaultd/core/rows.h"
#include "vaultd/engine/sys.h"

#define COUNTED_HERE 2000u /* rows; more are counted where nobody waits behind it */

/* ---- host ---- */

static void write_disk(struct kt_jsonw *w, const char *path)
{
    struct statvfs disk;
    kt_jsonw_key(w, "disk");
    kt_jsonw_array(w);
    if (path != NULL && statvfs(path, &disk) == 0) {
        uint64_t total = (uint64_t)disk.f_blocks * disk.f_frsize;
        uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
        uint64_t used = ((uint64_t)disk.f_blocks - disk.f_bfree) * disk.f_frsize;
        kt_jsonw_object(w);
        kt_jsonw_kv_int(w, "free", (int64_t)left);
        kt_jsonw_kv_int(w, "inodesFree", (int64_t)disk.f_favail);
        kt_jsonw_kv_int(w, "inodesTotal", (int64_t)disk.f_files);
        kt_jsonw_kv_text(w, "path", path);
        kt_jsonw_kv_int(w, "total", (int64_t)total);
        kt_jsonw_kv_int(w, "used", (int64_t)used);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

static void write_host(struct kt_jsonw *w, const struct sysinfo *info, int64_t now_ms)
{
    struct utsname name = {0};
    (void)uname(&name);
    kt_jsonw_key(w, "host");
    kt_jsonw_object(w);
    kt_jsonw_kv_int(w, "bootTime", now_ms / 1000 - (int64_t)info->uptime);
    kt_jsonw_kv_text(w, "hostname", name.nodename);
    kt_jsonw_kv_text(w, "kernelArch", name.machine);
    kt_jsonw_kv_text(w, "kernelVersion", name.release);
    kt_jsonw_kv_text(w, "os", "linux");
    kt_jsonw_kv_int(w, "procs", info->procs);
    kt_jsonw_kv_int(w, "uptime", (int64_t)info->uptime);
    kt_jsonw_end(w);
}

static void write_memory(struct kt_jsonw *w, const struct sysinfo *info)
{
    const struct {
        const char *name;
        unsigned long units;
    } rows[] = {
        {"buffers", info->bufferram}, {"free", info->freeram},    {"swapFree", info->freeswap},
        {"swapTotal", info->totalswap}, {"total", info->totalram},
    };
    kt_jsonw_key(w, "memory");
    kt_jsonw_object(w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        kt_jsonw_kv_int(w, rows[i].name, (int64_t)rows[i].units * info->mem_unit);
    kt_jsonw_end(w);
}

/* What the kernel tells without a file of /proc, which the sandbox does not open: no model of the
 * processors and no times of theirs. */
enum kt_kind sys_host_info(struct request *req, struct kt_err *err)
{
    struct sysinfo info = {0};
    if (sysinfo(&info) != 0)
        return kt_fail(err, KT_IO, "asking the kernel about the machine");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "cpu");
    kt_jsonw_array(&w);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < cores; i++) {
        kt_jsonw_object(&w);
        kt_jsonw_kv_int(&w, "cpu", i);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_kv_null(&w, "cpu_times");
    write_disk(&w, req->core->config.data_folder);
    write_host(&w, &info, req->now_ms);
    write_memory(&w, &info);
    kt_jsonw_kv_time(&w, "timestamp", req->now_ms);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- the vault ---- */

enum kt_kind sys_ha_status(struct request *req, struct kt_err *err)
{
    (void)err;
    struct utsname name = {0};
    struct leadership leadership = {0};
    (void)uname(&name);
    store_leader(req->core->store, &leadership);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "nodes");
    kt_jsonw_array(&w);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "active_node", true);
    kt_jsonw_kv_text(&w, "api_address", leadership.address);
    kt_jsonw_kv_text(&w, "cluster_address", "");
    kt_jsonw_kv_text(&w, "hostname", name.nodename);
    kt_jsonw_kv_null(&w, "last_echo");
    kt_jsonw_kv_text(&w, "version", SYS_VAULT_VERSION);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_config_state(struct request *req, struct kt_err *err)
{
    (void)err;
    const struct core_config *config = &req->core->config;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "cluster_name", config->cluster_name);
    kt_jsonw_kv_bool(&w, "disable_mlock", false);
    kt_jsonw_key(&w, "listeners");
    if (config->listeners != NULL)
        kt_jsonw_raw(&w, kt_str(config->listeners));
    else
        kt_jsonw_raw(&w, kt_str("[]"));
    kt_jsonw_kv_bool(&w, "raw_storage_endpoint", false);
    kt_jsonw_key(&w, "seals");
    kt_jsonw_raw(&w, kt_str("[{\"disabled\":false,\"type\":\"shamir\"}]"));
    kt_jsonw_key(&w, "storage");
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", config->storage_type);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- counters ---- */

enum kt_kind sys_counters_tokens(struct request *req, struct kt_err *err)
{
    const unsigned char prefix[1] = {TABLE_TOKEN};
    struct rows rows;
    int64_t n = 0;
    bool aside = false;
    rows_begin(&rows, req, kt_bytes(prefix, 1), kt_bytes(NULL, 0), "counting the tokens");
    while (!aside && rows_next(&rows))
        aside = ++n == COUNTED_HERE && request_aside(req);
    enum kt_kind kind = rows_end(&rows, KT_OK, err);
    if (kind != KT_OK || aside)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "counters");
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "service_tokens");
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "total", n);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
