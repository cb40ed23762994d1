/* vaultd/store/inmem.h - what tests may do with a memory store that nobody else can.
 *
 * What:    An image is what outlives a process: open a store on it, close or lose the store, open
 *          another one on it. Without an image the data ends with the store.
 *          store_inmem_lose() lets the n-th fold from now (1: the next) end without
 *          acknowledgement, as when the process dies with a transaction under way: its batches get
 *          STORE_UNKNOWN, the store is broken, and the image has the fold or not, as `applied`
 *          says.
 *          store_image_watch() is for whoever lets it die just there: the hook is called on the store
 *          thread before a fold is in the image and once it is, while nobody knows yet; it may block,
 *          which delays the completions. After store_image_freeze() the image stays as it is: what
 *          still runs goes on, on what it sees, and nothing of it survives. Opening it again thaws it.
 * Owner:   the caller; an image outlives the stores on it. One store at a time: a second is
 *          refused.
 * Threads: before the fold in question is committed. */
#pragma once

#include "vaultd/store/store.h"

struct inmem_image;
struct inmem_image *store_image_new(void); /* NULL: out of memory */
void store_image_free(struct inmem_image *image);
typedef void store_image_fn(void *arg, bool durable);
void store_image_watch(struct inmem_image *image, store_image_fn *fn, void *arg);
void store_image_freeze(struct inmem_image *image);
void store_inmem_lose(struct store *store, unsigned nth, bool applied);
