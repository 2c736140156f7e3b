/* The names of the store: a short list of nodes, and how much they may hold together.
 *
 * Nodes are found by their whole path in a linked list. A profile and a document are some dozens of
 * files, for which that is both the shortest code and fast enough.
 *
 * Memory is inherited by fork, private to the process from then on, and gone with it. Forking is
 * safe while no other thread is inside the store; the program that embeds it forks with one thread.
 */
#include "store.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A first block; growing by half keeps copies few without doubling what a large file takes. */
#define FIRST_ROOM 4096

struct memfs_listing {
    struct memfs_listing *next_open;
    struct dirent entry; /* the one that was returned last */
    size_t count, at;
    struct {
        char *name;
        bool is_directory;
        ino_t number;
    } entries[];
};

pthread_mutex_t memfs_lock = PTHREAD_MUTEX_INITIALIZER;
static node *nodes;
static memfs_listing *listings;
static ino_t numbers;
static size_t used, limit = SIZE_MAX;
static bool was_full;

bool memfs_owns(const char *path, char *clean)
{
    const size_t root = sizeof MEMFS_ROOT - 1;
    /* Nearly every path a program names is somebody else's; this is the short way out. */
    if (!path || strncmp(path, MEMFS_ROOT, root) != 0)
        return false;
    size_t length = 0;
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (length && clean[--length] != '/')
                ;
        } else if (part && !(part == 1 && path[0] == '.')) {
            if (length + part + 2 > PATH_MAX)
                return false;
            clean[length++] = '/';
            memcpy(clean + length, path, part);
            length += part;
        }
        path += part;
        path += *path == '/';
    }
    clean[length] = 0;
    return strncmp(clean, MEMFS_ROOT, root) == 0 && (clean[root] == 0 || clean[root] == '/');
}

node *node_find(const char *clean)
{
    for (node *one = nodes; one; one = one->next)
        if (one->is_linked && strcmp(one->path, clean) == 0)
            return one;
    return NULL;
}

/* The part of `path` below `directory`, or NULL where it is not below it. */
static const char *below(const char *directory, const char *path)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

bool node_has_parent(const char *clean)
{
    char parent[PATH_MAX];
    size_t length = (size_t)(strrchr(clean, '/') - clean);
    memcpy(parent, clean, length);
    parent[length] = 0;
    node *found = node_find(parent);
    return found && found->is_directory;
}

node *node_add(const char *clean, bool is_directory)
{
    node *made = calloc(1, sizeof *made);
    char *path = strdup(clean);
    if (!made || !path) {
        free(made);
        free(path);
        errno = ENOSPC;
        return NULL;
    }
    made->path = path;
    made->is_directory = is_directory;
    made->is_linked = true;
    made->number = ++numbers;
    clock_gettime(CLOCK_REALTIME, &made->changed);
    made->next = nodes;
    nodes = made;
    return made;
}

node *node_add_nameless(void)
{
    node *made = node_add("", false);
    if (made)
        made->is_linked = false;
    return made;
}

void node_let_go(node *one)
{
    if (one->is_linked || one->openings)
        return;
    node **place = &nodes;
    while (*place != one)
        place = &(*place)->next;
    *place = one->next;
    used -= one->room;
    if (one->is_mapped)
        munmap(one->bytes, one->size);
    else
        free(one->bytes);
    free(one->path);
    free(one);
}

static int reserve(node *file, size_t size)
{
    if (size <= file->room)
        return 0;
    size_t room = file->room ? file->room : FIRST_ROOM;
    while (room < size)
        room += room / 2;
    if (room - file->room > limit - used) {
        was_full = true;
        return fail(ENOSPC);
    }
    unsigned char *bytes = realloc(file->bytes, room);
    if (!bytes) {
        was_full = true;
        return fail(ENOSPC);
    }
    used += room - file->room;
    file->bytes = bytes;
    file->room = room;
    return 0;
}

int node_resize(node *file, size_t size)
{
    if (reserve(file, size))
        return -1;
    if (size > file->size)
        memset(file->bytes + file->size, 0, size - file->size);
    file->size = size;
    clock_gettime(CLOCK_REALTIME, &file->changed);
    return 0;
}

int node_describe(const node *one, struct stat *about)
{
    memset(about, 0, sizeof *about);
    about->st_ino = one->number;
    about->st_mode = one->is_directory ? S_IFDIR | 0700 : S_IFREG | 0600;
    about->st_nlink = 1;
    about->st_uid = geteuid();
    about->st_gid = getegid();
    about->st_size = (off_t)one->size;
    about->st_blksize = FIRST_ROOM;
    about->st_blocks = (blkcnt_t)((one->size + 511) / 512);
    about->st_atim = about->st_mtim = about->st_ctim = one->changed;
    return 0;
}

int memfs_stat(const char *clean, struct stat *about)
{
    LOCKED;
    node *found = node_find(clean);
    return found ? node_describe(found, about) : fail(ENOENT);
}

int memfs_mkdir(const char *clean)
{
    LOCKED;
    if (node_find(clean))
        return fail(EEXIST);
    if (!node_has_parent(clean) && strcmp(clean, MEMFS_ROOT) != 0)
        return fail(ENOENT);
    return node_add(clean, true) ? 0 : -1;
}

static int unlink_node(node *one)
{
    one->is_linked = false;
    node_let_go(one);
    return 0;
}

int memfs_unlink(const char *clean)
{
    LOCKED;
    node *found = node_find(clean);
    if (!found)
        return fail(ENOENT);
    return found->is_directory ? fail(EISDIR) : unlink_node(found);
}

int memfs_rmdir(const char *clean)
{
    LOCKED;
    node *found = node_find(clean);
    if (!found || !found->is_directory)
        return fail(found ? ENOTDIR : ENOENT);
    for (node *one = nodes; one; one = one->next)
        if (one->is_linked && below(clean, one->path))
            return fail(ENOTEMPTY);
    return unlink_node(found);
}

/* Give a node another name: what lies below a directory moves along. */
static int rename_node(node *moved, const char *from, const char *to)
{
    for (node *one = nodes; one; one = one->next) {
        const char *rest = one == moved ? "" : below(from, one->path);
        char *path;
        if (!one->is_linked || !rest)
            continue;
        if (asprintf(&path, "%s%s%s", to, *rest ? "/" : "", rest) < 0)
            return fail(ENOSPC);
        free(one->path);
        one->path = path;
    }
    return 0;
}

int memfs_rename(const char *from, const char *to)
{
    LOCKED;
    node *moved = node_find(from), *replaced = node_find(to);
    if (!moved || !node_has_parent(to))
        return fail(ENOENT);
    if (moved == replaced)
        return 0;
    if (below(from, to))
        return fail(EINVAL);
    if (replaced && (replaced->is_directory || moved->is_directory))
        return fail(EEXIST);
    if (replaced)
        unlink_node(replaced);
    return rename_node(moved, from, to);
}

/* The name of a node that lies directly in this directory, else NULL. */
static const char *entry_of(const char *directory, const node *one)
{
    const char *rest = one->is_linked ? below(directory, one->path) : NULL;
    return rest && !strchr(rest, '/') ? rest : NULL;
}

memfs_listing *memfs_list(const char *clean)
{
    LOCKED;
    node *directory = node_find(clean);
    if (!directory || !directory->is_directory) {
        errno = directory ? ENOTDIR : ENOENT;
        return NULL;
    }
    size_t count = 0;
    for (node *one = nodes; one; one = one->next)
        count += entry_of(clean, one) != NULL;
    memfs_listing *made = calloc(1, sizeof *made + count * sizeof made->entries[0]);
    if (!made)
        return NULL;
    for (node *one = nodes; one; one = one->next) {
        const char *name = entry_of(clean, one);
        if (name && (made->entries[made->count].name = strdup(name))) {
            made->entries[made->count].is_directory = one->is_directory;
            made->entries[made->count++].number = one->number;
        }
    }
    made->next_open = listings;
    return listings = made;
}

bool memfs_lists(const void *listing)
{
    LOCKED;
    for (memfs_listing *one = listings; one; one = one->next_open)
        if (one == listing)
            return true;
    return false;
}

struct dirent *memfs_next(memfs_listing *listing)
{
    LOCKED;
    if (listing->at == listing->count)
        return NULL;
    struct dirent *entry = &listing->entry;
    entry->d_ino = listing->entries[listing->at].number;
    entry->d_type = listing->entries[listing->at].is_directory ? DT_DIR : DT_REG;
    entry->d_reclen = sizeof *entry;
    snprintf(entry->d_name, sizeof entry->d_name, "%s", listing->entries[listing->at++].name);
    return entry;
}

void memfs_end(memfs_listing *listing)
{
    LOCKED;
    memfs_listing **place = &listings;
    while (*place != listing)
        place = &(*place)->next_open;
    *place = listing->next_open;
    for (size_t at = 0; at < listing->count; at++)
        free(listing->entries[at].name);
    free(listing);
}

void memfs_limit(size_t bytes)
{
    LOCKED;
    limit = bytes;
}

bool memfs_was_full(void)
{
    LOCKED;
    return was_full;
}
