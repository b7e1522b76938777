/*
 * For LD_PRELOAD: makes chosen allocations fail.  FAIL_FILE is mapped before
 * any sandbox stands, so that a test may choose while the program runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct plan {
	uint64_t calls;  /* made so far, over all generations */
	uint64_t from;   /* this one fails, and those behind it ... */
	uint64_t number; /* ... so many in all; 0: none */
	uint64_t failed;
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static struct plan *plan;

static void __attribute__((constructor)) failmalloc_init(void)
{
	const char *path = getenv("FAIL_FILE");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd == -1)
		return;
	p = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	close(fd);
	if (p != MAP_FAILED)
		plan = p;
}

static int
failmalloc_now(void)
{
	uint64_t n;

	if (plan == NULL)
		return (0);
	n = ++plan->calls;
	if (n < plan->from || n - plan->from >= plan->number)
		return (0);
	plan->failed++;
	errno = ENOMEM;
	return (1);
}

void *
malloc(size_t size)
{
	return (failmalloc_now() ? NULL : __libc_malloc(size));
}

void *
calloc(size_t n, size_t size)
{
	return (failmalloc_now() ? NULL : __libc_calloc(n, size));
}

void *
realloc(void *p, size_t size)
{
	return (failmalloc_now() ? NULL : __libc_realloc(p, size));
}

void *
reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return (NULL);
	}
	return (realloc(p, all));
}
