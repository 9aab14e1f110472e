"""Loops whose end a generator tells, with bodies of more code than a short jump spans."""


def numbers(count):
    while count:
        yield count
        count -= 1


def long_body(source):
    for number in source:
        if number > 1:
            total = [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            continue
        total = number
    return total


def then_the_exit(source):
    for number in source:
        if number > 5:
            total = [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]


def with_an_else(source):
    for number in source:
        if number > 5:
            total = [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            break
    else:
        total = None
    return total


def a_generator_itself(source):
    for number in source:
        if number > 1:
            total = [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            total += [number, number, number, number, number, number, number, number, number]
            yield total
    yield None


long_body(numbers(2))
then_the_exit(numbers(2))
with_an_else(numbers(2))
list(a_generator_itself(numbers(3)))
