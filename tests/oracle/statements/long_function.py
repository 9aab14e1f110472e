def long(value):
    total = 0
    if value == 0:
        total += 0
    if value == 1:
        total += 1
    for a in range(3):
        for b in range(3):
            for c in range(3):
                if a == b == c:
                    continue
                if a > b:
                    if b > c:
                        total += 1
                    elif b == c:
                        total += 2
                    else:
                        total += 3
                elif a == b:
                    try:
                        if c:
                            1 / (c - 1)
                            total += 4
                        else:
                            total += 5
                    except ZeroDivisionError:
                        total += 6
                    finally:
                        total += 7
                else:
                    while total > 50:
                        total -= 1
                        if total == 45:
                            break
                    else:
                        total += 8
    return total


long(0)
long(2)
