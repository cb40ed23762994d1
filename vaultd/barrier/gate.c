#include "vaultd/barrier/gate.h"

#include <stdint.h>

void gate_init(struct gate *gate)
{
    for (unsigned i = 0; i < GATE_SLOTS; i++)
        atomic_init(&gate->slots[i].holders, 0);
    atomic_init(&gate->level, GATE_CLOSED);
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->left, NULL);
}

void gate_destroy(struct gate *gate)
{
    (void)pthread_cond_destroy(&gate->left);
    (void)pthread_mutex_destroy(&gate->lock);
}

/* Any slot is right; threads should differ. The address of a thread's own variable tells them
 * apart without a counter that all would share. */
static struct gate_slot *own_slot(struct gate *gate)
{
    static _Thread_local char mark;
    uint64_t page = (uint64_t)(uintptr_t)&mark >> 12;
    return &gate->slots[(page * 0x9E3779B97F4A7C15u) >> 60];
}
_Static_assert(GATE_SLOTS == 16, "the four highest bits choose a slot");

/* A holder may leave through another slot than it entered by: only the sum counts. It can be too
 * high for a moment (somebody who is about to be refused), never too low: each entry comes before
 * the level was lowered, or is taken back in the slot where it was made. */
static long holders(struct gate *gate)
{
    long sum = 0;
    for (unsigned i = 0; i < GATE_SLOTS; i++)
        sum += atomic_load(&gate->slots[i].holders);
    return sum;
}

static void wake_lowerer(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    (void)pthread_cond_broadcast(&gate->left);
    (void)pthread_mutex_unlock(&gate->lock);
}

/* All orders here are sequentially consistent: whoever lowers the level must see our count, or we
 * must see the level (and likewise when leaving). */
bool gate_enter(struct gate *gate, enum gate_level wanted)
{
    struct gate_slot *slot = own_slot(gate);
    if (atomic_load(&gate->level) < (int)wanted)
        return false;
    (void)atomic_fetch_add(&slot->holders, 1);
    if (atomic_load(&gate->level) >= (int)wanted)
        return true;
    (void)atomic_fetch_sub(&slot->holders, 1);
    wake_lowerer(gate);
    return false;
}

void gate_hold(struct gate *gate)
{
    (void)atomic_fetch_add(&own_slot(gate)->holders, 1);
}

void gate_leave(struct gate *gate)
{
    (void)atomic_fetch_sub(&own_slot(gate)->holders, 1);
    if (atomic_load(&gate->level) != GATE_OPEN)
        wake_lowerer(gate);
}

void gate_raise(struct gate *gate, enum gate_level level)
{
    atomic_store(&gate->level, (int)level);
}

void gate_lower(struct gate *gate, enum gate_level level)
{
    atomic_store(&gate->level, (int)level);
    (void)pthread_mutex_lock(&gate->lock);
    while (holders(gate) != 0)
        (void)pthread_cond_wait(&gate->left, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
}
