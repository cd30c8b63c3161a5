# SPDX-License-Identifier: GPL-2.0
"""The output of tests, TAP, as of tap.sh: begin(), ok() and skip() for each fact, end()."""

import sys

count = failed = 0


def begin():
    print("TAP version 13")


def line(fact, sentence):
    """Lines appear at once, in the order of what the tests' commands print. A # begins a directive."""
    global count
    count += 1
    print(f"{'ok' if fact else 'not ok'} {count} - {sentence}", flush=True)


def ok(sentence, fact, *details):
    """@fact: is the sentence true? @details: printed if it is not."""
    global failed
    failed += not fact
    line(fact, sentence.replace("#", "\\#"))
    for detail in () if fact else details:
        for text in str(detail).splitlines()[:40]:
            print(f"# {text}", flush=True)


def skip(sentence, why):
    line(True, f"{sentence} # SKIP {why}")


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(4)


def end():
    print(f"1..{count}")
    sys.exit(failed != 0)
