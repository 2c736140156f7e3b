/* Shared memory for a browser that is one process: memfd_create without a memory file.

   Chromium keeps bitmaps, fonts and messages in shared memory, which it makes with memfd_create and
   hands from one of its processes to another as a descriptor. Our workers may not make such files.
   In single-process mode nobody else maps that memory; but the process itself maps it twice, and
   insists on two addresses. So this library, preloaded, makes one anonymous shared mapping before
   anything else runs (the arena), forbids this process any further one, and serves from it:
   memfd_create answers with a token, and each mapping of a token is another view of the same pages
   of the arena (mremap of an old size of 0, which doubles a shared mapping).

   A token is the writing end of a pipe that nobody writes to. Its inode names the object, whatever
   becomes of the descriptor: doubled, or sent through a socket and received under a new number. A
   second pipe's end is the token that may only read (Chromium makes it by opening /proc/self/fd/N,
   and checks the difference with F_GETFL). The reading ends stay with us: they report a hang-up once
   the last token of the object is closed, counted by the kernel, those in flight included. So an
   object's pages are given back when it is mapped nowhere and both of its pipes are hung up.

   Build: cc -O2 -shared -fPIC -o memory.so memory.c                                             */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WRITES, READS, KINDS };
#define NO_FLAGS_BUT (MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#define ALL_SEALS_MASK 0x3f

/* All shared memory there will ever be: the bitmaps of a window of 16,384 x 8,192 pixels. Its pages
   cost nothing before they are touched. */
#define ARENA_BYTES ((size_t)512 << 20)
#define VIEWS_MAX 4096

typedef struct object {
    struct object *next;
    ino_t inode[KINDS]; /* of its pipes; 0 is none */
    int ours[KINDS];    /* their reading ends */
    char *memory;       /* its pages in the arena; NULL before it has a size */
    size_t size, room;
    int views, seals;
} object;

/* The objects that have memory come in the order of their places in the arena, then the others. */
static object *objects;
static char *arena;
static struct { char *at; size_t length; object *of; } views[VIEWS_MAX];
static dev_t pipes; /* the device of all pipes */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define ORIGINAL(result, name, ...)                                                   \
    static result (*original)(__VA_ARGS__);                                           \
    if (!original) original = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int original_fstat(int descriptor, struct stat *about) {
    ORIGINAL(int, "fstat", int, struct stat *);
    return original(descriptor, about);
}

static int original_munmap(void *address, size_t length) {
    ORIGINAL(int, "munmap", void *, size_t);
    return original(address, length);
}

static void *original_mmap(void *address, size_t length, int protection, int flags, int descriptor,
                           off_t offset) {
    ORIGINAL(void *, "mmap", void *, size_t, int, int, int, off_t);
    return original(address, length, protection, flags, descriptor, offset);
}

static int original_fcntl(int descriptor, int command, void *argument) {
    ORIGINAL(int, "fcntl", int, int, ...);
    return original(descriptor, command, argument);
}

static size_t whole_pages(size_t length) { return (length + 4095) & ~(size_t)4095; }

/* The object that a descriptor is a token of, and of which kind; NULL for any other descriptor.
   The caller holds the lock. */
static object *find(int descriptor, int *kind) {
    struct stat about;
    if (!objects || descriptor < 0 || original_fstat(descriptor, &about)) return NULL;
    if (!S_ISFIFO(about.st_mode) || about.st_dev != pipes) return NULL;
    for (object *one = objects; one; one = one->next)
        for (*kind = WRITES; *kind < KINDS; ++*kind)
            if (one->inode[*kind] == about.st_ino) return one;
    return NULL;
}

/* A new token of this kind, or -1. */
static int token(object *one, int kind) {
    struct stat about;
    int ends[2];
    if (one->inode[kind]) { /* another one of a pipe that exists: only while a token is open */
        errno = EMFILE;
        return -1;
    }
    if (pipe2(ends, O_CLOEXEC)) return -1;
    original_fstat(ends[0], &about);
    pipes = about.st_dev;
    one->inode[kind] = about.st_ino;
    one->ours[kind] = ends[0];
    return ends[1];
}

static int hung_up(const object *one, int kind) {
    struct pollfd end = {.fd = one->ours[kind], .events = 0};
    return !one->inode[kind] || (poll(&end, 1, 0) == 1 && (end.revents & POLLHUP));
}

static void free_unused(void) {
    for (object **at = &objects; *at;) {
        object *one = *at;
        if (one->views || !hung_up(one, WRITES) || !hung_up(one, READS)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        for (int kind = WRITES; kind < KINDS; ++kind)
            if (one->inode[kind]) close(one->ours[kind]);
        /* The next object of these pages finds zeros, and meanwhile they are nobody's. */
        if (one->memory) madvise(one->memory, one->room, MADV_REMOVE);
        free(one);
    }
}

/* Put an object where the first gap of the arena has room for it; false where none has. */
static int place(object *one, size_t room) {
    object **at = &objects;
    char *gap = arena;
    while (*at != one) at = &(*at)->next;
    *at = one->next;
    for (at = &objects; *at && (*at)->memory; at = &(*at)->next) {
        if ((size_t)((*at)->memory - gap) >= room) break;
        gap = (*at)->memory + (*at)->room;
    }
    int fits = room <= (size_t)(arena + ARENA_BYTES - gap);
    if (fits) one->memory = gap, one->room = room;
    else while (*at) at = &(*at)->next;
    one->next = *at;
    *at = one;
    return fits;
}

static int resize(object *one, size_t size) {
    if (size > ARENA_BYTES || (one->memory && whole_pages(size) > one->room))
        return errno = ENOMEM, -1;
    if (!one->memory && size && !place(one, whole_pages(size))) {
        free_unused();
        if (!place(one, whole_pages(size))) return errno = ENOMEM, -1;
    }
    one->size = size;
    return 0;
}

/* Before anything else of the program runs, and while it is alone in its process. */
__attribute__((constructor)) static void begin(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MAP_TYPE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAP_PRIVATE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog all = {.len = sizeof code / sizeof *code, .filter = code};
    arena = original_mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ORIGINAL(long, "syscall", long, ...);
    if (arena == MAP_FAILED || original(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &all)) _exit(126);
}

int memfd_create(const char *name, unsigned flags) {
    (void)name;
    if (flags & ~(unsigned)NO_FLAGS_BUT) return errno = EINVAL, -1;
    object *one = calloc(1, sizeof *one);
    if (!one) return errno = ENOMEM, -1;
    one->seals = flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
    pthread_mutex_lock(&lock);
    free_unused();
    int made = token(one, WRITES);
    object **last = &objects;
    while (*last) last = &(*last)->next;
    if (made < 0) free(one);
    else *last = one;
    pthread_mutex_unlock(&lock);
    return made;
}

/* Runs `with` if the descriptor is a token, else `without`; `one` and `kind` are in scope. */
#define FOR_TOKEN(descriptor, result, with, without)                                  \
    int kind = WRITES;                                                                \
    pthread_mutex_lock(&lock);                                                        \
    object *one = find(descriptor, &kind);                                            \
    if (!one) {                                                                       \
        pthread_mutex_unlock(&lock);                                                  \
        return without;                                                               \
    }                                                                                 \
    result answer = with;                                                             \
    pthread_mutex_unlock(&lock);                                                      \
    return answer

int ftruncate(int descriptor, off_t length) {
    ORIGINAL(int, "ftruncate", int, off_t);
    FOR_TOKEN(descriptor, int, resize(one, (size_t)length), original(descriptor, length));
}
int ftruncate64(int descriptor, off_t length) { return ftruncate(descriptor, length); }

static int grow(object *one, off_t end) {
    return (size_t)end > one->size ? resize(one, (size_t)end) : 0;
}
int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    ORIGINAL(int, "fallocate", int, int, off_t, off_t);
    FOR_TOKEN(descriptor, int, mode ? (errno = EOPNOTSUPP, -1) : grow(one, offset + length),
              original(descriptor, mode, offset, length));
}
int fallocate64(int descriptor, int mode, off_t offset, off_t length) {
    return fallocate(descriptor, mode, offset, length);
}
int posix_fallocate(int descriptor, off_t offset, off_t length) {
    ORIGINAL(int, "posix_fallocate", int, off_t, off_t);
    FOR_TOKEN(descriptor, int, grow(one, offset + length) ? ENOMEM : 0,
              original(descriptor, offset, length));
}
int posix_fallocate64(int descriptor, off_t offset, off_t length) {
    return posix_fallocate(descriptor, offset, length);
}

static int describe(const object *one, struct stat *about) {
    about->st_mode = S_IFREG | 0600;
    about->st_size = (off_t)one->size;
    about->st_nlink = 0;
    about->st_blksize = 4096;
    about->st_blocks = (blkcnt_t)(one->room / 512);
    return 0;
}
int fstat(int descriptor, struct stat *about) {
    if (original_fstat(descriptor, about)) return -1;
    if (!S_ISFIFO(about->st_mode)) return 0;
    FOR_TOKEN(descriptor, int, describe(one, about), 0);
}
int fstat64(int descriptor, struct stat64 *about) { return fstat(descriptor, (struct stat *)about); }

static void *view(object *one, size_t length, int protection, int flags, off_t offset) {
    size_t at = 0;
    length = whole_pages(length);
    if ((flags & MAP_FIXED) || !one->memory || (size_t)offset + length > one->room)
        return errno = EINVAL, MAP_FAILED;
    while (at < VIEWS_MAX && views[at].of) at++;
    if (at == VIEWS_MAX) return errno = ENOMEM, MAP_FAILED;
    void *seen = mremap(one->memory + offset, 0, length, MREMAP_MAYMOVE);
    if (seen == MAP_FAILED) return MAP_FAILED;
    mprotect(seen, length, protection & (PROT_READ | PROT_WRITE));
    views[at].at = seen, views[at].length = length, views[at].of = one;
    one->views++;
    return seen;
}
void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
    if (flags & MAP_ANONYMOUS)
        return original_mmap(address, length, protection, flags, descriptor, offset);
    /* A file that is mapped to be read looks the same privately, and only so is it allowed. */
    int private = (flags & ~MAP_TYPE) | MAP_PRIVATE;
    FOR_TOKEN(descriptor, void *, view(one, length, protection, flags, offset),
              original_mmap(address, length, protection, private, descriptor, offset));
}
void *mmap64(void *address, size_t length, int protection, int flags, int descriptor,
             off_t offset) {
    return mmap(address, length, protection, flags, descriptor, offset);
}

int munmap(void *address, size_t length) {
    pthread_mutex_lock(&lock);
    for (size_t at = 0; objects && at < VIEWS_MAX; at++) {
        if (views[at].of && views[at].at == address) {
            views[at].of->views--;
            views[at].of = NULL;
            length = views[at].length;
            break;
        }
    }
    int answer = original_munmap(address, length);
    pthread_mutex_unlock(&lock);
    return answer;
}

/* What may be asked of a token in place of a memory file; the rest is the pipe's own answer. */
static int control(object *one, int kind, int descriptor, int command, void *argument) {
    int answer = 0;
    switch (command) {
    case F_ADD_SEALS:
        one->seals |= (int)(long)argument & ALL_SEALS_MASK;
        return 0;
    case F_GET_SEALS:
        return one->seals;
    case F_GETFL:
        answer = original_fcntl(descriptor, command, argument);
        return answer < 0 ? answer : (answer & ~O_ACCMODE) | (kind == READS ? O_RDONLY : O_RDWR);
    default:
        return original_fcntl(descriptor, command, argument);
    }
}
int fcntl(int descriptor, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    FOR_TOKEN(descriptor, int, control(one, kind, descriptor, command, argument),
              original_fcntl(descriptor, command, argument));
}
int fcntl64(int descriptor, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return fcntl(descriptor, command, argument);
}

/* A token is opened again, by the name it has in /proc, to get one that may only read. */
static int reopened(const char *path, int flags) {
    int descriptor;
    char end;
    if (!path || sscanf(path, "/proc/self/fd/%d%c", &descriptor, &end) != 1) return -2;
    FOR_TOKEN(descriptor, int,
              (flags & O_ACCMODE) == O_RDONLY ? token(one, READS) : (errno = EACCES, -1), -2);
}
#define OPEN(name)                                                                    \
    int name(const char *path, int flags, ...) {                                      \
        va_list rest;                                                                 \
        va_start(rest, flags);                                                        \
        unsigned mode = va_arg(rest, unsigned);                                       \
        va_end(rest);                                                                 \
        int again = reopened(path, flags);                                            \
        ORIGINAL(int, #name, const char *, int, ...);                                 \
        return again == -2 ? original(path, flags, mode) : again;                     \
    }
OPEN(open)
OPEN(open64)

/* Where the library's own name for it is passed by. */
long syscall(long number, ...) {
    va_list rest;
    long a[6];
    va_start(rest, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_memfd_create) return memfd_create((const char *)a[0], (unsigned)a[1]);
    ORIGINAL(long, "syscall", long, ...);
    return original(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
