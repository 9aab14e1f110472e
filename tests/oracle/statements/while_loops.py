def plain(n):
    while n:
        n -= 1
    return n


def with_else(n, stop):
    while n:
        if n == stop:
            break
        n -= 1
    else:
        return "ended"
    return "broken"


def never_entered(n):
    while n:
        n -= 1
    return 0


def never_left(n):
    while n:
        return n
    return 0


def not_called(n):
    while n:
        n -= 1


def with_continue(n):
    total = 0
    while n:
        n -= 1
        if n % 2:
            continue
        total += n
    return total


def compound(n, m):
    while n and m:
        n -= 1
        if not n:
            m = 0
    while n or m:
        n = m = 0
    return n


def nested(n):
    while n:
        m = n
        while m:
            m -= 1
            if m == 2:
                break
        n -= 1
    return "end"


def raising(n):
    try:
        while 1 / n:
            n -= 1
    except ZeroDivisionError:
        return "divided"


def last_in_function(n):
    while n:
        n -= 1


def last_in_loop(n):
    for i in range(2):
        while n:
            n -= 1


plain(2)
with_else(3, 1)
with_else(3, 9)
never_entered(0)
never_left(1)
with_continue(3)
compound(2, 1)
nested(3)
raising(2)
last_in_function(1)
last_in_loop(1)
