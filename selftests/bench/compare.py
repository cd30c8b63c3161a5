# SPDX-License-Identifier: GPL-2.0
"""Run allocators side by side, and keep what came of it."""

import glob
import os
import random
import statistics
import subprocess
import sys

LIBRARIES = "/usr/lib/*-linux-gnu/"
OURS = "expertmem"
# ours behind malloc(), as the other allocators are
PRELOADED = "expertmem malloc"
STARTS = 3
# of a whole process, and those that a client has to itself; APR's pools, which free no
# block, can only be measured at their end
WHOLE = [OURS, "glibc", "jemalloc", "mimalloc", "tcmalloc", "scudo"]
CLIENTS = ["jemalloc arena", "mimalloc heap", "talloc", "wmem"]


class Failed(Exception):
    """It cannot be measured, for this reason."""


class Peer:
    """An allocator: the program that uses it, its package, what is preloaded."""

    def __init__(self, program, package, preload=None, env=None):
        self.program, self.package, self.preload = program, package, preload
        self.env, self.missing = env or {}, None

    def environment(self):
        env = {**os.environ, **self.env}
        if self.preload:
            env["LD_PRELOAD"] = self.preload
        return env

    def version(self):
        if not self.package:
            return None
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", self.package],
                              capture_output=True, text=True, check=False)
        return done.stdout or None


def all_peers():
    return {
        OURS: Peer("expert", None, env={"EXPERTMEM_BACKEND": "anon"}),
        "glibc": Peer("malloc", "libc6"),
        "jemalloc": Peer("malloc", "libjemalloc2", LIBRARIES + "libjemalloc.so.2"),
        "mimalloc": Peer("malloc", "libmimalloc2.0", LIBRARIES + "libmimalloc.so.2"),
        "tcmalloc": Peer("malloc", "libtcmalloc-minimal4",
                         LIBRARIES + "libtcmalloc_minimal.so.4"),
        "scudo": Peer("malloc", "libclang-rt-14-dev", "/usr/lib/llvm-14/lib/clang/*/lib/linux/"
                      f"libclang_rt.scudo_standalone-{os.uname().machine}.so"),
        "jemalloc arena": Peer("jemalloc", "libjemalloc-dev"),
        "mimalloc heap": Peer("mimalloc", "libmimalloc-dev"),
        "talloc": Peer("talloc", "libtalloc-dev"),
        "apr": Peer("apr", "libapr1-dev"),
        "wmem": Peer("wmem", "libwsutil-dev"),
        "none": Peer("none", None),
    }


class Process:
    """A program that does one round for each line of its input."""

    def __init__(self, command, env):
        self.command = " ".join(command)
        self.process = subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def go(self):
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its status says more
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise Failed(f"{self.command} ended too early")
        return numbers(line)

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        if self.process.wait():
            raise Failed(f"{self.command} failed, status {self.process.returncode}")


def numbers(line):
    """{name: number} of a line of name=number."""
    return {name: float(value) for name, value in (word.split("=") for word in line.split())}


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def quiet(said, value):
    """One line for each, with the 10th percentile: for what needs several CPUs at once, which
    a machine that does other things too seldom gives."""
    return {name: [{value: spread(line[value] for line in lines)["low"]}]
            for name, lines in said.items()}


def spread(values):
    values = sorted(values)
    tenth = len(values) // 10
    return {"median": statistics.median(values), "low": values[tenth],
            "high": values[len(values) - 1 - tenth]}


class Bench:
    def __init__(self, root, build, rounds=None, only=None):
        self.root, self.build, self.forced = root, build, rounds
        # as the Makefile names it, whose dependencies are by name
        self.make_build = build.removeprefix(f"{root}/")
        self.measures, self.goals = [], []
        self.peers = all_peers()
        self.peers[PRELOADED] = Peer("malloc", None, f"{build}/lib/libexpertmem-malloc.so.1",
                                     {"EXPERTMEM_BACKEND": "anon"})
        with open(f"{build}/bench/make.log", "w", encoding="utf-8"):
            pass
        if only:
            unknown = set(only) - set(self.peers)
            if unknown:
                raise Failed(f"no peer is called {', '.join(unknown)}; "
                             f"there are: {', '.join(self.peers)}")
            self.peers = {name: self.peers[name] for name in dict.fromkeys([OURS, PRELOADED, "glibc", *only])}
        for name, peer in self.peers.items():
            self.look_for(name, peer)

    def look_for(self, name, peer):
        if name == PRELOADED:
            peer.missing = None if self.make("lib/libexpertmem-malloc.so") else "it cannot be built"
        elif peer.preload:
            found = glob.glob(peer.preload)
            peer.preload = found[0] if found else None
            peer.missing = None if found else f"{peer.package} is not installed"
        if not peer.missing and not self.make(f"bench/measure-{peer.program}"):
            if name == OURS:
                raise Failed(f"the library cannot be built: see {self.build}/bench/make.log")
            peer.missing = f"its program cannot be built; is {peer.package} installed?"
        if peer.missing:
            print(f"without {name}: {peer.missing}")

    def make(self, target, *variables):
        """Build a file below the build directory; false if that fails."""
        done = subprocess.run(["make", "-s", f"B={self.make_build}", *variables,
                               f"{self.make_build}/{target}"], cwd=self.root,
                              capture_output=True, text=True, check=False)
        with open(f"{self.build}/bench/make.log", "a", encoding="utf-8") as log:
            log.write(done.stderr)
        return done.returncode == 0

    def present(self, names):
        return [name for name in names if name in self.peers and not self.peers[name].missing]

    def command(self, name, *arguments):
        return [f"{self.build}/bench/measure-{self.peers[name].program}", *arguments]

    def rounds(self, names, arguments, rounds):
        """What each allocator says in each round: {name: [{value: number}]}"""
        return self.rounds_of({name: (self.command(name, *arguments),
                                      self.peers[name].environment())
                               for name in self.present(names)}, rounds, arguments)

    def rounds_of(self, commands, rounds, what):
        """The same of {name: (command, environment)}."""
        rounds = self.forced or rounds
        said = {name: [] for name in commands}
        # Where a process happens to have its memory matters: not one, but three of each.
        for start in range(STARTS):
            running = {name: Process(*command) for name, command in commands.items()}
            share = rounds // STARTS + (start < rounds % STARTS)
            for i in range(share and 1 + share):  # the first one warms up
                progress(f"{' '.join(what)}: {len(next(iter(said.values())))} of {rounds} rounds")
                for name in random.sample(list(running), len(running)):
                    values = running[name].go()
                    if i:
                        said[name].append(values)
            for process in running.values():
                process.end()
        progress("")
        return said

    def add(self, group, name, unit, said, value, more=False):
        """A measure: medians of @value, and of its ratios round by round."""
        measure = {"group": group, "name": name, "unit": unit, "more_is_better": more,
                   "values": {}, "ratios": {}}
        for peer, lines in said.items():
            measure["values"][peer] = statistics.median(line[value] for line in lines)
            if peer == OURS or OURS not in said:
                continue
            pairs = zip((line[value] for line in said[OURS]), (line[value] for line in lines))
            ratios = [ours / theirs for ours, theirs in pairs if theirs]
            if ratios:
                measure["ratios"][peer] = spread(ratios)
        self.measures.append(measure)
        return measure

    def add_preloaded(self, group, name, unit, said, value):
        """The same measure, of what is preloaded; or None."""
        if PRELOADED not in said:
            return None
        said = {OURS if peer == PRELOADED else peer: lines for peer, lines in said.items() if peer != OURS}
        return self.add(group, f"{name}, preloaded", unit, said, value)

    def goal(self, measure, against, must, aim, ratio=None):
        """A line of the table of goals, unless it could not be measured."""
        if not measure:
            return
        values = measure["values"]
        if ratio is None:
            ratio = measure["ratios"].get(against) if against else values.get(OURS)
        if ratio is None:
            return
        value = ratio["median"] if isinstance(ratio, dict) else ratio
        sign = -1 if measure["more_is_better"] else 1
        met = "aim" if sign * value <= sign * aim else "must" if sign * value <= sign * must \
            else "no"
        self.goals.append({
            "name": measure["name"], "unit": measure["unit"], "ours": values[OURS],
            "against": against, "theirs": values.get(against), "ratio": ratio,
            "must": must, "aim": aim, "met": met})
