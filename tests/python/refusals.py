"""What must be refused, and how."""


def fails(kind, call):
    """The error of that kind, which the call must end with."""
    try:
        said = call()
    except kind as error:
        return error
    raise AssertionError(f"it was not refused: {said}")
