def first_in_body(flag, items):
    if flag:
        for item in items:
            x = item
    else:
        while items:
            items = items[1:]


def ends_with_if(items):
    for item in items:
        if item:
            x = item


def ends_with_if_else(items):
    for item in items:
        if item:
            x = item
        else:
            x = 0


def ends_with_try(items):
    for item in items:
        try:
            x = 1 / item
        except ZeroDivisionError:
            pass


def ends_with_while(items):
    for item in items:
        while item:
            item -= 1


def ends_with_with(items):
    for item in items:
        with open("/dev/null"):
            if item:
                x = 1


def ends_with_match(items):
    for item in items:
        match item:
            case 1:
                x = 1
            case 2:
                x = 2


def loop_after_loop(items):
    for item in items:
        x = item
    for item in items:
        x = item
    while items:
        items = []
    while items:
        items = []


def directly_nested(rows):
    for row in rows:
        for item in row:
            for _ in range(item):
                x = 1


def if_first_in_while(n):
    while n:
        if n == 2:
            n = 0
            continue
        n -= 1


def while_in_else(items):
    for item in items:
        x = 1
    while items:
        items = []


def condition_after_continue(items):
    for item in items:
        if item == 1:
            continue
        if item == 2:
            pass
        elif item == 3:
            continue
        else:
            break
    return items


first_in_body(1, [1])
first_in_body(0, [1])
ends_with_if([0, 1])
ends_with_if_else([0])
ends_with_try([0, 1])
ends_with_while([0, 1])
ends_with_with([0, 1])
ends_with_match([1, 2, 3])
loop_after_loop([1])
directly_nested([[], [0, 1]])
if_first_in_while(3)
while_in_else([1])
condition_after_continue([1, 2, 3, 4])
