/*
 * What a machine does to a process: a clock that is set, a disk that refuses. Preloaded; told what to do through a small file that is
 * mapped by both sides.
 *
 *   0  int64  seconds that the wall clock is ahead
 *   8  int32  errno of every write to a database file, or 0
 *  12  int32  errno of every flush of one, or 0
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct orders { volatile int64_t ahead; volatile int32_t write_errno; volatile int32_t sync_errno; };
static struct orders *orders;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("CB_MACHINE_ORDERS");
  if (!path) return;
  int fd = open(path, O_RDWR);
  if (fd < 0) return;
  void *at = mmap(NULL, sizeof(struct orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at != MAP_FAILED) orders = at;
}

static int is_database(int fd) {
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  return strstr(path, "/data.mdb") != NULL || strstr(path, "/AHEAD") != NULL;
}

static int refused(int fd, int32_t code) {
  if (!code || !is_database(fd)) return 0;
  errno = code;
  return 1;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define WRITE_REFUSED(fd) (orders && refused(fd, orders->write_errno))
#define SYNC_REFUSED(fd) (orders && refused(fd, orders->sync_errno))

ssize_t write(int fd, const void *b, size_t n) { REAL(write); if (WRITE_REFUSED(fd)) return -1; return real(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(pwrite); if (WRITE_REFUSED(fd)) return -1; return real(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(pwrite64); if (WRITE_REFUSED(fd)) return -1; return real(fd, b, n, o); }
ssize_t writev(int fd, const struct iovec *v, int n) { REAL(writev); if (WRITE_REFUSED(fd)) return -1; return real(fd, v, n); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t o) { REAL(pwritev); if (WRITE_REFUSED(fd)) return -1; return real(fd, v, n, o); }
int fsync(int fd) { REAL(fsync); if (SYNC_REFUSED(fd)) return -1; return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); if (SYNC_REFUSED(fd)) return -1; return real(fd); }

int clock_gettime(clockid_t id, struct timespec *t) {
  REAL(clock_gettime);
  int got = real(id, t);
  if (got == 0 && orders && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += orders->ahead;
  return got;
}

int gettimeofday(struct timeval *restrict t, void *restrict z) {
  REAL(gettimeofday);
  int got = real(t, z);
  if (got == 0 && orders) t->tv_sec += orders->ahead;
  return got;
}
