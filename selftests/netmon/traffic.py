# SPDX-License-Identifier: GPL-2.0
"""Captures for tests, made of bytes: no network and no privileges are needed."""

import ipaddress
import random
import struct

START = 1700000000 * 1000000  # microseconds

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


class Capture:
    """Frames with times in microseconds since START."""

    def __init__(self):
        self.frames = []  # (time, bytes, bytes on the wire)
        self.now = 0

    def add(self, frame, length=None):
        self.frames.append((self.now, frame, length or len(frame)))

    def write(self, path):
        """Write the frames in the order of their times, as Ethernet."""
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
            for time, frame, length in self.frames:
                seconds, microseconds = divmod(START + time, 1000000)
                file.write(struct.pack("<IIII", seconds, microseconds, len(frame), length) + frame)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(source, destination, protocol, payload, fragment=0, extensions=()):
    """An Ethernet frame with an IP packet. @extensions: [(number, bytes)] of IPv6."""
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if source.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0)
        addresses = source.packed + destination.packed
        head = head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses
        kind = 0x0800
    else:
        for number, body in reversed(extensions):
            payload = bytes([protocol]) + body + payload
            protocol = number
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + \
            source.packed + destination.packed
        kind = 0x86dd
    return bytes(12) + struct.pack("!H", kind) + head + payload


def tcp(ends, sequence, ack, flags, payload=b"", window=1000):
    """@ends: ((address, port), (address, port)), the source first."""
    (source, port), (destination, other) = ends
    head = struct.pack("!HHIIBBHHH", port, other, sequence & 0xffffffff, ack & 0xffffffff,
                       0x50, flags, window, 0, 0)
    return ip(source, destination, 6, head + payload)


def udp(ends, payload):
    (source, port), (destination, other) = ends
    return ip(source, destination, 17,
              struct.pack("!HHHH", port, other, 8 + len(payload), 0) + payload)


class Conversation:
    """A TCP conversation with a handshake, and data that are received."""

    def __init__(self, capture, client, server, latency=200):
        self.capture, self.ends, self.latency = capture, (client, server), latency
        self.next = [random.getrandbits(32), random.getrandbits(32)]
        self.handshake()

    def handshake(self, attempts=1):
        for _ in range(attempts - 1):
            self.segment(0, SYN, ack=0, sequence=self.next[0])
            self.capture.now += 1000000
        self.segment(0, SYN, ack=0)
        self.segment(1, SYN | ACK)
        self.segment(0, ACK)

    def segment(self, side, flags=ACK, payload=b"", ack=None, sequence=None, window=1000):
        """Send one segment. Without @sequence, it is the next one."""
        self.capture.now += self.latency
        ends = self.ends if side == 0 else self.ends[::-1]
        number = self.next[side] if sequence is None else sequence
        self.capture.add(tcp(ends, number, self.next[not side] if ack is None else ack, flags,
                             payload, window))
        if sequence is None:
            self.next[side] = (number + len(payload) + bool(flags & (SYN | FIN))) & 0xffffffff

    def send(self, side, payload, most=1400):
        """Send data in segments, each of which is acknowledged."""
        for at in range(0, len(payload), most):
            self.segment(side, PSH | ACK, payload[at:at + most])
            self.segment(1 - side)


def troubled(seed, conversations, steps):
    """Conversations whose ends do anything that TCP analysis has a name for, in random order."""
    random.seed(seed)
    capture = Capture()
    for number in range(conversations):
        address = ("2001:db8::1", "2001:db8::2") if number % 4 == 3 else ("192.0.2.1", "192.0.2.2")
        talk = Conversation(capture, (address[0], 20000 + number % 50000), (address[1], 80),
                            random.choice((20, 200, 4000)))
        window = [1000, 1000]
        for _ in range(steps):
            side = random.randrange(2)
            capture.now += random.choice((5, 50, 700, 2900, 3100, 15000, 21000, 300000))
            trouble(talk, side, window)
    return capture


def trouble(talk, side, window):
    """One random event: see the names of the branches."""
    action = random.choice(ACTIONS)
    at = talk.next[side]
    data = bytes(random.choice((1, 2, 100, 1400)))
    if action == "send":
        talk.segment(side, PSH | ACK, data, window=window[side])
    elif action == "acknowledge":
        talk.segment(side, window=window[side])
    elif action == "repeat ACK":
        for _ in range(random.randrange(1, 5)):
            talk.segment(side, window=window[side], ack=talk.next[1 - side] - random.choice((0, 0, 100)))
    elif action == "retransmit":
        back = random.choice((1, 2, 100, 500, 1400, 3000))
        talk.segment(side, ACK, data, sequence=at - back, window=window[side])
    elif action == "keep alive":
        talk.segment(side, ACK, bytes(random.randrange(2)), sequence=at - 1, window=window[side])
        if random.random() < .7:
            talk.segment(1 - side, window=window[1 - side])
    elif action == "probe":
        window[1 - side] = 0
        talk.segment(1 - side, window=0)
        talk.segment(side, ACK, b"p", sequence=at, window=window[side])
        talk.segment(1 - side, window=0)
        if random.random() < .5:
            talk.segment(side, ACK, b"payload", sequence=at, window=window[side])
    elif action == "window":
        window[side] = random.choice((0, 500, 1000, 1000, 2000))
        talk.segment(side, window=window[side])
    elif action == "lose":
        talk.next[side] += random.choice((1, 100, 1400))
        talk.segment(side, PSH | ACK, data, window=window[side])
    elif action == "fill":
        talk.segment(side, PSH | ACK, bytes(1400), sequence=at + 1400)
        talk.segment(1 - side, window=window[1 - side])
        talk.segment(1 - side, window=window[1 - side])
        talk.segment(1 - side, window=window[1 - side])
        talk.segment(side, PSH | ACK, bytes(1400), window=window[side])
        talk.next[side] += 1400
    elif action == "SYN":
        talk.next = [random.getrandbits(32), random.getrandbits(32)]
        talk.handshake(random.randrange(1, 4))
    elif action == "FIN":
        talk.segment(side, FIN | ACK, sequence=random.choice((None, at, at - 1)))
    elif action == "RST":
        talk.segment(side, random.choice((RST, RST | ACK)), sequence=random.choice((at, at + 7)),
                     window=0)


ACTIONS = (["send"] * 8 + ["acknowledge"] * 6 + ["repeat ACK"] * 3 + ["retransmit"] * 3 +
           ["keep alive"] * 2 + ["probe", "window", "window", "lose", "fill", "fill", "SYN", "FIN", "RST"])


def dns_name(text):
    return b"".join(bytes([len(label)]) + label for label in text.split(b".")) + b"\0"


def dns(capture, client, server, number, name, delay, queries=1, answers=1):
    """A query that is sent some times, and its answers, @delay microseconds after the last one."""
    question = dns_name(name) + struct.pack("!HH", 1, 1)
    for _ in range(queries):
        capture.add(udp((client, server), struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question))
        capture.now += delay
    for _ in range(answers):
        capture.add(udp((server, client), struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + question +
                        struct.pack("!HHHIH4s", 0xc00c, 1, 1, 300, 4, b"\xc0\0\2\7")))
        capture.now += 30


def http(talk, path, delay, size, status=b"200 OK"):
    """A request, and a response @delay microseconds later."""
    talk.send(0, b"GET " + path + b" HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
    talk.capture.now += delay
    talk.send(1, b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
              % size + b"x" * size)


def smb2(talk, message, delay, answered=True):
    """An ECHO request and its response, each in a session message of NetBIOS."""
    for side, flags in (0, 0), (1, 1):
        if side and not answered:
            break
        head = b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ16s", 64, 0, 0, 13, 1, flags, 0, message, 0xfeff, 0,
                                        0, bytes(16))
        body = head + struct.pack("<HH", 4, 0)
        talk.segment(side, PSH | ACK, struct.pack("!I", len(body)) + body)
        talk.segment(1 - side)
        talk.capture.now += delay


def everyday(seed):
    """Web, names and files: most answers are fast, some are slow, and some never come."""
    random.seed(seed)
    capture = Capture()
    for number in range(60):
        talk = Conversation(capture, ("192.0.2.%d" % (number % 7 + 1), 30000 + number),
                            ("198.51.100.1", 80))
        for request in range(random.randrange(1, 6)):
            http(talk, b"/%d/%d" % (number, request), int(random.expovariate(1 / 5000)),
                 random.choice((0, 10, 1000, 5000)), random.choice((b"200 OK", b"404 Not Found")))
    for number in range(300):
        dns(capture, ("192.0.2.%d" % (number % 7 + 1), 40000 + number), ("198.51.100.53", 53),
            random.getrandbits(16), b"host%d.example.com" % (number % 17),
            int(random.expovariate(1 / 20000)) + 1, random.choice((1, 1, 1, 2)),
            random.choice((0, 1, 1, 1, 1)))
    for number in range(10):
        talk = Conversation(capture, ("2001:db8::%d" % (number + 1), 50000 + number),
                            ("2001:db8::ff", 445))
        for message in range(20):
            smb2(talk, message, int(random.expovariate(1 / 800)), random.random() < .95)
    return capture
