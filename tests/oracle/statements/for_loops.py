def plain(items):
    total = 0
    for item in items:
        total += item
    return total


def with_else(items, stop):
    for item in items:
        if item == stop:
            break
    else:
        return "ended"
    return "broken"


def never_entered(items):
    for item in items:
        return item
    return 0


def never_exhausted(items):
    for item in items:
        return item
    return 0


def not_called(items):
    for item in items:
        return item


def continues(items):
    total = 0
    for item in items:
        if item % 2:
            continue
        total += item
    return total


def nested(rows):
    for row in rows:
        for item in row:
            if item == 3:
                break
        else:
            continue
        break
    else:
        return "not found"
    return "found"


def last_in_function(items):
    for item in items:
        item += 1


def last_in_if(items):
    if items:
        for item in items:
            item += 1
    else:
        for item in (1,):
            items = item


def over_a_literal():
    for item in (1, 2):
        x = item
    for item in [1, 2]:
        x = item
    for item in ():
        x = item
    for key, value in {"a": 1}.items():
        x = value
    return x


def multi_line(items):
    for item in sorted(
        items,
        key=str,
    ):
        x = item + 1
    return x


def raising(items):
    try:
        for item in items:
            item.missing
    except AttributeError:
        return 1
    except TypeError:
        return 2


plain([1, 2])
with_else([1], 1)
with_else([1], 2)
never_entered([])
never_exhausted([1])
continues([1, 2])
nested([[1], [3], [5]])
nested([[]])
last_in_function([1])
last_in_if([1])
last_in_if([])
over_a_literal()
multi_line([2, 1])
raising([1])
raising(None)
for item in range(2):
    item += 1
