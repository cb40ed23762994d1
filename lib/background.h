/* lib/background.h - threads whose work can wait for those that answer somebody.
 *
 * What:    Gives the calling thread a name (`top -H`) and less of the processor than the others where they want it: a
 *          tenth. What takes long (a list of 100,000, a burst of rotations, passwords) else makes everybody's reads
 *          wait for whole turns of the scheduler. What the system refuses is no matter.
 *          Only in a program that said so: a test whose machine is busy would wait for what it tests.
 * Threads: the calling one; kt_background_allow() before there are others.
 * Source:  setpriority(2): on Linux the nice value is a thread's. */
#pragma once

void kt_background_allow(void);
void kt_background_thread(const char *name); /* of at most 15 bytes */
