#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Record a capture of HTTP, TLS and DNS between programs on this machine.

record.py FRAMES FILE: runs itself in a network namespace of its own, which needs root, so that
ports are free and nobody else's packets are recorded.
"""

import http.client
import http.server
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

SIZES = 100, 400, 1500, 6000, 20000
BODY = bytes(random.Random(1).choices(range(32, 127), k=max(SIZES)))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # head and body leave in one write, and no end waits for the other's delayed ACK
    wbufsize = 65536
    disable_nagle_algorithm = True

    def do_GET(self):
        size = int(self.path.rsplit("/", 1)[1])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(BODY[:size])

    def log_message(self, *_):
        pass


def serve(port, certificate=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def name_of(query):
    """Where the name of a DNS query ends."""
    at = 12
    while query[at]:
        at += 1 + query[at]
    return at + 1


def serve_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def answer():
        while True:
            query, client = server.recvfrom(512)
            end = name_of(query) + 4
            server.sendto(query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:end] +
                          struct.pack("!HHHIH4s", 0xc00c, 1, 1, 300, 4, b"\xc0\0\2\1"), client)

    threading.Thread(target=answer, daemon=True).start()


def ask_name(number):
    name = b"".join(bytes([len(label)]) + label
                    for label in (b"host%d" % (number % 5000), b"example", b"com")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(struct.pack("!HHHHHH", number & 0xffff, 0x0100, 1, 0, 0, 0) + name +
                      struct.pack("!HH", 1, 1), ("127.0.0.1", 53))
        client.recv(512)


def talk(recorder):
    """Be the clients until the recorder has what it wants."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    random.seed(1)
    number = 0
    while recorder.poll() is None:
        clients = http.client.HTTPConnection("127.0.0.1", 80), \
            http.client.HTTPSConnection("127.0.0.1", 443, context=context)
        for client in clients:
            for _ in range(random.randrange(1, 8)):
                number += 1
                ask_name(number)
                client.request("GET", f"/object{number}/{random.choice(SIZES)}")
                client.getresponse().read()
            client.close()


def record(frames, path):
    subprocess.run("ip link set lo mtu 1500 up && ethtool -K lo tso off gso off gro off",
                   shell=True, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as work:
        certificate = f"{work}/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", certificate, "-out", f"{work}/out"],
                       check=True, stderr=subprocess.DEVNULL)
        with open(certificate, "a", encoding="ascii") as both, \
                open(f"{work}/out", encoding="ascii") as out:
            both.write(out.read())
        serve(80)
        serve(443, certificate)
        serve_names()
        with subprocess.Popen(["tcpdump", "-q", "-i", "lo", "-c", str(frames), "-B", "32768",
                               "-Z", "root", "-w", path], stderr=subprocess.DEVNULL) as recorder:
            talk(recorder)
        return recorder.returncode


def main():
    frames, path = int(sys.argv[1]), sys.argv[2]
    if os.environ.get("EXPERTMEM_RECORD") != "inside":
        os.execvpe("unshare", ["unshare", "--net", sys.executable, __file__, str(frames), path],
                   {**os.environ, "EXPERTMEM_RECORD": "inside"})
    sys.exit(record(frames, path))


if __name__ == "__main__":
    main()
