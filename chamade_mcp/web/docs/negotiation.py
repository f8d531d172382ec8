"""Which of two media types a client would rather have (RFC 9110, section 12.5.1)."""


def prefers(accept: str, one: str, other: str) -> bool:
    """Whether `one` is named and not behind `other`: by weight, of equal ones by their order.

    A client that names neither, or takes anything, gets `other`.
    """
    weights: dict[str, tuple[float, int]] = {}
    for at, part in enumerate(accept.lower().split(",")):
        kind, *parameters = (word.strip() for word in part.split(";"))
        weights.setdefault(kind, (_weight(parameters), -at))
    if one not in weights or weights[one][0] == 0:
        return False
    return other not in weights or weights[one] > weights[other]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
