def called(a,
           b=(1,
              2),
           ):
    return (a,
            b)

def chained(a, b, c):
    if (a and
            b or
            c):
        return 1
    if not (a
            and b): return 2
    return \
        3

values = [
    called(1),
    called(
        2,
        b=3,
    ),
]
chained(1, 1, 0)
chained(0, 0, 0)
chained(0, 0, 1)
for \
        i in [1,
              2]:
    total = i
for (i,
     j) in [(1, 2)]:
    total = (i
             + j)
while (total >
       2):
    total -= 1
text = ("a"
        "b"
        f"{total}")
mapping = {
    "a": 1,
    "b": [
        n
        for n in range(3)
        if n
    ],
}
assert (values and
        mapping), (
    "message")
with (
    open(__file__) as one,
    open(__file__) as two,
):
    pass
result = (called
          (1)
          [0])
if text == """a
b""": total = 0
else: total = 1
