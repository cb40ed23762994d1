#include "tests/support/store_image.h"

#include "vaultd/store/engine.h"

enum kt_kind image_open(struct inmem_image *image, struct store **ret, struct kt_err *err)
{
    const struct store_config config = {.engine = STORE_INMEM};
    const struct store_seam seam = {.image = image};
    return store_open_seamed(&config, &seam, ret, err);
}
