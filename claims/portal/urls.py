"""The customer's pages by address. Each has the language in front: /en/… and /ja/…"""

from django.urls import path

from claims.portal import views

app_name = "portal"
urlpatterns = [
    # What is asked for most comes first: addresses are tried in this order.
    path("claims/<str:number>/", views.claim, name="claim"),
    path("claims/<str:number>/data.json", views.data, name="data"),
    path("claims/", views.mine, name="mine"),
    path("claims/<str:number>/confirm/", views.confirm, name="confirm"),
    path("claims/<str:number>/destinations/<str:asset>/", views.destination, name="destination"),
    path("claims/<str:number>/destinations/<str:asset>/code/", views.fresh, name="fresh"),
    path("claims/<str:number>/destinations/<str:asset>/stop/", views.stop, name="stop"),
    path("claims/<str:number>/lines/<str:asset>/<str:claim_class>/", views.line_page, name="line"),
    path("claims/<str:number>/lines/<str:asset>/<str:claim_class>/dispute/", views.dispute, name="dispute"),
    path("", views.home, name="home"),
    path("cases/<str:reference>/", views.case_page, name="case"),
    path("find/", views.find, name="find"),
    path("find/code/", views.code, name="code"),
    path("leave/", views.leave, name="leave"),
]
