"""The pages that people see."""

from html import escape


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{escape(title)}</title><body>{body}</body></html>\n"
    )


def login(csrf: str, wrong: bool = False) -> str:
    """The log-in form."""
    note = '<p class="error">Wrong name or password.</p>' if wrong else ""
    return _page(
        "DebVisor log-in",
        f"<h1>Log in</h1>{note}<form method=post action=/login>"
        f'<input type=hidden name=csrf value="{escape(csrf)}">'
        "<input name=name autocomplete=username>"
        "<input name=password type=password autocomplete=current-password>"
        "<button>Log in</button></form>",
    )


def dashboard(user: str, address: str | None, version: str, requests: int) -> str:
    """What a logged-in user sees."""
    where = f'<p>Your address is <span class="address">{escape(address)}</span>.</p>' if address else ""
    return _page(
        "DebVisor dashboard",
        f'<h1 id="dashboard">Dashboard</h1><p>Welcome, <b class="user">{escape(user)}</b>.</p>'
        f'<p>Version <span class="version">{escape(version)}</span>, seen {requests} times.</p>{where}'
        "<p><a href=/logout>Log out</a></p>",
    )
