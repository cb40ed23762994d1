/* tests/support/agent_scene.h - one service of an agent, with the vault, the health checks and the program played here.
 *
 * What:    `world` says what the others do, and has what they were asked. A program that uses it is linked with
 *          -Wl,--wrap=... of what an agent asks outside (Makefile).
 * Owner:   scene_prepare() and what begins with it .. service_free().
 * Threads: one. */
#pragma once

#include "agent/service.h"

#define SECRET "secret/db"
#define OTHER  "secret/mail"

struct world {
    bool well, well_with_both, well_after; /* before; with what is tried; with the files of before again */
    enum kt_kind fetch;
    const char *seven;     /* the data of version 7; NULL: as of any other */
    const char *forbidden; /* a secret that cannot be read */
    const char *refusal; /* of reports that say that it holds a candidate; NULL: none */
    enum kt_kind report; /* of each report */
    bool hung_up;        /* the program ended: no report gets through any more, but the last word */
    bool ends; /* the program, while it is looked whether it is well before */
    unsigned fetches, verdicts, reports;
    char said[1024]; /* "state version/holds;" each */
    const char *bad; /* in its environment: with that it is not well, whatever was said above; NULL: nothing is */
    bool plain; /* nothing is rotated */
    bool pair; /* it is well with both new ones and with both old ones */
    char started[1024], env[256]; /* "NAME=value NAME=value;" each; the last one */
};
extern struct world world;

struct scene {
    char name[16], other[16];
    struct config_env env[3];
    struct config config;
    struct supervisor s;
    struct service service;
    struct wanted wanted[2];
};

/* A service that has no secret yet, in a world where all goes well. */
void scene_prepare(struct scene *scene);
/* It has this one, and beside it a candidate or 0. */
void scene_has(struct scene *scene, const char *secret, uint64_t version, uint64_t candidate);
/* It runs version 6 of SECRET, whose rotation made version 7. */
void scene_begin(struct scene *scene);
/* It runs version 4 of OTHER, too; the vault wants 5. */
void scene_begin_two(struct scene *scene, uint64_t version, uint64_t other);
/* The rotation of SECRET wants it to run this version. */
void scene_rotates(struct scene *scene, uint64_t version, uint64_t previous);
/* As the agent calls it: at the news, and again soon for as long as something is left to be done. */
bool scene_settles(struct scene *scene);
