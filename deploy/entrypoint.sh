#!/bin/sh
# Runs wecom-agent and keeps Docker from starting it again after exit codes 2 (settings or credentials) and 3 (displaced
# by another instance).
#
# Docker's restart policies know only "zero" and "not zero". `on-failure` with 2 and 3 turned into 0 would do, but a
# container that ended with 0 also stays down when the machine reboots. So after 2 or 3 this script stays instead of the
# bot: the log says why, the health check fails, and `docker compose up -d --force-recreate` or a reboot tries again.
# Every other code is passed on, and with it the decision to restart.

[ "$1" = run ] || exec wecom-agent "$@"

stopped= child=
trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM INT

wecom-agent "$@" &
child=$!
[ -z "$stopped" ] || kill -TERM "$child"
wait "$child"
code=$?
# A signal ends `wait` early; the bot then takes its time to finish what it is saying.
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done

case $code in
2 | 3) ;;
*) exit "$code" ;;
esac
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit "$code"' TERM INT
[ -z "$stopped" ] || exit "$code"

sleep 60 >/dev/null 2>&1 &
child=$!
echo "wecom-agent ended with exit code $code and is not started again by itself: see above for the reason and the" \
    "remedy, then recreate this container" >&2
while :; do
    wait "$child"
    sleep 60 >/dev/null 2>&1 &
    child=$!
done
