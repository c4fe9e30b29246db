"""The pages: a story goes in, a storyboard comes out, and bad input leaves nothing behind."""

import io
import zipfile

import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils.html import escape
from PIL import Image

from session_mgmt.jobs import run_job
from session_mgmt.models import GenerationSession, Job

pytestmark = pytest.mark.django_db(transaction=True)


def post(client, story_text, media_type="comic", num_scenes=3, **more):
    form = {"story_text": story_text, "media_type": media_type, "num_scenes": num_scenes, **more}
    return client.post("/", form)


def started(response):
    assert response.status_code == 302, response.context and response.context["form"].errors
    return GenerationSession.objects.get(pk=response.url.split("/")[-2])


def test_a_stranger_is_asked_to_log_in(client):
    assert client.get("/").url == "/accounts/login/?next=/"


def test_starting_creates_a_session_and_its_job(client, person, story):
    session = started(post(client, story))
    job = Job.objects.get()
    assert (session.owner, session.request_data.num_scenes) == (person, 3)
    assert (job.session, job.job_type, job.target_id) == (session, "storyboard", str(session.pk))


def test_a_story_becomes_a_board_that_can_be_downloaded(client, person, story):
    session = started(post(client, story))
    waiting = client.get(f"/boards/{session.pk}/")
    assert b"Waiting for a worker" in waiting.content
    assert waiting.content.count(b"<figure>") == 0
    assert run_job(Job.objects.get().pk)

    page = client.get(f"/boards/{session.pk}/")
    assert page.content.count(b"<figure>") == 3
    assert b"completed" in page.content
    for number in (1, 2, 3):
        picture = client.get(f"/boards/{session.pk}/scenes/{number}.png")
        assert picture.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(picture.content)).size == (1280, 720)
    archive = client.get(f"/boards/{session.pk}/storyboard.zip")
    names = zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    assert len(names) == 4
    assert "storyboard/index.html" in names


def test_pressing_start_twice_starts_once(client, person, story):
    first = post(client, story, key="from-the-form")
    second = post(client, story, key="from-the-form")
    assert first.url == second.url
    assert Job.objects.count() == GenerationSession.objects.count() == 1


def test_a_program_that_sends_no_key_starts_one_each_time(client, person, story):
    assert post(client, story).url != post(client, story).url


def test_going_back_and_changing_the_story_starts_another(client, person, story):
    first = post(client, story, key="from-the-form")
    second = post(client, story + "They slept.", key="from-the-form")
    again = post(client, story + "They slept.", key="from-the-form")
    assert first.status_code == second.status_code == 302
    assert first.url != second.url == again.url


def test_a_shipped_story_can_be_picked(client, person):
    page = client.get("/")
    story = page.context["stories"][0]
    filled = client.get(f"/?story={story.slug}")
    assert filled.context["form"].initial["story_text"] == f"{story.title}\n\n{story.text}"
    assert client.get("/?story=none").status_code == 200


BAD = {
    "empty": ({"story_text": ""}, "story_text"),
    "blank": ({"story_text": " \n "}, "story_text"),
    "too long": ({"story_text": "word " * 40_000}, "story_text"),
    "NUL": ({"story_text": "A man\x00 went home. It was late."}, "story_text"),
    "lone surrogate": ({"story_text": b"A man \xed\xa0\x80 went home, late."}, "story_text"),
    "one word": ({"story_text": "Once"}, "story_text"),
    "right to left": ({"story_text": "היה היה איש אחד בעיר. הוא הלך הביתה בלילה."}, "story_text"),
    "Arabic": ({"story_text": "كان يا ما كان رجل في مدينة. ذهب إلى البيت ليلا."}, "story_text"),
    "CJK": (
        {"story_text": "昔々 ある 所 に お爺さん が いました。 山 へ 行きました。"},
        "story_text",
    ),
    "no scenes": ({"num_scenes": "0"}, "num_scenes"),
    "negative scenes": ({"num_scenes": "-3"}, "num_scenes"),
    "too many scenes": ({"num_scenes": "10000"}, "num_scenes"),
    "endless scenes": ({"num_scenes": "9" * 5_000}, "num_scenes"),
    "half a scene": ({"num_scenes": "2.5"}, "num_scenes"),
    "no number": ({"num_scenes": "many"}, "num_scenes"),
    "unknown media": ({"media_type": "opera"}, "media_type"),
    "no media": ({"media_type": ""}, "media_type"),
    "long key": ({"key": "x" * 201}, "key"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_message_at_the_field_and_stores_nothing(client, person, story, case):
    changes, field = BAD[case]
    response = post(client, **{"story_text": story, **changes})
    assert response.status_code == 400
    form = response.context["form"]
    assert list(form.errors) == [field]
    if field != "key":
        assert f'id="id_{field}_error"'.encode() in response.content
        assert f'aria-describedby="id_{field}_error"'.encode() in response.content
    assert not GenerationSession.objects.exists()
    assert not Job.objects.exists()


def test_a_request_of_ten_megabytes_gets_the_message_at_the_field(client, person):
    response = post(client, "word " * 2_000_000)
    assert response.status_code == 400
    assert "too long" in response.context["form"].errors["story_text"][0]
    assert not GenerationSession.objects.exists()


@pytest.mark.parametrize(
    "story_text",
    [
        "<script>alert(1)</script> went home. It was late, and dark outside, and cold.",
        "{% x %} a b",
    ],
)
def test_hostile_text_is_shown_as_text(client, person, story_text):
    session = started(post(client, story_text, num_scenes=1))
    run_job(Job.objects.get().pk)
    page = client.get(f"/boards/{session.pk}/")
    assert escape(story_text).encode() in page.content
    assert b"<script>alert" not in page.content


@pytest.mark.parametrize("name", ["board", "download", "picture"])
def test_a_board_is_nobody_elses(client, person, story, name):
    session = started(post(client, story))
    run_job(Job.objects.get().pk)
    arguments = [session.pk, 1] if name == "picture" else [session.pk]
    url = reverse(f"storyboard:{name}", args=arguments)
    assert client.get(url).status_code == 200
    client.force_login(get_user_model().objects.create_user("eve"))
    assert client.get(url).status_code == 404
    client.logout()
    assert client.get(url).status_code == 302


def test_a_picture_that_the_storage_lost_is_missing_not_an_error(client, person, story):
    session = started(post(client, story))
    run_job(Job.objects.get().pk)
    default_storage.delete(session.scenes[0].metadata["picture"])
    assert client.get(f"/boards/{session.pk}/scenes/1.png").status_code == 404
    assert client.get(f"/boards/{session.pk}/scenes/2.png").status_code == 200
    assert client.get(f"/boards/{session.pk}/scenes/9.png").status_code == 404
    assert client.get(f"/boards/{session.pk}/storyboard.zip").status_code == 404


def test_an_unfinished_board_cannot_be_downloaded(client, person, story):
    session = started(post(client, story))
    assert client.get(f"/boards/{session.pk}/storyboard.zip").status_code == 404


def test_every_page_has_the_strict_policy(client, person):
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
