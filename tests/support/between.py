"""Stands between a program and a vault, and answers what the vault would not."""
import http.server
import threading
import urllib.parse


class Between:
    """A vault in whose name alter(method, path, answer) may answer something else: path is without /v1/,
    answer a function that asks the vault, with `query` more in its query; it gives status, body."""

    def __init__(self, vault, alter):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size) if size else None
                path = self.path[len("/v1/"):]
                asked.append((self.command, urllib.parse.unquote(path)))

                def answer(query=""):
                    whole = path + ("&" if "?" in path else "?") + query if query else path
                    got = vault.call(self.command, whole, raw=body, token=self.headers.get("X-Vault-Token"))
                    return got.status, got.body
                status, text, *more = alter(self.command, urllib.parse.unquote(path), answer)
                text = text.encode()
                self.send_response(status)
                for name, value_ in more[0].items() if more else ():
                    self.send_header(name, value_)
                if text or status != 204:
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = do_LIST = any

            def log_message(self, *_):
                pass

        self.token = vault.token
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return "http://127.0.0.1:%d" % self.server.server_address[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
