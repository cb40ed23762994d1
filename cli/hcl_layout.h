/* cli/hcl_layout.h - an HCL text laid out anew, comments kept.
 *
 * What:    Works on the text, line by line: indentation by depth, one blank around "=", no blank at
 *          an end, no two empty lines. Strings, comments and heredocs are left as they are. Laid
 *          out twice it is the same.
 * Owner:   appends to the caller's buffer; check kt_buf_ok().
 * Limits:  the text was parsed before (lib/hcl/hcl.h), so brackets match.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"

void hcl_layout(struct kt_bytes text, struct kt_buf *out);
