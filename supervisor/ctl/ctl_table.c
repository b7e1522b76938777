/*
 * Aligned columns, see ctl_table.h.  Process: wharfctl.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "supervisor/ctl/ctl_table.h"

char **
table_row(struct table *t)
{
	t->rows = xreallocarray(t->rows, t->n + 1, sizeof(*t->rows));
	memset(t->rows[t->n], 0, sizeof(*t->rows));
	return (t->rows[t->n++]);
}

/* Characters of valid UTF-8, which is what escaping leaves. */
static size_t
cell_width(const char *s)
{
	size_t n = 0;

	for (; s != NULL && *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return (n);
}

static int
row_last(char *const *row)
{
	int last = TABLE_COLUMNS - 1;

	while (last > 0 && (row[last] == NULL || row[last][0] == '\0'))
		last--;
	return (last);
}

static void
row_print(char *const *row, const size_t *widths, unsigned indent, FILE *out)
{
	int last = row_last(row);

	fprintf(out, "%*s", (int)indent, "");
	for (int i = 0; i <= last; i++) {
		fputs(row[i] != NULL ? row[i] : "", out);
		if (i < last && widths[i] > 0)
			fprintf(out, "%*s",
			    (int)(widths[i] - cell_width(row[i]) + 2), "");
	}
	fputc('\n', out);
}

void
table_print(struct table *t, unsigned indent, FILE *out)
{
	size_t widths[TABLE_COLUMNS] = { 0 }, w;

	for (size_t i = 0; i < t->n; i++)
		for (int j = 0; j < TABLE_COLUMNS; j++) {
			w = cell_width(t->rows[i][j]);
			if (w > widths[j])
				widths[j] = w;
		}
	for (size_t i = 0; i < t->n; i++) {
		row_print(t->rows[i], widths, indent, out);
		for (int j = 0; j < TABLE_COLUMNS; j++)
			free(t->rows[i][j]);
	}
	free(t->rows);
	memset(t, 0, sizeof(*t));
}
