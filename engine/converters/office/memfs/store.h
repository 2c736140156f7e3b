/* Inside the store: what `tree.c` (names) and `files.c` (descriptors) share. */
#ifndef MEMFS_STORE_H
#define MEMFS_STORE_H

#define _GNU_SOURCE
#include "memfs.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

typedef struct node {
    struct node *next;
    char *path;
    bool is_directory;
    bool is_pipe;   /* `bytes` are what was written and not read yet */
    bool is_mapped; /* `bytes` are a real file's, mapped, and cannot be changed */
    bool is_linked; /* false once it has been unlinked; it lives on while it is open */
    unsigned openings;
    ino_t number;
    struct timespec changed;
    unsigned char *bytes;
    size_t size, room;
} node;

extern pthread_mutex_t memfs_lock;

/* Every public function holds the lock from its first line to whichever return it leaves by; no
 * other function takes it. */
#define LOCKED                                                                                     \
    __attribute__((cleanup(memfs_unlock), unused)) int locked = pthread_mutex_lock(&memfs_lock)

static inline void memfs_unlock(const int *unused)
{
    (void)unused;
    pthread_mutex_unlock(&memfs_lock);
}

static inline int fail(int error)
{
    errno = error;
    return -1;
}

node *node_find(const char *clean);
bool node_has_parent(const char *clean);
node *node_add(const char *clean, bool is_directory); /* NULL and errno without memory */
node *node_add_nameless(void);
void node_let_go(node *one); /* frees one that nobody names and nobody has open */
int node_resize(node *file, size_t size); /* what it grows by is zeros */
int node_describe(const node *one, struct stat *about);

#endif
