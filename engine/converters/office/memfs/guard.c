/* A call that comes back even where the callee gives up.
 *
 * LibreOffice 7.4 ends the process when it cannot load a document: on the way out, a destructor
 * throws, and C++ then calls abort(). In a process that serves one document nothing needs to be put
 * in order any more, so the call is left by a jump, and the caller says what was wrong with the
 * document. Locks of the callee stay taken: it must not be called again.
 *
 * Only an abort() of the calling thread, called from outside of the C library, comes here; a damaged
 * heap, a bad pointer and every other thread's abort end the process as ever.
 */
#include "libc.h"

#include <setjmp.h>

static __thread sigjmp_buf *way_out;

#pragma GCC visibility push(default)

/* Call with up to four arguments; `gave_up` says whether it did not return. */
void *guarded_call(void *(*callee)(void *, const char *, const char *, const char *), void *first,
                   const char *second, const char *third, const char *fourth, int *gave_up)
{
    sigjmp_buf here;
    *gave_up = 0;
    if (sigsetjmp(here, 1)) {
        way_out = NULL;
        *gave_up = 1;
        return NULL;
    }
    way_out = &here;
    void *answer = callee(first, second, third, fourth);
    way_out = NULL;
    return answer;
}

__attribute__((noreturn)) void abort(void)
{
    if (way_out)
        siglongjmp(*way_out, 1);
    NEXT(abort);
    next();
    __builtin_unreachable();
}

#pragma GCC visibility pop
