class Iterator:
    def __init__(self, limit, error=None):
        self.limit = limit
        self.error = error

    def __iter__(self):
        return self

    def __next__(self):
        if self.limit == 0:
            if self.error:
                raise self.error
            raise StopIteration
        self.limit -= 1
        return self.limit


class Sequence:
    def __getitem__(self, index):
        if index > 2:
            raise IndexError
        return index


class NotIterable:
    __iter__ = None


def loop(items):
    for item in items:
        x = item
    return "end"


def guarded(items):
    try:
        for item in items:
            x = item
        x = "else"
    except OSError:
        return "error"
    except TypeError:
        return "type"
    return x


def unguarded(items):
    for item in items:
        x = item
    return x


def stop_iteration_by_hand(items):
    iterator = iter(items)
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            break
        x = item
    return x


loop(Iterator(2))
loop(Sequence())
loop("ab")
loop({"k": 1})
loop(enumerate(zip([1], [2])))
loop(map(lambda x: x, filter(None, [0, 1])))
guarded(Iterator(1, OSError()))
guarded(Iterator(0, OSError()))
guarded(NotIterable())
guarded(Iterator(0))
try:
    unguarded(Iterator(1, KeyError()))
except KeyError:
    pass
try:
    unguarded(5)
except TypeError:
    pass
stop_iteration_by_hand([1])
