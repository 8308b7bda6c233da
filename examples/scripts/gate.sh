#!/bin/sh
# Asks a gate until its verdict is final; ends with the exit code of a check. Usage: gate.sh http://HOST:PORT GATE [KEY]
set -eu
key=${3:-$(date +%s)-$$}
for _ in $(seq 60); do
    document=$(curl -fsS --max-time 30 -H "Idempotency-Key: $key" -H 'Content-Type: application/json' \
        ${TOKEN:+-H "Authorization: Bearer $TOKEN"} -d '{"wait": 20}' "$1/v1/gates/$2/checks") || exit 4
    printf '%s\n' "$document" | sed -n 's/.*"line": "\([^"]*\)".*/\1/p'
    code=$(printf '%s\n' "$document" | sed -n 's/.*"exit_code": \([0-9]*\).*/\1/p')
    if [ -n "$code" ]; then exit "$code"; fi
done
exit 3
