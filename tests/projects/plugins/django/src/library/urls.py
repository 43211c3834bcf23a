from django.urls import path

from library.views import titles

urlpatterns = [path("titles/", titles)]
