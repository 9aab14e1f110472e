def plain():
    if 0:
        x = 1
    if 1:
        x = 2
    if False:
        x = 3
    else:
        x = 4
    if True:
        x = 5
    else:
        x = 6
    if None:
        x = 7
    if "":
        x = 8
    if "text":
        x = 9
    if ():
        x = 10
    if __debug__:
        x = 11
    if not __debug__:
        x = 12
    else:
        x = 13
    return x


def with_elif(value):
    if 0:
        x = 1
    elif value:
        x = 2
    elif 1:
        x = 3
    else:
        x = 4
    return x


def loops():
    while 0:
        x = 1
    while False:
        x = 2
    x = 3
    while 1:
        x = 4
        break
    while None:
        x = 5
    return x


def compound(value):
    if 0 and value:
        x = 1
    if 1 or value:
        x = 2
    if value and 0:
        x = 3
    if not 0:
        x = 4
    if not 1:
        x = 5
    if 1 == 1:
        x = 6
    if 1 > 2:
        x = 7
    return x


def nested(value):
    if value:
        if 0:
            x = 1
        else:
            x = 2
    if 1:
        if value:
            x = 3
        else:
            x = 4
    if 0:
        if value:
            x = 5
        else:
            x = 6
    return x


def returns():
    if 1:
        return 1
    return 2


def returns_never():
    if 0:
        return 1
    return 2


def last_in_function():
    if 0:
        x = 1


TYPE_CHECKING = False
if 0:
    pass
if __debug__:
    debugged = True
else:
    debugged = False
if 1:
    one = 1
if 0:
    zero = 1
while 0:
    zero = 1
plain()
with_elif(0)
with_elif(1)
loops()
compound(0)
compound(1)
nested(0)
nested(1)
returns()
returns_never()
last_in_function()
if __name__ == "never":
    plain()
