"""`bazaar report`: an HTML page about a run, ``run.write_report``.

``data`` reads the run's folder and plays its sellers again; ``sections``, ``policies`` and ``analysis`` compute what the
page shows; its text is in ``policies/views/templates``.
"""
