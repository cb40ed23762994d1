/* tests/support/store_image.h - the memory store on what outlives a process (vaultd/store/inmem.h).
 *
 * A file of its own: the store's engines and the vault's have one name. */
#pragma once

#include "vaultd/store/store.h"

struct inmem_image;
enum kt_kind image_open(struct inmem_image *image, struct store **ret,
                        struct kt_err *err) KT_MUST_CHECK;
