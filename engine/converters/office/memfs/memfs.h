/* Files that exist only on the heap of the process that made them.
 *
 * Every path below MEMFS_ROOT belongs to this store. It knows directories, files and open
 * descriptors, and answers as the kernel would: a result, or -1 and errno. `tree.c` and `files.c`
 * implement it; `paths.c` and `descriptors.c` put it in front of the C library (LD_PRELOAD), so that
 * a program that insists on paths never meets a disk.
 */
#ifndef MEMFS_H
#define MEMFS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define MEMFS_ROOT "/memfs"

/* What is left of a directory that is being read. */
typedef struct memfs_listing memfs_listing;

/* Whether a path is ours. If so, `clean` (PATH_MAX bytes) gets it without ".", ".." and doubled
 * slashes; all functions below take clean paths only. */
bool memfs_owns(const char *path, char *clean);
/* Whether a descriptor was given out by `memfs_open`. */
bool memfs_has(int descriptor);

int memfs_open(const char *clean, int flags);
int memfs_close(int descriptor);
/* Two descriptors of a pipe: reading from the first waits for what is written to the second. */
int memfs_pipe(int ends[2]);
/* Take a real descriptor over, if it is a regular file's: its bytes are mapped here, it is closed,
 * and one of ours is returned in its place. Any other is returned as it is. */
int memfs_adopt(int real);
ssize_t memfs_read(int descriptor, void *into, size_t count);
ssize_t memfs_write(int descriptor, const void *from, size_t count);
ssize_t memfs_pread(int descriptor, void *into, size_t count, off_t offset);
ssize_t memfs_pwrite(int descriptor, const void *from, size_t count, off_t offset);
off_t memfs_seek(int descriptor, off_t offset, int whence);
int memfs_resize(int descriptor, off_t size);
int memfs_flags(int descriptor);
int memfs_set_flags(int descriptor, int flags);
int memfs_fstat(int descriptor, struct stat *about);

int memfs_stat(const char *clean, struct stat *about);
int memfs_mkdir(const char *clean);
int memfs_unlink(const char *clean);
int memfs_rmdir(const char *clean);
int memfs_rename(const char *from, const char *to);

/* A listing is told from a real DIR by its address, so that one opendir serves both. */
memfs_listing *memfs_list(const char *clean);
bool memfs_lists(const void *listing);
struct dirent *memfs_next(memfs_listing *listing);
void memfs_end(memfs_listing *listing);

/* For the program that embeds the store. */
#pragma GCC visibility push(default)
void memfs_limit(size_t bytes);       /* of all files together; from then on ENOSPC */
bool memfs_was_full(void);            /* whether that has happened */
/* While on, real files that are opened for reading are adopted: a process that is about to fork can
 * open what it likes and keep none of it open. */
void memfs_hold(bool on);
int memfs_put(const char *path, const void *bytes, size_t count);
const void *memfs_bytes(const char *path, size_t *count); /* valid until the file changes */
#pragma GCC visibility pop

#endif
