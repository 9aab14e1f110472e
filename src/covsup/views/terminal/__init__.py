"""`covsup top`: the view in a terminal, made with textual.

`start` opens it. `reader` is the thread that reads the view and makes `pictures`, values that the
widgets draw. The widgets never touch the view: keys do not wait for it. Everything that is drawn goes
through `cells`, where control characters end. Must never know: journals, the page.
"""
