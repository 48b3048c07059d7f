"""What is registered makes objects: a class or a function, and not an object."""


def check_factory(taker: str, factory: object) -> None:
    """Raises TypeError for what cannot be called, with the name of the function that takes it."""
    if not callable(factory):
        kind = type(factory).__name__
        raise TypeError(f"{taker} takes what makes an object, such as the class {kind}, not an object of it.")
