/* The program of a test family: it does as it is told, and says what the kernel made of it.

   Statically linked, so that it needs nothing but itself:  gcc -static -o intruder intruder.c
   As a library (-shared -DLIBRARY) it only shows that it was loaded.                              */

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef LIBRARY
int intruder_is_here(void) { return 42; }
#else

static int got(long result) {
    if (result == -1)
        printf("refused %s", strerrorname_np(errno));
    else
        printf("got %ld", result);
    return 0;
}

static void copy(int from, int to, int (*change)(int)) {
    static unsigned char room[65536];
    ssize_t length;
    while ((length = read(from, room, sizeof room)) > 0) {
        if (change)
            for (ssize_t i = 0; i < length; i++) room[i] = (unsigned char)change(room[i]);
        for (ssize_t done = 0, more; done < length; done += more)
            if ((more = write(to, room + done, (size_t)(length - done))) < 0) _exit(3);
    }
}

static long map(int protection, int flags) {
    return mmap(NULL, 4096, protection, flags | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int unhex(const char *digits, unsigned char *room) {
    int length = 0;
    for (; digits[0] && digits[1]; digits += 2) {
        char pair[3] = {digits[0], digits[1], 0};
        room[length++] = (unsigned char)strtol(pair, NULL, 16);
    }
    return length;
}

int main(int count, char **words) {
    const char *action = count > 1 ? words[1] : "", *path = count > 2 ? words[2] : "";
    static unsigned char room[4096];
    char *shell[] = {"sh", "-c", "true", NULL}, *empty[] = {NULL};
#define IF(name) if (strcmp(action, name) == 0)
    IF("echo") return copy(0, 1, NULL), 0;
    IF("talk") return copy(3, 4, toupper), 0;
    IF("complain") return fputs("what is wrong", stderr), 7;
    IF("flood") for (;;) if (write(1, room, sizeof room) < 0) return 4;
    IF("hang") for (;;) sleep(600);
    IF("crash") *(volatile int *)8 = 0;
    IF("say") return write(atoi(path), room, (size_t)unhex(words[3], room)) < 0;
    IF("environment") return printf("%s", getenv(path) ? getenv(path) : "nothing"), 0;
    IF("write_file") return got(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    IF("overwrite") return got(open(path, O_RDWR));
    IF("read_file") return got(open(path, O_RDONLY));
    IF("point_at") return got(open(path, O_PATH));
    IF("temporary") return got(open(path, O_TMPFILE | O_RDWR, 0600));
    IF("inet") return got(socket(AF_INET, SOCK_STREAM, 0));
    IF("unix") return got(socket(AF_UNIX, SOCK_STREAM, 0));
    IF("memfd") return got(syscall(SYS_memfd_create, "hidden", 0));
    IF("shared") return got(map(PROT_READ | PROT_WRITE, MAP_SHARED));
    IF("executable") return got(map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE));
    IF("signal") return got(kill(getppid(), 0));
    IF("shell") return got(execve("/bin/sh", shell, empty));
    IF("fork") {
        long child = syscall(SYS_clone, CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) _exit(0);
        return got(child);
    }
    return 2;
}
#endif
