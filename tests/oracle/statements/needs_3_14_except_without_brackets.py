# needs: 3.14
def catch(error):
    try:
        raise error
    except ValueError, KeyError:
        return 1
    except OSError, IndexError:
        return 2


def catch_star(group):
    try:
        raise group
    except* ValueError, KeyError:
        x = 1
    return x


catch(KeyError())
catch(OSError())
catch_star(ExceptionGroup("", [KeyError()]))
