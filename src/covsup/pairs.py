"""Text of `key=value` lines: the format of a session's settings and notes.

The only place that knows the format. A measured process imports it where a value is encoded or it
leaves a note, so it imports nothing.
"""

TYPE_CHECKING = False  # importing typing would import it into the target
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def encode_pairs(pairs: "Iterable[tuple[str, str]]") -> str:
    """Write one `key=value` a line. Whatever would end a line is percent-encoded in the value."""
    return "".join(f"{key}={_encode(value)}\n" for key, value in pairs)


def decode_pairs(text: str) -> "Iterator[tuple[str, str]]":
    """Give the pairs that `encode_pairs` wrote. Lines without `=` are passed over."""
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals:
            yield key, decode(value)


def _encode(value: str) -> str:
    return value.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def decode(value: str) -> str:
    """Give the value that stands encoded in a line."""
    return value.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
