source = """
def made(flag):
    if flag:
        return 1
    return 2
made(0)
"""
exec(source)
exec(compile(source, "<made>", "exec"))
exec(compile(source, __file__ + ".made", "exec"), {})
value = eval("1 + 1")
value = eval(
    "[x for x in range(3) if x]",
    {},
)
evaluated = eval(compile("(lambda: 5)()", "<made>", "eval"))


def inside(flag):
    exec("x = 1")
    if eval("flag"):
        return eval("lambda: flag", {"flag": flag})()
    return eval(
        """
flag
""".strip()
    )


inside(0)
inside(1)
try:
    exec("raise ValueError")
except ValueError:
    caught = 1
try:
    exec("x = = 1")
except SyntaxError:
    caught = 2
try:
    eval("missing")
except NameError:
    caught = 3
