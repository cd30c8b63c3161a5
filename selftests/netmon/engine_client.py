# SPDX-License-Identifier: GPL-2.0
"""An engine for tests: start it on a capture, and send requests as include/expertmem-engine.h says."""

import array
import fcntl
import mmap
import os
import socket
import struct
import subprocess

RESULTS = 8 << 20
NONE = 0xffffffff
CONTROL_FD = 3
HELLO, PHASE, CONNECT = 1, 2, 3
READY, FAILED, LOST = 2, 3, 4
PROPERTIES, PROTOCOLS, FILTER, SEARCH, PROTOCOL, FIELD_INFO, FIELDS, DROP_FILTER = range(1, 9)
FLAG_FIELD, FLAG_ASKED = 2, 8
SWAPPED, VALUE, WRONG = 1, 2, 4
HEX, SIGNED, DURATION, DOUBLE = 1, 2, 4, 8

FRAME = struct.Struct("=IIII")
PROPERTY = struct.Struct("=IIIBBHQ")
LAYER = struct.Struct("=HH")
NAME = struct.Struct("=II3I")
FIELD = struct.Struct("=IIBBBBIQI3I")
LABEL = struct.Struct("=QII")
REPLY = struct.Struct("=7I484s")
REQUEST = struct.Struct("=7I")


class EngineError(Exception):
    def __init__(self, code, text):
        super().__init__(f"error {code}: {text}")
        self.code, self.text = code, text


def texts_of(data, at, lengths):
    """The texts at offset @at, and the offset behind them."""
    texts = []
    for length in lengths:
        texts.append(bytes(data[at:at + length - 1]).decode("utf-8", "replace"))
        at += length
    return texts, at


class Engine:
    """@program: path of the supervisor."""

    def __init__(self, program, capture, *options):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def child():
            os.dup2(theirs.fileno(), CONTROL_FD, inheritable=True)

        # A descriptor that is 3 already would be closed by the executed program.
        if theirs.fileno() == CONTROL_FD:
            theirs = socket.socket(fileno=fcntl.fcntl(theirs.detach(), fcntl.F_DUPFD_CLOEXEC, 10))
        self.process = subprocess.Popen([program, "--capture", capture, *options],
                                        stdin=subprocess.DEVNULL, preexec_fn=child,
                                        close_fds=False)
        theirs.close()
        self.state = self.frames = None
        self.wait_ready()
        self.connect()
        self.sequence = 0

    def wait_ready(self):
        while True:
            message, ancillary, _, _ = self.control.recvmsg(64, socket.CMSG_SPACE(64))
            if not message:
                raise EngineError(0, "the engine has ended")
            for _, kind, data in ancillary:
                if kind == socket.SCM_RIGHTS:
                    files = array.array("i", data[:len(data) // 4 * 4])
                    self.state = mmap.mmap(files[0], 0, prot=mmap.PROT_READ)
                    self.index_file, self.frames_file = files[1], files[2]
            phase = struct.unpack_from("=I", self.state, 8)[0]
            if phase == READY:
                break
            if phase in (FAILED, LOST):
                raise EngineError(phase, self.text(1144))
        self.count = struct.unpack_from("=Q", self.state, 16)[0]
        if self.count:
            self.index = mmap.mmap(self.index_file, 0, prot=mmap.PROT_READ)
            self.frames = mmap.mmap(self.frames_file, 0, prot=mmap.PROT_READ)

    def text(self, at):
        return bytes(self.state[at:at + 1024]).split(b"\0")[0].decode("utf-8", "replace")

    def worker(self):
        return struct.unpack_from("=I", self.state, 88)[0]

    def connect(self):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        file = os.memfd_create("results", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(file, RESULTS)
        self.results = mmap.mmap(file, RESULTS, prot=mmap.PROT_READ)
        socket.send_fds(self.control, [struct.pack("=II", CONNECT, 1)], [theirs.fileno(), file])
        theirs.close()
        os.close(file)

    def request(self, op, flags=0, frame=0, count=0, id=NONE, text=b""):
        """Returns (id, count, next, size)."""
        if isinstance(text, str):
            text = text.encode()
        text += b"\0"
        self.sequence += 1
        self.socket.send(REQUEST.pack(op, self.sequence, flags, frame, count, id, len(text)) + text)
        reply = REPLY.unpack(self.socket.recv(REPLY.size))
        assert reply[0] == op and reply[1] == self.sequence
        if reply[2]:
            raise EngineError(reply[2], reply[7].split(b"\0")[0].decode())
        return reply[3:7]

    def bytes(self, number):
        """The bytes of a frame."""
        at = struct.unpack_from("=Q", self.index, 8 * number)[0] & (1 << 48) - 1
        length = struct.unpack_from("=I", self.frames, at + 12)[0]
        return self.frames[at + 16:at + 16 + length]

    def _frames(self, op, record, flags, first, id, text=b""):
        while first != NONE:
            _, count, following, size = self.request(op, flags, first, 64, id, text)
            results, at = self.results[:size], 0    # the caller may send requests meanwhile
            for _ in range(count):
                number, error, records, size = FRAME.unpack_from(results, at)
                data = results[at:at + size]
                body = data[FRAME.size:FRAME.size + records * record.size]
                yield number, error, record.iter_unpack(body), data
                at += size
            first = following

    def properties(self, field=None, first=0, asked=()):
        """For each frame (number, error, properties, bytes of the struct engine_frame)."""
        if asked:
            return self._frames(PROPERTIES, PROPERTY, FLAG_ASKED, first, NONE,
                                struct.pack(f"={len(asked)}I", *asked))
        if field is None:
            return self._frames(PROPERTIES, PROPERTY, 0, first, NONE)
        return self._frames(PROPERTIES, PROPERTY, FLAG_FIELD, first, field)

    def protocols(self, first=0):
        return self._frames(PROTOCOLS, LAYER, 0, first, NONE)

    def search(self, text):
        """The numbers of the frames that pass the filter."""
        filter, *_ = self.request(FILTER, text=text)
        found, first = [], 0
        while first != NONE:
            _, count, first, _ = self.request(SEARCH, 0, first, NONE, filter)
            found += struct.unpack_from(f"={count}I", self.results)
        self.request(DROP_FILTER, id=filter)
        return found

    def protocol(self, text="", id=NONE):
        self.request(PROTOCOL, id=id, text=text)
        number, fields, *lengths = NAME.unpack_from(self.results)
        texts, _ = texts_of(self.results, NAME.size, lengths)
        return {"id": number, "fields": fields, "name": texts[0], "filter": texts[1],
                "comment": texts[2]}

    def field(self, text="", id=NONE):
        self.request(FIELD_INFO, id=id, text=text)
        number, protocol, type_, qualifier, width, flags, nr_labels, mask, same, *lengths = \
            FIELD.unpack_from(self.results)
        texts, at = texts_of(self.results, FIELD.size, lengths)
        labels = {}
        for _ in range(nr_labels):
            at = (at + 7) // 8 * 8
            value, *sizes = LABEL.unpack_from(self.results, at)
            labels[value], at = texts_of(self.results, at + LABEL.size, [n for n in sizes if n])
        return {"id": number, "protocol": protocol, "type": type_, "qualifier": qualifier,
                "width": width, "flags": flags, "mask": mask, "same": same, "label": texts[0],
                "filter": texts[1], "labels": labels}

    def fields(self, protocol):
        _, count, _, _ = self.request(FIELDS, id=protocol)
        return struct.unpack_from(f"={count}I", self.results)

    def close(self):
        self.socket.close()
        self.control.close()
        self.process.wait()
