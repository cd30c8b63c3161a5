#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Record a capture of HTTP, TLS and DNS between programs on this machine.

record.py FRAMES FILE [many]: runs itself in a network namespace of its own, which needs root, so
that ports are free and nobody else's packets are recorded. With "many", other programs talk, too,
and all interfaces are recorded.
"""

import http.client
import http.server
import os
import random
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

# Clients of many protocols. Those that are not installed are left out.
MANY = [line.split() for line in """\
busybox ping -c 2 -W 1 127.0.0.1
busybox ping -c 1 -W 1 -s 3000 10.9.0.1
busybox ping6 -c 2 -W 1 ::1
busybox ping6 -c 1 -W 1 -I left ff02::1
busybox traceroute -n -m 2 -q 1 -w 1 127.0.0.1
busybox arping -c 2 -w 1 -I left 10.9.0.2
busybox udhcpc -i left -n -q -t 2 -T 1 -s /bin/true
busybox telnet 127.0.0.1 23
busybox wget -q -O /dev/null http://127.0.0.1/object/400
busybox ftpget 127.0.0.1 /dev/null file
logger -n 127.0.0.1 -P 514 -d -t program some message
logger -n ::1 -P 514 -d --rfc5424 -t program another message
curl -sm 1 ftp://127.0.0.1/file
curl -sm 1 smtp://127.0.0.1 --mail-from a@example.com --mail-rcpt b@example.com -T /etc/hostname
curl -sm 1 imap://user:word@127.0.0.1/INBOX
curl -sm 1 pop3://user:word@127.0.0.1/1
curl -sm 1 ldap://127.0.0.1/dc=example
curl -sm 1 mqtt://127.0.0.1/topic
curl -sm 1 tftp://127.0.0.1/file
curl -sm 1 rtsp://127.0.0.1/stream
curl -sm 1 dict://127.0.0.1/d:word
curl -sm 1 smb://127.0.0.1/share/file -u user:word
curl -sm 1 --http2-prior-knowledge http://127.0.0.1/object/400
curl -skm 1 --tlsv1.2 --tls-max 1.2 https://127.0.0.1/object/1500
curl -sm 1 -x socks5://127.0.0.1:1080 http://127.0.0.1/object/100
git ls-remote git://127.0.0.1/repository
psql -h 127.0.0.1 -U user -c select
openssl s_client -dtls -connect 127.0.0.1:4433
ssh -o ConnectTimeout=1 -o StrictHostKeyChecking=no 127.0.0.1
""".splitlines()]
LINES = 21, 22, 23, 25, 110, 143, 389, 445, 554, 1080, 1883, 2628, 5432, 9418

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


def serve_lines(port):
    """Greet each client as servers of mail and files do, and call all that it says good."""
    class Lines(socketserver.StreamRequestHandler):
        def handle(self):
            self.request.settimeout(1)
            try:
                self.wfile.write(b"220 +OK * OK ready\r\n")
                for line in self.rfile:
                    tag = line.split()[:1] or [b"*"]
                    self.wfile.write(b"".join((b"250 ", tag[0], b" OK\r\n")))
            except OSError:
                pass

    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Lines)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def prepare_many():
    """Two interfaces that are connected, and servers of lines."""
    for words in ("link add left type veth peer name right", "link set left up",
                  "link set right up", "addr add 10.9.0.1/24 dev left",
                  "addr add 10.9.1.1/24 dev right"):
        subprocess.run(["ip", *words.split()], check=False, stderr=subprocess.DEVNULL)
    for port in LINES:
        serve_lines(port)


def talk_many(recorder):
    """Let all programs of MANY talk, again and again, until the recorder has what it wants."""
    while recorder.poll() is None:
        talking = [subprocess.Popen(["timeout", "2", *words], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for words in MANY if shutil.which(words[0])]
        for process in talking:
            process.wait()


def ask_name(number):
    name = b"".join(bytes([len(label)]) + label
                    for label in (b"host%d" % (number % 5000), b"example", b"com")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(struct.pack("!HHHHHH", number & 0xffff, 0x0100, 1, 0, 0, 0) + name +
                      struct.pack("!HH", 1, 1), ("127.0.0.1", 53))
        client.recv(512)


def talk(recorder, pause):
    """Be the clients until the recorder has what it wants. @pause: seconds between two rounds"""
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
        time.sleep(pause)


def record(frames, path, many):
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
        if many:
            prepare_many()
        with subprocess.Popen(["tcpdump", "-q", "-i", "any" if many else "lo", "-c", str(frames), "-B", "32768",
                               "-Z", "root", "-w", path], stderr=subprocess.DEVNULL) as recorder:
            if many:
                threading.Thread(target=talk_many, args=(recorder,), daemon=True).start()
            talk(recorder, 0.1 if many else 0)
        return recorder.returncode


def main():
    frames, path, many = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if os.environ.get("EXPERTMEM_RECORD") != "inside":
        os.execvpe("unshare", ["unshare", "--net", sys.executable, __file__, *sys.argv[1:]],
                   {**os.environ, "EXPERTMEM_RECORD": "inside"})
    sys.exit(record(frames, path, many))


if __name__ == "__main__":
    main()
