"""The page that people read: one file that opens anywhere, offline, made of the same records as the JSON.

`save` is the entry; `kinds` says which sections a kind of result has; every other module makes one section. A section is a
function of the `Material`, and a template of its name in ``templates``. A new one is those two files and a name in `kinds`.
"""
