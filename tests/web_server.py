"""A web server of one object on this machine, which remembers what it is asked for."""

import contextlib
import http.server
import threading


@contextlib.contextmanager
def serving(content, ranges=True):
    """The address of the object, and the requests that there were: (path, range).

    Args:
        content: the object
        ranges: whether it sends the part that it is asked for, or all of it
    """
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append((self.path, self.headers["Range"]))
            if self.path != "/x.png":
                return self.send_error(404)
            self.send_response(206 if ranges else 200)
            self.end_headers()
            last = int(self.headers["Range"].rpartition("-")[2]) if ranges else len(content)
            return self.wfile.write(content[: last + 1])

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *_):
            """Nothing: tests print what they want."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/x.png", requests
        finally:
            server.shutdown()
            thread.join()
