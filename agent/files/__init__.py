"""Reading what people send: documents as Markdown with anchors, images as bounded JPEG or PNG.

`reader.Reader` is the way in: it reads each file in a child process that has nothing but the file. What comes out are
plain values (`extract`), which `passages` cuts to the model's measure; `kinds.tell` says what a file is by its first
bytes. Everything else here runs in the child.
"""
