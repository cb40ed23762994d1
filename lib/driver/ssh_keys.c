/* lib/driver/ssh_keys.c - the operations of the driver "ssh-key".
 *
 * Each one that changes something reads the file, works out its new bytes and replaces it as a whole, or
 * leaves it alone where it has them already. So a repeated one changes nothing, and an answer that was
 * lost did all of it or nothing. */
#include "lib/driver/ssh_keys.h"

#include "lib/driver/authorized_keys.h"
#include "lib/driver/probe.h"
#include "lib/driver/sftp.h"
#include "lib/driver/ssh_file.h"
#include "lib/driver/step.h"

#define DEFAULT_PATH ".ssh/authorized_keys"

struct change {
    const struct driver_run *run;
    struct driver_result *ret;
    struct kt_ssh s;
    struct kt_ssh_file file;
    const char *doing; /* for texts: "changing the keys of 'deploy'" */
};

static bool failed(struct change *c)
{
    return kt_ssh_fail(&c->s, c->ret, c->doing);
}

static void done(struct change *c, const char *what)
{
    (void)kt_step_done(c->run, what, c->ret);
}

/* ---- the administrative session ------------------------------------------------------------ */

static void note_server(struct change *c)
{
    kt_driver_evidence(c->run, c->s.version, c->ret->server_version, sizeof(c->ret->server_version));
    kt_driver_evidence(c->run, c->s.host_key, c->ret->server_id, sizeof(c->ret->server_id));
}

static bool open_as(struct change *c, enum driver_who who)
{
    const struct driver_login *login = &c->run->step->logins[who];
    bool in = kt_ssh_open(c->run, login, &c->s);
    note_server(c);
    return in;
}

/* The file's name, in which %u is the account. */
static const char *path_of(const struct driver_run *run)
{
    const char *path = kt_step_text(run->step->target.keys_file);
    const char *mark = strstr(path, "%u");
    if (mark == NULL)
        return path[0] == '\0' ? DEFAULT_PATH : path;
    return kt_arena_printf(run->arena, "%.*s%s%s", (int)(mark - path), path, run->step->account, mark + 2);
}

static bool open_file(struct change *c)
{
    const char *doing = c->doing, *path = path_of(c->run);
    c->doing = kt_step_phrase(c->run, "logging in as", c->run->step->logins[DRIVER_ADMIN].username);
    if (path == NULL)
        return kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    if (!open_as(c, DRIVER_ADMIN) || !kt_sftp_start(&c->s))
        return failed(c);
    c->doing = doing;
    return kt_ssh_file_read(&c->s, path, &c->file) || failed(c);
}

static struct kt_keys_wish wish_of(const struct driver_step *step, struct kt_bytes add, bool alone)
{
    return (struct kt_keys_wish){.add = add,
                                 .keep = step->keep_part,
                                 .secret = kt_step_text(step->secret),
                                 .run = kt_step_text(step->run),
                                 .alone = alone};
}

/* ---- apply, restore, revoke ---------------------------------------------------------------- */

static bool no_model(struct change *c)
{
    return kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "options",
                         "%s: %s has no line of this secret whose options (restrict, from=) a new one "
                         "could have; put one there: OPTIONS KEY keyturn:%s",
                         c->doing, c->file.path, kt_step_text(c->run->step->secret));
}

static void carry_out(struct change *c, const struct kt_keys_wish *wish, const char *what)
{
    struct kt_keys_seen seen;
    kt_autobuf struct kt_buf fresh;
    kt_buf_init(&fresh, KT_KEYS_FILE_MAX + 2 * (size_t)DRIVER_PUBLIC_MAX);
    switch (kt_keys_edit(kt_buf_bytes(&c->file.bytes), wish, &fresh, &seen)) {
    case KT_KEYS_SAME:
        done(c, what);
        return;
    case KT_KEYS_NO_MODEL:
        (void)no_model(c);
        return;
    case KT_KEYS_MEMORY:
        (void)kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "memory", "%s: the new file would be larger "
                            "than 256 KiB, or the worker ran out of memory", c->doing);
        return;
    case KT_KEYS_CHANGED:
        break;
    }
    /* At the end of a run one other line goes: the one before. */
    if (c->run->step->op == DRIVER_REVOKE && seen.others > 1)
        kt_driver_finding(c->run, c->ret, "%s had %zu keys of this secret besides the two of this run; they are gone",
                          c->file.path, seen.others - 1);
    if (kt_ssh_file_replace(&c->s, &c->file, wish->run, kt_buf_bytes(&fresh)))
        done(c, what);
    else
        (void)failed(c);
}

static void apply(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const struct kt_keys_wish wish = wish_of(step, step->public_part, step->keep_part.len == 0);
    c->doing = kt_step_phrase(c->run, "letting in the new key of", step->account);
    if (open_file(c))
        carry_out(c, &wish, "the account's file has the key");
}

/* Sessions outlive their key, and which key one was opened with cannot be told: none is ended. */
static void leave_one(struct change *c)
{
    const struct kt_keys_wish wish = wish_of(c->run->step, kt_bytes(NULL, 0), true);
    c->doing = kt_step_phrase(c->run, "leaving one key to", c->run->step->account);
    if (open_file(c))
        carry_out(c, &wish, "the account's file has one key of this secret");
}

/* ---- create -------------------------------------------------------------------------------- */

static void create(struct change *c)
{
    (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, "missing",
                        "an account of a host is not made by the vault: useradd '%s'",
                        c->run->step->account);
}

/* ---- verify, probe ------------------------------------------------------------------------- */

static void verify(struct change *c)
{
    const struct driver_login *login = &c->run->step->logins[DRIVER_NEW];
    c->doing = kt_step_phrase(c->run, "logging in as", login->username);
    if (!open_as(c, DRIVER_NEW)) {
        (void)failed(c);
        return;
    }
    kt_driver_evidence(c->run, login->username, c->ret->session_user, sizeof(c->ret->session_user));
    done(c, "the new key logs in");
}

static bool try_login(void *own, enum driver_who who, struct driver_reply *reply)
{
    struct change *c = own;
    c->doing = kt_step_phrase(c->run, "logging in as", c->run->step->logins[who].username);
    bool in = open_as(c, who);
    kt_ssh_answer(&c->s, reply);
    if (!in)
        (void)failed(c);
    kt_ssh_close(&c->s);
    return in || who != DRIVER_ADMIN;
}

static void probe(struct change *c)
{
    const struct driver_prober prober = {try_login, c, "the server asks for no key"};
    kt_driver_probe(c->run, &prober, c->ret);
}

/* ---- inspect ------------------------------------------------------------------------------- */

static void tell_file(struct change *c, const struct kt_keys_seen *seen)
{
    const char *path = c->file.path;
    if ((c->file.mode & 0022u) != 0)
        kt_driver_finding(c->run, c->ret, "others may write to %s: that is taken from them with the next change",
                          path);
    if (seen->foreign > 0)
        kt_driver_finding(c->run, c->ret, "%s has other keys, which are left alone: %zu", path, seen->foreign);
    if (seen->others > 0)
        kt_driver_finding(c->run, c->ret, "%s has keys of this secret that are not the current one: %zu", path,
                          seen->others);
    if (seen->expires)
        kt_driver_finding(c->run, c->ret, "the key's line has expiry-time, and so will the new one's");
}

static void inspect(struct change *c)
{
    const struct driver_step *step = c->run->step;
    const struct kt_keys_wish wish = wish_of(step, kt_bytes(NULL, 0), false);
    struct kt_keys_seen seen;
    c->doing = kt_step_phrase(c->run, "looking at the keys of", step->account);
    if (!open_file(c))
        return;
    kt_keys_look(kt_buf_bytes(&c->file.bytes), &wish, &seen);
    tell_file(c, &seen);
    if (step->keep_part.len > 0 && !seen.keep && seen.others == 0)
        (void)kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, DRIVER_UNFIT,
                            "the key that is in use is not in %s of the login '%s': which file has it, says "
                            "AuthorizedKeysFile (sshd -T -C user=%s); give the target its name as keys_file",
                            c->file.path, step->logins[DRIVER_ADMIN].username, step->account);
    else
        done(c, "looked at the account's file");
}

/* ---- all ----------------------------------------------------------------------------------- */

/* It becomes a part of the file's path; who names accounts is not who names the file. */
static bool is_name(const char *account)
{
    return strchr(account, '/') == NULL && strcmp(account, ".") != 0 && strcmp(account, "..") != 0;
}

static bool check_step(const struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    const char *what = kt_step_needs_host(step, false);
    bool changes = !kt_step_logs_in(step);
    if (what == NULL && changes && (kt_step_lacks(step->secret) || kt_step_lacks(step->run)))
        what = "the secret or the run";
    if (what == NULL && step->op == DRIVER_REVOKE && step->keep_part.len == 0)
        what = "the key that stays";
    if (!kt_step_whole(run, what, ret))
        return false;
    if (changes && !is_name(step->account))
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "account",
                             "'%s' is no account's name: set accounts of the rotation to a name without '/'",
                             step->account);
    return kt_step_parts(run, FORM_SSH, "key", "the public part is no SSH key; nothing was changed", ret);
}

bool kt_ssh_keys_prepare(struct driver_run *run, struct driver_result *ret)
{
    return check_step(run, ret) && kt_ssh_prepare(run, ret);
}

void kt_ssh_keys_run(const struct driver_run *run, struct driver_result *ret)
{
    static void (*const ops[DRIVER_OP_COUNT])(struct change *) = {
        [DRIVER_INSPECT] = inspect, [DRIVER_CREATE] = create, [DRIVER_APPLY] = apply,
        [DRIVER_VERIFY] = verify,   [DRIVER_PROBE] = probe,   [DRIVER_REVOKE] = leave_one,
        [DRIVER_RESTORE] = apply,
    };
    struct change c = {.run = run, .ret = ret, .s = {.run = run}, .doing = ""};
    ops[run->step->op](&c);
    kt_ssh_file_free(&c.file);
    kt_ssh_close(&c.s);
}
