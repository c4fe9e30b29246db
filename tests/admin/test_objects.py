"""The admin shows stored objects to whoever may, changes none, and never reads a whole table."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import escape

from session_mgmt.admin.objects import MOST_CHARACTERS, MOST_CLASSES, StoredObjectAdmin
from session_mgmt.admin.pagination import AtLeast, BoundedAdmin, BoundedPaginator
from session_mgmt.models import StoredObject

pytestmark = pytest.mark.django_db

LIST = "/admin/session_mgmt/storedobject/"
HOSTILE = "</script></pre><img src=x onerror=alert(1)>"


def make(number=1, class_name="default.Counter", **fields):
    return StoredObject.objects.create(object_id=number, class_name=class_name, **fields)


def make_many(count, class_name="default.Counter"):
    StoredObject.objects.bulk_create(
        StoredObject(object_id=number, class_name=class_name) for number in range(1, count + 1)
    )


def page(stored, view="change"):
    return reverse(f"admin:session_mgmt_storedobject_{view}", args=[stored.pk])


def shown(response):
    return [stored.object_id for stored in response.context["cl"].result_list]


def told(response):
    return [str(message) for message in response.context["messages"]]


def choices(response):
    [choice] = response.context["cl"].filter_specs
    return [display for _, display in choice.lookup_choices]


def sent_to_the_table(queries):
    return [query["sql"] for query in queries if "storedobject" in query["sql"]]


def login(client, *permissions, **fields):
    user = get_user_model().objects.create_user("eve", is_staff=True, **fields)
    codenames = [f"{name}_storedobject" for name in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


@pytest.fixture
def viewer(client):
    return login(client, "view")


@pytest.fixture
def root(client):
    return login(client, is_superuser=True)


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "most", 6)
    monkeypatch.setattr(BoundedAdmin, "list_per_page", 2)


def test_a_stranger_has_to_log_in(client):
    for address in (LIST, page(make())):
        response = client.get(address)
        assert response.status_code == 302
        assert response.url.startswith("/admin/login/")


def test_staff_without_the_permission_sees_nothing(client):
    login(client)
    assert client.get(LIST).status_code == 403
    assert client.get(page(make())).status_code == 403


def test_the_view_permission_suffices_to_look_and_offers_nothing_else(viewer):
    stored = make(42, state={"count": 7})
    listed, detail = viewer.get(LIST), viewer.get(page(stored))
    assert (listed.status_code, detail.status_code) == (200, 200)
    assert shown(listed) == [42]
    assert b"&quot;count&quot;: 7" in detail.content
    for response in (listed, detail):
        words = set(re.findall(r"\w+", response.content.decode()))
        assert not words & {"_save", "addlink", "deletelink", "delete_selected"}


@pytest.mark.parametrize("user", ["viewer", "root"])
def test_nobody_can_change_or_add_one(user, request):
    client = request.getfixturevalue(user)
    stored = make(state={"count": 7})
    sent = {"state": '{"count": 8}', "version": 9, "class_name": "x.Y", "object_id": 3}
    assert client.post(page(stored), sent).status_code == 403
    assert client.post(f"{LIST}add/", sent).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(page(stored), {**sent, "_saveasnew": "1"}).status_code == 403
    [now] = StoredObject.objects.all()
    assert (now.state, now.version) == ({"count": 7}, 1)


def test_who_may_view_only_cannot_delete(viewer):
    stored = make()
    assert viewer.post(page(stored, "delete"), {"post": "yes"}).status_code == 403
    viewer.post(LIST, {"action": "delete_selected", "_selected_action": stored.pk, "post": "yes"})
    assert StoredObject.objects.count() == 1


def test_the_change_permission_does_not_suffice_to_change(client):
    stored = make()
    login(client, "view", "change", "add")
    assert client.get(page(stored)).status_code == 200
    assert client.post(page(stored), {"version": 2}).status_code == 403


def test_the_delete_permission_deletes_one_or_those_ticked(client):
    one, two, three = make(1), make(2), make(3)
    login(client, "view", "delete")
    assert client.post(page(one, "delete"), {"post": "yes"}).status_code == 302
    client.post(LIST, {"action": "delete_selected", "_selected_action": two.pk, "post": "yes"})
    assert list(StoredObject.objects.all()) == [three]


@pytest.mark.parametrize(("most", "left"), [(3, 0), (2, 3)])
def test_all_pages_at_once_only_if_they_are_few(root, monkeypatch, most, left):
    monkeypatch.setattr(BoundedAdmin, "most_at_once", most)
    first = make(1)
    make(2)
    make(3)
    sent = {"action": "delete_selected", "_selected_action": first.pk, "select_across": "1"}
    response = root.post(LIST, {**sent, "index": "0", "post": "yes"}, follow=True)
    assert StoredObject.objects.count() == left
    assert any("too many" in text for text in told(response)) == bool(left)


@pytest.mark.parametrize("asked", ["", "?class=default.Counter", "?q=7", "?p=2"])
def test_a_list_page_is_few_queries_however_many_rows(client, asked, monkeypatch):
    monkeypatch.setattr(BoundedAdmin, "list_per_page", 30)
    login(client, "view", "delete")
    counts = []
    for rows in range(2):
        make_many(50, f"default.Class{rows}")
        make_many(50, "default.Counter" if rows else "default.Other")
        with CaptureQueriesContext(connection) as queries:
            assert client.get(LIST + asked).status_code == 200
        counts.append(len(queries))
    assert max(counts) <= 10
    assert counts[0] == counts[1]


def test_no_query_counts_or_reads_more_than_a_page_needs(viewer, small_pages):
    make_many(9)
    with CaptureQueriesContext(connection) as queries:
        response = viewer.get(LIST)
    assert shown(response) == [9, 8]
    names, counted, rows = sent_to_the_table(queries)
    assert "MIN(" in names
    assert "LIMIT 7" in counted
    assert "LIMIT 2" in rows
    assert '"state"' not in rows, "the list does not show it"
    assert not any("DISTINCT" in query for query in (names, counted, rows))


def test_the_order_is_the_index_read_backwards(viewer):
    for class_name, partition, number in [
        ("a.A", 1, 5),
        ("b.B", 0, 1),
        ("b.B", 2, 3),
        ("b.B", 2, 4),
    ]:
        make(number, class_name, partition_id=partition)
    assert shown(viewer.get(LIST)) == [4, 3, 1, 5]


@pytest.mark.parametrize("asked", ["", "?class=default.Counter", "?q=7"])
def test_no_page_sorts_what_the_index_has_in_order(viewer, asked):
    make_many(9)
    rows = viewer.get(LIST + asked).context["cl"].queryset[:100]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # it is the best for nine rows
        plan = rows.explain()
    assert re.search("stored_object_identity|sqlite_autoindex", plan)
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


def test_no_address_sorts_a_table_by_another_column(viewer):
    make_many(2)
    response = viewer.get(f"{LIST}?o=4.-1")
    assert response.context["cl"].queryset.query.order_by[0] == "-class_name"


def test_a_column_that_is_sortable_is_sorted_by_and_no_other(viewer, monkeypatch):
    monkeypatch.setattr(StoredObjectAdmin, "sortable_by", ("version",))
    for number, version in [(1, 8), (2, 9), (3, 7)]:
        make(number, version=version)
    assert shown(viewer.get(f"{LIST}?o=-4.3.x.99.-")) == [3, 1, 2]
    assert shown(viewer.get(f"{LIST}?o=-3")) == [2, 1, 3]


@pytest.mark.parametrize("lookup", ["state__icontains=x", "version=1", "_facets=True&writer=0"])
def test_no_address_searches_row_by_row(viewer, lookup):
    assert viewer.get(f"{LIST}?{lookup}").status_code == 400


def test_facets_which_count_all_rows_cannot_be_asked_for(viewer):
    make()
    assert b"Show counts" not in viewer.get(LIST).content
    with CaptureQueriesContext(connection) as queries:
        viewer.get(f"{LIST}?_facets=True")
    assert len(sent_to_the_table(queries)) == 3


def test_a_number_of_rows_is_exact_as_long_as_it_is_small(viewer, small_pages):
    make_many(6)
    response = viewer.get(f"{LIST}?p=3")
    assert "6 stored objects" in " ".join(response.content.decode().split())
    assert told(response) == []


def test_a_large_number_of_rows_is_a_lower_bound(viewer, small_pages):
    make_many(9)
    response = viewer.get(LIST)
    assert "≥6 stored objects" in " ".join(response.content.decode().split())
    assert told(response) == []


def test_the_last_page_that_can_be_reached_says_that_there_are_more(viewer, small_pages):
    make_many(9)
    response = viewer.get(f"{LIST}?p=3")
    assert shown(response) == [5, 4]
    assert told(response) == ["The list ends here, after 6, but there are more: filter or search."]


def test_a_page_far_behind_is_the_last_one_and_keeps_the_filter(viewer, small_pages):
    make_many(5)
    make_many(9, "default.Other")
    with CaptureQueriesContext(connection) as queries:
        response = viewer.get(f"{LIST}?class=default.Counter&p=999999999999999999999999")
    assert shown(response) == [1]
    assert told(response) == ["There is no page 999999999999999999999999; this is the last."]
    assert "OFFSET 4" in sent_to_the_table(queries)[-1]


@pytest.mark.parametrize("number", ["0", "-1", "soon", "9" * 5000])
def test_a_page_that_is_none_is_not_an_error(viewer, small_pages, number):
    make_many(5)
    response = viewer.get(f"{LIST}?p={number}", follow=True)
    assert response.status_code == 200
    assert shown(response) == [5, 4]


def test_a_lower_bound_survives_a_separator_of_thousands(settings):
    settings.USE_THOUSAND_SEPARATOR = True
    assert localize(AtLeast(5000)) == "≥5,000"
    assert localize(AtLeast(50_000)) == "≥50,000"


def test_the_filter_offers_each_class_once_and_keeps_its_objects(viewer):
    make_many(3, "b.B")
    make(7, "a.A")
    make(8, "c.C")
    assert choices(viewer.get(LIST)) == ["a.A", "b.B", "c.C"]
    response = viewer.get(f"{LIST}?class=b.B")
    assert shown(response) == [3, 2, 1]
    assert choices(response) == ["a.A", "b.B", "c.C"]


def test_no_more_classes_are_looked_up_than_asked_for():
    for number in range(5):
        make(number, f"default.C{number}")
    assert StoredObject.objects.class_names(3) == ["default.C0", "default.C1", "default.C2"]
    assert StoredObject.objects.class_names(9)[3:] == ["default.C3", "default.C4"]


def test_without_objects_there_is_nothing_to_filter(viewer):
    response = viewer.get(LIST)
    assert response.status_code == 200
    assert response.context["cl"].filter_specs == []


def test_the_filter_offers_some_of_many_classes_and_takes_any(viewer):
    for number in range(MOST_CLASSES + 5):
        make(number, f"default.C{number:03}")
    assert choices(viewer.get(LIST)) == [f"default.C{n:03}" for n in range(MOST_CLASSES)]
    last = f"default.C{MOST_CLASSES + 4:03}"
    response = viewer.get(f"{LIST}?class={last}")
    assert shown(response) == [MOST_CLASSES + 4]
    assert choices(response)[MOST_CLASSES:] == [last]
    assert b"the first only" in response.content


@pytest.mark.parametrize("name", ["nowhere.N", "", "\0", "a\0b", "'; DROP TABLE x; --"])
def test_a_class_that_is_none_finds_nothing(viewer, name):
    make()
    response = viewer.get(LIST, {"class": name})
    assert response.status_code == 200
    assert shown(response) == []


def test_a_search_finds_an_id_exactly(viewer):
    for number in (4, 42, 420, -42):
        make(number)
    make(42, "default.Other")
    assert shown(viewer.get(f"{LIST}?q=42")) == [42, 42]
    assert shown(viewer.get(f"{LIST}?q=42&class=default.Other")) == [42]
    assert shown(viewer.get(f"{LIST}?q=%20-42%20")) == [-42]
    assert len(shown(viewer.get(f"{LIST}?q=%20"))) == 5


@pytest.mark.parametrize(
    "term",
    [
        "default",
        "4 2",
        "4_2",
        "4.0",
        "0x2a",
        "٤٢",
        "'42",
        str(2**63),
        str(-(2**63) - 1),
        "9" * 5000,
    ],
)
def test_a_search_for_something_else_finds_nothing(viewer, term):
    make(42)
    response = viewer.get(LIST, {"q": term})
    assert response.status_code == 200
    assert shown(response) == []


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_the_outermost_ids_are_found(viewer, number):
    make(number)
    assert shown(viewer.get(LIST, {"q": str(number)})) == [number]


def test_hostile_text_is_shown_as_text(viewer):
    stored = make(1, f"x.{HOSTILE}", state={HOSTILE: [HOSTILE]})
    for address in (LIST, page(stored), page(stored, "history")):
        content = viewer.get(address).content.decode()
        assert "<img" not in content.replace('<img src="/static/', "")
        assert escape(HOSTILE) in content


def test_a_state_is_readable_and_reached_by_the_keyboard(viewer):
    content = viewer.get(page(make(state={"b": {"c": None}, "a": "Möwe"}))).content.decode()
    [pre] = re.findall("<pre.*?</pre>", content, re.DOTALL)
    expected = '{\n  "a": "Möwe",\n  "b": {\n    "c": null\n  }\n}'
    assert escape(expected) in pre
    assert 'tabindex="0"' in pre
    assert 'aria-label="State as JSON"' in pre
    assert "All of it" not in content


def test_a_large_state_is_cut_with_its_size_and_the_command_for_all_of_it(viewer):
    stored = make(42, "it's.C", partition_id=3, state={"text": "x" * 50_000})
    content = viewer.get(page(stored)).content.decode()
    size = len('{\n  "text": ""\n}') + 50_000
    assert f"The first 20,000 of {size:,} characters." in content
    assert escape("""manage.py show_object 'it'"'"'s.C' 42 --partition 3""") in content
    assert "x" * (MOST_CHARACTERS - 100) in content
    assert "x" * MOST_CHARACTERS not in content


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL refuses such a text")
def test_half_a_surrogate_pair_does_not_break_the_page(viewer):
    assert b"\\ud800" in viewer.get(page(make(state={"text": "\ud800"}))).content


@pytest.mark.parametrize("key", ["999999", "9" * 30, "x"])
def test_an_object_that_is_gone_leads_back_with_a_message(viewer, key):
    response = viewer.get(f"{LIST}{key}/change/", follow=True)
    assert response.status_code == 200
    assert "Perhaps it was deleted" in told(response)[0]


def test_there_is_no_inline_script_or_style_of_ours(viewer):
    for address in (LIST, page(make(state={"a": 1}))):
        content = viewer.get(address).content.decode()
        assert " style=" not in content
        assert not re.search(r"\son\w+=", content)
