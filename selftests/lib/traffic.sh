# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For scripts in a VM that define die() and $work, a directory.

# record_traffic CAPTURE ROUNDS: transfers by HTTP, 4 in each round, between addresses of the loopback
# interface
# shellcheck disable=SC2154	# work
record_traffic()
{
	mkdir "$work/www"
	head -c 300000 /dev/urandom >"$work/www/large"
	head -c 100000 /dev/urandom >"$work/www/small"
	httpd -p '[::]:80' -h "$work/www" || die "cannot start the HTTP server"
	tcpdump -i lo -s 128 -U -Z root -w "$1" tcp port 80 2>"$work/tcpdump" &
	recorder=$!
	until grep -q 'listening on' "$work/tcpdump"; do
		kill -0 $recorder 2>/dev/null || die "tcpdump: $(cat "$work/tcpdump")"
		sleep 0.1
	done
	for round in $(seq "$2"); do
		for url in 127.0.0.2/large 127.0.0.3/small 127.0.0.3/small '[::1]/small'; do
			wget -q -O /dev/null "http://$url" || die "transfer $round of $url failed"
		done
	done
	sleep 1		# what is in the socket's buffer reaches the file
	kill -INT $recorder
	wait $recorder
	grep -E 'captured|dropped' "$work/tcpdump" | sed 's/^/  /'
}
