/* The calls on a descriptor or a listing: ours are answered here, all others by the next library. */
#include "libc.h"

#include <sys/mman.h>
#include <unistd.h>

static int control(int descriptor, int command, void *argument)
{
    switch (command) {
    case F_GETFL:
        return memfs_flags(descriptor);
    case F_GETLK: /* nobody else is here: the lock could be had */
        ((struct flock *)argument)->l_type = F_UNLCK;
        return 0;
    case F_SETFL:
        return memfs_set_flags(descriptor, (int)(intptr_t)argument);
    case F_GETFD:
    case F_SETFD:
    case F_SETLK:
    case F_SETLKW:
        return 0;
    default:
        return refuse(EINVAL);
    }
}

/* A private copy of the file's bytes: right for reading, and for writing that nobody else shall
 * see. A mapping whose writes must reach the file does not exist here. */
static void *map_copy(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    NEXT(mmap);
    if ((flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    int anonymous = (flags & MAP_FIXED) | MAP_PRIVATE | MAP_ANONYMOUS;
    void *made = next(at, size, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    if (made == MAP_FAILED)
        return made;
    if (memfs_pread(descriptor, made, size, offset) < 0) {
        munmap(made, size);
        return MAP_FAILED;
    }
    if (!(protection & PROT_WRITE))
        mprotect(made, size, protection);
    return made;
}

#pragma GCC visibility push(default)

int close(int descriptor)
{
    NEXT(close);
    return memfs_has(descriptor) ? memfs_close(descriptor) : next(descriptor);
}

ssize_t read(int descriptor, void *into, size_t count)
{
    NEXT(read);
    return memfs_has(descriptor) ? memfs_read(descriptor, into, count)
                                 : next(descriptor, into, count);
}

ssize_t __read_chk(int descriptor, void *into, size_t count, size_t room)
{
    if (count > room)
        abort();
    return read(descriptor, into, count);
}

ssize_t write(int descriptor, const void *from, size_t count)
{
    NEXT(write);
    return memfs_has(descriptor) ? memfs_write(descriptor, from, count)
                                 : next(descriptor, from, count);
}

ssize_t pread(int descriptor, void *into, size_t count, off_t offset)
{
    NEXT(pread);
    return memfs_has(descriptor) ? memfs_pread(descriptor, into, count, offset)
                                 : next(descriptor, into, count, offset);
}

ssize_t pwrite(int descriptor, const void *from, size_t count, off_t offset)
{
    NEXT(pwrite);
    return memfs_has(descriptor) ? memfs_pwrite(descriptor, from, count, offset)
                                 : next(descriptor, from, count, offset);
}

off_t lseek(int descriptor, off_t offset, int whence)
{
    NEXT(lseek);
    return memfs_has(descriptor) ? memfs_seek(descriptor, offset, whence)
                                 : next(descriptor, offset, whence);
}

off_t lseek64(int descriptor, off_t offset, int whence)
{
    return lseek(descriptor, offset, whence);
}

int ftruncate(int descriptor, off_t size)
{
    NEXT(ftruncate);
    return memfs_has(descriptor) ? memfs_resize(descriptor, size) : next(descriptor, size);
}

int ftruncate64(int descriptor, off_t size)
{
    return ftruncate(descriptor, size);
}

int pipe(int ends[2])
{
    return memfs_pipe(ends);
}

int fsync(int descriptor)
{
    NEXT(fsync);
    return memfs_has(descriptor) ? 0 : next(descriptor);
}

/* The C library passes the third argument on whether it was given or not, and so does this. */
#define THIRD(argument, last)                                                                      \
    va_list arguments;                                                                             \
    va_start(arguments, last);                                                                     \
    void *argument = va_arg(arguments, void *);                                                    \
    va_end(arguments)

int fcntl(int descriptor, int command, ...)
{
    NEXT(fcntl);
    THIRD(argument, command);
    return memfs_has(descriptor) ? control(descriptor, command, argument)
                                 : next(descriptor, command, argument);
}

int fcntl64(int descriptor, int command, ...)
{
    NEXT(fcntl64);
    THIRD(argument, command);
    return memfs_has(descriptor) ? control(descriptor, command, argument)
                                 : next(descriptor, command, argument);
}

void *mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    NEXT(mmap);
    /* Fonts are mapped as shared with everybody; read only, that is the same as private, and a
     * process that may share no memory may do it. */
    if (!(flags & MAP_ANONYMOUS) && (flags & MAP_TYPE) == MAP_SHARED && !(protection & PROT_WRITE))
        flags = (flags & ~MAP_TYPE) | MAP_PRIVATE;
    return !(flags & MAP_ANONYMOUS) && memfs_has(descriptor)
               ? map_copy(at, size, protection, flags, descriptor, offset)
               : next(at, size, protection, flags, descriptor, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    return mmap(at, size, protection, flags, descriptor, offset);
}

int fstat(int descriptor, struct stat *about)
{
    NEXT(fstat);
    return memfs_has(descriptor) ? memfs_fstat(descriptor, about) : next(descriptor, about);
}

int fstat64(int descriptor, struct stat64 *about)
{
    return fstat(descriptor, (struct stat *)about); /* one struct on 64-bit machines */
}

struct dirent *readdir(DIR *listing)
{
    NEXT(readdir);
    return memfs_lists(listing) ? memfs_next((memfs_listing *)listing) : next(listing);
}

struct dirent64 *readdir64(DIR *listing)
{
    return (struct dirent64 *)readdir(listing);
}

int closedir(DIR *listing)
{
    NEXT(closedir);
    if (!memfs_lists(listing))
        return next(listing);
    memfs_end((memfs_listing *)listing);
    return 0;
}

#pragma GCC visibility pop
