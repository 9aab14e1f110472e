# needs: 3.12
def nested(value):
    return f"{f'{value}' + f'{f"{value}"}'}"


def multi_line(value):
    return f"a {value or 'none'} b"


def with_comments(value):
    return f"{
        value  # a comment
    }"


def comprehension(items):
    return f"{[item for item in items if item]}"


nested(1)
multi_line(0)
with_comments(1)
comprehension([0, 1])
