"""What every room uses and none owns: ``files`` that are whole or not there, the ``console``, ``progress``, Ctrl-C.

``results.Records`` is what commands hand back, ``seeding.row_seed`` keeps training, selection and evaluation on
customers of their own, ``torch_tools`` turns arrays and generators into what is saved, ``parallel`` carries out tasks
side by side.
"""
