"""Reads connections as uvicorn's two HTTP implementations do: a line of hex in, a line of JSON out for each."""

import json
import sys

import h11
import httptools


class Requests:
    def __init__(self):
        self.lines = []
        self.url = b""
        self.whole = 0

    def on_url(self, url):
        self.url += url

    def on_headers_complete(self):
        method = self.parser.get_method().decode("latin1")
        self.lines.append(f"{method} {self.url.decode('latin1')}")
        self.url = b""

    def on_message_complete(self):
        self.whole += 1


def by_httptools(data):
    protocol = Requests()
    parser = httptools.HttpRequestParser(protocol)
    protocol.parser = parser
    try:
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
    except AttributeError:
        pass
    try:
        parser.feed_data(data)
    except httptools.HttpParserError as error:
        return {"lines": protocol.lines, "error": type(error).__name__ + ": " + str(error)}
    if protocol.whole != len(protocol.lines):
        return {"lines": protocol.lines, "error": "the last request is not whole"}
    return {"lines": protocol.lines}


def by_h11(data):
    lines = []
    connection = h11.Connection(h11.SERVER, 64 * 1024)  # as uvicorn does
    connection.receive_data(data)
    connection.receive_data(b"")
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                lines.append(f"{event.method.decode('latin1')} {event.target.decode('latin1')}")
            elif isinstance(event, h11.EndOfMessage):
                answer = h11.Response(status_code=200, headers=[("content-length", "0")])
                connection.send(answer)
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    rest = connection.trailing_data[0]
                    return {"lines": lines, "error": "it closes before the rest"} if rest else {"lines": lines}
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return {"lines": lines}
            elif event is h11.NEED_DATA:
                return {"lines": lines, "error": "the last request is not whole"}
    except h11.RemoteProtocolError as error:
        return {"lines": lines, "error": str(error)}


parsers = {"httptools": by_httptools, "h11": by_h11}
for line in sys.stdin:
    name, _, data = line.strip().partition(" ")
    print(json.dumps(parsers[name](bytes.fromhex(data))), flush=True)
