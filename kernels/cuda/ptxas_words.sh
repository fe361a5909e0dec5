#!/usr/bin/env bash
# ptxas_words.sh COMPILER ARG...: compiles, and keeps what ptxas says of each kernel's registers and spills beside the
# object, as OBJECT.ptxas (tests/spills_test.sh reads it). Everything else that the compiler says goes on.
object=; before=
for word; do [ "$before" = -o ] && object=$word; before=$word; done
[ -n "$object" ] || exec "$@"
"$@" -Xptxas -v 2>"$object.ptxas"; code=$?
grep -vE '^ptxas info|bytes stack frame|^$' "$object.ptxas" >&2
exit $code
