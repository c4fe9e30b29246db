"""A person who is logged in, and a story, for any test."""

import pytest
from django.contrib.auth import get_user_model

STORY = """Anna climbed the hill at dawn. The sea below was silver and quiet.
A boat came round the point. She waved her red scarf until her arms ached.

The boat turned. Her father stood at the rudder, older than she remembered. Rain began to fall.
They walked home along the road without a word. In the house a fire was burning. They ate bread.
"""


@pytest.fixture
def story():
    return STORY


@pytest.fixture
def person(client):
    user = get_user_model().objects.create_user("anna", password="anna")
    client.force_login(user)
    return user
