"""The pages of Django's admin; its autodiscovery imports this, and nothing else does."""

from session_mgmt.admin.objects import StoredObjectAdmin
from session_mgmt.admin.pagination import BoundedAdmin, BoundedChangeList, BoundedPaginator

__all__ = ["BoundedAdmin", "BoundedChangeList", "BoundedPaginator", "StoredObjectAdmin"]
