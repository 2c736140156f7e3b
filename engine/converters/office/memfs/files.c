/* The open descriptors of the store.
 *
 * They are numbers that the kernel never gives out (they start far above its limit). A call that is
 * not intercepted therefore reaches the kernel with a number it does not know, and fails with
 * EBADF: what this store does not cover cannot touch anything else by mistake.
 */
#include "store.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Above any limit of open files that a process is given in practice (fs.nr_open is 2^20). */
#define FIRST_DESCRIPTOR 0x40000000
/* LibreOffice holds some tens of files open at a time. */
#define DESCRIPTORS_MAX 1024

typedef struct {
    node *file; /* NULL: this place is free */
    off_t offset;
    int flags;
} opening;

static opening openings[DESCRIPTORS_MAX];
/* Something was written to a pipe, or an end of one was closed. */
static pthread_cond_t pipes_changed = PTHREAD_COND_INITIALIZER;

static opening *opened(int descriptor)
{
    if (descriptor < FIRST_DESCRIPTOR || descriptor >= FIRST_DESCRIPTOR + DESCRIPTORS_MAX)
        return NULL;
    opening *found = &openings[descriptor - FIRST_DESCRIPTOR];
    return found->file ? found : NULL;
}

bool memfs_has(int descriptor)
{
    return opened(descriptor) != NULL;
}

/* Give a node a descriptor. */
static int give(node *file, int flags)
{
    for (int place = 0; place < DESCRIPTORS_MAX; place++)
        if (!openings[place].file) {
            file->openings++;
            openings[place] = (opening){.file = file, .flags = flags};
            return FIRST_DESCRIPTOR + place;
        }
    return fail(EMFILE);
}

static void take_back(opening *one)
{
    node *file = one->file;
    one->file = NULL;
    file->openings--;
    pthread_cond_broadcast(&pipes_changed);
    node_let_go(file);
}

int memfs_open(const char *clean, int flags)
{
    LOCKED;
    node *file = node_find(clean);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (file && (flags & O_CREAT) && (flags & O_EXCL))
        return fail(EEXIST);
    if (file && file->is_directory && writes)
        return fail(EISDIR);
    if (file && !file->is_directory && (flags & O_DIRECTORY))
        return fail(ENOTDIR);
    if (!file && (!(flags & O_CREAT) || !node_has_parent(clean)))
        return fail(ENOENT);
    if (!file && !(file = node_add(clean, false)))
        return -1;
    if ((flags & O_TRUNC) && writes)
        file->size = 0;
    return give(file, flags);
}

int memfs_pipe(int ends[2])
{
    LOCKED;
    node *made = node_add_nameless();
    if (!made)
        return -1;
    made->is_pipe = true;
    ends[0] = give(made, O_RDONLY);
    ends[1] = give(made, O_WRONLY);
    if (ends[1] >= 0)
        return 0;
    if (ends[0] >= 0)
        take_back(opened(ends[0]));
    else
        node_let_go(made);
    return fail(EMFILE);
}

int memfs_adopt(int real)
{
    struct stat about;
    if (fstat(real, &about) || !S_ISREG(about.st_mode) || !about.st_size)
        return real;
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, real, 0);
    if (bytes == MAP_FAILED)
        return real;
    LOCKED;
    node *made = node_add_nameless();
    int descriptor = made ? give(made, O_RDONLY) : -1;
    if (descriptor < 0) {
        munmap(bytes, (size_t)about.st_size);
        if (made)
            node_let_go(made);
        return real;
    }
    made->bytes = bytes;
    made->size = (size_t)about.st_size;
    made->is_mapped = true;
    made->changed = about.st_mtim;
    close(real);
    return descriptor;
}

int memfs_close(int descriptor)
{
    LOCKED;
    opening *one = opened(descriptor);
    if (!one)
        return fail(EBADF);
    take_back(one);
    return 0;
}

/* Wait for bytes in a pipe, and take them out; 0 when nobody can write any more. */
static ssize_t read_pipe(const opening *one, void *into, size_t count)
{
    node *file = one->file;
    while (!file->size) {
        if (file->openings < 2)
            return 0;
        if (one->flags & O_NONBLOCK)
            return fail(EAGAIN);
        pthread_cond_wait(&pipes_changed, &memfs_lock);
    }
    if (count > file->size)
        count = file->size;
    memcpy(into, file->bytes, count);
    file->size -= count;
    memmove(file->bytes, file->bytes + count, file->size);
    return (ssize_t)count;
}

static ssize_t read_at(const opening *one, void *into, size_t count, off_t offset)
{
    const node *file = one->file;
    if (file->is_directory)
        return fail(EISDIR);
    if (offset < 0)
        return fail(EINVAL);
    if ((size_t)offset >= file->size)
        return 0;
    if (count > file->size - (size_t)offset)
        count = file->size - (size_t)offset;
    memcpy(into, file->bytes + offset, count);
    return (ssize_t)count;
}

static ssize_t write_at(const opening *one, const void *from, size_t count, off_t offset)
{
    node *file = one->file;
    if ((one->flags & O_ACCMODE) == O_RDONLY)
        return fail(EBADF);
    if (offset < 0 || count > SSIZE_MAX - (size_t)offset)
        return fail(EFBIG);
    if (!count)
        return 0;
    size_t end = (size_t)offset + count;
    if (end > file->size && node_resize(file, end))
        return -1;
    memcpy(file->bytes + offset, from, count);
    if (file->is_pipe)
        pthread_cond_broadcast(&pipes_changed);
    return (ssize_t)count;
}

ssize_t memfs_read(int descriptor, void *into, size_t count)
{
    LOCKED;
    opening *one = opened(descriptor);
    if (one && one->file->is_pipe)
        return read_pipe(one, into, count);
    ssize_t done = one ? read_at(one, into, count, one->offset) : fail(EBADF);
    if (done > 0)
        one->offset += done;
    return done;
}

ssize_t memfs_write(int descriptor, const void *from, size_t count)
{
    LOCKED;
    opening *one = opened(descriptor);
    if (!one)
        return fail(EBADF);
    if ((one->flags & O_APPEND) || one->file->is_pipe)
        one->offset = (off_t)one->file->size;
    ssize_t done = write_at(one, from, count, one->offset);
    if (done > 0)
        one->offset += done;
    return done;
}

ssize_t memfs_pread(int descriptor, void *into, size_t count, off_t offset)
{
    LOCKED;
    opening *one = opened(descriptor);
    return one ? read_at(one, into, count, offset) : fail(EBADF);
}

ssize_t memfs_pwrite(int descriptor, const void *from, size_t count, off_t offset)
{
    LOCKED;
    opening *one = opened(descriptor);
    return one ? write_at(one, from, count, offset) : fail(EBADF);
}

off_t memfs_seek(int descriptor, off_t offset, int whence)
{
    LOCKED;
    opening *one = opened(descriptor);
    if (!one || one->file->is_pipe)
        return fail(one ? ESPIPE : EBADF);
    off_t from = whence == SEEK_SET   ? 0
                 : whence == SEEK_CUR ? one->offset
                 : whence == SEEK_END ? (off_t)one->file->size
                                      : -1;
    if (from < 0 || offset < -from || offset > INT64_MAX - from)
        return fail(EINVAL);
    return one->offset = from + offset;
}

int memfs_resize(int descriptor, off_t size)
{
    LOCKED;
    opening *one = opened(descriptor);
    if (!one)
        return fail(EBADF);
    if (size < 0 || (one->flags & O_ACCMODE) == O_RDONLY)
        return fail(EINVAL);
    return node_resize(one->file, (size_t)size);
}

int memfs_flags(int descriptor)
{
    LOCKED;
    opening *one = opened(descriptor);
    return one ? one->flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC) : fail(EBADF);
}

int memfs_set_flags(int descriptor, int flags)
{
    LOCKED;
    opening *one = opened(descriptor);
    if (!one)
        return fail(EBADF);
    one->flags = (one->flags & ~(O_APPEND | O_NONBLOCK)) | (flags & (O_APPEND | O_NONBLOCK));
    return 0;
}

int memfs_fstat(int descriptor, struct stat *about)
{
    LOCKED;
    opening *one = opened(descriptor);
    return one ? node_describe(one->file, about) : fail(EBADF);
}

int memfs_put(const char *path, const void *bytes, size_t count)
{
    char clean[PATH_MAX];
    int descriptor =
        memfs_owns(path, clean) ? memfs_open(clean, O_WRONLY | O_CREAT | O_TRUNC) : fail(ENOENT);
    if (descriptor < 0)
        return -1;
    ssize_t done = memfs_write(descriptor, bytes, count);
    memfs_close(descriptor);
    return done == (ssize_t)count ? 0 : -1;
}

const void *memfs_bytes(const char *path, size_t *count)
{
    char clean[PATH_MAX];
    if (!memfs_owns(path, clean))
        return NULL;
    LOCKED;
    node *found = node_find(clean);
    if (!found || found->is_directory)
        return NULL;
    *count = found->size;
    return found->bytes;
}
