def outer(flag):
    captured = 1

    def middle(value):
        nonlocal captured
        captured += value

        def inner():
            if captured > 2:
                return "big"
            return "small"

        return inner

    def never_called():
        return captured

    if flag:

        def chosen():
            return 1
    else:

        def chosen():
            return 2

    return middle(flag)(), chosen()


def recursive(depth):
    if depth == 0:
        return 0
    return recursive(depth - 1) + 1


def mutual_even(number):
    if number == 0:
        return True
    return mutual_odd(number - 1)


def mutual_odd(number):
    if number == 0:
        return False
    return mutual_even(number - 1)


def recursive_in_loop(tree):
    total = 0
    for branch in tree:
        if isinstance(branch, list):
            total += recursive_in_loop(branch)
        else:
            total += branch
    return total


def recursive_in_condition(depth):
    if depth and recursive_in_condition(depth - 1):
        return False
    return True


def closure_in_loop(items):
    functions = []
    for item in items:

        def function(bound=item):
            return bound

        functions.append(function)
    return [function() for function in functions]


def docstring_only():
    """Nothing else."""


def ellipsis_only(): ...


def with_defaults(a, b=1, *c, d=2, **e):
    return a


def returns_nothing():
    return


def falls_off():
    x = 1


def several_returns(value):
    if value == 1:
        return None
    if value == 2:
        return 2
    return None


outer(1)
outer(5)
recursive(3)
mutual_even(3)
recursive_in_loop([1, [2, [3]]])
recursive_in_condition(2)
closure_in_loop([1, 2])
docstring_only()
with_defaults(1)
returns_nothing()
falls_off()
several_returns(1)
several_returns(3)
