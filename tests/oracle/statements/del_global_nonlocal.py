x = 1
y = 2


def globals_(flag):
    global x, z, y_
    x = 2
    if flag:
        z = 1
    else:
        del y_
    return x


def nonlocals():
    a = 1

    def inner():
        nonlocal a
        a = 2
        del a

    inner()
    try:
        return a
    except NameError:
        return None


def deletes():
    a = b = c = 1
    items = [1, 2, 3]
    mapping = {"k": 1}
    thing = type("T", (), {"x": 1})
    del a
    del b, c
    del items[0]
    del items[0:1]
    del mapping["k"], thing.x
    del (
        items,
        mapping,
    )
    try:
        del items
    except UnboundLocalError:
        pass


y_ = 1
globals_(1)
globals_(0)
nonlocals()
deletes()
del x
del y
for i in range(2):
    j = i
    del j
if True:
    del i
