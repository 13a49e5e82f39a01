"""Everything that is served, put together: pages and pictures, the receiving routes, logins, behind the doorkeeper."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from powerpi.asking import House
from powerpi.guard import guarded, own_names
from powerpi.images import with_pictures
from powerpi.logins import Logins
from powerpi.mirror import Mirror
from powerpi.page_help import NamedContact
from powerpi.receiving import Receiver, with_mirror
from powerpi.web import pages

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def application(
    house: House,
    zone: ZoneInfo,
    host_names: Iterable[str] = (),
    now: Callable[[], float] = time.time,
    *,
    contacts: Sequence[NamedContact] = (),
    viewers: Logins | None = None,
    mirror: tuple[Mirror, Logins] | None = None,
) -> WSGIApplication:
    """The pages of `house` as a WSGI application, in local time of `zone`.

    It answers to IP addresses, to this machine's own name, to names with a local end and to `host_names`. `contacts`
    are those counted here, for the help page. With `viewers` those alone may look; with `mirror` its senders may
    write, and nobody else learns that they can.
    """
    app = with_pictures(pages(house, zone, now, contacts), house.picture, now)
    if viewers:
        app = with_login(app, viewers)
    names = own_names(socket.gethostname()) | set(host_names)
    if not mirror:
        return guarded(app, names)
    receiver = Receiver(mirror[0])
    return guarded(with_mirror(app, receiver, mirror[1]), names, receiver.takes)


def with_login(app: WSGIApplication, viewers: Logins) -> WSGIApplication:
    """Let only those look at `app` who log in. Raises LoginWantedError, LoginSlowError in a request."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        viewers.check(environ.get("HTTP_AUTHORIZATION", ""))
        return app(environ, start_response)

    return answer
