/* LibreOffice's main loop without a thread of its own, so that an office that runs can be forked.
 *
 * The loop never returns while the office lives, and fork(2) copies the calling thread alone. So it
 * has a stack of its own instead (makecontext(3)) and runs on the caller's thread: for one turn at a
 * time, in which it does what the office put off, until it asks for events, of which there are none.
 * It lies still in between. Whoever calls the office meanwhile is its main thread, and so is the only
 * thread of every process that is forked from there.
 */
#include "libc.h"

#include <poll.h>
#include <sys/mman.h>
#include <ucontext.h>

/* Of LibreOfficeKit.h: waits for events; wakes who waits; runs until the first returns less than 0. */
typedef int poll_callback(void *, int timeout_us);
typedef void wake_callback(void *);
typedef void run_loop(void *office, poll_callback *, wake_callback *, void *closure);

enum {
    STACK_BYTES = 8 << 20, /* a main thread's; what is never touched costs nothing */
    GUARD_BYTES = 64 << 10,
    NAP_MS = 1,
};

static ucontext_t caller, loop;
static enum { NOWHERE, LYING, TURNING, OVER } is;
static run_loop *run;
static void *office;

static int wait_for_events(void *closure, int timeout_us)
{
    (void)closure;
    if (is == TURNING)
        swapcontext(&loop, &caller);
    else if (timeout_us)
        /* Somebody inside of a call waits for another thread, which cannot wake us. */
        poll(NULL, 0, NAP_MS);
    return 0;
}

static void wake(void *closure)
{
    (void)closure;
}

static void run_on_own_stack(void)
{
    /* It takes the callbacks only with a closure, whatever that is. */
    run(office, wait_for_events, wake, &office);
    is = OVER;
}

#pragma GCC visibility push(default)

/* Let the loop go on until it has nothing to do. -1 where it has ended. */
int loop_turn(void)
{
    if (is != LYING)
        return -1;
    is = TURNING;
    if (swapcontext(&caller, &loop))
        return -1;
    if (is == OVER)
        return -1;
    is = LYING;
    return 0;
}

/* Begin the loop of this office, which `begin` runs, with its first turn. -1 where it cannot be. */
int loop_begin(run_loop *begin, void *of)
{
    if (is != NOWHERE || getcontext(&loop))
        return -1;
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE))
        return -1;
    loop.uc_stack.ss_sp = stack;
    loop.uc_stack.ss_size = STACK_BYTES;
    loop.uc_link = &caller;
    makecontext(&loop, run_on_own_stack, 0);
    run = begin;
    office = of;
    is = LYING;
    return loop_turn();
}

#pragma GCC visibility pop
