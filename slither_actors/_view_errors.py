"""What can go wrong with views of stores."""

from slither_actors._error import SlitherError, error


@error()
class UnknownView(SlitherError, LookupError):
    """No view that can be called here has this name.

    `unseen` are the stores that have one, of scope "session", and that the pipe of this run does not name.
    """

    view: str
    known: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"no view is called {self.view!r} here; there are: {', '.join(self.known) or 'none'}"
        if not self.unseen:
            return text
        stores = ", ".join(self.unseen)
        return f"{text}; a pipe sees those of the stores in its `stores = [...]`, and this one is of {stores}"


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
