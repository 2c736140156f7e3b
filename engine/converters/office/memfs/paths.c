/* The calls that name a path: ours are answered here, all others by the next library, unchanged. */
#include "libc.h"

#include <stdio.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <utime.h>

/* Answer a call about a path here if the path is ours. */
#define OURS(path, answer)                                                                         \
    char clean[PATH_MAX];                                                                          \
    if (memfs_owns(path, clean))                                                                   \
        return answer

/* 0 for a path that exists. */
static int exists(const char *clean)
{
    struct stat about;
    return memfs_stat(clean, &about);
}

__attribute__((constructor)) static void begin(void)
{
    memfs_mkdir(MEMFS_ROOT);
}

static bool holds;

void memfs_hold(bool on)
{
    holds = on;
}

/* What a real file was opened as, or in its place one of ours that leaves nothing open. */
static int held(int real, int flags)
{
    return holds && real >= 0 && (flags & O_ACCMODE) == O_RDONLY ? memfs_adopt(real) : real;
}

/* A stream on a descriptor of the store, whose number is the cookie. */
static ssize_t stream_read(void *cookie, char *into, size_t count)
{
    return memfs_read((int)(intptr_t)cookie, into, count);
}

static ssize_t stream_write(void *cookie, const char *from, size_t count)
{
    ssize_t done = memfs_write((int)(intptr_t)cookie, from, count);
    return done < 0 ? 0 : done; /* what fopencookie(3) asks for */
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
    off_t reached = memfs_seek((int)(intptr_t)cookie, *offset, whence);
    if (reached < 0)
        return -1;
    *offset = reached;
    return 0;
}

static int stream_close(void *cookie)
{
    return memfs_close((int)(intptr_t)cookie);
}

static FILE *stream(const char *clean, const char *mode)
{
    static const cookie_io_functions_t calls = {stream_read, stream_write, stream_seek,
                                                stream_close};
    int flags = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
    flags |= *mode == 'w' ? O_CREAT | O_TRUNC : *mode == 'a' ? O_CREAT | O_APPEND : 0;
    int descriptor = memfs_open(clean, flags);
    if (descriptor < 0)
        return NULL;
    FILE *made = fopencookie((void *)(intptr_t)descriptor, mode, calls);
    if (!made)
        memfs_close(descriptor);
    return made;
}

/* What others shall find; the rest is built with -fvisibility=hidden. */
#pragma GCC visibility push(default)

/* The third argument of open(2) is there only if the flags say so. */
#define MODE(mode, flags)                                                                          \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode = va_arg(arguments, mode_t);                                                          \
        va_end(arguments);                                                                         \
    }

int open(const char *path, int flags, ...)
{
    OURS(path, memfs_open(clean, flags));
    NEXT(open);
    MODE(mode, flags)
    return held(next(path, flags, mode), flags);
}

int open64(const char *path, int flags, ...)
{
    OURS(path, memfs_open(clean, flags));
    NEXT(open64);
    MODE(mode, flags)
    return held(next(path, flags, mode), flags);
}

int openat(int directory, const char *path, int flags, ...)
{
    OURS(path, memfs_open(clean, flags));
    NEXT(openat);
    MODE(mode, flags)
    return next(directory, path, flags, mode);
}

int __open_2(const char *path, int flags)
{
    return open(path, flags);
}

FILE *fopen(const char *path, const char *mode)
{
    OURS(path, stream(clean, mode));
    NEXT(fopen);
    return next(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return fopen(path, mode);
}

int stat(const char *path, struct stat *about)
{
    OURS(path, memfs_stat(clean, about));
    NEXT(stat);
    return next(path, about);
}

int stat64(const char *path, struct stat64 *about)
{
    return stat(path, (struct stat *)about);
}

int lstat(const char *path, struct stat *about)
{
    OURS(path, memfs_stat(clean, about));
    NEXT(lstat);
    return next(path, about);
}

int lstat64(const char *path, struct stat64 *about)
{
    return lstat(path, (struct stat *)about);
}

int access(const char *path, int mode)
{
    OURS(path, exists(clean));
    NEXT(access);
    return next(path, mode);
}

int statfs(const char *path, struct statfs *about)
{
    OURS(path, (memset(about, 0, sizeof *about), about->f_bsize = 4096, about->f_namelen = NAME_MAX,
                exists(clean)));
    NEXT(statfs);
    return next(path, about);
}

long pathconf(const char *path, int name)
{
    OURS(path, name == _PC_NAME_MAX ? NAME_MAX : name == _PC_PATH_MAX ? PATH_MAX : -1);
    NEXT(pathconf);
    return next(path, name);
}

char *realpath(const char *path, char *resolved)
{
    OURS(path, exists(clean) ? NULL : resolved ? strcpy(resolved, clean) : strdup(clean));
    NEXT(realpath);
    return next(path, resolved);
}

char *__realpath_chk(const char *path, char *resolved, size_t room)
{
    if (room < PATH_MAX)
        abort();
    return realpath(path, resolved);
}

ssize_t readlink(const char *path, char *into, size_t room)
{
    OURS(path, exists(clean) ? -1 : refuse(EINVAL)); /* nothing here is a link */
    NEXT(readlink);
    return next(path, into, room);
}

int symlink(const char *target, const char *path)
{
    OURS(path, refuse(EPERM));
    NEXT(symlink);
    return next(target, path);
}

int mkdir(const char *path, mode_t mode)
{
    OURS(path, memfs_mkdir(clean));
    NEXT(mkdir);
    return next(path, mode);
}

int rmdir(const char *path)
{
    OURS(path, memfs_rmdir(clean));
    NEXT(rmdir);
    return next(path);
}

int unlink(const char *path)
{
    OURS(path, memfs_unlink(clean));
    NEXT(unlink);
    return next(path);
}

int rename(const char *from, const char *to)
{
    char old[PATH_MAX], new[PATH_MAX];
    bool from_is_ours = memfs_owns(from, old), to_is_ours = memfs_owns(to, new);
    if (from_is_ours && to_is_ours)
        return memfs_rename(old, new);
    if (from_is_ours || to_is_ours)
        return refuse(EXDEV);
    NEXT(rename);
    return next(from, to);
}

int chmod(const char *path, mode_t mode)
{
    OURS(path, exists(clean));
    NEXT(chmod);
    return next(path, mode);
}

int fchmodat(int directory, const char *path, mode_t mode, int flags)
{
    OURS(path, exists(clean));
    NEXT(fchmodat);
    return next(directory, path, mode, flags);
}

int chown(const char *path, uid_t owner, gid_t group)
{
    OURS(path, exists(clean));
    NEXT(chown);
    return next(path, owner, group);
}

int utime(const char *path, const struct utimbuf *times)
{
    OURS(path, exists(clean));
    NEXT(utime);
    return next(path, times);
}

DIR *opendir(const char *path)
{
    OURS(path, (DIR *)memfs_list(clean));
    NEXT(opendir);
    return next(path);
}

#pragma GCC visibility pop
