"""Lists that stay fast on a table of any size; a list must be ordered by an index.

Nothing that an address can ask for counts all rows, skips more than some thousand, or sorts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ModelAdmin, ShowFacets
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.core.paginator import Paginator
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest, HttpResponse

    _Paginator = Paginator[Any]  # Any: rows of whichever model
    _ModelAdmin = ModelAdmin[Model]
else:
    _Paginator = Paginator
    _ModelAdmin = ModelAdmin

__all__ = ["AtLeast", "BoundedAdmin", "BoundedChangeList", "BoundedPaginator"]


class AtLeast(int):
    """A count that stopped before the end; it reads "≥5000"."""

    def __str__(self) -> str:
        # The sign stands in front, where a separator of thousands does not reach it.
        return f"≥{int(self)}"


class BoundedPaginator(_Paginator):
    """Counts up to a limit and leads no further; a page behind the last one is the last one.

    Attributes:
        most: how many rows can be reached page by page; the others by a filter or a search.
    """

    most: ClassVar[int] = 5_000

    @cached_property
    def count(self) -> int:
        """Return the number of rows, `AtLeast(most)` if there are more; one bounded query.

        The rows keep their order, so that the database reads the index that it pages through, not
        the table until it has found enough.
        """
        rows: QuerySet[Model] = self.object_list[: self.most + 1]  # type: ignore[assignment] # the admin gives a QuerySet
        found = rows.count()
        return found if found <= self.most else AtLeast(self.most)

    def validate_number(self, number: float | str) -> int:
        """Return the number of the page to show.

        Raises:
            InvalidPage: it is no number, or less than 1.
        """
        if isinstance(number, int):
            number = min(number, self.num_pages)
        return super().validate_number(number)


class BoundedChangeList(ChangeList):
    """Shows where the list ends, and sorts by what `sortable_by` names only."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        """Leave out the columns of `list_defer`."""
        deferred: tuple[str, ...] = getattr(self.model_admin, "list_defer", ())
        return super().get_queryset(request, exclude_parameters).defer(*deferred)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Ignore a column of the address that is not in `sortable_by`; Django would sort by it."""
        if ORDER_VAR in self.params and self.sortable_by is not None:
            asked = [part for part in self.params[ORDER_VAR].split(".") if self._sortable(part)]
            self.params[ORDER_VAR] = ".".join(asked)
            if not asked:
                del self.params[ORDER_VAR]
        return super().get_ordering(request, queryset)

    def get_results(self, request: HttpRequest) -> None:
        """Take the page, and say so if it is the last one that can be reached."""
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            self.full_result_count = self.result_count  # or it would offer to show all, as it does
        asked, last = self.page_num, self.paginator.num_pages
        self.page_num = min(asked, last)
        if request.method != "GET":
            return  # an action has the page read again, and its answer is about something else
        if asked > last:
            messages.warning(
                request, _("There is no page %(page)d; this is the last.") % {"page": asked}
            )
        if isinstance(self.result_count, AtLeast) and self.page_num == last:
            text = _("The list ends here, after %(most)d, but there are more: filter or search.")
            messages.info(request, text % {"most": self.result_count})

    def _sortable(self, part: str) -> bool:
        column = part.removeprefix("-")
        place = int(column) if column.isdecimal() else len(self.list_display)
        return place < len(self.list_display) and self.list_display[place] in self.sortable_by  # type: ignore[operator] # asked above


class BoundedAdmin(_ModelAdmin):
    """The admin of a model with any number of rows.

    Set `ordering` to what an index serves, and `sortable_by` to columns by which one can sort so.

    Attributes:
        list_defer: columns that the list neither shows nor loads.
        most_at_once: to how many rows an action may be applied; the page that asks whether it is
            meant names each, and Django refuses an answer of more than a thousand fields.
    """

    list_defer: ClassVar[tuple[str, ...]] = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they count all rows for each choice
    sortable_by = ()
    most_at_once: ClassVar[int] = 500

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the bounded list."""
        return BoundedChangeList

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Refuse an action on all pages if they are too many rows."""
        all_pages = request.POST.get("select_across", "0") != "0"
        if all_pages and queryset[: self.most_at_once + 1].count() > self.most_at_once:
            text = _("These are too many for one action: choose page by page, %(most)d at most.")
            self.message_user(request, text % {"most": self.most_at_once}, messages.ERROR)
            return None
        return super().response_action(request, queryset, *args, **kwargs)
