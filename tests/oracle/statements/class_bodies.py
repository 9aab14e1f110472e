class Empty:
    pass


class Documented:
    """Only a docstring."""


class Full:
    """With everything."""

    x = 1
    y: int = 2
    z: str

    def method(self):
        """With a docstring."""
        return 1

    if x:
        chosen = 1
    else:
        chosen = 2

    for number in range(2):
        last = number

    while x > 5:
        x -= 1

    try:
        missing
    except NameError:
        caught = True

    with open("/dev/null") as stream:
        name = stream.name

    class Inner:
        a = 1

        class Deeper:
            b = [
                1,
                2,
            ]

    def uncalled(self):
        if self.x:
            return 1
        return 2

    lambda_member = lambda self: 1
    del number


class Derived(
    Full,
    Empty,
):
    x = 3

    def method(self):
        return super().method()


class Meta(type):
    def __new__(mcs, name, bases, namespace, **options):
        if options:
            namespace["options"] = options
        return super().__new__(mcs, name, bases, namespace)

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace)


class WithMeta(metaclass=Meta):
    pass


class WithOptions(
    metaclass=Meta,
    option=1,
):
    pass


class Slots:
    __slots__ = (
        "a",
        "b",
    )


class Descriptor:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        if instance is None:
            return self
        return 1


class UsesDescriptor:
    d = Descriptor()


def makes_class(flag):
    class Local:
        if flag:
            value = 1
        else:
            value = 2

        def method(self):
            nonlocal flag
            flag = 3
            return flag

    return Local


try:

    class Failing:
        x = 1
        y = 1 / 0
        z = 2
except ZeroDivisionError:
    pass


class OneLine:
    x = 1
    y = 2


class OneLineBase(OneLine):
    pass


class Expressions:
    a = [x for x in (1, 2)]
    b = (lambda: 1)()
    c = a if b else None
    print(end="")
    "string"


Full().method()
Derived().method()
UsesDescriptor().d
UsesDescriptor.d
makes_class(1)().method()
