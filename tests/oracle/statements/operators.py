a, b = 5, 3
total = a + b
total -= 1
bits = a & b | ~a ^ b
power = a ** b
if a > b > 1 and not a == b:
    order = "falling"
else:
    order = "rising"
if a < b < 9 or a is None:
    order += "!"
flags = [a in (1, 5), b not in (1, 5), a is not b]
matrix = {"x": [1, 2, 3]}
matrix["x"][0] += a
matrix["x"][1:] = [b]
del matrix["x"][0]
