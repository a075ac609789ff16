"""A provider of language models that answers at once, so that a call's time is only the way to it.

python -m benchmarks.upstream PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
import msgspec
import uvloop

WORD_COUNT = 24
TEXT = " ".join(f"word{n}" for n in range(WORD_COUNT))
USAGE = b'{"prompt_tokens":400,"completion_tokens":24,"total_tokens":424}'
HEAD = b'"id":"chatcmpl-bench","created":1760000000,"model":"bench"'


def _whole_answer() -> bytes:
    message = msgspec.json.encode({"role": "assistant", "content": TEXT})
    body = b'{%s,"object":"chat.completion","choices":[{"index":0,"message":%s,"finish_reason":"stop"}],"usage":%s}' % (
        HEAD,
        message,
        USAGE,
    )
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _event(data: bytes) -> bytes:
    event = b"data: %s\n\n" % data
    return b"%x\r\n%s\r\n" % (len(event), event)


def _chunk(choices: bytes, members: bytes = b"") -> bytes:
    return _event(b'{%s,"object":"chat.completion.chunk","choices":[%s]%s}' % (HEAD, choices, members))


WHOLE_ANSWER = _whole_answer()
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKS = [
    _chunk(b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}'),
    *(_chunk(b'{"index":0,"delta":{"content":" word%d"},"finish_reason":null}' % n) for n in range(WORD_COUNT)),
    _chunk(b'{"index":0,"delta":{},"finish_reason":"stop"}'),
    _chunk(b"", b',"usage":' + USAGE),
    _event(b"[DONE]"),
]
STREAM_END = b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """Answers each POST. A model named `slow` streams a chunk each 20 ms, any other all chunks at once."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body = bytearray()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        body, self.body = bytes(self.body), bytearray()
        if b'"stream":true' not in body:
            self.transport.write(WHOLE_ANSWER)
        elif b'"model":"slow"' in body:
            self.pacing = asyncio.ensure_future(self.slowly())
        else:
            self.transport.write(STREAM_HEAD + b"".join(CHUNKS) + STREAM_END)

    async def slowly(self) -> None:
        """Send a stream at the pace of a model."""
        self.transport.write(STREAM_HEAD)
        for chunk in CHUNKS:
            await asyncio.sleep(0.02)
            self.transport.write(chunk)
        self.transport.write(STREAM_END)


async def main(port: int) -> None:
    """Serve until stopped."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2048)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
