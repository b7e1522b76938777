/*
 * Writing YAML: the normal form of a configuration, wharfd.yaml(5).  Block
 * style, two blanks a level.  Pure code, any process; no libyaml.
 */
#ifndef WHARF_YAMLOUT_H
#define WHARF_YAMLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/*
 * Append s as a scalar: plain where every reader of YAML takes that for this
 * very string, else in double quotes, with escapes for all that a terminal
 * should not get.  Bytes that are not UTF-8 cannot be written in YAML: they
 * come out as the code point of that number.
 */
void yamlout_scalar(struct buf *b, const char *s);

/* "key:" alone; what belongs to it follows one level deeper. */
void yamlout_open(struct buf *b, unsigned level, const char *key);

/* "key: {}": a mapping with nothing in it. */
void yamlout_empty(struct buf *b, unsigned level, const char *key);

/* "key: value"; nothing when value is NULL. */
void yamlout_string(struct buf *b, unsigned level, const char *key,
    const char *value);
void yamlout_bool(struct buf *b, unsigned level, const char *key, bool value);
void yamlout_u64(struct buf *b, unsigned level, const char *key,
    uint64_t value);

/*
 * "key: word", as it is: for the words of an enum ("on", "off"), which a
 * string of that text would be quoted for.
 */
void yamlout_word(struct buf *b, unsigned level, const char *key,
    const char *word);

/* "key:" and "- item" lines one level deeper; nothing when n is 0. */
void yamlout_list(struct buf *b, unsigned level, const char *key,
    char *const *items, size_t n);

#endif
