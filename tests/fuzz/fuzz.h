/*
 * What the fuzz targets share.  A target is NAME_fuzz.c with libFuzzer's one
 * function; its corpus is corpus/NAME.  Linked with replay.c it is a TAP
 * program that runs the corpus, with any compiler.
 */
#ifndef WHARF_FUZZ_H
#define WHARF_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold whatever comes in: the program ends if not. */
#define HOLDS(cond) ((cond) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #cond))
void fuzz_broken(const char *file, int line, const char *what)
    __attribute__((noreturn));

/* The input, taken from its front; all give 0 or "" at its end. */
struct fuzz {
	const uint8_t *p;
	size_t n;
};

uint8_t fuzz_u8(struct fuzz *f);
uint64_t fuzz_u64(struct fuzz *f);

/* Up to the next newline or NUL, or all there is; the caller frees. */
char *fuzz_str(struct fuzz *f);

/* All that is left, with a NUL behind it; the caller frees. */
char *fuzz_rest(struct fuzz *f);

/*
 * Ends the program unless the text may go to a terminal: no control bytes
 * (but newlines, where `lines`), no DEL, no C1, valid UTF-8.
 */
void fuzz_printable(const char *s, size_t n, bool lines);

#endif
