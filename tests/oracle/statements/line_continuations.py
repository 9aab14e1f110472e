a = 1 + \
    2
if a == 3 and \
        a > 1:
    b = \
        a
else:
    b = 0
assert a \
    == 3
for c in \
        (1, 2): d = c
