def catch(group):
    try:
        raise group
    except* ValueError as caught:
        x = caught
    except* (KeyError, IndexError):
        x = 2
    except* OSError:
        x = 3
    else:
        x = 4
    finally:
        y = 5
    return y


def nothing():
    try:
        x = 1
    except* ValueError:
        x = 2
    else:
        x = 3
    return x


def partly(group):
    try:
        try:
            raise group
        except* ValueError:
            x = 1
    except ExceptionGroup as rest:
        return rest
    return x


def single(error):
    try:
        raise error
    except* ValueError:
        return_value = 1
    return return_value


def raising(group):
    try:
        try:
            raise group
        except* ValueError:
            raise RuntimeError
        except* KeyError:
            raise
    except BaseException as error:
        return error


def branches(group):
    for _ in range(2):
        try:
            raise group
        except* ValueError as caught:
            if len(caught.exceptions) > 1:
                x = 1
            else:
                x = 2
        except* KeyError:
            x = 3
    return x


def not_called(group):
    try:
        raise group
    except* ValueError:
        pass


catch(ExceptionGroup("", [ValueError(), KeyError()]))
catch(ExceptionGroup("", [IndexError()]))
nothing()
partly(ExceptionGroup("", [ValueError(), KeyError()]))
partly(ExceptionGroup("", [ValueError()]))
single(ValueError())
raising(ExceptionGroup("", [ValueError(), KeyError()]))
raising(ExceptionGroup("", [TypeError()]))
branches(ExceptionGroup("", [ValueError(), ValueError()]))
branches(ExceptionGroup("", [KeyError()]))
