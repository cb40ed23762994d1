/* lib/uuid.h - UUIDs: 16 bytes and their text.
 *
 * What:    The text is lower-case hex in groups of 8, 4, 4, 4 and 12, the only form that is read back.
 *          Whose the random bytes are the caller decides (random.h); their marks say version 4.
 * Source:  RFC 9562, sections 4 and 5.4.
 * Threads: any thread. In constant time: a UUID may be a secret. */
#pragma once

#include "lib/bytes.h"

#define KT_UUID_BYTES 16u
#define KT_UUID_TEXT  37u /* with its NUL */

/* Makes 16 random bytes a UUID of version 4. */
void kt_uuid_mark(unsigned char id[KT_UUID_BYTES]);
void kt_uuid_text(const unsigned char id[KT_UUID_BYTES], char out[KT_UUID_TEXT]);
/* False: not such a text; out is undefined then. */
bool kt_uuid_parse(struct kt_bytes text, unsigned char out[KT_UUID_BYTES]);
