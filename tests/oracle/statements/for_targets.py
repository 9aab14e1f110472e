class Thing:
    pass


def unpack(items):
    for a, b in items:
        x = a + b
    return x


def unpack_nested(items):
    for a, (b, *c) in items:
        x = (a, b, c)
    return x


def star(items):
    for first, *rest in items:
        if rest:
            return rest
    return None


def attribute(thing, items):
    for thing.x in items:
        y = thing.x
    return y


def subscript(mapping, items):
    for mapping["k"] in items:
        y = mapping["k"]
    return y


def subscript_by_call(mapping, items):
    for mapping[str(len(mapping))] in items:
        pass
    return mapping


def fails_to_unpack(items):
    try:
        for a, b in items:
            c = a
    except TypeError:
        return "type"
    except ValueError:
        return "value"
    return "fine"


def fails_outright(items):
    for a, b in items:
        c = a
    return "fine"


class Refusing:
    def __setattr__(self, name, value):
        raise AttributeError(name)

    def __setitem__(self, key, value):
        raise KeyError(key)


def fails_to_set(thing, items):
    try:
        for thing.x in items:
            y = 1
    except AttributeError:
        return "refused"
    return "fine"


def fails_to_set_item(thing, items):
    try:
        for thing["k"] in items:
            y = 1
    except KeyError:
        return "refused"
    return "fine"


global_target = None


def global_loop(items):
    global global_target
    for global_target in items:
        x = global_target
    return x


def cell(items):
    for cell_target in items:

        def inner():
            return cell_target

        inner()
    return inner()


def starred_iterable(a, b):
    for item in *a, *b:
        x = item
    return x


unpack([(1, 2)])
unpack_nested([(1, (2, 3))])
star([(1,), (1, 2)])
attribute(Thing(), [1])
subscript({}, [1])
subscript_by_call({}, [1, 2])
fails_to_unpack([1])
fails_to_unpack([(1, 2, 3)])
fails_to_unpack([(1, 2)])
try:
    fails_outright([(1, 2), 3])
except TypeError:
    pass
fails_to_set(Refusing(), [1])
fails_to_set_item(Refusing(), [1])
global_loop([1])
cell([1, 2])
starred_iterable([1], [2])
for Thing.x in (1,):
    pass
for module_a, module_b in [(1, 2)]:
    pass
try:
    for module_c, module_d in [1]:
        pass
except TypeError:
    pass
