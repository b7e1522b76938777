/*
 * "wharfctl explain images": the images from outside that a build stands on.
 * Runs in wharfctl alone.
 */
#ifndef SUPERVISOR_CTL_EXPLAIN_IMAGES_H
#define SUPERVISOR_CTL_EXPLAIN_IMAGES_H

#include <stdio.h>

/* argv[0] is "images".  Returns the exit code, sysexits. */
int explain_images(int, char **, FILE *out, FILE *err);

#endif
