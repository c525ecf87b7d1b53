"""The contracts of limiters."""

__all__: tuple[str, ...] = ()
