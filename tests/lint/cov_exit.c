/*
 * Coverage builds only: _exit(2) that keeps the counts.  Workers and forked
 * tests end by it, past the exit handlers that would have written them.
 * Linked with --wrap=_exit.
 */
#include <unistd.h>

void __gcov_dump(void);
void __real__exit(int code) __attribute__((noreturn));
void __wrap__exit(int code) __attribute__((noreturn));

void
__wrap__exit(int code)
{
	__gcov_dump();
	__real__exit(code);
}
