import functools


def plain(function):
    return function


def with_arguments(*arguments):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*inner):
            if inner:
                return function(*inner)
            return function()

        return wrapper

    return decorate


def drops(thing):
    return None


@plain
def one():
    return 1


@plain
@with_arguments(1)
@with_arguments(
    2,
    3,
)
def several(x=1):
    return x


@with_arguments(
    1,
    2,
)
def multi_line(
    a=1,
    b=2,
):
    return a


@plain
class Decorated:
    @property
    def value(self):
        return 1

    @value.setter
    def value(self, new):
        self.new = new

    @staticmethod
    def static():
        return 1

    @classmethod
    @functools.cache
    def cached(cls):
        return 1

    @plain
    @plain
    def uncalled(self):
        return 1


@with_arguments(1)
@plain
class Another:
    pass


@drops
def dropped():
    return 1


@plain
async def asynchronous():
    return 1


@(lambda function: function)
def by_lambda():
    return 1


def local():
    @plain
    @with_arguments(1)
    def inner():
        return 1

    @plain
    class Inner:
        x = 1

    return inner()


def failing():
    @missing
    @plain
    def never():
        return 1

    return never


def in_branches(flag):
    if flag:

        @plain
        def chosen():
            return 1
    else:

        @plain
        def chosen():
            return 2

    for _ in range(1):

        @plain
        def looped():
            return 3

    while flag:

        @plain
        class C:
            pass

        flag = 0
    return chosen()


one()
several(2)
several()
multi_line()
Decorated().value
Decorated().value = 2
Decorated.static()
Decorated.cached()
by_lambda()
local()
try:
    failing()
except NameError:
    pass
in_branches(0)
in_branches(1)
