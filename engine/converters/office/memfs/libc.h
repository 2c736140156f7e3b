/* In front of the C library: what both halves of the interposition need.
 *
 * The calls are those that LibreOffice and the libraries it loads make (nm -D --undefined-only), no
 * more. One that is missing reaches the kernel and fails there: no such path, no such descriptor.
 * Metadata that the store does not keep (modes, owners, times) is accepted and forgotten.
 */
#ifndef MEMFS_LIBC_H
#define MEMFS_LIBC_H

#define _GNU_SOURCE
#include "memfs.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Declare `next` as the function of this name in the next library. Looked up at the first call,
 * which may come before this library's own constructors; two threads would find the same. */
#define NEXT(name)                                                                                 \
    static typeof(&name) next;                                                                     \
    if (!next)                                                                                     \
        next = (typeof(&name))dlsym(RTLD_NEXT, #name)

static inline int refuse(int error)
{
    errno = error;
    return -1;
}

#endif
