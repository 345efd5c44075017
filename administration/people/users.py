"""Sign-ins: made, shut out, and taken from whoever holds one open."""

from django.contrib.sessions.models import Session
from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.people.models import User


class NoSignIn(Refused):
    """A sign-in cannot be made like that."""


def ensure(
    username: str, *, first_name: str = "", last_name: str = "", email: str = "", password: str | None = None
) -> User:
    """
    The sign-in of that name, made if it is missing. Without a password nobody can sign in with it yet.

    What is there already stays: opening a second case changes nobody's name or password.
    """
    if not username.strip():
        raise NoSignIn(_("Every person needs a sign-in name."))
    user = User.objects.filter(username=username).first()
    if user is None:
        user = User(username=username, first_name=first_name, last_name=last_name, email=email, is_staff=True)
        user.set_password(password)  # None: a password nobody has
        user.save()
    return user


def shut_out(user: User) -> int:
    """Nobody signs in as this person any more; open sessions end now. Returns how many ended."""
    User.objects.filter(pk=user.pk).update(is_active=False)
    user.is_active = False
    return end_sessions(user)


def end_sessions(user: User) -> int:
    """End every open session of this person. Sessions are sealed texts, so each is opened to look."""
    own = [
        session.session_key
        for session in Session.objects.iterator()
        if session.get_decoded().get("_auth_user_id") == str(user.pk)
    ]
    Session.objects.filter(session_key__in=own).delete()
    return len(own)
