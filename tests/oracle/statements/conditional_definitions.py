import sys

if sys.version_info >= (3,):

    def chosen():
        return 3
else:

    def chosen():
        return 2


try:
    import no_such_module_at_all as module
except ImportError:

    class module:
        @staticmethod
        def run():
            return 1


for name in ("a", "b"):

    def made():
        return name

    class Made:
        label = name
        if label == "b":
            extra = True


while True:

    def once():
        return 1

    break

with open("/dev/null"):

    def in_with():
        return 1


match name:
    case "b":

        def matched():
            return 1
    case _:

        def matched():
            return 2


chosen()
module.run()
made()
once()
in_with()
matched()
