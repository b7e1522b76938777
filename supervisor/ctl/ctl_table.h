/*
 * Aligned columns on a terminal.  Process: wharfctl.
 */
#ifndef WHARF_CTL_CTL_TABLE_H
#define WHARF_CTL_CTL_TABLE_H

#include <stdio.h>

#define TABLE_COLUMNS 8

struct table {
	char *(*rows)[TABLE_COLUMNS];
	size_t n;
};

/*
 * A new row; its cells are NULL, which prints as nothing.  Cells are
 * allocated strings that are escaped already and become the table's.
 */
char **table_row(struct table *t);

/* Print with `indent` spaces in front, and empty it. */
void table_print(struct table *t, unsigned indent, FILE *out);

#endif
