# SPDX-License-Identifier: GPL-2.0
"""The measure "frames": experts and their engines beside tshark and sharkd, by CPU time."""

import ctypes
import json
import os
import random
import shutil
import subprocess
import sys

from compare import Failed, OURS, numbers, progress

FRAMES = 100000
PR_SET_CHILD_SUBREAPER = 36
PROPERTY = "tcp.srcport"
FOUR = "ip.src", "tcp.srcport", "tcp.dstport", "tcp.seq"
FILTER = "http.content_length", "1500"      # 1.3 % of the frames
COUNTED = ("CPU time, user and system, of all processes: host, expert, supervisor and worker, from "
           "start to end; of bytes only the expert's walk; of load without the start on one frame; of "
           "topusers without supervisor and worker, which only load the capture")
# the number of each frame alone is the shortest that tshark prints of it
SHORTEST = "-o", 'gui.column.format:"No.","%m"'


def cpu_of(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
    """Run a program: {"cpu": seconds of it and of all processes that it starts}, and what it prints.

    An engine is no child of the program. But whatever it leaves behind becomes a child of this
    process, and each process's time includes that of the children which it waited for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL,
                               text=True)
    text = process.stdout.read() if process.stdout else ""
    seconds = own = 0
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        seconds += usage.ru_utime + usage.ru_stime
        if pid == process.pid:
            own = usage.ru_utime + usage.ru_stime
            process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(command)}: status {process.returncode}")
    return {"cpu": seconds, "rate": FRAMES / seconds, "without engine": FRAMES / own,
            **numbers(text)}


class Frames:
    """The captures and the commands."""

    def __init__(self, bench):
        self.bench, self.folder = bench, f"{bench.build}/bench"
        self.traffic = f"{self.folder}/traffic.pcap"
        if not all(map(shutil.which, ("tshark", "editcap"))):
            raise Failed("tshark is not installed")
        engines = [f"lib/expertmem/expertmem-engine-{name}{part}"
                   for name in ("pcap", "wireshark") for part in ("", "-worker")]
        if not all(map(bench.make, ("bench/frames", "tools/expertmem", "experts/topusers.so",
                                    *engines))):
            raise Failed(f"the engines cannot be built: see {self.folder}/make.log")
        self.record()

    def record(self):
        """Record the capture, unless it is there, and make the other ones of it."""
        if not os.path.exists(self.traffic):
            progress("recording a capture")
            script = f"{self.bench.root}/selftests/bench/record.py"
            done = subprocess.run([sys.executable, script, str(FRAMES), f"{self.traffic}.new"], check=False)
            if done.returncode:
                raise Failed("no capture can be recorded; it needs root, tcpdump and openssl")
            os.rename(f"{self.traffic}.new", self.traffic)
        for name, options in ("all.pcapng", []), ("first.pcap", ["-r", "1"]):
            subprocess.run(["editcap", "-F", name.split(".")[1], *options[:1], self.traffic,
                            f"{self.folder}/{name}", *options[1:]], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ours(self, engine, *words, capture=None):
        return cpu_of([f"{self.folder}/frames", engine, capture or self.traffic, *words],
                      stdout=subprocess.PIPE)

    def tshark(self, *options):
        return cpu_of(["tshark", "-n", "-r", self.traffic, *options])

    def topusers(self):
        return cpu_of([f"{self.bench.build}/tools/expertmem", "run", "--engine", "pcap",
                       "--no-config", "--backend", "anon", "--format", "none",
                       f"{self.bench.build}/experts/topusers.so", self.traffic])

    def sharkd(self):
        requests = f"{self.folder}/sharkd.json"
        with open(requests, "w", encoding="utf-8") as file:
            calls = [("load", {"file": self.traffic})] + \
                [("frame", {"frame": number + 1, "proto": True}) for number in range(FRAMES)]
            for number, (method, words) in enumerate(calls):
                print(json.dumps({"jsonrpc": "2.0", "id": number + 1, "method": method,
                                  "params": words}), file=file)
        with open(requests, encoding="utf-8") as file:
            return cpu_of(["sharkd", "-"], stdin=file)

    def runs(self):
        """{name: function that measures it once}"""
        first, pcapng = f"{self.folder}/first.pcap", f"{self.folder}/all.pcapng"
        fields = [word for name in FOUR for word in ("-e", name)]
        return {
            "start pcap": lambda: self.ours("pcap", "start", capture=first),
            "start wireshark": lambda: self.ours("wireshark", "start", capture=first),
            "pcap": lambda: self.ours("pcap", "start"),
            "pcapng": lambda: self.ours("pcap", "start", capture=pcapng),
            "bytes": lambda: self.ours("pcap", "bytes"),
            "lines": lambda: self.tshark(*SHORTEST),
            "topusers": self.topusers,
            "endpoints": lambda: self.tshark("-q", "-z", "endpoints,ip"),
            "property": lambda: self.ours("wireshark", "property", PROPERTY),
            "field": lambda: self.tshark("-T", "fields", "-e", PROPERTY),
            "four properties": lambda: self.ours("wireshark", "attach", *FOUR),
            "four fields": lambda: self.tshark("-T", "fields", *fields),
            "filter": lambda: self.ours("wireshark", "filter", *FILTER),
            "tshark -Y": lambda: self.tshark("-Y", " == ".join(FILTER), *SHORTEST),
            "attach": lambda: self.ours("wireshark", "attach"),
            "tshark -T ek": lambda: self.tshark("-T", "ek"),
            "sharkd": self.sharkd,
        }


def frames(bench):
    """The goals of an expert that looks at frames."""
    made = Frames(bench)
    runs = made.runs()
    said = {name: [] for name in runs}
    rounds = bench.forced or 3
    for i in range(rounds):
        for name in random.sample(list(runs), len(runs)):
            progress(f"frames: round {i + 1} of {rounds}, {name}")
            said[name].append(runs[name]())
    progress("")
    for line in said["bytes"]:
        line.update({"in order": FRAMES / line["order"], "random": 10 * FRAMES / line["random"]})
    for name in "pcap", "pcapng":
        for line, start in zip(said[name], said["start pcap"]):
            line["rate"] = FRAMES / max(line["cpu"] - start["cpu"], 1e-3)
    add_all(bench, said)


def add_all(bench, said):
    before = len(bench.measures)

    def rate(name, ours, key="rate", **theirs):
        lines = {peer.replace("_", " "): said[run] for peer, run in theirs.items()}
        ours = [{"rate": line[key]} for line in said[ours]]
        return bench.add("frames", name, "frames/s", {OURS: ours, **lines}, "rate", more=True)

    def start(engine, must, aim):
        lines = [{"cpu": 1e3 * line["cpu"], "first": line["first"]}
                 for line in said[f"start {engine}"]]
        measure = bench.add("frames", f"start to first frame, {engine}", "ms", {OURS: lines}, "cpu")
        bench.goal(measure, None, must, aim)
        bench.add("frames", f"start to first frame, {engine}, wall clock", "ms", {OURS: lines},
                  "first")

    start("pcap", 30, 10)
    start("wireshark", 500, 300)
    bench.goal(rate("load, pcap", "pcap"), None, 0.5e6, 2e6)
    bench.goal(rate("load, pcapng", "pcapng"), None, 0.3e6, 2e6)
    bench.goal(rate("bytes in order", "bytes", "in order", tshark="lines"), "tshark", 50, 300)
    bench.goal(rate("bytes at random", "bytes", "random"), None, 3e6, 10e6)
    bench.goal(rate("topusers", "topusers", "without engine", tshark="endpoints"), "tshark", 20, 100)
    rate("topusers, and load", "topusers", tshark="endpoints")
    bench.goal(rate("one property", "property", tshark="field"), "tshark", 2, 3)
    rate("four properties attached", "four properties", tshark="four fields")
    measure = rate("all properties attached", "attach", tshark="tshark -T ek", sharkd="sharkd")
    bench.goal(measure, "tshark", 3, 5)
    bench.goal(measure, "sharkd", 5, 8)
    bench.goal(rate("filter that passes 1 %", "filter", tshark="tshark -Y"), "tshark", 1, 1.5)
    for measure in bench.measures[before:]:
        measure["counted"] = COUNTED
