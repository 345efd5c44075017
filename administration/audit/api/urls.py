"""/api/v1/, and the description of it."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from administration.audit.api import schema, views

assert schema  # imported so that it is known

app_name = "api"
V1 = "v1/"
FORM = r"\.(?P<form>csv|jsonl|parquet)$"

urlpatterns = [
    path(V1, views.Scope.as_view(), name="scope"),
    path(f"{V1}return-events", views.ReturnEvents.as_view(), name="return-events"),
    path(f"{V1}return-events/<int:number>", views.OneEvent.as_view(), name="return-event"),
    path(f"{V1}return-events/<int:number>/inclusion", views.Inclusion.as_view(), name="inclusion"),
    re_path(f"^{V1}return-events{FORM}", views.EventStream.as_view(), name="return-events-stream"),
    path(f"{V1}returns", views.Returns.as_view(), name="returns"),
    path(f"{V1}returns/<str:reference>", views.OneReturn.as_view(), name="return"),
    re_path(f"^{V1}returns{FORM}", views.ReturnStream.as_view(), name="returns-stream"),
    path(f"{V1}approvals", views.Approvals.as_view(), name="approvals"),
    path(f"{V1}approvals/<int:number>", views.OneApproval.as_view(), name="approval"),
    path(f"{V1}heads", views.Heads.as_view(), name="heads"),
    path(f"{V1}heads/<int:size>", views.OneHead.as_view(), name="head"),
    path(f"{V1}heads/<int:size>/consistency", views.Consistency.as_view(), name="consistency"),
    path(f"{V1}pulls", views.Pulls.as_view(), name="pulls"),
    path(f"{V1}pulls/<int:number>", views.OnePull.as_view(), name="pull"),
    path(f"{V1}pulls/<int:number>/file", views.PullFile.as_view(), name="pull-file"),
    path(
        "schema/",
        SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[], throttle_classes=[]),
        name="schema",
    ),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(
            url_name="api:schema", authentication_classes=[], permission_classes=[], throttle_classes=[]
        ),
        name="docs",
    ),
]
