"""Every page of the office under its case: /admin/case/<reference>/…"""

from importlib import import_module
from pkgutil import iter_modules

from django.urls import path

from administration.office import pages
from administration.office.pages import base, opening

app_name = "office"

for module in iter_modules(pages.__path__):  # each registers its pages
    import_module(f"{pages.__name__}.{module.name}")

urlpatterns = [path(f"case/<str:reference>/{one.route}", one.view.as_view(), name=one.name) for one in base.ENTRIES]
urlpatterns.append(path("open-case/", opening.OpenCase.as_view(), name="open_case"))  # of no case yet
