/* lib/write.h - all bytes into a descriptor.
 *
 * What:    write(2) until everything is written; goes on after a signal and after a part.
 * Errors:  false, and errno says why; how much was written before is not known.
 * Threads: any thread. */
#pragma once

#include "lib/bytes.h"

bool kt_write_all(int fd, struct kt_bytes bytes);
