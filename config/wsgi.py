"""The web application: the office or the portal, as HENKAN_ROLE says."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# The office is a handful of people: their style sheets come from the same process.
application = StaticFilesHandler(get_wsgi_application())
