#!/bin/sh
# serve.sh ROOT PORT: the main process; httpd in the foreground, ended by TERM.
httpd -f -p "$2" -h "$1" &
trap 'kill $!; exit 0' TERM INT
wait
