/* cli/cli.h - what every command works with: settings, the vault, the output.
 *
 * What:    cli_call() sends one request and, when it fails, says what failed, with the URL, the
 *          code and what to do next. Output is collected in cli->out and written at the end of the
 *          command or by cli_flush(); it may hold secrets and is wiped.
 * Owner:   main() owns the struct cli.
 * Threads: one thread. */
#pragma once

#include "cli/commands.h"
#include "lib/api.h"
#include "lib/cleanup.h"
#include "lib/secret.h"
#include "lib/zone.h"

enum cli_exit { CLI_DONE = 0, CLI_WRONG = 1, CLI_REFUSED = 2 };
enum cli_format { CLI_TABLE, CLI_JSON };

struct cli {
    const struct command *command;
    struct flags flags;
    const char *const *words; /* after the command's own */
    size_t word_count;
    enum cli_format format;
    int in_fd, out_fd, err_fd;
    bool in_terminal, out_terminal, err_terminal;
    struct kt_buf out;
    struct kt_secret *token; /* from VAULT_TOKEN */
    struct kt_api *api;      /* opened by the first call */
    struct kt_zone *zone;    /* the person's, loaded by the first time that is printed */
    bool zone_loaded;
    int64_t now_ms;
    int exit_code;  /* set by cli_call() when it fails */
    bool unwritten; /* some of the output was lost, and said so */
};

/* cli->flags, command and words are set; the rest is started. */
void cli_init(struct cli *cli);
void cli_free(struct cli *cli);
/* Finds the command, checks flags and words, runs it; the exit code. */
int cli_run(struct cli *cli, int argc, char *const *argv);

/* ---- saying things ---- */
/* Writes cli->out to out_fd and empties it. False (and a message) when it cannot be written. */
bool cli_flush(struct cli *cli);
/* A line to err_fd, behind what is in cli->out. */
void cli_note(struct cli *cli, const char *format, ...) KT_PRINTF(2, 3);
/* "Error WHAT: err->what", then what to do next; returns the exit code for used wrongly. */
int cli_fail(struct cli *cli, const struct kt_err *err);
/* The same with a text of its own and a hint ("" for none). */
int cli_wrong(struct cli *cli, const char *hint, const char *format, ...) KT_PRINTF(3, 4);
/* "Success! ..." on stdout unless JSON is wanted. */
void cli_success(struct cli *cli, const char *format, ...) KT_PRINTF(2, 3);

/* ---- asking the vault ---- */
struct cli_call {
    const char *doing; /* "reading secret/db/orders" */
    const char *method, *path, *query;
    struct kt_bytes body;
    bool secret_body; /* not shown by -output-curl-string */
    bool raw;
    bool wraps;         /* -wrap-ttl is for this one; print with cli_print_wrapped() */
    const char *if_denied; /* what to do next when the vault says no more than "permission denied"; NULL: look
                              at what the token may do */
    bool aside;         /* not what was asked for: sent in spite of -output-curl-string, and its
                          failure is not told */
    struct kt_err *err; /* not NULL: the vault's refusal goes here and the caller tells it; its kind
                           stays KT_OK when all was said already */
    unsigned timeout_ms;
};
/* KT_OK, or: said what failed, cli->exit_code is set (0 after -output-curl-string). */
enum kt_kind cli_call(struct cli *cli, const struct cli_call *call,
                      struct kt_api_reply *reply) KT_MUST_CHECK;
/* What cli_call() says; for a caller that gave it an err. Returns the exit code. */
int cli_refused(struct cli *cli, const struct cli_call *call, const struct kt_api_reply *reply,
                const struct kt_err *err);
/* What to do next after a refusal whose words are Vault's, or NULL. */
const char *cli_next_of(const struct kt_err *err);
/* Nothing is there (Vault's 404 without a word), as opposed to no such path. */
bool cli_is_empty(const struct kt_api_reply *reply, const struct kt_err *err);
/* The exit code for a vault that refused or cannot be reached. */
int cli_remote_code(const struct cli *cli);
/* What is set for connections to the vault, its token too; the texts are borrowed. */
enum kt_kind cli_api_options(struct cli *cli, struct kt_api_options *ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* Opens cli->api; says what failed. */
bool cli_open(struct cli *cli);

/* ---- the answer as it is ---- */
/* With -field: that field of the object, and true. With JSON: the whole answer, and true. */
bool cli_print_plain(struct cli *cli, struct kt_json object, const struct kt_api_reply *reply,
                     int *ret_code);
/* The same, or a table of its members. Returns the exit code. */
int cli_print_members(struct cli *cli, struct kt_json object, const struct kt_api_reply *reply);
/* GET of a path, printed like that. */
int cli_show(struct cli *cli, const char *doing, const char *path);
/* With -wrap-ttl, the wrapping token instead of the answer: true. */
bool cli_print_wrapped(struct cli *cli, const struct kt_api_reply *reply, int *ret_code);
/* The answer's "keys", one a line, or as a list. */
void cli_print_keys(struct cli *cli, const struct kt_api_reply *reply);
/* LIST of a path, printed like that. nothing (and next, or ""): what is said when it is empty, with
 * the exit code done. Returns the exit code. */
int cli_list_keys(struct cli *cli, const char *doing, const char *path, const char *nothing,
                  const char *next);
/* A request without a body whose answer says nothing: DELETE and the like. False: said why. The vault does not say
 * whether what was deleted was there. To ask for it first would take a use of a token that may have one left. */
bool cli_do(struct cli *cli, const char *doing, const char *method, const char *path);
/* What the token may do with these paths; false: that is not told. Then, of one of them, the capability or
 * everything: */
bool cli_capabilities(struct cli *cli, const char *const *paths, size_t count, struct kt_api_reply *reply);
bool cli_has_capability(const struct kt_api_reply *reply, const char *path, const char *capability);
/* Warnings of the answer, on stderr. */
void cli_warnings(struct cli *cli, const struct kt_api_reply *reply);
