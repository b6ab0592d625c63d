/*
 * Loaded into servers and sidecar (LD_PRELOAD): makes every fsync slower by a given time, as on an ordinary disk, and counts
 * fsyncs and what arrives on sockets. The time and the counts are in a small file that all processes of one server map, and
 * the bench reads and writes: so the delay is changed while they run, and nothing has to be asked of them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct control {
    uint64_t delay_us;
    uint64_t syncs;
    uint64_t received;
};

static struct control *control;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_recv)(int, void *, size_t, int);

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("BENCH_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    real_recv = (ssize_t (*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
    if (file < 0)
        return;
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (control == MAP_FAILED)
        control = NULL;
    close(file);
}

/* The result and errno are the real call's. */
static int delayed(int result)
{
    int error = errno;
    uint64_t us;

    if (!control)
        return result;
    __atomic_add_fetch(&control->syncs, 1, __ATOMIC_RELAXED);
    us = __atomic_load_n(&control->delay_us, __ATOMIC_RELAXED);
    if (us) {
        struct timespec left = {us / 1000000, us % 1000000 * 1000};
        /* Linux rounds a sleep up by 50 us if it is not told otherwise; the setting is a thread's own. */
        static __thread int exact;
        if (!exact)
            exact = prctl(PR_SET_TIMERSLACK, 1) + 1;
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            ;
    }
    errno = error;
    return result;
}

int fsync(int file)
{
    return delayed(real_fsync(file));
}

int fdatasync(int file)
{
    return delayed(real_fdatasync(file));
}

ssize_t recv(int socket, void *buffer, size_t size, int flags)
{
    ssize_t got = real_recv(socket, buffer, size, flags);

    if (control && got > 0)
        __atomic_add_fetch(&control->received, 1, __ATOMIC_RELAXED);
    return got;
}
