/*
 * Loaded into a process before everything else (LD_PRELOAD), it writes down what the process does to the files below one folder: every
 * write with its bytes, every sync with its beginning and its end, every change of a name, in one order over all threads.
 *
 * Owns: the order, and the format that `recording.ts` reads. What a power cut would leave of it is not decided here.
 *
 *   POWER_ROOT    the folder, without symbolic links
 *   POWER_RECORD  the file to write to, outside of the folder
 *   POWER_STILL   in place of both: nothing is written down, and syncs are not waited for (for those who only look at states)
 *   POWER_BOOT    a file that is read in place of the machine's boot id: after a power cut that is another one
 *
 *   event: kind 1 | flags 1 | unused 2 | handle 4 | offset 8 | length 8 | time in ns 8 | `length` bytes
 *
 * Invariants:
 * SH1. A write that waits for the disk (O_DSYNC) and a sync stand in the record before they begin and once more when they have ended;
 *      all else is done and written down under one lock. So the record's order is the order in which things happened.
 * SH2. What cannot be replayed (a failed or short write, a copy within the kernel) stands in the record as `?`: the reader refuses it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS 65536
#define CREATED 1
#define DSYNC 2
#define TRUNCATED 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int record = -1;
static const char *boot;
static int still;
static uint64_t events;
static uint32_t handles;
static uint32_t handle_of[FDS];
static ino_t inode_of[FDS];
static unsigned char waits[FDS];

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("POWER_ROOT");
  const char *file = getenv("POWER_RECORD");
  boot = getenv("POWER_BOOT");
  still = getenv("POWER_STILL") != NULL;
  if (still || folder == NULL || file == NULL) return;
  root_length = strlen(folder);
  memcpy(root, folder, root_length + 1);
  record = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (record < 0) abort();
}

static int is_inside(const char *path) {
  return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* Under the lock. Answers with the event's number. */
static uint64_t note(char kind, int flags, uint32_t handle, uint64_t offset, const struct iovec *parts, int count, uint64_t length) {
  unsigned char head[32] = {0};
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  head[0] = (unsigned char)kind;
  head[1] = (unsigned char)flags;
  memcpy(head + 4, &handle, 4);
  memcpy(head + 8, &offset, 8);
  memcpy(head + 16, &length, 8);
  memcpy(head + 24, &time, 8);
  if (syscall(SYS_write, record, head, sizeof head) != sizeof head) abort();
  for (int i = 0; i < count && length > 0; i++) {
    const char *at = parts[i].iov_base;
    size_t left = parts[i].iov_len < length ? parts[i].iov_len : length;
    length -= left;
    while (left > 0) {
      long written = syscall(SYS_write, record, at, left);
      if (written <= 0) abort();
      at += written;
      left -= (size_t)written;
    }
  }
  return events++;
}

static uint64_t note_text(char kind, int flags, uint32_t handle, uint64_t offset, const char *text, size_t length) {
  struct iovec part = {(void *)text, length};
  return note(kind, flags, handle, offset, &part, 1, length);
}

static void strange(const char *what) {
  note_text('?', 0, 0, 0, what, strlen(what));
}

/* The handle behind a descriptor, 0 when it is not ours. libc closes some without asking us (closedir): the number is then another's. */
static uint32_t tracked(int fd) {
  struct stat now;
  if (record < 0 || fd < 0 || fd >= FDS || handle_of[fd] == 0) return 0;
  if (fstat(fd, &now) == 0 && now.st_ino == inode_of[fd]) return handle_of[fd];
  handle_of[fd] = 0;
  return 0;
}

/* The path with its folder's links resolved; 0 when it is outside. */
static int inside(int at, const char *path, char *out) {
  char whole[PATH_MAX], folder[PATH_MAX];
  if (path[0] == '/') {
    if (snprintf(whole, sizeof whole, "%s", path) >= (int)sizeof whole) return 0;
  } else {
    char link[64];
    if (at == AT_FDCWD) strcpy(link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, folder, sizeof folder - 1);
    if (length < 0) return 0;
    folder[length] = 0;
    if (snprintf(whole, sizeof whole, "%s/%s", folder, path) >= (int)sizeof whole) return 0;
  }
  for (size_t end = strlen(whole); end > 1 && whole[end - 1] == '/'; end--) whole[end - 1] = 0;
  char *name = strrchr(whole, '/');
  if (name == NULL || name == whole) return 0;
  *name++ = 0;
  if (realpath(whole, folder) == NULL) return 0;
  if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) return 0;
  return is_inside(out);
}

static int opened(int fd, int flags, int created) {
  char link[64], path[PATH_MAX];
  if (fd < 0 || fd >= FDS) return fd;
  handle_of[fd] = 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return fd;
  path[length] = 0;
  if (!is_inside(path)) return fd;
  struct stat now;
  if (fstat(fd, &now) != 0) return fd;
  inode_of[fd] = now.st_ino;
  handle_of[fd] = ++handles;
  waits[fd] = (flags & O_DSYNC) != 0;
  int said = (created ? CREATED : 0) | (waits[fd] ? DSYNC : 0) | ((flags & O_TRUNC) && !created ? TRUNCATED : 0);
  note_text('O', said, handle_of[fd], 0, path, (size_t)length);
  return fd;
}

/* `openat` itself: the system call, so that there is one way in for all of its names. */
static int do_open(int at, const char *path, int flags, mode_t mode) {
  if (still) flags &= ~(O_SYNC | O_DSYNC);
  if (boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = boot;
  flags |= O_LARGEFILE;
  if (record < 0) return (int)syscall(SYS_openat, at, path, flags, mode);
  pthread_mutex_lock(&lock);
  struct stat before;
  int created = (flags & O_CREAT) != 0 && fstatat(at, path, &before, 0) != 0;
  int fd = (int)syscall(SYS_openat, at, path, flags, mode);
  int error = errno;
  if (fd >= 0) opened(fd, flags, created);
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

static mode_t mode_of(int flags, va_list rest) {
  return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? (mode_t)va_arg(rest, int) : 0;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = mode_of(flags, rest); \
    va_end(rest); \
    return do_open(AT_FDCWD, path, flags, mode); \
  }
#define OPENAT(name) \
  int name(int at, const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = mode_of(flags, rest); \
    va_end(rest); \
    return do_open(at, path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

int close(int fd) {
  if (!tracked(fd)) return (int)syscall(SYS_close, fd);
  pthread_mutex_lock(&lock);
  handle_of[fd] = 0;
  int result = (int)syscall(SYS_close, fd);
  pthread_mutex_unlock(&lock);
  return result;
}

/* All writes end here. `offset` -1: where the descriptor stands. */
static ssize_t do_write(int fd, const struct iovec *parts, int count, off_t offset) {
  uint32_t handle = tracked(fd);
  uint64_t wanted = 0, number = 0;
  for (int i = 0; i < count; i++) wanted += parts[i].iov_len;
  if (handle != 0) {
    pthread_mutex_lock(&lock);
    if (waits[fd]) {
      if (offset < 0) strange("a synchronous write without an offset");
      number = note('W', DSYNC, handle, (uint64_t)offset, parts, count, wanted);
      pthread_mutex_unlock(&lock);
    }
  }
  ssize_t written = offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
  if (handle == 0) return written;
  int error = errno;
  if (waits[fd]) pthread_mutex_lock(&lock);
  if (written < 0 || (uint64_t)written != wanted) {
    strange("a write that failed or fell short");
  } else if (waits[fd]) {
    note_text('E', 0, handle, number, "", 0);
  } else {
    if (offset < 0) offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) - written;
    note('W', 0, handle, (uint64_t)offset, parts, count, wanted);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  if (!tracked(fd)) return syscall(SYS_write, fd, bytes, length);
  struct iovec part = {(void *)bytes, length};
  return do_write(fd, &part, 1, -1);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  struct iovec part = {(void *)bytes, length};
  return do_write(fd, &part, 1, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) { return pwrite(fd, bytes, length, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return do_write(fd, parts, count, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return do_write(fd, parts, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return do_write(fd, parts, count, offset); }
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
  if (tracked(fd) && flags != 0) abort();
  return do_write(fd, parts, count, offset);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags) { return pwritev2(fd, parts, count, offset, flags); }

static int do_sync(int fd, long call) {
  if (still) return 0;
  uint32_t handle = tracked(fd);
  uint64_t number = 0;
  if (handle != 0) {
    pthread_mutex_lock(&lock);
    number = note_text('S', 0, handle, 0, "", 0);
    pthread_mutex_unlock(&lock);
  }
  int result = (int)syscall(call, fd);
  if (handle == 0) return result;
  int error = errno;
  pthread_mutex_lock(&lock);
  if (result == 0) note_text('E', 0, handle, number, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

/* Neither promises that anything survives. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags) {
  return still ? 0 : (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
}
int msync(void *at, size_t length, int flags) {
  return still ? 0 : (int)syscall(SYS_msync, at, length, flags);
}

int ftruncate(int fd, off_t size) {
  if (!tracked(fd)) return (int)syscall(SYS_ftruncate, fd, size);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_ftruncate, fd, size);
  int error = errno;
  if (result == 0) note_text('T', 0, handle_of[fd], (uint64_t)size, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
  if (tracked(fd)) {
    pthread_mutex_lock(&lock);
    strange("fallocate");
    pthread_mutex_unlock(&lock);
  }
  return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned int flags) {
  if (tracked(out)) {
    errno = ENOSYS;
    return -1;
  }
  return syscall(SYS_copy_file_range, in, from, out, to, length, flags);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
  if (tracked(out)) {
    errno = ENOSYS;
    return -1;
  }
  return syscall(SYS_sendfile, out, in, offset, count);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) { return sendfile(out, in, offset, count); }

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  if (tracked(fd) && (protection & PROT_WRITE) && (flags & MAP_SHARED)) {
    pthread_mutex_lock(&lock);
    note_text('M', 0, handle_of[fd], 0, "", 0);
    pthread_mutex_unlock(&lock);
  }
  return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
  return mmap(at, length, protection, flags, fd, offset);
}

/* Names. */
static int with_name(char kind, int at, const char *path, long call, int flags, mode_t mode) {
  char whole[PATH_MAX];
  if (record < 0) return (int)syscall(call, at, path, kind == 'D' ? (long)mode : (long)flags);
  pthread_mutex_lock(&lock);
  int known = inside(at, path, whole);
  int result = (int)syscall(call, at, path, kind == 'D' ? (long)mode : (long)flags);
  int error = errno;
  if (result == 0 && known) note_text(kind, 0, 0, 0, whole, strlen(whole));
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int unlink(const char *path) { return with_name('U', AT_FDCWD, path, SYS_unlinkat, 0, 0); }
int unlinkat(int at, const char *path, int flags) { return with_name('U', at, path, SYS_unlinkat, flags, 0); }
int rmdir(const char *path) { return with_name('U', AT_FDCWD, path, SYS_unlinkat, AT_REMOVEDIR, 0); }
int remove(const char *path) { return unlink(path) == 0 ? 0 : errno == EISDIR || errno == EPERM ? rmdir(path) : -1; }
int mkdir(const char *path, mode_t mode) { return with_name('D', AT_FDCWD, path, SYS_mkdirat, 0, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return with_name('D', at, path, SYS_mkdirat, 0, mode); }

static int with_names(char kind, int from_at, const char *from, int to_at, const char *to, long call, unsigned int flags) {
  char both[2 * PATH_MAX], target[PATH_MAX];
  if (record < 0) return (int)syscall(call, from_at, from, to_at, to, flags);
  pthread_mutex_lock(&lock);
  int from_known = inside(from_at, from, both), to_known = inside(to_at, to, target);
  int result = (int)syscall(call, from_at, from, to_at, to, flags);
  int error = errno;
  if (result == 0 && from_known && to_known) {
    size_t length = strlen(both) + 1;
    strcpy(both + length, target);
    note_text(kind, 0, 0, 0, both, length + strlen(target));
  } else if (result == 0 && (from_known || to_known)) {
    strange("a name that crosses the border of the folder");
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int rename(const char *from, const char *to) { return with_names('R', AT_FDCWD, from, AT_FDCWD, to, SYS_renameat2, 0); }
int renameat(int a, const char *from, int b, const char *to) { return with_names('R', a, from, b, to, SYS_renameat2, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned int flags) { return with_names('R', a, from, b, to, SYS_renameat2, flags); }
int link(const char *from, const char *to) { return with_names('L', AT_FDCWD, from, AT_FDCWD, to, SYS_linkat, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) { return with_names('L', a, from, b, to, SYS_linkat, (unsigned int)flags); }
