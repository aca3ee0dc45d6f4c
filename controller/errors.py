"""What can go wrong at an edge, in our words.

EdgeError
|-- NotFound      the object is not there
|-- Conflict      somebody else was faster: look again
|-- Refused       the server or a webhook says no to this very content
|-- Forbidden     RBAC says no
`-- Unavailable   nobody answered, or not now; retried at the edge already
"""


class EdgeError(Exception):
    """Something outside did not do what was asked; the message names it."""


class NotFound(EdgeError):  # noqa: N818  # named like the conditions they report
    """The object is not there."""


class Conflict(EdgeError):  # noqa: N818  # as above
    """The object changed since it was read."""


class Refused(EdgeError):  # noqa: N818  # as above
    """The content was refused: validation, admission, quota."""


class Forbidden(EdgeError):  # noqa: N818  # as above
    """The controller's account may not do this."""


class Unavailable(EdgeError):  # noqa: N818  # as above
    """Nobody answered in time, or the answer was: not now."""


class Deposed(Exception):  # noqa: N818  # as above
    """This process may no longer change anything: another one may be leading. Ends a tick where it stands."""
