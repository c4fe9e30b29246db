"""Where the storyboard's pages are."""

from django.urls import path

from example_project.storyboard import views

__all__ = ["app_name", "urlpatterns"]

app_name = "storyboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("boards/<uuid:session_id>/", views.board, name="board"),
    path("boards/<uuid:session_id>/scenes/<int:number>.png", views.picture, name="picture"),
    path("boards/<uuid:session_id>/storyboard.zip", views.download, name="download"),
]
