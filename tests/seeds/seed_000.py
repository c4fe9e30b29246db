"""The examples of seed 000, letter by letter; only the line that imports is changed."""

__all__ = ["EXAMPLES", "MIGRATIONS"]

EXAMPLES = {
    "Basic Auto Session Management": """
from session_mgmt.objects import oaas, OaasObject, OaasConfig, configure_oaas

# Configure for auto session management
config = OaasConfig(mock_mode=True, auto_commit=True)
configure_oaas(config)

# Define a service
@oaas.service("MyService")
class MyService(OaasObject):
    counter: int = 0
    
    @oaas.method
    def increment(self):
        self.counter += 1
        return self.counter

# Create and use objects - sessions are managed automatically
obj = MyService.create()
obj.increment()  # Auto-commits in background
print(f"Counter: {obj.counter}")
""",
    "Thread-Safe Session Management": """
import threading
from session_mgmt.objects import oaas, OaasObject, configure_oaas, OaasConfig

# Configure for thread-safe operations
config = OaasConfig(mock_mode=True, auto_commit=True)
configure_oaas(config)

@oaas.service("ThreadSafeService")
class ThreadSafeService(OaasObject):
    thread_data: str = ""
    
    @oaas.method
    def set_thread_data(self):
        self.thread_data = f"Thread-{threading.get_ident()}"

def worker():
    # Each thread gets its own session automatically
    obj = ThreadSafeService.create()
    obj.set_thread_data()
    print(f"Thread {threading.get_ident()}: {obj.thread_data}")

# Create multiple threads
threads = []
for i in range(5):
    t = threading.Thread(target=worker)
    threads.append(t)
    t.start()

for t in threads:
    t.join()
""",
    "Manual Session Control": """
from session_mgmt.objects import OaasService, oaas, OaasObject

# Get manual control when needed
with OaasService.session_scope() as session:
    # Operations within this scope use the same session
    obj1 = MyService.create()
    obj2 = MyService.create()
    
    obj1.increment()
    obj2.increment()
    
    # Session automatically commits when exiting scope
""",
    "Auto-commit Configuration": """
from session_mgmt.objects import (
    enable_auto_commit, 
    disable_auto_commit, 
    set_auto_commit_interval,
    OaasService
)

# Enable auto-commit
enable_auto_commit()

# Set auto-commit interval to 0.5 seconds
set_auto_commit_interval(0.5)

# Disable auto-commit when needed
disable_auto_commit()

# Manual commit all sessions
OaasService.commit_all()

# Async commit all sessions
await OaasService.commit_all_async()
""",
    "Backward Compatibility": """
from session_mgmt.objects import (
    # Legacy API - still works exactly the same
    Oparaca, Session, BaseObject, ClsMeta,
    
    # New compatibility functions
    new_session, get_global_oaas
)

# Traditional usage still works
config = OaasConfig()
oparaca = Oparaca(config=config, mock_mode=True)
cls_meta = oparaca.new_cls("LegacyService")

@cls_meta
class LegacyService(BaseObject):
    @cls_meta.func()
    def legacy_method(self):
        return "Still works!"

# Traditional session usage
session = oparaca.new_session()
obj = session.create_object(cls_meta, local=True)
session.commit()

# New session adapter with auto-management
new_style_session = new_session()
obj2 = new_style_session.create_object(cls_meta, local=True)
new_style_session.commit()  # Still works, but auto-managed underneath
""",
}

MIGRATIONS = {
    "manual sessions, before": """
# Manual session management
global_oaas = Oparaca(config=config, mock_mode=True)
session = global_oaas.new_session()
obj = session.create_object(cls_meta, local=True)
session.commit()
""",
    "manual sessions, after": """
# Automatic session management
configure_oaas(OaasConfig(mock_mode=True, auto_commit=True))
obj = MyService.create()  # Auto-managed session
# Auto-commits in background
""",
    "the session API, before": """
session = oparaca.new_session()
obj = session.create_object(cls_meta, local=True)
session.commit()
""",
    "the session API, after": """
session = new_session()  # Returns LegacySessionAdapter
obj = session.create_object(cls_meta, local=True)
session.commit()  # Still works, but auto-managed underneath
""",
}
