/* tests/support/folder.h - a folder of a test's own. */
#pragma once

/* A new one, mode 0700, on a tmpfs if there is one. 0, or -1. */
int folder_make(char out[64]);
/* Ends it with all that is in it. */
void folder_remove(const char *folder);
