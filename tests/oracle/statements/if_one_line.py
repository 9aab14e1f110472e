def one(x):
    if x:
        return 1
    if not x:
        y = 2
        z = 3
    return y


def both(x):
    if x:
        return 1
    return 2


def elifs(x):
    if x == 1:
        y = 1
    elif x == 2:
        y = 2
    else:
        y = 3
    return y


def loops(x):
    while x:
        x -= 1
    for i in range(2):
        x += i
    for i in ():
        x = i
    while x > 100:
        x -= 1
    return x


def never(x):
    if x:
        return 1
    while x:
        x -= 1


def one_line_function():
    return 1


def another(x):
    return x or 2


def uncalled():
    return 3


class OneLine:
    x = 1


class Empty:
    pass


class WithMethod:
    def method(self):
        return self

    def uncalled(self):
        pass


try:
    one(0)
except ValueError:
    pass
else:
    both(1)
finally:
    both(0)

with open("/dev/null") as f:
    elifs(1)
one(1)
both(1)
elifs(2)
loops(2)
one_line_function()
another(0)
another(1)
WithMethod().method()
if one(1):
    pass
if one(0) == 7:
    never(0)
x = 1
y = 2
z = 3
