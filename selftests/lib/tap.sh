# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# TAP for test scripts: ok() or skip() for each test, and tap_end() as the last command. A script sources
# this file from its own directory, where a VM has it, or from ../lib.
#
#	$work			a directory for the files of the test, removed when the script ends
#	$status			of the last command of run()
#	$work/out, $work/err	its streams; a test that fails shows the end of both
#	$input			the file that run() passes as standard input (/dev/null)
#	$note			one more line that a test that fails shows

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0 failed=0 status='' input='' note=''

# run COMMAND...
run()
{
	"$@" <"${input:-/dev/null}" >"$work/out" 2>"$work/err"
	status=$?
}

# ok SENTENCE COMMAND...: the sentence is true if the command succeeds
ok()
{
	tap_sentence=$1
	shift
	count=$((count + 1))
	if "$@" >"$work/said" 2>&1; then
		echo "ok $count - $tap_sentence"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $count - $tap_sentence"
	echo "# failed: $*${status:+; status $status}${note:+; $note}"
	for tap_file in said out err; do
		[ ! -s "$work/$tap_file" ] || tail -n 40 "$work/$tap_file" | cat -v | sed "s/^/# $tap_file: /"
	done
}

# skip SENTENCE REASON
skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# saw STATUS [out|err PATTERN]...: the last command ended so, and each stream has a line with the pattern,
# a basic regular expression
saw()
{
	[ "$status" = "$1" ] || { echo "the status is not $1"; return 1; }
	shift
	while [ $# -gt 0 ]; do
		grep -q -e "$2" "$work/$1" || { echo "no '$2' in $1"; return 1; }
		shift 2
	done
}

# is EXPECTED FOUND
is()
{
	[ "$1" = "$2" ] || { echo "expected $1, found $2"; return 1; }
}

# has out|err TEXT: the stream has the text
has()
{
	grep -qF -- "$2" "$work/$1"
}

# Print the plan, and return whether all tests have passed.
tap_end()
{
	echo "1..$count"
	[ $failed -eq 0 ]
}
