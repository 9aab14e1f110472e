def one(x):
    if x: return 1
    if not x: y = 2; z = 3
    return y

def both(x):
    if x: return 1
    else: return 2

def raising(x):
    if x: raise ValueError(x)
    return 0

def loops(items):
    for item in items: last = item
    while items: items.pop()
    for item in [1, 2]:
        if item == 1: continue
        if item == 2: break
    return last

def never(x):
    if x: return 1

def f(): return 1
def g(): pass
class C: pass
class D: x = 1; y = 2
class E(C): 
    def m(self): return self
try: h = 1
except ValueError: h = 2
finally: i = 3
with open(__file__) as handle: text = handle.readline()
k = lambda x: x if x else None

one(1), one(0), both(1), loops([1, 2, 3]), never(0)
raising(0)
try: raising(1)
except ValueError: pass
f(); E().m(); k(1)
