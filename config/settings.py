"""
All settings, from the environment.

| Variable | Means | Without it |
|---|---|---|
| DATABASE_URL | a PostgreSQL 16 or newer | the embedded stack in HENKAN_STATE_DIR |
| REDIS_URL | a Redis or Valkey: redis://, rediss://, unix:// | as DATABASE_URL; beside a real DATABASE_URL: no doorbell |
| HENKAN_ROLE | the database role of this process | henkan_app; the portal's process has henkan_portal |
| HENKAN_SECRET_KEY | Django's secret key | embedded: made once, in the state directory |
| HENKAN_HOSTS | host names answered, with commas | this machine |
| HENKAN_HTTPS | yes: only by https, as a proxy before us says in X-Forwarded-Proto; no: plain | yes; embedded: no |
| HENKAN_STATE_DIR | where the embedded stack lives | .state in the project |
| HEAD_KEY_FILE | Ed25519 key (PEM) that signs record heads; moves nothing | embedded: in the state directory |
| HEAD_LOG_FILE | every signed head is appended here as it is made | embedded: in the state directory |
| ARCHIVE_DIR | where received files and pulls are kept | embedded: in the state directory |
| HANDOVER_INBOX | directory under which handover packages are put to be taken over on a page | embedded: in the state directory |
| REHEARSAL_URL | socket of the rehearsal rail's simulator | embedded: in the state directory |
| HENKAN_MAIL_FROM | the one address from which customers are written to | henkan@localhost |
| HENKAN_MAIL_URL | smtp://user:password@host:port, or smtps:// | embedded: mails are files in the state directory |
| HENKAN_PORTAL_ADDRESS | the portal's address as it is printed in letters | where it was reached |
| HENKAN_PROXY_HEADER | the header in which our own proxy puts the visitor's address | the connection's own |
| ZENGIN_FILE | who pays by bank file, and the bank's profile (TOML) | embedded: the sample's; otherwise no bank files |
| REHEARSAL_QUIET_SECONDS | how long rehearsal-r2 and -r3 may keep a payment to themselves | 10 |
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url

from config import stack

PROJECT = Path(__file__).resolve().parent.parent
STATE_DIR = stack.state_dir()
ADDRESSES = stack.addresses()
EMBEDDED = ADDRESSES.embedded


def kept(variable: str) -> str:
    """A path from the environment; on the embedded stack, one in the state directory."""
    return os.environ.get(variable) or (str(STATE_DIR / stack.KEPT[variable]) if EMBEDDED else "")


# --- who answers ------------------------------------------------------------------------------

ROLE = os.environ.get("HENKAN_ROLE", "henkan_app")
PORTAL = ROLE == "henkan_portal"
ROOT_URLCONF = "config.portal_urls" if PORTAL else "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
SECRET_KEY = os.environ.get("HENKAN_SECRET_KEY") or (stack.secret_key(STATE_DIR) if EMBEDDED else "")
ALLOWED_HOSTS = os.environ.get("HENKAN_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
HTTPS = os.environ.get("HENKAN_HTTPS", "no" if EMBEDDED else "yes") != "no"
DEBUG = False

INSTALLED_APPS = [
    "administration.office",
    "claims.portal",
    "administration.audit",
    "administration.returns",
    "administration.distribution",
    "claims.checks",
    "claims.destinations",
    "claims.notices",
    "claims.register",
    "administration.custody",
    "administration.ledger",
    "administration.books",
    "administration.work",
    "administration.cases",
    "administration.people",
    "administration.record",
    *([] if PORTAL else ["unfold", "django.contrib.admin"]),
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *([] if PORTAL else ["allauth", "allauth.account", "allauth.mfa"]),
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
]

# The portal keeps its own sessions, behind functions of the database, and knows no users of the office.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.nul.NoNul",
    *([] if PORTAL else ["django.contrib.sessions.middleware.SessionMiddleware"]),
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    *(
        []
        if PORTAL
        else [
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
            "administration.office.signing_in.IdleLimit",
        ]
    ),
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                *(
                    ["claims.portal.views.languages"]
                    if PORTAL
                    else [
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                        "administration.office.shell.said_everywhere",
                    ]
                ),
            ],
        },
    },
]

AUTH_USER_MODEL = "people.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/admin/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "administration.office.signing_in.OfficeAdapter"  # nobody signs up: appointments make sign-ins
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PREVENT_ENUMERATION = True
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Henkan"
MFA_RECOVERY_CODE_COUNT = 10
MFA_TOTP_TOLERANCE = 1  # a phone's clock may be half a minute off; each code counts once
MFA_ADAPTER = "administration.office.signing_in.SealedKeys"
# Whoever guesses is slowed down by address and by name, and locks nobody out: another address signs in as before.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/300s/key", "reauthenticate": "10/m/user"}
# A person's session ends so long after their last step, and so long after they signed in. Those who sign for value
# have less time (administration/office/signing_in.py).
SIGNED_IN_SECONDS, IDLE_SECONDS, IDLE_SECONDS_OF_SIGNERS = 10 * 3600, 3600, 15 * 60
SESSION_COOKIE_AGE = SIGNED_IN_SECONDS

# Cookies know no ports: on one host the office and the portal must not read each other's.
SESSION_COOKIE_NAME = "portal_session" if PORTAL else "office_session"
CSRF_COOKIE_NAME = "portal_csrf" if PORTAL else "office_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
LANGUAGE_COOKIE_NAME = "portal_language" if PORTAL else "office_language"
LANGUAGE_COOKIE_SECURE, LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SAMESITE = HTTPS, True, "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if HTTPS:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ["^healthz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True

# --- where rows are ---------------------------------------------------------------------------


# The portal asks the same few questions on connections that stay open: the database reads and plans each but once.
ASKED_AGAIN = {"server_side_binding": True, "prepare_threshold": 2}


def database(role: str) -> dict[str, Any]:
    """One database, entered in a role: the login is a member of the four roles and works as none but them."""
    parsed: dict[str, Any] = {**dj_database_url.parse(ADDRESSES.database_url, conn_max_age=60, conn_health_checks=not PORTAL)}
    return {
        **parsed,
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {**parsed.get("OPTIONS", {}), "options": f"-c role={role}", **(ASKED_AGAIN if PORTAL else {})},
    }


DATABASES = {"default": database(ROLE), "owner": database("henkan_owner")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# What throttles and codes of authenticators were used is remembered in the database: it is there without Redis too,
# is the same for every web process, and a flushed Redis forgives nobody.
if not PORTAL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "office_cache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }

ARCHIVE_DIR = kept("ARCHIVE_DIR")
MEDIA_ROOT = kept("ARCHIVE_DIR")
HANDOVER_INBOX = kept("HANDOVER_INBOX")
HEAD_KEY_FILE = kept("HEAD_KEY_FILE")
HEAD_LOG_FILE = kept("HEAD_LOG_FILE")
REHEARSAL_URL = kept("REHEARSAL_URL")
ZENGIN_FILE = os.environ.get("ZENGIN_FILE") or (str(PROJECT / "administration/office/sample/bank.toml") if EMBEDDED else "")
REHEARSAL_QUIET_SECONDS = float(os.environ.get("REHEARSAL_QUIET_SECONDS", "10"))

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # nothing is collected: each file is served from where it lies
WHITENOISE_AUTOREFRESH = False

# --- what a page may load ---------------------------------------------------------------------

SELF = "'self'"
# unfold's Alpine evaluates expressions and sets styles; the portal needs neither, nor any script at all.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": ["'none'"] if PORTAL else [SELF, "'unsafe-eval'"],
        "style-src": [SELF] if PORTAL else [SELF, "'unsafe-inline'"],
        "img-src": [SELF] if PORTAL else [SELF, "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": [SELF],
        "frame-ancestors": ["'none'"],
    }
}

# --- how customers are written to, and who they are to a proxy --------------------------------

_mail = urlsplit(os.environ.get("HENKAN_MAIL_URL", ""))
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _mail.hostname or not EMBEDDED else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = str(STATE_DIR / "mail") if EMBEDDED else None
EMAIL_HOST, EMAIL_PORT = _mail.hostname or "localhost", _mail.port or (465 if _mail.scheme == "smtps" else 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
EMAIL_USE_SSL = _mail.scheme == "smtps"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("HENKAN_MAIL_FROM", "henkan@localhost")
PORTAL_ADDRESS = os.environ.get("HENKAN_PORTAL_ADDRESS", "")
PROXY_HEADER = os.environ.get("HENKAN_PROXY_HEADER", "")
if PORTAL:
    CSRF_FAILURE_VIEW = "claims.portal.views.stale_form"
    CSRF_COOKIE_SAMESITE = "Lax"

# --- the auditor's API ------------------------------------------------------------------------

API = "administration.audit.api"
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [f"{API}.access.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": [f"{API}.access.HoldsAuditorToken"],
    "DEFAULT_THROTTLE_CLASSES": [f"{API}.access.TokenThrottle"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{API}.access.Whatever",
    "EXCEPTION_HANDLER": f"{API}.problems.answer",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": 0,  # nobody chooses their address by a header
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Henkan: the auditor's API",
    "DESCRIPTION": "Read-only. A token reads one case over one period; each reading and each pull is on the case's record.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False},
}

# --- how the office looks ---------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "返還 Henkan",
    "SITE_HEADER": "返還 Henkan",
    "SITE_SYMBOL": "account_balance",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "THEME": "light",  # one look, on every screen and on paper
    "COLORS": {
        "primary": {
            "50": "#eff6ff", "100": "#dbeafe", "200": "#bfdbfe", "300": "#93c5fd", "400": "#60a5fa", "500": "#2563eb",
            "600": "#1d4ed8", "700": "#1e40af", "800": "#1e3a8a", "900": "#172554", "950": "#0f172a",
        },
    },
    "ENVIRONMENT": "administration.office.shell.environment",
    "DASHBOARD_CALLBACK": "administration.office.dashboard.context",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "administration.office.shell.navigation",
    },
}

# --- language and time ------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ja", "日本語")]
LOCALE_PATHS = [PROJECT / "locale"]
TIME_ZONE = "Asia/Tokyo"
USE_TZ = True

# --- the doorbell -----------------------------------------------------------------------------

REDIS_URL = ADDRESSES.redis_url
CELERY_BROKER_URL = stack.broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A worker killed outright: its task is rung again after at most ten minutes by the broker. The job's
# row and the beat find it within seconds; the broker is only the second line.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 540  # below the visibility timeout
CELERY_TASK_DEFAULT_QUEUE = "work"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TIMEZONE = TIME_ZONE
# Whoever waits for a job works on it once nobody has touched it for so long.
WORK_WHILE_WAITING = True
WORK_QUIET_SECONDS = float(os.environ.get("HENKAN_WORK_QUIET_SECONDS", "1"))
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # in memory: it writes no file anywhere

# --- what is said -----------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("HENKAN_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        "celery": {"level": "WARNING"},
        "celery.apps.worker": {"level": "INFO"},  # says when it is ready
        "celery.beat": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
    },
}

import config.celery  # noqa: E402, F401  -- makes the app current in every process that has settings
