"""Delete the pictures that a killed process has left behind."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from example_project.storyboard.pictures import sweep


class Command(BaseCommand):
    help = "Delete the pictures of storyboards that do not exist any more. Run it once a day."

    def handle(self, **options: object) -> None:
        self.stdout.write(f"Pictures of {sweep()} storyboards deleted.")
