import re


def in_if(text):
    if found := re.match("a(.)", text):
        return found[1]
    if (found := re.match("b(.)", text)) and found[1] == "c":
        return "bc"
    return None


def in_while(items):
    while (item := next(items, None)) is not None:
        x = item
    return item


def in_comprehension(items):
    return [y for item in items if (y := item % 3)]


def multi_line(value):
    if (x := value) and (y := x - 1):
        return y
    return x


def in_call():
    return print(end=(x := "")) or x


in_if("ab")
in_if("bc")
in_if("c")
in_while(iter([1, 2]))
in_comprehension([1, 3])
multi_line(0)
multi_line(2)
in_call()
if n := 0:
    pass
