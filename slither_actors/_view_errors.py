"""What can go wrong with views of stores."""

from slither_actors._error import SlitherError, error


@error()
class UnknownView(SlitherError, LookupError):
    """No view that can be called here has this name."""

    view: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"no view is called {self.view!r} here; there are: {', '.join(self.known) or 'none'}"


@error()
class DuplicateView(SlitherError):
    """Two stores have a view of one name, and a call would not say which is meant."""

    view: str
    stores: tuple[str, ...]

    def __str__(self) -> str:
        ways = ", ".join(f"'{store}.{self.view}'" for store in self.stores)
        return f"several stores have a view {self.view!r}; call one of: {ways}; or rename all but one"


@error("view {view} of store {store} took longer than timeout_s={timeout_s:g}")
class ViewTimeout(SlitherError, TimeoutError):
    """A call of a view took longer than the view's ``timeout_s``."""

    store: str
    view: str
    timeout_s: float
