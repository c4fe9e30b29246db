"""Stateful objects that commit themselves: `from session_mgmt.objects import oaas, OaasObject`."""

from session_mgmt.objects.base import BaseObject
from session_mgmt.objects.classes import ClsMeta, MetadataRepo
from session_mgmt.objects.config import OaasConfig
from session_mgmt.objects.engine import Oparaca, configure_oaas, get_global_oaas
from session_mgmt.objects.legacy import LegacySessionAdapter
from session_mgmt.objects.manager import AutoSessionManager
from session_mgmt.objects.metadata import ObjectMetadata
from session_mgmt.objects.methods import FuncMeta
from session_mgmt.objects.oaas_object import OaasObject, create_object, load_object
from session_mgmt.objects.rpc import (
    InvocationRequest,
    InvocationResponse,
    InvocationResponseCode,
    ObjectInvocationRequest,
)
from session_mgmt.objects.service import (
    OaasService,
    disable_auto_commit,
    enable_auto_commit,
    new_session,
    oaas,
    set_auto_commit_interval,
)
from session_mgmt.objects.session import Session

__all__ = [
    "AutoSessionManager",
    "BaseObject",
    "ClsMeta",
    "FuncMeta",
    "InvocationRequest",
    "InvocationResponse",
    "InvocationResponseCode",
    "LegacySessionAdapter",
    "MetadataRepo",
    "OaasConfig",
    "OaasObject",
    "OaasService",
    "ObjectInvocationRequest",
    "ObjectMetadata",
    "Oparaca",
    "Session",
    "configure_oaas",
    "create_object",
    "disable_auto_commit",
    "enable_auto_commit",
    "get_global_oaas",
    "load_object",
    "new_session",
    "oaas",
    "set_auto_commit_interval",
]
