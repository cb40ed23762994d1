/* cli/cmd_policy_fmt.c - policy fmt: a policy file checked and laid out anew. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/hcl_layout.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lib/hcl/hcl.h"
#include "lib/random.h"
#include "lib/write.h"

/* The new text beside the old, with its mode, then renamed over it. */
static enum kt_kind replace_file(const char *path, struct kt_bytes text, struct kt_err *err)
{
    char temporary[4096];
    uint64_t id = 0;
    struct stat st = {0};
    kt_random_id(&id, sizeof id);
    int n = snprintf(temporary, sizeof temporary, "%s.%016jx", path, (uintmax_t)id);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return kt_fail(err, KT_INVALID, "the file's path is too long");
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return kt_fail(err, KT_INVALID, "'%.200s' is no regular file, and is not written", path);
    kt_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot write beside '%.200s'", path);
    if (!kt_write_all(fd, text) || fchmod(fd, st.st_mode & 0777) != 0 || fsync(fd) != 0 ||
        rename(temporary, path) != 0) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot write '%.200s'", path);
        (void)unlink(temporary);
        return kind;
    }
    return KT_OK;
}

int cmd_policy_fmt(struct cli *cli)
{
    const char *file = cli->words[0];
    struct kt_err err = {0};
    struct kt_hcl_body *root = NULL;
    bool write_back = flags_on(&cli->flags, FLAG_WRITE) && strcmp(file, "-") != 0;
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf laid_out = {0};
    kt_buf_init(&text, KT_HCL_MAX_BYTES * 2);
    kt_buf_init(&laid_out, KT_HCL_MAX_BYTES * 8);
    if (input_file(cli, file, KT_HCL_MAX_BYTES, &text, &err) != KT_OK)
        return cli_fail(cli, &err);
    enum kt_kind kind = kt_hcl_parse(kt_buf_bytes(&text), file, &root, &err);
    kt_hcl_free(root);
    if (kind != KT_OK)
        return cli_fail(cli, &err);
    hcl_layout(kt_buf_bytes(&text), &laid_out);
    if (!kt_buf_ok(&laid_out))
        return cli_wrong(cli, "", "the file is too large");
    if (!write_back) {
        kt_buf_add_bytes(&cli->out, kt_buf_bytes(&laid_out));
        return CLI_DONE;
    }
    if (replace_file(file, kt_buf_bytes(&laid_out), &err) != KT_OK)
        return cli_fail(cli, &err);
    cli_success(cli, "Formatted policy: %s", file);
    return CLI_DONE;
}
