#!/bin/sh
# Starts Redis with KEYS keys of 64 bytes in it: filled.sh PORT KEYS. Needs Redis 7 or newer (config set port).
#
# It listens at PORT only when it is filled: until then at a unix socket in a temporary folder, for us alone. So nobody
# measures the misses of an empty database, which are cheaper.
set -eu
folder=$(mktemp -d)
redis() { redis-cli -e -s "$folder/redis.sock" "$@" >/dev/null 2>&1; }
(
	trap 'rm -rf "$folder"' EXIT # the socket is needed no more
	until redis ping; do
		kill -0 $$ || exit # $$ is Redis, see below
		sleep 0.02
	done
	redis eval "for i = 0, ARGV[1] - 1 do redis.call('SET', string.format('key:%012d', i), string.rep('x', 64)) end" 0 "$2" &&
		redis config set port "$1" || kill $$
) &
# Nothing goes to disk: a snapshot in the middle of a trial forks the whole process, and the log syncs every second. The
# backlog is 511 by default, and at most what the kernel allows (net.core.somaxconn).
exec redis-server --port 0 --bind 127.0.0.1 --unixsocket "$folder/redis.sock" \
	--save '' --appendonly no --tcp-backlog 1024 --maxclients 9000 --daemonize no
