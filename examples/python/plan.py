"""Reads and changes a plan over the JSON API, with Python 3.10 and no packages.

    python3 plan.py                      # lists the positions
    python3 plan.py 28f6d1a4b9c073 42    # sets a budget
"""

import json
import os
import sys
import urllib.error
import urllib.request


class Plan:
    """The default plan of a server. Logs in when it has to: at first, and when the token has expired."""

    def __init__(self, server: str, email: str = "", password: str = "") -> None:
        self._server, self._email, self._password = server, email, password
        self._token = ""

    def positions(self) -> list[dict]:
        return self._request("GET", "/api/documents/default/positions")[0]["positions"]

    def set_budget(self, position: str, budget: float) -> dict:
        """Reads the position, and changes it if nobody else has done so since."""
        path = f"/api/documents/default/positions/{position}"
        while True:
            _, tag = self._request("GET", path)
            try:
                return self._request("PATCH", path, {"budget": budget}, {"If-Match": tag})[0]
            except urllib.error.HTTPError as error:
                if error.code != 412:  # Precondition Failed
                    raise

    def _log_in(self) -> None:
        body = {"email": self._email, "password": self._password}
        self._token = self._send("POST", "/accounts/api/login/", body, {})[0]["token"]

    def _request(self, method: str, path: str, body: dict | None = None, headers: dict | None = None) -> tuple:
        try:
            return self._send(method, path, body, headers or {})
        except urllib.error.HTTPError as error:
            if error.code != 401 or not self._email:
                raise
            self._log_in()
            return self._send(method, path, body, headers or {})

    def _send(self, method: str, path: str, body: dict | None, headers: dict) -> tuple:
        request = urllib.request.Request(self._server + path, method=method, headers=headers)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response), response.headers.get("ETag")


def main() -> None:
    read = os.environ.get
    server = read("HAPPIERWORK_URL", "http://127.0.0.1:8000")
    plan = Plan(server, read("HAPPIERWORK_USER", ""), read("HAPPIERWORK_PASSWORD", ""))
    try:
        changed = [plan.set_budget(sys.argv[1], float(sys.argv[2]))] if len(sys.argv) > 1 else plan.positions()
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {error.read().decode()}")
    for position in changed:
        print(position["id"], position["designation"], position["budget"])


if __name__ == "__main__":
    main()
